// What is around the robot, whichever it is: light, floor, the outline of the workspace.

import {
  BoxGeometry,
  BufferGeometry,
  Color,
  DirectionalLight,
  Float32BufferAttribute,
  EdgesGeometry,
  Group,
  HemisphereLight,
  LineBasicMaterial,
  LineLoop,
  LineSegments,
  MathUtils,
  Mesh,
  MeshBasicMaterial,
  PlaneGeometry,
  ShadowMaterial,
} from "./vendor/three.js";

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
  // Colours of corners cost a fraction of what lights and textures would, and the floor is most of the image.
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
   * @param {import("./scene.js").ChannelScene} channel
   * @param {number} overlay the layer for what is not of the robot's world
   */
  dress(channel, overlay) {
    this.#scenery.traverse((object) => {
      if (object instanceof Mesh || object instanceof LineSegments || object instanceof LineLoop) {
        object.geometry.dispose();
      }
    });
    this.#scenery.clear();
    this.#floors = channel.floors.map(({ size }) => new Mesh(tiles(size[0] || FLOOR, size[1] || FLOOR), this.#floor));
    channel.floors.forEach(({ pos, quat: [w, x, y, z] }, index) => {
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
    if (channel.description.workspace) {
      const outline = this.#outline(channel.description.workspace);
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
