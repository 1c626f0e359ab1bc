// The scene of a channel as three.js objects, with light and floor. The world is that of MuJoCo: metres, z up.

import { POSE } from "./connection.js";
import * as THREE from "./vendor/three.js";
/** @import {Geom, MeshInfo, SceneDescription} from "./messages.js" */

const NEAR = 0.01; // m
const FAR = 100; // m
const USUAL = 1.84; // m, distance of the view for which sizes below are meant

/** @typedef {{position: THREE.Vector3, quaternion: THREE.Quaternion}} Pose */

export class ChannelScene {
  root = new THREE.Group();
  /** @type {THREE.PerspectiveCamera[]} in the order of the description */
  cameras = [];
  description;
  /** Level planes of the world, for the view to draw its floor there. @type {Geom[]} */
  floors = [];
  /** @type {THREE.Group[]} */
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
   * @param {boolean} slow whether the processor draws
   */
  constructor(description, meshes, slow) {
    this.description = description;
    this.#bodies = description.bodies.map((name) => {
      const group = new THREE.Group();
      group.name = name;
      this.root.add(group);
      return group;
    });
    const pose = () => ({ position: new THREE.Vector3(), quaternion: new THREE.Quaternion() });
    this.#start = this.#bodies.map(pose);
    this.#goal = this.#bodies.map(pose);
    const geometries = new Map(
      Object.entries(description.meshes).map(([name, info]) => [name, meshGeometry(info, meshes)]),
    );
    for (const geom of description.geoms) {
      if (geom.type === "plane" && geom.body === 0 && Math.abs(geom.quat[1]) + Math.abs(geom.quat[2]) < 1e-6) {
        this.floors.push(geom);
      } else {
        this.#bodies[geom.body].add(solid(geom, geometries, slow));
      }
    }
    for (const { body, pos, quat, fovy } of description.cameras) {
      const camera = new THREE.PerspectiveCamera(fovy, 1, NEAR, FAR);
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
      if (object instanceof THREE.Mesh) {
        object.geometry.dispose();
        object.material.dispose();
      }
    });
  }
}

/** @param {number[]} quat w first */
function quaternion([w, x, y, z]) {
  return new THREE.Quaternion(x, y, z, w);
}

/** @param {Geom} geom @param {Map<string, THREE.BufferGeometry>} meshes @param {boolean} slow */
function solid(geom, meshes, slow) {
  const [red, green, blue, alpha] = geom.rgba;
  // Where the processor draws, highlights cost a fifth of the time of an image.
  const material = slow
    ? new THREE.MeshLambertMaterial()
    : new THREE.MeshStandardMaterial({ roughness: 0.55, metalness: 0.05 });
  material.color.setRGB(red, green, blue, THREE.SRGBColorSpace);
  material.transparent = alpha < 1;
  material.opacity = alpha;
  const mesh = new THREE.Mesh(shape(geom, meshes), material);
  mesh.position.fromArray(geom.pos);
  mesh.quaternion.copy(quaternion(geom.quat));
  mesh.castShadow = alpha > 0.5;
  mesh.receiveShadow = true;
  return mesh;
}

/** @param {Geom} geom @param {Map<string, THREE.BufferGeometry>} meshes @returns {THREE.BufferGeometry} */
function shape({ type, size: [x, y, z], mesh }, meshes) {
  const known = mesh === null ? undefined : meshes.get(mesh);
  if (known) {
    return known;
  }
  switch (type) {
    case "plane":
      return new THREE.PlaneGeometry(2 * (x || ENDLESS), 2 * (y || ENDLESS));
    case "box":
      return new THREE.BoxGeometry(2 * x, 2 * y, 2 * z);
    case "cylinder":
      return new THREE.CylinderGeometry(x, x, 2 * y, 32).rotateX(Math.PI / 2);
    case "capsule":
      return new THREE.CapsuleGeometry(x, 2 * y, 8, 24).rotateX(Math.PI / 2);
    case "sphere":
      return new THREE.SphereGeometry(x, 32, 20);
    case "ellipsoid":
      return new THREE.SphereGeometry(1, 32, 20).scale(x, y, z);
    default:
      throw new Error(`The scene has a geom of type ${type}, which the page cannot draw.`);
  }
}

/** @param {MeshInfo} info @param {ArrayBuffer} blob */
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
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.BufferAttribute(positions, 3));
  geometry.setAttribute("normal", new THREE.BufferAttribute(normals, 3));
  const Indices = info.wide ? Uint32Array : Uint16Array;
  geometry.setIndex(new THREE.BufferAttribute(new Indices(blob, info.index, info.indices), 1));
  return geometry;
}

const ENDLESS = 20; // m, half side of a plane that has no end
const SQUARE = 0.25; // m
const FLOOR = 3; // m, half side that is drawn of a floor that has no end, or is larger
const FADE = [0.35, 0.95]; // from where to where the floor fades into the sky, as shares of its half side
const SHADOW = 1.1; // m, half side of what casts shadows
const SHADOW_MAP = 1024; // px
const SUN = new THREE.Vector3(-0.25, -1.3, 2.4); // m, from what is looked at

const LOOKS = {
  light: { sky: "#e9eef3", light: "#f3f5f8", dark: "#d5dde6", line: "#2563c9", ground: "#c7d0d9", shade: 0.22 },
  dark: { sky: "#181e26", light: "#39434f", dark: "#2d3641", line: "#8fbaff", ground: "#59636f", shade: 0.5 },
};

export class Surroundings {
  group = new THREE.Group();
  sky = new THREE.Color();
  #hemisphere = new THREE.HemisphereLight("#ffffff", "#c7d0d9", 1.7);
  #sun = new THREE.DirectionalLight("#fff6ea", 2.1);
  // Colours of corners cost a fraction of lights and textures, and the floor is most of the image.
  #floor = new THREE.MeshBasicMaterial({ vertexColors: true, toneMapped: false });
  #shade = new THREE.ShadowMaterial({ transparent: true, opacity: 0.3 });
  #edge = new THREE.LineBasicMaterial({ transparent: true, opacity: 0.45 });
  #frame = new THREE.LineBasicMaterial({ transparent: true, opacity: 0.12 });
  /** Replaced with each scene. */
  #scenery = new THREE.Group();
  /** @type {THREE.Mesh<THREE.BufferGeometry>[]} */
  #floors = [];
  #floorless = false;
  #look = LOOKS.light;
  /** How much larger than a tabletop the scene is. */
  #scale = 1;

  /** Leaves out the floor, as where the operator sees the one of the room. @param {boolean} on */
  set floorless(on) {
    this.#floorless = on;
    this.#floors.forEach((floor) => (floor.visible = !on));
  }

  constructor() {
    this.#sun.castShadow = true;
    this.#sun.shadow.mapSize.set(SHADOW_MAP, SHADOW_MAP);
    this.#sun.shadow.radius = 3;
    this.#sun.shadow.bias = -0.0004;
    const fill = new THREE.DirectionalLight("#dbe8ff", 0.5);
    fill.position.set(1.6, 1.4, 1.1);
    this.group.add(this.#hemisphere, this.#sun, this.#sun.target, fill, this.#scenery);
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

  /** @param {ChannelScene} scene @param {number} overlay the layer for what is not in the robot's world */
  surround(scene, overlay) {
    this.#scenery.traverse((object) => {
      if (object instanceof THREE.Mesh || object instanceof THREE.LineSegments || object instanceof THREE.LineLoop) {
        object.geometry.dispose();
      }
    });
    this.#scenery.clear();
    const { view, workspace } = scene.description;
    this.#scale = (view?.distance ?? USUAL) / USUAL;
    const reach = SHADOW * this.#scale;
    const { camera } = this.#sun.shadow;
    Object.assign(camera, { left: -reach, right: reach, top: reach, bottom: -reach, near: 0.1, far: 5 * this.#scale });
    camera.updateProjectionMatrix();
    this.#sun.shadow.normalBias = 0.01 * this.#scale;
    this.#floors = scene.floors.map(({ pos, size: [x, y], quat }) => {
      const [square, most] = [SQUARE * 2 ** Math.round(Math.log2(this.#scale)), FLOOR * this.#scale];
      const isEndless = [x, y].map((side) => !side || side > most);
      const floor = new THREE.Mesh(tiles(isEndless[0] ? most : x, isEndless[1] ? most : y, square), this.#floor);
      const shade = new THREE.Mesh(new THREE.PlaneGeometry(2.5 * reach, 2.5 * reach), this.#shade);
      shade.position.z = 0.0005 * this.#scale;
      shade.receiveShadow = true;
      floor.add(shade);
      floor.userData = { step: 2 * square, isEndless };
      floor.visible = !this.#floorless;
      floor.position.fromArray(pos);
      floor.quaternion.copy(quaternion(quat));
      if (!isEndless.includes(true)) {
        floor.geometry.userData.reach = Infinity; // its edge is where it ends
      }
      paint(floor.geometry, this.#look);
      this.#scenery.add(floor);
      return floor;
    });
    if (workspace) {
      const outline = this.#outline(workspace);
      outline.forEach((line) => line.layers.set(overlay));
      this.#scenery.add(...outline);
    }
    this.moveTo(new THREE.Vector3().fromArray(view?.centre ?? [0, 0, 0]));
  }

  /** Brings light, shadows and floors without end to where one looks. @param {THREE.Vector3} centre */
  moveTo(centre) {
    this.#sun.target.position.copy(centre);
    this.#sun.position.copy(centre).addScaledVector(SUN, this.#scale);
    for (const floor of this.#floors) {
      const { step, isEndless } = floor.userData;
      const move = (/** @type {number} */ at, /** @type {number} */ axis) =>
        isEndless[axis] ? step * Math.round(centre.getComponent(axis) / step) : at;
      floor.position.set(move(floor.position.x, 0), move(floor.position.y, 1), floor.position.z);
      floor.children[0].position.setX(centre.x - floor.position.x).setY(centre.y - floor.position.y);
    }
  }

  /** @param {number[][]} workspace */
  #outline([low, high]) {
    const size = low.map((value, axis) => high[axis] - value);
    const box = new THREE.BoxGeometry(size[0], size[1], size[2]);
    const frame = new THREE.LineSegments(new THREE.EdgesGeometry(box), this.#frame);
    box.dispose();
    frame.position.set(low[0] + size[0] / 2, low[1] + size[1] / 2, low[2] + size[2] / 2);
    const above = low[2] + 0.002; // m, so that it does not flicker with the floor
    const corners = [low[0], low[1], above, high[0], low[1], above, high[0], high[1], above, low[0], high[1], above];
    const base = new THREE.BufferGeometry().setAttribute("position", new THREE.Float32BufferAttribute(corners, 3));
    return [frame, new THREE.LineLoop(base, this.#edge)];
  }
}

/**
 * A plane of squares, each with corners of its own. The first square's lower left corner is a whole number of squares
 * from the middle, so that a moved floor looks the same.
 *
 * @param {number} width m, half side
 * @param {number} depth m, half side
 * @param {number} square m
 */
function tiles(width, depth, square) {
  const corners = [];
  const squares = [];
  const clip = (/** @type {number} */ at, /** @type {number} */ side) => THREE.MathUtils.clamp(at * square, -side, side);
  const [columns, rows] = [Math.ceil(width / square), Math.ceil(depth / square)];
  for (let column = -columns; column < columns; column += 1) {
    for (let row = -rows; row < rows; row += 1) {
      const [x, y] = [clip(column, width), clip(row, depth)];
      const [right, far] = [clip(column + 1, width), clip(row + 1, depth)];
      corners.push(x, y, 0, right, y, 0, right, far, 0, x, y, 0, right, far, 0, x, far, 0);
      squares.push(column + row);
    }
  }
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.Float32BufferAttribute(corners, 3));
  geometry.setAttribute("color", new THREE.Float32BufferAttribute(new Float32Array(corners.length), 3));
  geometry.userData = { squares, reach: Math.max(width, depth) };
  return geometry;
}

/** @param {THREE.BufferGeometry} geometry of tiles @param {{sky: string, light: string, dark: string}} look */
function paint(geometry, look) {
  const [sky, light, dark] = [look.sky, look.light, look.dark].map((colour) => new THREE.Color(colour));
  const { position, color } = geometry.attributes;
  const { squares, reach } = geometry.userData;
  for (let index = 0; index < position.count; index += 1) {
    const isDark = squares[Math.floor(index / 6)] % 2 !== 0;
    const distance = Math.hypot(position.getX(index), position.getY(index)) / reach;
    const mixed = (isDark ? dark : light).clone().lerp(sky, THREE.MathUtils.smoothstep(distance, FADE[0], FADE[1]));
    color.setXYZ(index, mixed.r, mixed.g, mixed.b);
  }
  color.needsUpdate = true;
}
