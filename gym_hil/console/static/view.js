// The 3-D view: draws when something changed, and not otherwise, to spare the person's battery.

import { NeutralToneMapping, PCFShadowMap, PerspectiveCamera, Scene, WebGLRenderer } from "./vendor/three.js";
import { Surroundings } from "./surroundings.js";

/** What is not of the robot's world, such as handles, is on this layer, which the robot's own cameras do not see. */
export const OVERLAY = 1;
const PIXEL_RATIO = 2; // at most
const COARSEST = 0.5; // pixel ratio, at least
const SLOW = 55; // ms from one drawing to the next, above which fewer pixels are drawn
const PATIENCE = 8; // drawings that are slow before that happens

export class View {
  camera = new PerspectiveCamera(40, 1, 0.02, 30);
  scene = new Scene();
  surroundings = new Surroundings();
  /** How often the scene was drawn. */
  drawn = 0;
  /** Called before each drawing; true asks for one more. @type {((now: number) => boolean)[]} */
  steps = [];
  /** Called with the renderer before the view itself is drawn. @type {((renderer: WebGLRenderer) => void)[]} */
  extras = [];
  /** Called after each drawing. @type {(() => void)[]} */
  afters = [];
  /** @type {import("./scene.js").StageScene | null} */
  #stage = null;
  #renderer;
  #requested = 0;
  /** 1, or less where drawing is slow, as without a graphics card. */
  #fineness = 1;
  #slow = 0;
  #last = 0; // ms

  /**
   * @param {HTMLCanvasElement} canvas
   * @throws when this browser has no WebGL
   */
  constructor(canvas) {
    this.#renderer = new WebGLRenderer({ canvas, antialias: devicePixelRatio < 2, stencil: false });
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

  get stage() {
    return this.#stage;
  }

  set stage(stage) {
    this.#stage?.dispose();
    this.#stage = stage;
    if (stage) {
      this.scene.add(stage.root);
      this.surroundings.dress(stage, OVERLAY);
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
    this.#requested ||= requestAnimationFrame((now) => this.#draw(now));
  }

  /** @param {number} now ms */
  #draw(now) {
    this.#requested = 0;
    if (this.#stage?.advance(now)) {
      this.#renderer.shadowMap.needsUpdate = true;
    }
    const again = this.steps.map((step) => step(now)).some(Boolean) || this.#stage?.moving;
    this.extras.forEach((extra) => extra(this.#renderer));
    this.#renderer.render(this.scene, this.camera);
    this.afters.forEach((after) => after());
    this.drawn += 1;
    this.#judge(now, Boolean(again));
    if (again) {
      this.request();
    }
  }

  /**
   * @param {number} now ms
   * @param {boolean} again whether one more drawing follows
   */
  #judge(now, again) {
    this.#slow = this.#last && now - this.#last > SLOW ? this.#slow + 1 : 0;
    this.#last = again ? now : 0;
    if (this.#slow >= PATIENCE && this.#fineness * devicePixelRatio > COARSEST) {
      this.#slow = 0;
      this.#fineness *= 0.7;
      this.#resize();
    }
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width && height) {
      this.#renderer.setPixelRatio(this.#fineness * Math.min(devicePixelRatio, PIXEL_RATIO));
      this.#renderer.setSize(width, height, false);
      this.camera.aspect = width / height;
      this.camera.updateProjectionMatrix();
      this.request();
    }
  }
}
