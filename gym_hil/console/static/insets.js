// What the policy sees: the images of the robot's own cameras, or the same views drawn here where none are sent.

const SIZE = 256; // px, of a view that is drawn here

/** @typedef {{canvas: HTMLCanvasElement, source: HTMLElement, sequence: number, sent: boolean}} Inset */

export class Insets {
  /** @type {Inset[]} in the order of the scene's cameras */
  #insets = [];
  #stale = false;
  #root;
  #view;

  /**
   * @param {HTMLElement} root
   * @param {import("./view.js").View | null} view
   */
  constructor(root, view) {
    this.#root = root;
    this.#view = view;
    view?.extras.push((renderer) => this.#draw(renderer));
  }

  /** @param {import("./protocol.js").SceneDescription} description */
  reset(description) {
    this.#root.replaceChildren();
    this.#insets = description.cameras.map(({ name }) => {
      const figure = document.createElement("figure");
      const canvas = document.createElement("canvas");
      const caption = document.createElement("figcaption");
      const source = document.createElement("span");
      canvas.width = canvas.height = SIZE;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `View of the robot's camera ${name}`);
      source.className = "inset-source";
      caption.append(name, source);
      figure.append(canvas, caption);
      this.#root.append(figure);
      return { canvas, source, sequence: 0, sent: false };
    });
    this.#stale = true;
  }

  /** @param {import("./protocol.js").Frame} frame */
  show({ sequence, images }) {
    this.#stale = true;
    this.#insets.forEach((inset, index) => {
      const jpeg = images[index];
      inset.sent = Boolean(jpeg);
      if (jpeg) {
        this.#decode(inset, jpeg, sequence);
      } else {
        inset.source.textContent = "drawn here";
      }
    });
  }

  /**
   * @param {Inset} inset
   * @param {Uint8Array<ArrayBuffer>} jpeg
   * @param {number} sequence
   */
  async #decode(inset, jpeg, sequence) {
    const image = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    // Images may be decoded in another order than they came in.
    if (sequence >= inset.sequence || inset.sequence - sequence > 1000) {
      const { canvas } = inset;
      inset.sequence = sequence;
      if (canvas.width !== image.width || canvas.height !== image.height) {
        [canvas.width, canvas.height] = [image.width, image.height];
      }
      canvas.getContext("2d")?.drawImage(image, 0, 0);
      inset.source.textContent = `${image.width} × ${image.height}`;
    }
    image.close();
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
    this.#insets.forEach(({ canvas, sent }, index) => {
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
