// The 3-D view: draws when something changed, and not otherwise, to spare the operator's battery.

import { NeutralToneMapping, PCFShadowMap, PerspectiveCamera, Scene, WebGLRenderer } from "./vendor/three.js";
import { Surroundings } from "./surroundings.js";

/** What is not of the robot's world, such as handles, is on this layer, which the robot's own cameras do not see. */
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
  /** Called with the renderer before the view itself is drawn. @type {((renderer: WebGLRenderer) => void)[]} */
  extras = [];
  /** Called after each drawing. @type {(() => void)[]} */
  afters = [];
  /** @type {import("./scene.js").ChannelScene | null} */
  #channel = null;
  #renderer;
  #requested = 0;
  #timer = 0;
  #last = -Infinity; // ms
  /** Whether the processor has to draw, as in a virtual machine: fewer pixels then, less often. */
  #slow = whoDraws() === "processor";

  /**
   * @param {HTMLCanvasElement} canvas
   * @throws where nobody draws, see `whoDraws`
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
      this.surroundings.dress(channel, OVERLAY);
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
    this.extras.forEach((extra) => extra(this.#renderer));
    this.#renderer.render(this.scene, this.camera);
    this.afters.forEach((after) => after());
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
 * Who draws in this browser: a graphics card, the processor, or nobody, because there is no WebGL.
 *
 * @returns {"card" | "processor" | null}
 */
export function whoDraws() {
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
