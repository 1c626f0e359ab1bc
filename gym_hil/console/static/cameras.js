// Where the operator looks from: presets, orbiting in between, and riding on one of the robot's own cameras.

import { MathUtils, OrbitControls, Quaternion, Vector3 } from "./vendor/three.js";

const FOV = 40; // degrees
const CENTRE = new Vector3(0.36, 0, 0.24); // m, what the presets look at
const FLIGHT = 350; // ms from one preset to the next
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
   * @param {import("./view.js").View} view
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
    this.orbit.addEventListener("start", () => this.#letGo());
    this.orbit.addEventListener("change", () => view.request());
    view.steps.push((now) => this.#advance(now));
  }

  get preset() {
    return this.#preset;
  }

  /** The presets that the scene has. @returns {[Preset, string][]} */
  get presets() {
    const known = /** @type {[Preset, {label: string, offset?: Vector3}][]} */ (Object.entries(PRESETS));
    return known.filter(([name, { offset }]) => offset || this.#ridden(name)).map(([name, { label }]) => [name, label]);
  }

  /** @param {Preset} name */
  show(name) {
    const { camera } = this.#view;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#from.position.copy(camera.position);
    this.#from.quaternion.copy(camera.quaternion);
    this.#from.fov = camera.fov;
    this.#from.since = still ? -Infinity : performance.now();
    this.#preset = name;
    this.#home = true;
    this.#onChange(name);
    this.#view.request();
  }

  /** @param {Preset} name */
  #ridden(name) {
    const { channel } = this.#view;
    const index = channel?.description.cameras.findIndex((camera) => camera.name === name) ?? -1;
    return channel?.cameras[index];
  }

  /** Leaves the preset where it is, for the operator to orbit from there. */
  #letGo() {
    const ridden = this.#ridden(this.#preset);
    this.#from.since = -Infinity;
    this.#home = false;
    if (ridden) {
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
    const share = Math.min((now - this.#from.since) / FLIGHT, 1);
    const ridden = this.#ridden(this.#preset);
    const { camera } = this.#view;
    const flying = this.#from.since > -Infinity;
    if (ridden) {
      ridden.updateWorldMatrix(true, false);
      ridden.matrixWorld.decompose(camera.position, camera.quaternion, new Vector3());
      this.#zoomTo(ridden.fov);
    } else if (this.#home) {
      const offset = /** @type {{offset: Vector3}} */ (PRESETS[this.#preset]).offset;
      camera.position.copy(CENTRE).addScaledVector(offset, this.#distance());
      this.orbit.target.copy(CENTRE);
      camera.lookAt(CENTRE);
      this.#zoomTo(FOV);
      this.orbit.update();
    }
    if (flying && share < 1) {
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
    const tall = this.#ridden(this.#preset) && camera.aspect < 1 ? half / camera.aspect : half;
    const wanted = MathUtils.radToDeg(2 * Math.atan(tall));
    if (Math.abs(wanted - camera.fov) > 1e-6) {
      camera.fov = wanted;
      camera.updateProjectionMatrix();
    }
  }
}
