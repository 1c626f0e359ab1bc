// The scene of a channel as three.js objects, with light and floor. The world is that of MuJoCo: metres, z up.

import { POSE } from "./connection.js";
import {
  BoxGeometry,
  BufferAttribute,
  BufferGeometry,
  CapsuleGeometry,
  Color,
  CylinderGeometry,
  DirectionalLight,
  EdgesGeometry,
  Float32BufferAttribute,
  Group,
  HemisphereLight,
  LineBasicMaterial,
  LineLoop,
  LineSegments,
  MathUtils,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  PerspectiveCamera,
  PlaneGeometry,
  Quaternion,
  ShadowMaterial,
  SphereGeometry,
  SRGBColorSpace,
  Vector3,
} from "./vendor/three.js";

const NEAR = 0.01; // m
const FAR = 30; // m

/**
 * @typedef {import("./messages.js").SceneDescription} SceneDescription
 * @typedef {import("./messages.js").Geom} Geom
 * @typedef {{position: Vector3, quaternion: Quaternion}} Pose
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
  /** Where each body was when the newest poses came. @type {Pose[]} */
  #start;
  /** @type {Pose[]} */
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
   * Sets where the bodies move to.
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
 * @param {import("./messages.js").MeshInfo} info
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

const SQUARE = 0.25; // m
const FLOOR = 3; // m, half side that is drawn of a floor that has no end
const FADE = [0.35, 0.95]; // from where to where the floor fades into the sky, as shares of its half side
const SHADOW = 1.1; // m, half side of what casts shadows
const SHADOW_MAP = 1024; // px

const LOOKS = {
  light: { sky: "#e9eef3", light: "#f3f5f8", dark: "#d5dde6", line: "#2563c9", ground: "#c7d0d9", shade: 0.22 },
  dark: { sky: "#181e26", light: "#39434f", dark: "#2d3641", line: "#8fbaff", ground: "#59636f", shade: 0.5 },
};

export class Surroundings {
  group = new Group();
  sky = new Color();
  #hemisphere = new HemisphereLight("#ffffff", "#c7d0d9", 1.7);
  // Colours of corners cost a fraction of lights and textures, and the floor is most of the image.
  #floor = new MeshBasicMaterial({ vertexColors: true, toneMapped: false });
  #shade = new ShadowMaterial({ transparent: true, opacity: 0.3 });
  #edge = new LineBasicMaterial({ transparent: true, opacity: 0.45 });
  #frame = new LineBasicMaterial({ transparent: true, opacity: 0.12 });
  /** Replaced with each scene. */
  #scenery = new Group();
  /** @type {Mesh<BufferGeometry>[]} */
  #floors = [];
  #look = LOOKS.light;

  constructor() {
    const sun = new DirectionalLight("#fff6ea", 2.1);
    sun.position.set(0.1, -1.3, 2.6);
    sun.target.position.set(0.35, 0, 0.2);
    sun.castShadow = true;
    sun.shadow.mapSize.set(SHADOW_MAP, SHADOW_MAP);
    sun.shadow.radius = 3;
    sun.shadow.bias = -0.0004;
    sun.shadow.normalBias = 0.01;
    Object.assign(sun.shadow.camera, { left: -SHADOW, right: SHADOW, top: SHADOW, bottom: -SHADOW, near: 0.5, far: 5 });
    const fill = new DirectionalLight("#dbe8ff", 0.5);
    fill.position.set(1.6, 1.4, 1.1);
    this.group.add(this.#hemisphere, sun, sun.target, fill, this.#scenery);
  }

  /** @param {"light" | "dark"} theme */
  set theme(theme) {
    const look = LOOKS[theme];
    this.#look = look;
    this.sky.set(look.sky);
    this.#hemisphere.groundColor.set(look.ground);
    this.#shade.opacity = look.shade;
    this.#floors.forEach((floor) => paint(floor.geometry, look));
    this.#edge.color.set(look.line);
    this.#frame.color.set(look.line);
  }

  /**
   * @param {ChannelScene} scene
   * @param {number} overlay the layer for what is not in the robot's world
   */
  surround(scene, overlay) {
    this.#scenery.traverse((object) => {
      if (object instanceof Mesh || object instanceof LineSegments || object instanceof LineLoop) {
        object.geometry.dispose();
      }
    });
    this.#scenery.clear();
    this.#floors = scene.floors.map(({ size }) => new Mesh(tiles(size[0] || FLOOR, size[1] || FLOOR), this.#floor));
    scene.floors.forEach(({ pos, quat: [w, x, y, z] }, index) => {
      const floor = this.#floors[index];
      const shade = new Mesh(new PlaneGeometry(2 * SHADOW + 0.6, 2 * SHADOW + 0.6), this.#shade);
      shade.position.set(0.3, 0, 0.0005);
      shade.receiveShadow = true;
      floor.add(shade);
      floor.position.fromArray(pos);
      floor.quaternion.set(x, y, z, w);
      paint(floor.geometry, this.#look);
      this.#scenery.add(floor);
    });
    if (scene.description.workspace) {
      const outline = this.#outline(scene.description.workspace);
      outline.forEach((line) => line.layers.set(overlay));
      this.#scenery.add(...outline);
    }
  }

  /** @param {number[][]} workspace */
  #outline([low, high]) {
    const size = low.map((value, axis) => high[axis] - value);
    const box = new BoxGeometry(size[0], size[1], size[2]);
    const frame = new LineSegments(new EdgesGeometry(box), this.#frame);
    box.dispose();
    frame.position.set(low[0] + size[0] / 2, low[1] + size[1] / 2, low[2] + size[2] / 2);
    const above = low[2] + 0.002; // m, so that it does not flicker with the floor
    const corners = [low[0], low[1], above, high[0], low[1], above, high[0], high[1], above, low[0], high[1], above];
    const base = new BufferGeometry().setAttribute("position", new Float32BufferAttribute(corners, 3));
    return [frame, new LineLoop(base, this.#edge)];
  }
}

/**
 * A plane of squares, each with corners of its own.
 *
 * @param {number} width m, half side
 * @param {number} depth m, half side
 */
function tiles(width, depth) {
  const corners = [];
  for (let x = -width; x < width; x += SQUARE) {
    for (let y = -depth; y < depth; y += SQUARE) {
      const [right, far] = [x + SQUARE, y + SQUARE];
      corners.push(x, y, 0, right, y, 0, right, far, 0, x, y, 0, right, far, 0, x, far, 0);
    }
  }
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new Float32BufferAttribute(corners, 3));
  geometry.setAttribute("color", new Float32BufferAttribute(new Float32Array(corners.length), 3));
  return geometry;
}

/**
 * @param {BufferGeometry} geometry of tiles
 * @param {{sky: string, light: string, dark: string}} look
 */
function paint(geometry, look) {
  const [sky, light, dark] = [look.sky, look.light, look.dark].map((colour) => new Color(colour));
  const { position, color } = geometry.attributes;
  geometry.computeBoundingBox();
  const reach = geometry.boundingBox?.max.x ?? FLOOR;
  for (let index = 0; index < position.count; index += 1) {
    const first = index - (index % 6); // of the two triangles of a square
    const square = Math.round(position.getX(first) / SQUARE) + Math.round(position.getY(first) / SQUARE);
    const distance = Math.hypot(position.getX(index), position.getY(index)) / reach;
    const mixed = (square % 2 ? dark : light).clone().lerp(sky, MathUtils.smoothstep(distance, FADE[0], FADE[1]));
    color.setXYZ(index, mixed.r, mixed.g, mixed.b);
  }
  color.needsUpdate = true;
}
