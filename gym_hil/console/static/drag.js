// A handle at the tool's target: dragged with the mouse or a finger, it says where the tool should go. Its rings, and a
// second finger, say how the tool should be turned.

import * as THREE from "./vendor/three.js";
import { OVERLAY } from "./view.js";
/** @import {InputState} from "./input.js" */
/** @import {Keyboard} from "./input_sources.js" */
/** @import {Cameras, View} from "./view.js" */

const GRAB = { mouse: 24, pen: 30, touch: 40 }; // px around the handle
const RING = 13; // px
const DOT = 0.22; // of the ring; it must not hide what the fingers do
const SOURCE = "drag";
const COLOURS = { idle: "#f08c00", active: "#ffb340" };
const GRAB_RING = { mouse: 10, pen: 14, touch: 22 }; // px beside a ring
const RING_ABOUT = 54; // px, radius of the rings that turn
const RING_COLOURS = ["#e03131", "#2f9e44", "#1c7ed6"]; // about x, y and z
const RING_STEPS = 72;
const AXES = [new THREE.Vector3(1, 0, 0), new THREE.Vector3(0, 1, 0), new THREE.Vector3(0, 0, 1)]; // of the robot's base

/**
 * @typedef {{input: InputState, cameras: Cameras,
 *   keyboard: Keyboard, intervention: () => "toggle" | "stay" | "hold" | "auto" | null,
 *   driving: () => boolean, seenUntil: () => number, turns: () => boolean[]}} DragParts with whether the tool can be
 *   turned about each axis
 */

export class Drag {
  #view;
  #parts;
  #handle = new THREE.Group();
  /** m, where the controller pulls the tool to; null if unknown. @type {THREE.Vector3 | null} */
  #target = null;
  /** How the controller turns the tool; null if unknown. @type {THREE.Quaternion | null} */
  #rotation = null;
  /** @type {{pointer: number, plane: THREE.Plane, offset: THREE.Vector3, vertical: boolean} | null} */
  #grip = null;
  /** What turns the tool: a pointer on a ring, or a second finger; `from` is the tool's orientation at its beginning.
   * @type {{pointer: number, axis: THREE.Vector3, from: THREE.Quaternion, angle: (event: PointerEvent) => number} | null} */
  #turn = null;
  #rings = AXES.map((axis, index) => {
    const colour = RING_COLOURS[index];
    const material = new THREE.MeshBasicMaterial({ color: colour, depthTest: false, transparent: true, toneMapped: false });
    return new THREE.Mesh(hoop(axis), material);
  });
  #intervenedAt = -Infinity; // ms
  #raycaster = new THREE.Raycaster();
  /** @type {THREE.MeshBasicMaterial} */
  #material = new THREE.MeshBasicMaterial({ depthTest: false, transparent: true, opacity: 0.95, toneMapped: false });

  /** @param {View} view @param {DragParts} parts */
  constructor(view, parts) {
    this.#view = view;
    this.#parts = parts;
    const dot = new THREE.Mesh(new THREE.SphereGeometry(DOT, 20, 14), this.#material);
    const ring = new THREE.Mesh(new THREE.RingGeometry(0.84, 1, 48), this.#material);
    dot.renderOrder = ring.renderOrder = 10;
    this.#handle.add(dot, ring);
    this.#handle.traverse((part) => part.layers.set(OVERLAY));
    this.#handle.visible = false;
    for (const ring of this.#rings) {
      ring.renderOrder = 9;
      ring.layers.set(OVERLAY);
      view.scene.add(ring);
    }
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
    return this.#grip !== null || this.#turn !== null;
  }

  /**
   * A point of a ring on the page, in px from the view's upper left corner.
   *
   * @param {number} index of the ring's axis
   * @param {number} angle rad
   */
  ringAt(index, angle) {
    const ring = this.#rings[index];
    return this.#onScreen(pointOf(AXES[index], angle).multiplyScalar(ring.scale.x).add(ring.position));
  }

  /** @param {number[] | null} target m */
  set toolTarget(target) {
    this.#target = target && new THREE.Vector3().fromArray(target);
    this.#view.request();
  }

  /** @param {number[] | null} quaternion w first */
  set toolRotation(quaternion) {
    this.#rotation = quaternion && new THREE.Quaternion(quaternion[1], quaternion[2], quaternion[3], quaternion[0]);
  }

  #place() {
    const isShown = this.#target !== null && this.#parts.input.enabled;
    const turns = this.#parts.turns();
    this.#handle.visible = isShown;
    this.#rings.forEach((ring, index) => (ring.visible = isShown && this.#rotation !== null && turns[index]));
    if (!isShown) {
      return false; // as in a headset, where asking for the canvas's height would lay out the page in each frame
    }
    if (this.#target && !this.#grip) {
      this.#handle.position.copy(this.#target);
    }
    const { camera, canvas } = this.#view;
    const distance = camera.position.distanceTo(this.#handle.position);
    const perPixel = (2 * distance * Math.tan((camera.fov * Math.PI) / 360)) / canvas.clientHeight;
    this.#handle.scale.setScalar(RING * perPixel);
    this.#handle.quaternion.copy(camera.quaternion);
    this.#material.color.set(this.#grip ? COLOURS.active : COLOURS.idle);
    this.#rings.forEach((ring, index) => {
      ring.position.copy(this.#handle.position);
      ring.scale.setScalar(RING_ABOUT * perPixel);
      ring.material.opacity = this.#turn?.axis === AXES[index] ? 1 : 0.55;
    });
    return false;
  }

  /** @param {PointerEvent} event */
  #start(event) {
    const at = this.position;
    const reach = GRAB[/** @type {keyof typeof GRAB} */ (event.pointerType)] ?? GRAB.mouse;
    if (!at || this.#turn || event.button !== 0) {
      return;
    }
    const isNear = Math.hypot(event.offsetX - at.x, event.offsetY - at.y) <= reach;
    const turn = this.#grip ? this.#twist(event, at) : isNear ? null : this.#pull(event);
    if (this.#grip ? !turn : !turn && !isNear) {
      return;
    }
    event.stopImmediatePropagation();
    this.#view.canvas.setPointerCapture(event.pointerId);
    this.#parts.keyboard.lend(["ShiftLeft", "ShiftRight"]);
    this.#parts.cameras.orbit.enabled = false;
    if (turn) {
      this.#turn = turn;
    } else {
      this.#grip = { pointer: event.pointerId, ...this.#plane(event) };
      this.#dragTo(event);
    }
    this.#intervene();
    this.#view.request();
  }

  /**
   * A turn by a pointer that has taken hold of a ring: pulled along the ring, as far as it is moved.
   *
   * @param {PointerEvent} event
   */
  #pull(event) {
    const reach = GRAB_RING[/** @type {keyof typeof GRAB_RING} */ (event.pointerType)] ?? GRAB_RING.mouse;
    const found = this.#nearest(event);
    if (!found || found.distance > reach || !this.#rotation) {
      return null;
    }
    const step = (2 * Math.PI) / RING_STEPS;
    const [before, after] = [-1, 1].map((side) => this.ringAt(found.index, found.angle + side * step));
    const along = { x: (after.x - before.x) / (2 * step), y: (after.y - before.y) / (2 * step) }; // px for each rad
    const [x, y, square] = [event.offsetX, event.offsetY, along.x ** 2 + along.y ** 2];
    const angle = (/** @type {PointerEvent} */ { offsetX, offsetY }) =>
      ((offsetX - x) * along.x + (offsetY - y) * along.y) / square;
    return { pointer: event.pointerId, axis: AXES[found.index], from: this.#rotation.clone(), angle };
  }

  /**
   * A turn about the vertical by a second finger around the first, which is on the handle.
   *
   * @param {PointerEvent} event
   * @param {{x: number, y: number}} centre of the handle, px
   */
  #twist(event, centre) {
    if (event.pointerType !== "touch" || !this.#rotation || !this.#parts.turns()[2]) {
      return null;
    }
    const isAbove = this.#view.camera.getWorldDirection(new THREE.Vector3()).z < 0;
    const towards = (/** @type {PointerEvent} */ { offsetX, offsetY }) => Math.atan2(offsetY - centre.y, offsetX - centre.x);
    let [last, total] = [towards(event), 0];
    const angle = (/** @type {PointerEvent} */ moved) => {
      const now = towards(moved);
      total += Math.atan2(Math.sin(now - last), Math.cos(now - last)); // the page counts y down: clockwise is positive
      last = now;
      return isAbove ? -total : total;
    };
    return { pointer: event.pointerId, axis: AXES[2], from: this.#rotation.clone(), angle };
  }

  /**
   * The point of a ring that is nearest to a pointer; null if there is no ring.
   *
   * @param {PointerEvent} event
   * @returns {{index: number, angle: number, distance: number} | null}
   */
  #nearest({ offsetX, offsetY }) {
    let best = null;
    for (const index of AXES.keys()) {
      for (let step = 0; this.#rings[index].visible && step < RING_STEPS; step += 1) {
        const angle = (2 * Math.PI * step) / RING_STEPS;
        const at = this.ringAt(index, angle);
        const distance = Math.hypot(offsetX - at.x, offsetY - at.y);
        if (best === null || distance < best.distance) {
          best = { index, angle, distance };
        }
      }
    }
    return best;
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (this.#turn?.pointer === event.pointerId) {
      event.stopImmediatePropagation();
      const { axis, from, angle } = this.#turn;
      const { w, x, y, z } = new THREE.Quaternion().setFromAxisAngle(axis, angle(event)).multiply(from);
      this.#parts.input.targetRotation = [w, x, y, z];
      return;
    }
    if (!this.#grip || event.pointerId !== this.#grip.pointer) {
      const at = this.position;
      const near = at && Math.hypot(event.offsetX - at.x, event.offsetY - at.y) <= GRAB.mouse;
      const beside = at && (this.#nearest(event)?.distance ?? Infinity) <= GRAB_RING.mouse;
      this.#view.canvas.classList.toggle("can-grab", Boolean(near || beside));
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
    if (this.#grip?.pointer === event.pointerId || (this.#turn?.pointer === event.pointerId && !this.#grip)) {
      event.stopImmediatePropagation();
      this.#release();
    } else if (this.#turn?.pointer === event.pointerId) {
      event.stopImmediatePropagation();
      this.#turn = this.#parts.input.targetRotation = null;
    }
  }

  #release() {
    if (this.active) {
      this.#grip = this.#turn = null;
      this.#parts.input.target = this.#parts.input.targetRotation = null;
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

  /** The plane in which the handle moves: towards the camera, or with Shift upright. @param {PointerEvent} event */
  #plane(event) {
    const normal = this.#view.camera.getWorldDirection(new THREE.Vector3());
    if (event.shiftKey) {
      normal.z = 0;
    }
    const plane = new THREE.Plane().setFromNormalAndCoplanarPoint(normal.normalize(), this.#handle.position);
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
        hit.clamp(new THREE.Vector3().fromArray(low), new THREE.Vector3().fromArray(high));
      }
      this.#handle.position.copy(hit);
      const { x, y, z } = hit;
      this.#parts.input.target = [x, y, z];
      this.#view.request();
    }
  }

  /** @param {PointerEvent} event @param {THREE.Plane} plane */
  #hit({ offsetX, offsetY }, plane) {
    const { camera, canvas } = this.#view;
    const point = new THREE.Vector2((2 * offsetX) / canvas.clientWidth - 1, 1 - (2 * offsetY) / canvas.clientHeight);
    this.#raycaster.setFromCamera(point, camera);
    return this.#raycaster.ray.intersectPlane(plane, new THREE.Vector3());
  }

  /** @param {THREE.Vector3} point */
  #onScreen(point) {
    const { camera, canvas } = this.#view;
    const { x, y } = point.clone().project(camera);
    return { x: ((x + 1) / 2) * canvas.clientWidth, y: ((1 - y) / 2) * canvas.clientHeight };
  }
}

/** A point of the circle of radius 1 about an axis. @param {THREE.Vector3} axis @param {number} angle rad */
function pointOf(axis, angle) {
  const start = new THREE.Vector3(axis.y, axis.z, axis.x); // across the axis, which is one of the base's
  return start.applyAxisAngle(axis, angle);
}

/** A thin tube along the circle of radius 1 about an axis. @param {THREE.Vector3} axis */
function hoop(axis) {
  const [sides, thickness] = [6, 0.03];
  const corners = [];
  const indices = [];
  for (let step = 0; step < RING_STEPS; step += 1) {
    const out = pointOf(axis, (2 * Math.PI * step) / RING_STEPS);
    for (let side = 0; side < sides; side += 1) {
      const around = (2 * Math.PI * side) / sides;
      const corner = out.clone().multiplyScalar(1 + thickness * Math.cos(around));
      corners.push(...corner.addScaledVector(axis, thickness * Math.sin(around)).toArray());
      const [here, next] = [step * sides, ((step + 1) % RING_STEPS) * sides];
      const beside = (side + 1) % sides;
      indices.push(here + side, next + side, here + beside, here + beside, next + side, next + beside);
    }
  }
  const geometry = new THREE.BufferGeometry().setAttribute("position", new THREE.Float32BufferAttribute(corners, 3));
  geometry.setIndex(indices);
  return geometry;
}
