// What the policy sees: the images of the robot's own cameras, or the same views drawn here where none are sent.

import { make } from "./dom.js";

const SIZE = 256; // px, of a view that is drawn here
const RESTART = 1000; // frames by which a sequence falls back when the program starts again

/** @typedef {{name: string, canvas: HTMLCanvasElement, source: HTMLElement, sequence: number, sent: boolean}}
 *   CameraImage */

export class CameraImages {
  /** Camera whose image the big view shows where the browser cannot draw the scene. */
  preset = "";
  /** @type {CameraImage[]} in the order of the scene's cameras */
  #images = [];
  #stale = false;
  #root;
  #view;
  #big;
  #onPreset;

  /**
   * @param {HTMLElement} root
   * @param {import("./view.js").View | null} view
   * @param {HTMLCanvasElement} big the canvas of the big view, used where there is no view
   * @param {() => void} onPreset called when another camera is chosen for it
   */
  constructor(root, view, big, onPreset) {
    this.#root = root;
    this.#view = view;
    this.#big = big;
    this.#onPreset = onPreset;
    if (view) {
      view.beforeDrawing = (renderer) => this.#draw(renderer);
    }
  }

  /** Names and labels of the cameras. @returns {[string, string][]} */
  get presets() {
    return this.#images.map(({ name }) => [name, name]);
  }

  /** @param {string} name of the camera for the big view */
  show(name) {
    this.preset = name;
    this.#onPreset();
  }

  /** @param {import("./messages.js").SceneDescription} description */
  reset(description) {
    this.#images = description.cameras.map(({ name }) => {
      const canvas = document.createElement("canvas");
      const source = make("span", "", "image-source");
      canvas.width = canvas.height = SIZE;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `View of the robot's camera ${name}`);
      return { name, canvas, source, sequence: 0, sent: false };
    });
    this.preset = this.#images[0]?.name ?? "";
    const figures = this.#images.map(({ name, canvas, source }) => {
      const figure = document.createElement("figure");
      const caption = make("figcaption", name);
      caption.append(source);
      figure.append(canvas, caption);
      return figure;
    });
    this.#root.replaceChildren(...figures);
    this.#stale = true;
  }

  /** @param {import("./connection.js").Frame} frame */
  update({ sequence, images }) {
    this.#stale = true;
    this.#images.forEach((image, index) => {
      const jpeg = images[index];
      image.sent = Boolean(jpeg);
      if (jpeg) {
        this.#decode(image, jpeg, sequence);
      } else {
        image.source.textContent = this.#view ? "drawn here" : "";
      }
    });
  }

  /**
   * @param {CameraImage} image
   * @param {Uint8Array<ArrayBuffer>} jpeg
   * @param {number} sequence
   */
  async #decode(image, jpeg, sequence) {
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    // Images may be decoded in another order than they came in.
    if (sequence >= image.sequence || image.sequence - sequence > RESTART) {
      image.sequence = sequence;
      image.source.textContent = `${bitmap.width} × ${bitmap.height}`;
      copy(bitmap, image.canvas);
      if (!this.#view && image.name === this.preset) {
        copy(bitmap, this.#big);
      }
    }
    bitmap.close();
  }

  /**
   * Draws what was not sent into the corner of the view's canvas, and copies it from there before the view is drawn.
   *
   * @param {import("./vendor/three.js").WebGLRenderer} renderer
   */
  #draw(renderer) {
    const { channel, scene } = /** @type {import("./view.js").View} */ (this.#view);
    if (!this.#stale || !channel || this.#root.clientWidth === 0) {
      return;
    }
    this.#stale = false;
    const { domElement } = renderer;
    const ratio = renderer.getPixelRatio();
    const side = Math.min(SIZE, domElement.width, domElement.height);
    this.#images.forEach(({ canvas, sent }, index) => {
      if (!sent && side > 0) {
        renderer.setViewport(0, 0, side / ratio, side / ratio);
        renderer.setScissor(0, 0, side / ratio, side / ratio);
        renderer.setScissorTest(true);
        renderer.render(scene, channel.cameras[index]);
        if (canvas.width !== side) {
          canvas.width = canvas.height = side;
        }
        canvas.getContext("2d")?.drawImage(domElement, 0, domElement.height - side, side, side, 0, 0, side, side);
      }
    });
    renderer.setScissorTest(false);
    renderer.setViewport(0, 0, domElement.width / ratio, domElement.height / ratio);
  }
}

/**
 * @param {ImageBitmap} bitmap
 * @param {HTMLCanvasElement} canvas
 */
function copy(bitmap, canvas) {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  }
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
}
