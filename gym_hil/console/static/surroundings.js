// What is around the robot, whichever it is: light, floor, the outline of the workspace.

import {
  BoxGeometry,
  BufferGeometry,
  CanvasTexture,
  Color,
  DirectionalLight,
  Float32BufferAttribute,
  EdgesGeometry,
  Group,
  HemisphereLight,
  LineBasicMaterial,
  LineLoop,
  LineSegments,
  Mesh,
  MeshStandardMaterial,
  NearestFilter,
  PlaneGeometry,
  RepeatWrapping,
  SRGBColorSpace,
} from "./vendor/three.js";

const SQUARES_PER_METRE = 4;
const FLOOR = 3; // m, half side that is drawn of a floor that has no end
const FADE = 256; // px, the picture by which the floor fades out
const SHADOW = 1.1; // m, half side of what casts shadows
const SHADOW_MAP = 1024; // px

const LOOKS = {
  light: { sky: "#e9eef3", light: "#ffffff", dark: "#d9e1e9", line: "#2563c9", ground: "#c7d0d9" },
  dark: { sky: "#12161c", light: "#252d37", dark: "#1c232c", line: "#7fb0ff", ground: "#1b2028" },
};

export class Surroundings {
  group = new Group();
  sky = new Color();
  #hemisphere = new HemisphereLight("#ffffff", "#c7d0d9", 1.7);
  #checker = checkerTexture();
  #floor = new MeshStandardMaterial({ roughness: 0.95, metalness: 0, transparent: true, alphaMap: fadeTexture() });
  #edge = new LineBasicMaterial({ transparent: true, opacity: 0.45 });
  #frame = new LineBasicMaterial({ transparent: true, opacity: 0.12 });
  /** Replaced with each scene. */
  #scenery = new Group();

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
    this.#floor.map = this.#checker;
    this.group.add(this.#hemisphere, sun, sun.target, fill, this.#scenery);
  }

  /** @param {"light" | "dark"} theme */
  set theme(theme) {
    const look = LOOKS[theme];
    this.sky.set(look.sky);
    this.#hemisphere.groundColor.set(look.ground);
    paintChecker(this.#checker, look.light, look.dark);
    this.#edge.color.set(look.line);
    this.#frame.color.set(look.line);
  }

  /**
   * @param {import("./scene.js").StageScene} stage
   * @param {number} overlay the layer for what is not of the robot's world
   */
  dress(stage, overlay) {
    this.#scenery.traverse((object) => {
      if (object instanceof Mesh || object instanceof LineSegments || object instanceof LineLoop) {
        object.geometry.dispose();
      }
    });
    this.#scenery.clear();
    stage.floors.forEach((floor) => this.#scenery.add(this.#plane(floor)));
    if (stage.description.workspace) {
      const outline = this.#outline(stage.description.workspace);
      outline.forEach((line) => line.layers.set(overlay));
      this.#scenery.add(...outline);
    }
  }

  /** @param {import("./protocol.js").Geom} geom */
  #plane({ pos, quat: [w, x, y, z], size }) {
    const half = [size[0] || FLOOR, size[1] || FLOOR];
    const geometry = new PlaneGeometry(2 * half[0], 2 * half[1]);
    const mesh = new Mesh(geometry, this.#floor);
    this.#checker.repeat.set(half[0] * SQUARES_PER_METRE, half[1] * SQUARES_PER_METRE);
    mesh.position.fromArray(pos);
    mesh.quaternion.set(x, y, z, w);
    mesh.receiveShadow = true;
    return mesh;
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

/** @param {number} size */
function context(size) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const drawing = canvas.getContext("2d");
  if (!drawing) {
    throw new Error("This browser has no 2-D canvas.");
  }
  return drawing;
}

function checkerTexture() {
  const texture = new CanvasTexture(context(64).canvas);
  texture.colorSpace = SRGBColorSpace;
  texture.wrapS = texture.wrapT = RepeatWrapping;
  texture.magFilter = NearestFilter;
  texture.anisotropy = 8;
  return texture;
}

/**
 * @param {CanvasTexture} texture
 * @param {string} light
 * @param {string} dark
 */
function paintChecker(texture, light, dark) {
  const drawing = /** @type {HTMLCanvasElement} */ (texture.image).getContext("2d");
  if (drawing) {
    drawing.fillStyle = light;
    drawing.fillRect(0, 0, 64, 64);
    drawing.fillStyle = dark;
    drawing.fillRect(0, 0, 32, 32);
    drawing.fillRect(32, 32, 32, 32);
    texture.needsUpdate = true;
  }
}

function fadeTexture() {
  const drawing = context(FADE);
  const gradient = drawing.createRadialGradient(FADE / 2, FADE / 2, 0.12 * FADE, FADE / 2, FADE / 2, FADE / 2);
  gradient.addColorStop(0, "#fff");
  gradient.addColorStop(0.45, "#aaa");
  gradient.addColorStop(1, "#000");
  drawing.fillStyle = gradient;
  drawing.fillRect(0, 0, FADE, FADE);
  return new CanvasTexture(drawing.canvas);
}
