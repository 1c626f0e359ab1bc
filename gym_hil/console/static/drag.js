// A handle at the tool's target: dragged with the mouse or a finger, it says where the tool should go.

import {
  Group,
  Mesh,
  MeshBasicMaterial,
  Plane,
  Raycaster,
  RingGeometry,
  SphereGeometry,
  Vector2,
  Vector3,
} from "./vendor/three.js";
import { OVERLAY } from "./view.js";

const GRAB = { mouse: 24, pen: 30, touch: 40 }; // px around the handle
const RING = 13; // px
const DOT = 0.22; // of the ring; it must not hide what the fingers do
const SOURCE = "drag";
const COLOURS = { idle: "#f08c00", active: "#ffb340" };

/**
 * @typedef {{input: import("./input.js").InputState, cameras: import("./view.js").Cameras,
 *   keyboard: import("./input_sources.js").Keyboard, intervention: () => "toggle" | "stay" | "hold" | "auto" | null,
 *   driving: () => boolean, seenUntil: () => number}} DragParts
 */

export class Drag {
  #view;
  #parts;
  #handle = new Group();
  /** m, where the controller pulls the tool to; null if unknown. @type {Vector3 | null} */
  #target = null;
  /** @type {{pointer: number, plane: Plane, offset: Vector3, vertical: boolean} | null} */
  #grip = null;
  #intervenedAt = -Infinity; // ms
  #raycaster = new Raycaster();
  /** @type {MeshBasicMaterial} */
  #material = new MeshBasicMaterial({ depthTest: false, transparent: true, opacity: 0.95, toneMapped: false });

  /**
   * @param {import("./view.js").View} view
   * @param {DragParts} parts
   */
  constructor(view, parts) {
    this.#view = view;
    this.#parts = parts;
    const dot = new Mesh(new SphereGeometry(DOT, 20, 14), this.#material);
    const ring = new Mesh(new RingGeometry(0.84, 1, 48), this.#material);
    dot.renderOrder = ring.renderOrder = 10;
    this.#handle.add(dot, ring);
    this.#handle.traverse((part) => part.layers.set(OVERLAY));
    this.#handle.visible = false;
    view.scene.add(this.#handle);
    view.steps.push(() => this.#place());
    // Captured before OrbitControls, which must not turn the view then.
    view.canvas.addEventListener("pointerdown", (event) => this.#start(event), { capture: true });
    view.canvas.addEventListener("pointermove", (event) => this.#move(event), { capture: true });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      view.canvas.addEventListener(end, (event) => this.#end(/** @type {PointerEvent} */ (event)), { capture: true });
    }
    parts.input.onReleaseAll.add(() => this.#release());
  }

  /** Where the handle is on the page, in px from the view's upper left corner; null while it is hidden. */
  get position() {
    return this.#handle.visible ? this.#onScreen(this.#handle.position) : null;
  }

  get active() {
    return this.#grip !== null;
  }

  /** @param {number[] | null} target m */
  set toolTarget(target) {
    this.#target = target && new Vector3().fromArray(target);
    this.#view.request();
  }

  #place() {
    this.#handle.visible = this.#target !== null && this.#parts.input.enabled;
    if (this.#target && !this.#grip) {
      this.#handle.position.copy(this.#target);
    }
    const { camera, canvas } = this.#view;
    const distance = camera.position.distanceTo(this.#handle.position);
    const perPixel = (2 * distance * Math.tan((camera.fov * Math.PI) / 360)) / canvas.clientHeight;
    this.#handle.scale.setScalar(RING * perPixel);
    this.#handle.quaternion.copy(camera.quaternion);
    this.#material.color.set(this.#grip ? COLOURS.active : COLOURS.idle);
    return false;
  }

  /** @param {PointerEvent} event */
  #start(event) {
    const at = this.position;
    const reach = GRAB[/** @type {keyof typeof GRAB} */ (event.pointerType)] ?? GRAB.mouse;
    if (!at || this.#grip || event.button !== 0 || Math.hypot(event.offsetX - at.x, event.offsetY - at.y) > reach) {
      return;
    }
    event.stopImmediatePropagation();
    this.#view.canvas.setPointerCapture(event.pointerId);
    this.#parts.keyboard.lend(["ShiftLeft", "ShiftRight"]);
    this.#parts.cameras.orbit.enabled = false;
    this.#grip = { pointer: event.pointerId, ...this.#plane(event) };
    this.#intervene();
    this.#dragTo(event);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (!this.#grip || event.pointerId !== this.#grip.pointer) {
      const at = this.position;
      const near = at && Math.hypot(event.offsetX - at.x, event.offsetY - at.y) <= GRAB.mouse;
      this.#view.canvas.classList.toggle("can-grab", Boolean(near));
      return;
    }
    event.stopImmediatePropagation();
    if (event.shiftKey !== this.#grip.vertical) {
      Object.assign(this.#grip, this.#plane(event));
    }
    this.#dragTo(event);
  }

  /** @param {PointerEvent} event */
  #end(event) {
    if (this.#grip?.pointer === event.pointerId) {
      event.stopImmediatePropagation();
      this.#release();
    }
  }

  #release() {
    if (this.#grip) {
      this.#grip = null;
      this.#parts.input.target = null;
      this.#parts.input.release(SOURCE, "INTERVENE");
      this.#parts.keyboard.lend([]);
      this.#parts.cameras.orbit.enabled = true;
      this.#view.request();
    }
  }

  /** Starting to drag takes over. */
  #intervene() {
    const mode = this.#parts.intervention();
    if (mode === "hold") {
      this.#parts.input.press(SOURCE, "INTERVENE");
    } else if ((mode === "toggle" || mode === "stay") && !this.#parts.driving() && this.#parts.seenUntil() > this.#intervenedAt) {
      // Until a frame shows what the last press has done, another one could hand back.
      this.#intervenedAt = performance.now();
      this.#parts.input.tap("INTERVENE");
    }
  }

  /**
   * The plane in which the handle moves: towards the camera, or with Shift upright.
   *
   * @param {PointerEvent} event
   */
  #plane(event) {
    const normal = this.#view.camera.getWorldDirection(new Vector3());
    if (event.shiftKey) {
      normal.z = 0;
    }
    const plane = new Plane().setFromNormalAndCoplanarPoint(normal.normalize(), this.#handle.position);
    const hit = this.#hit(event, plane) ?? this.#handle.position;
    return { plane, offset: this.#handle.position.clone().sub(hit), vertical: event.shiftKey };
  }

  /** @param {PointerEvent} event */
  #dragTo(event) {
    const grip = this.#grip;
    const hit = grip && this.#hit(event, grip.plane);
    if (hit) {
      const [low, high] = this.#view.channel?.description.workspace ?? [];
      hit.add(grip.offset);
      if (low && high) {
        hit.clamp(new Vector3().fromArray(low), new Vector3().fromArray(high));
      }
      this.#handle.position.copy(hit);
      const { x, y, z } = hit;
      this.#parts.input.target = [x, y, z];
      this.#view.request();
    }
  }

  /**
   * @param {PointerEvent} event
   * @param {Plane} plane
   */
  #hit({ offsetX, offsetY }, plane) {
    const { camera, canvas } = this.#view;
    const point = new Vector2((2 * offsetX) / canvas.clientWidth - 1, 1 - (2 * offsetY) / canvas.clientHeight);
    this.#raycaster.setFromCamera(point, camera);
    return this.#raycaster.ray.intersectPlane(plane, new Vector3());
  }

  /** @param {Vector3} point */
  #onScreen(point) {
    const { camera, canvas } = this.#view;
    const { x, y } = point.clone().project(camera);
    return { x: ((x + 1) / 2) * canvas.clientWidth, y: ((1 - y) / 2) * canvas.clientHeight };
  }
}
