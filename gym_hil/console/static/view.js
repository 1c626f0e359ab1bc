// The 3-D view and where the operator looks from.

import { Surroundings } from "./scene.js";
import * as THREE from "./vendor/three.js";
/** @import {ViewPoint} from "./messages.js" */
/** @import {ChannelScene} from "./scene.js" */

/** What is not in the robot's world, such as handles, is on this layer, which the robot's own cameras do not see. */
export const OVERLAY = 3; // 1 and 2 are those of the eyes in a headset
const PIXEL_RATIO = 2; // at most
const SOFTWARE = /swiftshader|llvmpipe|softpipe|basic render/i; // names of renderers that use no graphics card
const SLOW = { pixelRatio: 0.6, interval: 80, shadows: 400 }; // ms

export class View {
  camera = new THREE.PerspectiveCamera(40, 1, 0.02, 30);
  scene = new THREE.Scene();
  surroundings = new Surroundings();
  /** How often the scene was drawn. */
  drawn = 0;
  renderer;
  /** Called before each drawing; true asks for one more. @type {((now: number) => boolean)[]} */
  steps = [];
  /** Called before the view itself is drawn. @type {(renderer: THREE.WebGLRenderer) => void} */
  beforeDrawing = () => {};
  /** @type {ChannelScene | null} */
  #channel = null;
  #requested = 0;
  #timer = 0;
  #last = -Infinity; // ms
  #shaded = -Infinity; // ms, when shadows were drawn
  /** Whether the processor has to draw, as in a virtual machine: then fewer pixels, less often, and plainer. */
  slow = graphics() === "processor";
  /** Whether a WebXR session draws, in place of the page. */
  #presented = false;

  /** @param {HTMLCanvasElement} canvas @throws where there is no WebGL, see `graphics` */
  constructor(canvas) {
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: !this.slow && devicePixelRatio < 2, stencil: false });
    this.renderer.shadowMap.enabled = true;
    this.renderer.shadowMap.type = this.slow ? THREE.BasicShadowMap : THREE.PCFShadowMap;
    this.renderer.shadowMap.autoUpdate = false;
    this.renderer.toneMapping = THREE.NeutralToneMapping;
    this.camera.up.set(0, 0, 1);
    this.camera.layers.enable(OVERLAY);
    this.scene.add(this.surroundings.group);
    this.scene.background = this.surroundings.sky;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    canvas.addEventListener("webglcontextrestored", () => this.request());
  }

  get canvas() {
    return this.renderer.domElement;
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
    if (this.#presented) {
      return; // the session asks for each drawing
    }
    const wait = this.slow ? this.#last + SLOW.interval - performance.now() : 0;
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
    if (this.#presented) {
      return;
    }
    this.#last = now;
    this.#advance(now);
    const again = this.steps.map((step) => step(now)).some(Boolean) || this.#channel?.moving;
    this.beforeDrawing(this.renderer);
    this.renderer.render(this.scene, this.camera);
    this.drawn += 1;
    if (again) {
      this.request();
    }
  }

  /** Leaves drawing to a WebXR session, or takes it back. @param {boolean} on */
  present(on) {
    this.#presented = on;
    this.#resize();
    this.request();
  }

  /** Draws at once, for a WebXR session. @param {THREE.PerspectiveCamera} camera @param {number} now ms */
  drawFor(camera, now) {
    this.#advance(now);
    this.steps.forEach((step) => step(now));
    camera.near = this.camera.near;
    camera.far = this.camera.far;
    camera.layers.mask = this.camera.layers.mask;
    this.renderer.render(this.scene, camera);
    this.drawn += 1;
  }

  /** @param {number} now ms */
  #advance(now) {
    const moved = this.#channel?.advance(now) ?? false;
    // Where the processor draws for two eyes, shadows may come late.
    if (moved && !(this.slow && this.#presented && now - this.#shaded < SLOW.shadows)) {
      this.renderer.shadowMap.needsUpdate = true;
      this.#shaded = now;
    }
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width && height && !this.#presented) {
      this.renderer.setPixelRatio(this.slow ? SLOW.pixelRatio : Math.min(devicePixelRatio, PIXEL_RATIO));
      this.renderer.setSize(width, height, false);
      this.camera.aspect = width / height;
      this.camera.updateProjectionMatrix();
      this.request();
    }
  }
}

/** What draws WebGL in this browser; null where there is no WebGL. @returns {"card" | "processor" | null} */
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
const TRANSITION = 350; // ms from one preset to the next
const USUAL = 1.84; // m, distance from which the robot's workspace is looked at; other scenes are larger or smaller

/** Label -> from where, as azimuth and elevation in degrees; null for the scene's own view. @type {[string, number[] | null][]} */
const PRESETS = [
  ["Free", null],
  ["Top", [0, -89.9]],
  ["Side", [90, -5]],
];

/** From where the operator looks: freely, from the usual sides, or through the model's cameras. */
export class Cameras {
  orbit;
  preset = "Free";
  #view;
  /** @type {ViewPoint} */
  #point = { centre: [0, 0, 0], distance: USUAL, azimuth: 0, elevation: 0, track: null };
  #centre = new THREE.Vector3();
  /** Whether the view stands where its preset says, and the operator has not moved it. */
  #home = true;
  #from = { position: new THREE.Vector3(), quaternion: new THREE.Quaternion(), since: -Infinity };
  #onChange;

  /** @param {View} view @param {() => void} onChange called when the preset changes */
  constructor(view, onChange) {
    this.#view = view;
    this.#onChange = onChange;
    this.orbit = new THREE.OrbitControls(view.camera, view.canvas);
    this.orbit.maxPolarAngle = 0.52 * Math.PI;
    this.orbit.zoomToCursor = true;
    this.orbit.addEventListener("start", () => this.#leavePreset());
    this.orbit.addEventListener("change", () => view.request());
    view.steps.push((now) => this.#advance(now));
  }

  /** @returns {string[]} */
  get presets() {
    const mounted = this.#view.channel?.description.cameras.map(({ name }) => name) ?? [];
    return [...PRESETS.map(([name]) => name), ...mounted];
  }

  /** Looks at another environment. @param {ViewPoint} point */
  start(point) {
    this.#point = point;
    this.#centre.fromArray(point.centre);
    this.orbit.minDistance = point.distance / 12;
    this.orbit.maxDistance = 3 * point.distance;
    this.#view.camera.near = point.distance / 100;
    this.#view.camera.far = 20 * point.distance;
    this.preset = "Free";
    this.#home = true;
    this.#from.since = -Infinity;
  }

  /** @param {string} name */
  show(name) {
    const { camera } = this.#view;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#from.position.copy(camera.position);
    this.#from.quaternion.copy(camera.quaternion);
    this.#from.since = still ? -Infinity : performance.now();
    this.preset = name;
    this.#home = true;
    this.#onChange();
    this.#view.request();
  }

  /** The model's camera that the view rides on. */
  get #mounted() {
    const { channel } = this.#view;
    const index = channel?.description.cameras.findIndex(({ name }) => name === this.preset) ?? -1;
    return channel?.cameras[index];
  }

  /** Leaves the preset where it is, for the operator to orbit from there. */
  #leavePreset() {
    const { camera } = this.#view;
    this.#from.since = -Infinity;
    this.#home = false;
    if (this.#mounted) {
      const ahead = new THREE.Vector3(0, 0, -1).applyQuaternion(camera.quaternion);
      const reach = (camera.position.z - this.#centre.z) / Math.max(-ahead.z, 0.05);
      const distance = THREE.MathUtils.clamp(reach, this.#point.distance / 6, this.#point.distance);
      this.orbit.target.copy(camera.position).addScaledVector(ahead, distance);
      this.#zoomTo(FOV);
    }
    if (this.preset !== "Free") {
      this.preset = "Free";
      this.#onChange();
    }
  }

  /** @param {number} now ms */
  #advance(now) {
    const share = Math.min((now - this.#from.since) / TRANSITION, 1);
    const { camera } = this.#view;
    this.#follow();
    const mounted = this.#mounted;
    if (mounted) {
      mounted.updateWorldMatrix(true, false);
      mounted.matrixWorld.decompose(camera.position, camera.quaternion, new THREE.Vector3());
      // The model's angle is that of the narrower side of the window.
      const half = Math.tan(THREE.MathUtils.degToRad(mounted.fov / 2)) / Math.min(camera.aspect, 1);
      this.#zoomTo(THREE.MathUtils.radToDeg(2 * Math.atan(half)));
    } else if (this.#home) {
      const [azimuth, elevation] =
        PRESETS.find(([name]) => name === this.preset)?.[1] ?? [this.#point.azimuth, this.#point.elevation];
      const [around, up] = [THREE.MathUtils.degToRad(azimuth), THREE.MathUtils.degToRad(elevation)];
      // Further away where there is less room, so that the same things are to be seen.
      const distance = this.#point.distance * Math.max(1, 1 / camera.aspect);
      const ahead = new THREE.Vector3(Math.cos(up) * Math.cos(around), Math.cos(up) * Math.sin(around), Math.sin(up));
      camera.position.copy(this.#centre).addScaledVector(ahead, -distance);
      this.orbit.target.copy(this.#centre);
      camera.lookAt(this.#centre);
      this.#zoomTo(FOV);
      this.orbit.update();
    }
    if (this.#from.since > -Infinity && share < 1) {
      const eased = THREE.MathUtils.smoothstep(share, 0, 1);
      camera.position.lerpVectors(this.#from.position, camera.position.clone(), eased);
      camera.quaternion.slerpQuaternions(this.#from.quaternion, camera.quaternion.clone(), eased);
      return true;
    }
    this.#from.since = -Infinity;
    return false;
  }

  /** Goes where the body goes that the view follows. */
  #follow() {
    const { track } = this.#point;
    const body = track === null ? undefined : this.#view.channel?.root.children[track];
    if (body) {
      const by = new THREE.Vector3(body.position.x - this.#centre.x, body.position.y - this.#centre.y, 0);
      this.#centre.add(by);
      this.orbit.target.add(by);
      this.#view.camera.position.add(by);
      this.#view.surroundings.moveTo(this.#centre);
    }
  }

  /** @param {number} fov degrees, upright */
  #zoomTo(fov) {
    const { camera } = this.#view;
    if (Math.abs(fov - camera.fov) > 1e-6) {
      camera.fov = fov;
      camera.updateProjectionMatrix();
    }
  }
}
