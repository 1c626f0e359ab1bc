// The panel in the scene of a WebXR session: who drives, step, time, what is waited for or can be chosen, what is wrong.

import * as THREE from "./vendor/three.js";

const [WIDTH, HEIGHT] = [640, 540]; // px
const MARGIN = 32; // px
const SIZE = 0.5; // m
const BEHIND = 0.35; // m behind the middle of the scene
// In a headset, and on a phone, which is narrow:
const BESIDE = [0.42, 0.13]; // m to its left
const ABOVE = [0.265, 0.5]; // m above the table
const FONT = "system-ui, sans-serif";
const COLOURS = { ground: "#141a21", text: "#f2f5f8", quiet: "#a9b4c0", notice: "#ffd166", good: "#3fb868", bad: "#ff6b5e", none: "#5d6b7a" };
/** @type {Record<string, string>} driver -> colour */
const DRIVERS = { you: "#f08c00", policy: "#2f7de1", other: "#a259d9", operator: "#a259d9", stopped: "#d62839" };

/**
 * @typedef {{driver: string, title: string, hint: string, episode: string, steps: string, time: string, session: string, success: boolean,
 *   scale: number | null, notice: string, choices: string[], problem: string}} Facts what the panel shows
 */

export class Panel {
  /** @type {THREE.Mesh<THREE.PlaneGeometry, THREE.MeshBasicMaterial>} */
  mesh;
  #canvas = document.createElement("canvas");
  #texture;
  #shown = "";

  constructor() {
    this.#canvas.width = WIDTH;
    this.#canvas.height = HEIGHT;
    this.#texture = new THREE.CanvasTexture(this.#canvas);
    this.#texture.colorSpace = THREE.SRGBColorSpace;
    const material = new THREE.MeshBasicMaterial({ map: this.#texture, transparent: true, toneMapped: false });
    this.mesh = new THREE.Mesh(new THREE.PlaneGeometry(SIZE, (SIZE * HEIGHT) / WIDTH), material);
    this.mesh.up.set(0, 0, 1);
  }

  /** What is written on it, for tests and screen readers. */
  get text() {
    return this.#shown;
  }

  /**
   * Puts it behind the scene, facing the operator.
   *
   * @param {THREE.Vector3} centre m, of the scene, on the table
   * @param {THREE.Vector3} eyes m
   * @param {boolean} isNarrow whether there is no room beside the robot
   */
  place(centre, eyes, isNarrow) {
    const away = centre.clone().sub(eyes).setZ(0).normalize();
    const left = new THREE.Vector3(-away.y, away.x, 0);
    this.mesh.position.copy(centre).addScaledVector(away, BEHIND).addScaledVector(left, BESIDE[Number(isNarrow)]);
    this.mesh.position.z = centre.z + ABOVE[Number(isNarrow)];
    this.mesh.lookAt(eyes);
  }

  /**
   * @param {Facts} facts
   * @param {string} handProblem empty for none
   */
  update(facts, handProblem) {
    const problem = facts.problem || handProblem;
    const shown = JSON.stringify([facts, problem]);
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#draw(facts, problem);
      this.#texture.needsUpdate = true;
    }
  }

  /**
   * @param {Facts} facts
   * @param {string} problem
   */
  #draw({ driver, title, hint, episode, steps, time, session, success, scale, notice, choices }, problem) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    const write = (/** @type {string} */ text, /** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ size,
      /** @type {string} */ colour, /** @type {CanvasTextAlign} */ align = "left", weight = 400) => {
      context.font = `${weight} ${size}px ${FONT}`;
      context.fillStyle = colour;
      context.textAlign = align;
      context.fillText(text, x, y, WIDTH - 2 * MARGIN);
    };
    const right = WIDTH - MARGIN;
    context.font = `600 32px ${FONT}`;
    const lines = notice ? wrap(notice, (text) => context.measureText(text).width) : [];
    const bottom = 256 + 40 * lines.length + 34 * choices.length + (choices.length ? 12 : 0);
    context.clearRect(0, 0, WIDTH, HEIGHT);
    context.fillStyle = COLOURS.ground;
    context.beginPath();
    context.roundRect(0, 0, WIDTH, bottom + 30, 28);
    context.fill();
    context.fillStyle = problem ? COLOURS.bad : (DRIVERS[driver] ?? COLOURS.none);
    context.beginPath();
    context.roundRect(0, 0, WIDTH, 96, [28, 28, 0, 0]);
    context.fill();
    write(title, MARGIN, 64, 46, "#ffffff", "left", 700);
    write(session, right, 62, 30, "#ffffff", "right", 600);
    write(episode, MARGIN, 150, 34, COLOURS.text, "left", 600);
    write(success ? "✓ Task done" : "", right, 150, 30, COLOURS.good, "right", 700);
    write(steps, MARGIN, 200, 34, COLOURS.text);
    write(time, right, 200, 34, COLOURS.text, "right");
    lines.forEach((line, number) => write(line, MARGIN, 252 + 40 * number, 32, COLOURS.notice, "left", 600));
    choices.forEach((choice, number) => {
      write(choice, MARGIN, 250 + 40 * lines.length + 34 * number, 27, COLOURS.text);
    });
    write(scale === null ? "" : `Scale ${scale.toFixed(2)}`, right, bottom, 30, COLOURS.quiet, "right");
    write(problem || (notice ? "" : hint), MARGIN, bottom, 30, problem ? COLOURS.bad : COLOURS.quiet, "left", problem ? 600 : 400);
  }
}

/**
 * A text in lines, at most two.
 *
 * @param {string} text
 * @param {(text: string) => number} widthOf px
 */
function wrap(text, widthOf) {
  const words = text.split(" ");
  const fits = words.findLastIndex((_, index) => widthOf(words.slice(0, index + 1).join(" ")) <= WIDTH - 2 * MARGIN);
  return [words.slice(0, fits + 1).join(" "), words.slice(fits + 1).join(" ")].filter(Boolean);
}
