// The things of a channel as three.js objects, moved by the poses of bodies. The world is MuJoCo's: metres, z up.

import {
  BoxGeometry,
  BufferAttribute,
  BufferGeometry,
  CapsuleGeometry,
  CylinderGeometry,
  Group,
  Mesh,
  MeshStandardMaterial,
  PerspectiveCamera,
  Quaternion,
  SphereGeometry,
  SRGBColorSpace,
  Vector3,
} from "./vendor/three.js";
import { POSE } from "./protocol.js";

const NEAR = 0.01; // m
const FAR = 30; // m

/**
 * @typedef {import("./protocol.js").SceneDescription} SceneDescription
 * @typedef {import("./protocol.js").Geom} Geom
 */

export class ChannelScene {
  root = new Group();
  /** @type {PerspectiveCamera[]} in the order of the description */
  cameras = [];
  description;
  /** Half sizes of the planes, for the view to draw its floor there. @type {Geom[]} */
  floors = [];
  /** @type {Group[]} */
  #bodies;
  /** @type {{position: Vector3, quaternion: Quaternion}[]} where each body was when the newest poses came */
  #start;
  /** @type {{position: Vector3, quaternion: Quaternion}[]} */
  #goal;
  #since = 0; // ms
  #duration = 0; // ms
  #moving = false;
  #placed = false;

  /**
   * @param {SceneDescription} description
   * @param {ArrayBuffer} meshes
   */
  constructor(description, meshes) {
    this.description = description;
    this.#bodies = description.bodies.map((name) => {
      const group = new Group();
      group.name = name;
      this.root.add(group);
      return group;
    });
    const pose = () => ({ position: new Vector3(), quaternion: new Quaternion() });
    this.#start = this.#bodies.map(pose);
    this.#goal = this.#bodies.map(pose);
    const geometries = new Map(
      Object.entries(description.meshes).map(([name, info]) => [name, meshGeometry(info, meshes)]),
    );
    for (const geom of description.geoms) {
      if (geom.type === "plane") {
        this.floors.push(geom);
      } else {
        this.#bodies[geom.body].add(solid(geom, geometries));
      }
    }
    for (const { body, pos, quat, fovy } of description.cameras) {
      const camera = new PerspectiveCamera(fovy, 1, NEAR, FAR);
      camera.position.fromArray(pos);
      camera.quaternion.copy(quaternion(quat));
      this.#bodies[body].add(camera);
      this.cameras.push(camera);
    }
  }

  /**
   * Sets where the bodies go.
   *
   * @param {Float32Array} poses
   * @param {number} now ms
   * @param {number} duration ms until they are there; 0 puts them there at once
   */
  aim(poses, now, duration) {
    this.#bodies.forEach((body, index) => {
      const at = POSE * index;
      this.#start[index].position.copy(body.position);
      this.#start[index].quaternion.copy(body.quaternion);
      this.#goal[index].position.fromArray(poses, at);
      this.#goal[index].quaternion.set(poses[at + 4], poses[at + 5], poses[at + 6], poses[at + 3]);
    });
    this.#since = now;
    this.#duration = this.#placed ? duration : 0;
    this.#placed = true;
    this.#moving = true;
    if (this.#duration === 0) {
      this.advance(now);
    }
  }

  /**
   * Moves the bodies on their way, never beyond where they are known to be.
   *
   * @param {number} now ms
   * @returns {boolean} whether anything moved
   */
  advance(now) {
    if (!this.#moving) {
      return false;
    }
    const share = this.#duration > 0 ? Math.min(Math.max((now - this.#since) / this.#duration, 0), 1) : 1;
    this.#bodies.forEach((body, index) => {
      const [start, goal] = [this.#start[index], this.#goal[index]];
      body.position.lerpVectors(start.position, goal.position, share);
      body.quaternion.slerpQuaternions(start.quaternion, goal.quaternion, share);
    });
    this.#moving = share < 1;
    return true;
  }

  get moving() {
    return this.#moving;
  }

  dispose() {
    this.root.removeFromParent();
    this.root.traverse((object) => {
      if (object instanceof Mesh) {
        object.geometry.dispose();
        object.material.dispose();
      }
    });
  }
}

/** @param {number[]} quat w first */
function quaternion([w, x, y, z]) {
  return new Quaternion(x, y, z, w);
}

/**
 * @param {Geom} geom
 * @param {Map<string, BufferGeometry>} meshes
 */
function solid(geom, meshes) {
  const [red, green, blue, alpha] = geom.rgba;
  const material = new MeshStandardMaterial({ roughness: 0.55, metalness: 0.05 });
  material.color.setRGB(red, green, blue, SRGBColorSpace);
  material.transparent = alpha < 1;
  material.opacity = alpha;
  const mesh = new Mesh(shape(geom, meshes), material);
  mesh.position.fromArray(geom.pos);
  mesh.quaternion.copy(quaternion(geom.quat));
  mesh.castShadow = alpha > 0.5;
  mesh.receiveShadow = true;
  return mesh;
}

/**
 * @param {Geom} geom
 * @param {Map<string, BufferGeometry>} meshes
 * @returns {BufferGeometry}
 */
function shape({ type, size: [x, y, z], mesh }, meshes) {
  const known = mesh === null ? undefined : meshes.get(mesh);
  if (known) {
    return known;
  }
  switch (type) {
    case "box":
      return new BoxGeometry(2 * x, 2 * y, 2 * z);
    case "cylinder":
      return new CylinderGeometry(x, x, 2 * y, 32).rotateX(Math.PI / 2);
    case "capsule":
      return new CapsuleGeometry(x, 2 * y, 8, 24).rotateX(Math.PI / 2);
    case "sphere":
      return new SphereGeometry(x, 32, 20);
    case "ellipsoid":
      return new SphereGeometry(1, 32, 20).scale(x, y, z);
    default:
      throw new Error(`The scene has a geom of type ${type}, which the page cannot draw.`);
  }
}

/**
 * @param {import("./protocol.js").MeshInfo} info
 * @param {ArrayBuffer} blob
 */
function meshGeometry(info, blob) {
  const packed = new Uint16Array(blob, info.position, 4 * info.vertices);
  const positions = new Float32Array(3 * info.vertices);
  const normals = new Float32Array(3 * info.vertices);
  const packedNormals = new Int8Array(blob, info.normal, 4 * info.vertices);
  for (let vertex = 0; vertex < info.vertices; vertex += 1) {
    for (let axis = 0; axis < 3; axis += 1) {
      positions[3 * vertex + axis] = info.low[axis] + (packed[4 * vertex + axis] / 65535) * info.extent[axis];
      normals[3 * vertex + axis] = packedNormals[4 * vertex + axis] / 127;
    }
  }
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(positions, 3));
  geometry.setAttribute("normal", new BufferAttribute(normals, 3));
  const Indices = info.wide ? Uint32Array : Uint16Array;
  geometry.setIndex(new BufferAttribute(new Indices(blob, info.index, info.indices), 1));
  return geometry;
}
