// The 3-D view and where the operator looks from.

import { Surroundings } from "./scene.js";
import {
  MathUtils,
  NeutralToneMapping,
  OrbitControls,
  PCFShadowMap,
  PerspectiveCamera,
  Quaternion,
  Scene,
  Vector3,
  WebGLRenderer,
} from "./vendor/three.js";

/** What is not in the robot's world, such as handles, is on this layer, which the robot's own cameras do not see. */
export const OVERLAY = 1;
const PIXEL_RATIO = 2; // at most
const SOFTWARE = /swiftshader|llvmpipe|softpipe|basic render/i; // names of renderers that use no graphics card
const SLOW = { pixelRatio: 0.6, interval: 80 }; // ms

export class View {
  camera = new PerspectiveCamera(40, 1, 0.02, 30);
  scene = new Scene();
  surroundings = new Surroundings();
  /** How often the scene was drawn. */
  drawn = 0;
  /** Share of the canvas, at its bottom, that lies under the controls: `--covered` of the style sheet, in px. */
  covered = 0;
  /** Called before each drawing; true asks for one more. @type {((now: number) => boolean)[]} */
  steps = [];
  /** Called before the view itself is drawn. @type {(renderer: WebGLRenderer) => void} */
  beforeDrawing = () => {};
  /** @type {import("./scene.js").ChannelScene | null} */
  #channel = null;
  #renderer;
  #requested = 0;
  #timer = 0;
  #last = -Infinity; // ms
  /** Whether the processor has to draw, as in a virtual machine: then fewer pixels, less often. */
  #slow = graphics() === "processor";

  /**
   * @param {HTMLCanvasElement} canvas
   * @throws where there is no WebGL, see `graphics`
   */
  constructor(canvas) {
    this.#renderer = new WebGLRenderer({ canvas, antialias: !this.#slow && devicePixelRatio < 2, stencil: false });
    this.#renderer.shadowMap.enabled = true;
    this.#renderer.shadowMap.type = PCFShadowMap;
    this.#renderer.shadowMap.autoUpdate = false;
    this.#renderer.toneMapping = NeutralToneMapping;
    this.camera.up.set(0, 0, 1);
    this.camera.layers.enable(OVERLAY);
    this.scene.add(this.surroundings.group);
    this.scene.background = this.surroundings.sky;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    canvas.addEventListener("webglcontextrestored", () => this.request());
  }

  get canvas() {
    return this.#renderer.domElement;
  }

  get channel() {
    return this.#channel;
  }

  set channel(channel) {
    this.#channel?.dispose();
    this.#channel = channel;
    if (channel) {
      this.scene.add(channel.root);
      this.surroundings.surround(channel, OVERLAY);
    }
    this.request();
  }

  /** @param {"light" | "dark"} theme */
  set theme(theme) {
    this.surroundings.theme = theme;
    this.request();
  }

  /** Asks for one drawing. */
  request() {
    const wait = this.#slow ? this.#last + SLOW.interval - performance.now() : 0;
    if (wait > 0) {
      this.#timer ||= setTimeout(() => {
        this.#timer = 0;
        this.request();
      }, wait);
    } else {
      this.#requested ||= requestAnimationFrame((now) => this.#draw(now));
    }
  }

  /** @param {number} now ms */
  #draw(now) {
    this.#requested = 0;
    this.#last = now;
    if (this.#channel?.advance(now)) {
      this.#renderer.shadowMap.needsUpdate = true;
    }
    const again = this.steps.map((step) => step(now)).some(Boolean) || this.#channel?.moving;
    this.beforeDrawing(this.#renderer);
    this.#renderer.render(this.scene, this.camera);
    this.drawn += 1;
    if (again) {
      this.request();
    }
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width && height) {
      this.#renderer.setPixelRatio(this.#slow ? SLOW.pixelRatio : Math.min(devicePixelRatio, PIXEL_RATIO));
      this.#renderer.setSize(width, height, false);
      const covered = parseFloat(getComputedStyle(this.canvas).getPropertyValue("--covered")) || 0;
      this.covered = covered / height;
      this.camera.aspect = width / height;
      this.camera.setViewOffset(width, height, 0, covered / 2, width, height);
      this.request();
    }
  }
}

/**
 * What draws WebGL in this browser; null where there is no WebGL.
 *
 * @returns {"card" | "processor" | null}
 */
export function graphics() {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!context) {
    return document.createElement("canvas").getContext("webgl2") && "processor";
  }
  const info = context.getExtension("WEBGL_debug_renderer_info");
  const name = info ? String(context.getParameter(info.UNMASKED_RENDERER_WEBGL)) : "";
  context.getExtension("WEBGL_lose_context")?.loseContext();
  return SOFTWARE.test(name) ? "processor" : "card";
}

const FOV = 40; // degrees
const CENTRE = new Vector3(0.36, 0, 0.24); // m, what the presets look at
const TRANSITION = 350; // ms from one preset to the next
/** Name -> label, and for those that do not ride on a camera of the robot, from where: m, off the centre. */
const PRESETS = {
  free: { label: "Free", offset: new Vector3(-1.05, -1.25, 0.85) },
  front: { label: "Front" },
  wrist: { label: "Wrist" },
  top: { label: "Top", offset: new Vector3(-0.002, 0, 1.7) },
  side: { label: "Side", offset: new Vector3(0, -1.75, 0.15) },
};

/** @typedef {keyof typeof PRESETS} Preset */

export class Cameras {
  orbit;
  /** @type {Preset} */
  #preset = "free";
  #view;
  /** Whether the view stands where its preset says, and the operator has not moved it. */
  #home = true;
  #from = { position: new Vector3(), quaternion: new Quaternion(), fov: FOV, since: -Infinity };
  #onChange;

  /**
   * @param {View} view
   * @param {(preset: Preset) => void} onChange
   */
  constructor(view, onChange) {
    this.#view = view;
    this.#onChange = onChange;
    this.orbit = new OrbitControls(view.camera, view.canvas);
    this.orbit.minDistance = 0.15;
    this.orbit.maxDistance = 5;
    this.orbit.maxPolarAngle = 0.52 * Math.PI;
    this.orbit.zoomToCursor = true;
    this.orbit.addEventListener("start", () => this.#leavePreset());
    this.orbit.addEventListener("change", () => view.request());
    view.steps.push((now) => this.#advance(now));
  }

  get preset() {
    return this.#preset;
  }

  /** The presets that the scene has. @returns {[Preset, string][]} */
  get presets() {
    const known = /** @type {[Preset, {label: string, offset?: Vector3}][]} */ (Object.entries(PRESETS));
    return known.filter(([name, { offset }]) => offset || this.#robotCamera(name)).map(([name, { label }]) => [name, label]);
  }

  /** @param {string} name */
  show(name) {
    const { camera } = this.#view;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#from.position.copy(camera.position);
    this.#from.quaternion.copy(camera.quaternion);
    this.#from.fov = camera.fov;
    this.#from.since = still ? -Infinity : performance.now();
    this.#preset = /** @type {Preset} */ (name);
    this.#home = true;
    this.#onChange(this.#preset);
    this.#view.request();
  }

  /** @param {Preset} name */
  #robotCamera(name) {
    const { channel } = this.#view;
    const index = channel?.description.cameras.findIndex((camera) => camera.name === name) ?? -1;
    return channel?.cameras[index];
  }

  /** Leaves the preset where it is, for the operator to orbit from there. */
  #leavePreset() {
    const mounted = this.#robotCamera(this.#preset);
    this.#from.since = -Infinity;
    this.#home = false;
    if (mounted) {
      const { camera } = this.#view;
      const ahead = new Vector3(0, 0, -1).applyQuaternion(camera.quaternion);
      const reach = MathUtils.clamp(-camera.position.z / Math.min(ahead.z, -0.05), 0.3, 1.5);
      this.orbit.target.copy(camera.position).addScaledVector(ahead, reach);
      this.#zoomTo(FOV);
    }
    if (this.#preset !== "free") {
      this.#preset = "free";
      this.#onChange("free");
    }
  }

  /** @param {number} now ms */
  #advance(now) {
    const share = Math.min((now - this.#from.since) / TRANSITION, 1);
    const mounted = this.#robotCamera(this.#preset);
    const { camera } = this.#view;
    const moving = this.#from.since > -Infinity;
    if (mounted) {
      mounted.updateWorldMatrix(true, false);
      mounted.matrixWorld.decompose(camera.position, camera.quaternion, new Vector3());
      this.#zoomTo(mounted.fov);
    } else if (this.#home) {
      const offset = /** @type {{offset: Vector3}} */ (PRESETS[this.#preset]).offset;
      camera.position.copy(CENTRE).addScaledVector(offset, this.#distance());
      this.orbit.target.copy(CENTRE);
      camera.lookAt(CENTRE);
      this.#zoomTo(FOV);
      this.orbit.update();
    }
    if (moving && share < 1) {
      const eased = MathUtils.smoothstep(share, 0, 1);
      camera.position.lerpVectors(this.#from.position, camera.position.clone(), eased);
      camera.quaternion.slerpQuaternions(this.#from.quaternion, camera.quaternion.clone(), eased);
      return true;
    }
    this.#from.since = -Infinity;
    return false;
  }

  /** Further away where there is less room, so that the same things are to be seen. */
  #distance() {
    const { camera, covered } = this.#view;
    return Math.max(1 / (1 - covered), 1 / camera.aspect);
  }

  /** @param {number} fov degrees, of the narrower side of the window if the camera is the robot's */
  #zoomTo(fov) {
    const { camera } = this.#view;
    const half = Math.tan(MathUtils.degToRad(fov / 2));
    const tall = this.#robotCamera(this.#preset) && camera.aspect < 1 ? half / camera.aspect : half;
    const wanted = MathUtils.radToDeg(2 * Math.atan(tall));
    if (Math.abs(wanted - camera.fov) > 1e-6) {
      camera.fov = wanted;
      camera.updateProjectionMatrix();
    }
  }
}
