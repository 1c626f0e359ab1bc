// The images of an environment: a row of small ones, and the large one where the page draws no scene.

import { make } from "./dom.js";
/** @import {Frame} from "./connection.js" */
/** @import {SceneDescription} from "./messages.js" */
/** @import {WebGLRenderer} from "./vendor/three.js" */
/** @import {View} from "./view.js" */

const SIZE = 256; // px, of a view that is drawn here
const MOST_DRAWN = 2; // cameras of a model; one with more shows them in the list of views only
const RESTART = 1000; // frames by which a sequence falls back when the program starts again

/** @typedef {{name: string, canvas: HTMLCanvasElement, source: HTMLElement, camera: number, sequence: number,
 *   sent: boolean}} Image `camera` is the index of the model's camera that sees the same, -1 for none */

export class Images {
  /** Name of the image that is shown large. */
  preset = "";
  /** @type {Image[]} in the order of a frame */
  #images = [];
  #stale = false;
  #root;
  #view;
  #big;

  /**
   * @param {HTMLElement} root
   * @param {View | null} view what draws scenes; null in a browser without WebGL
   * @param {HTMLCanvasElement} big the canvas of the large image
   */
  constructor(root, view, big) {
    this.#root = root;
    this.#view = view;
    this.#big = big;
    if (view) {
      view.beforeDrawing = (renderer) => this.#draw(renderer);
    }
  }

  /** Names of the images that can be shown large. */
  get presets() {
    return this.#images.map(({ name }) => name);
  }

  /** @param {string} name of the large image */
  show(name) {
    this.preset = name;
    const shown = this.#images.find((image) => image.name === name);
    if (shown?.sequence) {
      copy(shown.canvas, this.#big);
    }
  }

  /** @param {SceneDescription} description @param {boolean} drawn whether the page draws the scene */
  reset(description, drawn) {
    const cameras = description.cameras.map(({ name }) => name);
    this.#images = description.images.map((name) => {
      const canvas = document.createElement("canvas");
      const camera = drawn ? cameras.indexOf(name) : -1;
      canvas.width = canvas.height = SIZE;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Image ${name}`);
      return { name, canvas, source: make("span", "", "image-source"), camera, sequence: 0, sent: false };
    });
    this.preset = drawn ? "" : (description.big ?? "");
    const isMany = cameras.length > MOST_DRAWN;
    const small = this.#images.filter(({ name, camera }) =>
      camera >= 0 ? !isMany || description.observed.includes(name) : drawn || name !== description.big,
    );
    const figures = small.map(({ name, canvas, source }) => {
      const figure = document.createElement("figure");
      const caption = make("figcaption", "");
      caption.append(make("span", name), source);
      figure.append(canvas, caption);
      return figure;
    });
    this.#root.replaceChildren(...figures);
    this.#stale = true;
  }

  /** @param {Frame} frame */
  update({ sequence, images }) {
    this.#stale = true;
    this.#images.forEach((image, index) => {
      const jpeg = images[index];
      image.sent = Boolean(jpeg);
      if (jpeg) {
        this.#decode(image, jpeg, sequence);
      } else if (image.camera >= 0) {
        image.source.textContent = "drawn";
      }
    });
  }

  /** @param {Image} image @param {Uint8Array<ArrayBuffer>} jpeg @param {number} sequence */
  async #decode(image, jpeg, sequence) {
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    // Images may be decoded in another order than they came in.
    if (sequence >= image.sequence || image.sequence - sequence > RESTART) {
      image.sequence = sequence;
      image.source.textContent = `${bitmap.width} × ${bitmap.height}`;
      copy(bitmap, image.canvas);
      if (image.name === this.preset) {
        copy(bitmap, this.#big);
      }
    }
    bitmap.close();
  }

  /**
   * Draws what was not sent into the corner of the view's canvas, and copies it from there before the view is drawn.
   *
   * @param {WebGLRenderer} renderer
   */
  #draw(renderer) {
    const { channel, scene } = /** @type {View} */ (this.#view);
    if (!this.#stale || !channel || this.#root.clientWidth === 0) {
      return;
    }
    this.#stale = false;
    const { domElement } = renderer;
    const ratio = renderer.getPixelRatio();
    const side = Math.min(SIZE, domElement.width, domElement.height);
    for (const { canvas, sent, camera } of this.#images) {
      if (!sent && side > 0 && camera >= 0 && canvas.isConnected) {
        renderer.setViewport(0, 0, side / ratio, side / ratio);
        renderer.setScissor(0, 0, side / ratio, side / ratio);
        renderer.setScissorTest(true);
        renderer.render(scene, channel.cameras[camera]);
        if (canvas.width !== side) {
          canvas.width = canvas.height = side;
        }
        canvas.getContext("2d")?.drawImage(domElement, 0, domElement.height - side, side, side, 0, 0, side, side);
      }
    }
    renderer.setScissorTest(false);
    renderer.setViewport(0, 0, domElement.width / ratio, domElement.height / ratio);
  }
}

/** @param {ImageBitmap | HTMLCanvasElement} source @param {HTMLCanvasElement} canvas */
function copy(source, canvas) {
  if (canvas.width !== source.width || canvas.height !== source.height) {
    [canvas.width, canvas.height] = [source.width, source.height];
  }
  canvas.getContext("2d")?.drawImage(source, 0, 0);
}
