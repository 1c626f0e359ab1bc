// One camera: its image, the rectangle on it, and the same as numbers. What is typed or drawn is in the fields.

import { make, setText, within } from "./page.js";
import { between, dragged, gripAt } from "./rectangle.js";

/**
 * @typedef {import("./rectangle.js").Grip} Grip
 * @typedef {import("./rectangle.js").Point} Point
 * @typedef {import("./rectangle.js").Rectangle} Rectangle
 * @typedef {{key: string, name: string, height: number, width: number}} Camera
 */

const REACH = { mouse: 8, pen: 16, touch: 24 }; // px around a side in which it is taken hold of
const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

export class RegionCard {
  camera;
  root;
  #frame;
  #image;
  #region;
  #fields;
  #problem;
  #onChange;
  #shown = 0;
  /** Since the pointer went down. @type {{grip: Grip | null, from: Point, before: Rectangle | null} | null} */
  #drag = null;

  /**
   * @param {HTMLTemplateElement} template
   * @param {Camera} camera
   * @param {() => void} onChange
   */
  constructor(template, camera, onChange) {
    this.camera = camera;
    this.#onChange = onChange;
    this.root = /** @type {HTMLElement} */ (within(template.content, ".camera", HTMLElement).cloneNode(true));
    this.#frame = within(this.root, ".image", HTMLElement);
    this.#image = within(this.root, "img", HTMLImageElement);
    this.#region = within(this.root, ".region", HTMLElement);
    this.#problem = within(this.root, ".problem", HTMLElement);
    this.#fields = [...this.root.querySelectorAll("input")];
    this.#fields[0].max = String(camera.height - 1);
    this.#fields[1].max = String(camera.width - 1);
    this.root.id = `camera-${camera.name}`;
    setText(within(this.root, ".name", HTMLElement), camera.name);
    setText(within(this.root, ".size", HTMLElement), `${camera.height} high, ${camera.width} wide`);
    setText(within(this.root, "legend", HTMLElement), `Region of ${camera.name} in pixels`);
    this.root.style.setProperty("--ratio", String(camera.width / camera.height));
    this.#region.append(...HANDLES.map((name) => make("i", "", name)));
    this.#listen();
    this.#show();
  }

  /** Top, left, height and width as they were drawn or typed, null where there is no number; null for no region. */
  get numbers() {
    const numbers = this.#fields.map((field) => (field.value === "" ? null : field.valueAsNumber));
    const untouched = this.#fields.every((field) => field.value === "" && !field.validity.badInput);
    return untouched ? null : numbers;
  }

  /** The region, if there are four numbers. @returns {Rectangle | null} */
  get rectangle() {
    const [top, left, height, width] = this.numbers ?? [];
    const isNumber = [top, left, height, width].every((number) => Number.isFinite(number));
    return isNumber ? /** @type {Rectangle} */ ({ top, left, height, width }) : null;
  }

  set rectangle(rectangle) {
    const { top, left, height, width } = rectangle ?? {};
    [top, left, height, width].forEach((number, index) => (this.#fields[index].value = String(number ?? "")));
    this.#changed();
  }

  /**
   * Tells what is wrong with the numbers, and goes where it can be mended.
   *
   * @param {string} text
   */
  complain(text) {
    this.#say(text);
    this.root.scrollIntoView({ block: "nearest" });
    this.#fields.find((field) => !field.validity.valid || field.value === "")?.focus();
  }

  /**
   * Shows the first image of an episode.
   *
   * @param {string} url
   * @param {number} number of the episode
   */
  async look(url, number) {
    const asked = (this.#shown += 1);
    const answer = await fetch(url).catch(() => null);
    if (asked !== this.#shown) {
      return;
    }
    this.#frame.classList.toggle("unread", !answer?.ok);
    if (!answer?.ok) {
      this.#say(answer ? await answer.text() : "The command no longer answers; start it again.");
      return;
    }
    this.#problem.hidden = true;
    URL.revokeObjectURL(this.#image.src);
    this.#image.src = URL.createObjectURL(await answer.blob());
    this.#image.alt = `What ${this.camera.name} sees first in episode ${number}`;
  }

  #listen() {
    this.#fields.forEach((field) => field.addEventListener("input", () => this.#changed()));
    within(this.root, ".clear", HTMLButtonElement).addEventListener("click", () => (this.rectangle = null));
    this.#frame.addEventListener("pointerdown", (event) => this.#take(event));
    this.#frame.addEventListener("pointermove", (event) => this.#move(event));
    this.#frame.addEventListener("pointerup", () => (this.#drag = null));
    this.#frame.addEventListener("pointercancel", () => {
      if (this.#drag) {
        this.rectangle = this.#drag.before;
      }
      this.#drag = null;
    });
  }

  /** @param {PointerEvent} event */
  #take(event) {
    if (!event.isPrimary || event.button !== 0) {
      return;
    }
    event.preventDefault();
    // The keys of a phone would cover what is drawn.
    this.#fields.find((field) => field === document.activeElement)?.blur();
    this.#frame.setPointerCapture(event.pointerId);
    const from = this.#point(event);
    this.#drag = { grip: this.#grip(event, from), from, before: this.rectangle };
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const at = this.#point(event);
    if (!this.#drag) {
      this.#frame.dataset.grip = this.#grip(event, at) ?? "draw";
      return;
    }
    const { grip, from, before } = this.#drag;
    if (grip && before) {
      this.rectangle = dragged(before, grip, { x: at.x - from.x, y: at.y - from.y }, this.camera);
    } else {
      // A tap draws nothing, and shall not take away what is there.
      this.rectangle = between(from, at, this.camera) ?? before;
    }
  }

  /**
   * @param {PointerEvent} event
   * @param {Point} at
   */
  #grip({ pointerType }, at) {
    const reach = REACH[/** @type {keyof typeof REACH} */ (pointerType)] ?? REACH.touch;
    const scale = this.#frame.clientWidth / this.camera.width;
    return this.rectangle && gripAt(this.rectangle, at, reach / scale);
  }

  /**
   * @param {PointerEvent} event
   * @returns {Point} in pixels of the image
   */
  #point({ clientX, clientY }) {
    const { left, top, width, height } = this.#frame.getBoundingClientRect();
    return {
      x: ((clientX - left) / width) * this.camera.width,
      y: ((clientY - top) / height) * this.camera.height,
    };
  }

  #changed() {
    this.#problem.hidden = true;
    this.#show();
    this.#onChange();
  }

  #show() {
    const { height, width } = this.camera;
    const region = this.rectangle;
    const [, , tall, wide] = this.#fields;
    tall.max = String(height - (region?.top ?? 0));
    wide.max = String(width - (region?.left ?? 0));
    this.#region.hidden = !region || region.height < 1 || region.width < 1;
    if (region) {
      this.#region.style.top = `${(100 * region.top) / height}%`;
      this.#region.style.left = `${(100 * region.left) / width}%`;
      this.#region.style.height = `${(100 * region.height) / height}%`;
      this.#region.style.width = `${(100 * region.width) / width}%`;
    }
    within(this.root, ".clear", HTMLButtonElement).disabled = this.numbers === null;
    setText(within(this.root, ".kept", HTMLElement), this.#words(region));
  }

  /** @param {string} text what is wrong */
  #say(text) {
    setText(this.#problem, text);
    this.#problem.hidden = false;
  }

  /** @param {Rectangle | null} region */
  #words(region) {
    if (!region) {
      return this.numbers ? "Not all four numbers yet" : "Left as it is";
    }
    if (this.#fields.some((field) => !field.validity.valid)) {
      return "Not a part of the image";
    }
    const share = (100 * region.height * region.width) / (this.camera.height * this.camera.width);
    return `Keeps ${region.height} high, ${region.width} wide: ${share.toFixed(0)}% of the image`;
  }
}
