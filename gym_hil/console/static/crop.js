// The page of gym-hil crop: a card for each camera with its image, the rectangle on it, and the same as numbers.

import { addTheme, element, html, make, setText, within } from "./dom.js";

/** @typedef {{dataset: string, episodes: number, cameras: Camera[]}} Dataset */

const GONE = "The command no longer answers; start it again.";

class Page {
  /** @type {RegionCard[]} */
  cards = [];
  episode = 0;
  #episodes = 0;
  #confirm = element("confirm", HTMLButtonElement);
  #previous = element("previous", HTMLButtonElement);
  #next = element("next", HTMLButtonElement);

  constructor() {
    addTheme(element("theme", HTMLButtonElement), () => {});
    this.#confirm.addEventListener("click", () => this.#send());
    this.#previous.addEventListener("click", () => this.#show(this.episode - 1));
    this.#next.addEventListener("click", () => this.#show(this.episode + 1));
  }

  async load() {
    const answer = await fetch("cameras").catch(() => null);
    if (!answer?.ok) {
      this.#say(answer ? await answer.text() : GONE);
      return;
    }
    /** @type {Dataset} */
    const { dataset, episodes, cameras } = await answer.json();
    const template = element("camera", HTMLTemplateElement);
    this.cards = cameras.map((camera) => new RegionCard(template, camera, () => this.#changed()));
    this.#episodes = episodes;
    setText(html("dataset"), dataset);
    html("cameras").replaceChildren(...this.cards.map((card) => card.root));
    html("episodes").hidden = episodes < 2;
    this.#show(0);
    this.#changed();
  }

  /** @param {number} episode */
  #show(episode) {
    this.episode = episode;
    this.#previous.disabled = episode === 0;
    this.#next.disabled = episode === this.#episodes - 1;
    setText(html("episode"), `Episode ${episode} (0 to ${this.#episodes - 1})`);
    this.cards.forEach((card, index) => card.look(`image/${episode}/${index}`, episode));
  }

  #changed() {
    html("toast").hidden = true;
    const count = this.cards.filter((card) => card.numbers).length;
    const all = this.cards.length;
    setText(this.#confirm, count ? `Crop ${all === 1 ? "it" : `${count} of ${all} cameras`}` : "Leave all as they are");
    this.#confirm.disabled = false;
  }

  async #send() {
    this.#confirm.disabled = true;
    const wanted = this.cards.filter((card) => card.numbers).map((card) => [card.camera.key, card.numbers]);
    const body = JSON.stringify(Object.fromEntries(wanted));
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch("regions", { method: "POST", headers, body }).catch(() => null);
    this.#confirm.disabled = false;
    if (answer?.ok) {
      this.#finish();
    } else if (answer?.status === 422) {
      const { camera, text } = await answer.json();
      const card = this.cards.find((one) => one.camera.key === camera);
      card ? card.complain(text) : this.#say(text);
    } else {
      this.#say(answer ? await answer.text() : GONE);
    }
  }

  #finish() {
    html("main").inert = true;
    html("footer").inert = true;
    html("notice").hidden = false;
  }

  /** @param {string} text */
  #say(text) {
    setText(html("toast"), text);
    html("toast").hidden = false;
  }
}

/** @typedef {{key: string, name: string, height: number, width: number}} Camera */

const REACH = { mouse: 8, pen: 16, touch: 24 }; // px around a side in which it can be dragged
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

  /** @param {HTMLTemplateElement} template @param {Camera} camera @param {() => void} onChange */
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

  /** Says what is wrong with the numbers, and focuses the first wrong one. @param {string} text */
  complain(text) {
    this.#say(text);
    this.root.scrollIntoView({ block: "nearest" });
    this.#fields.find((field) => !field.validity.valid || field.value === "")?.focus();
  }

  /** Shows the first image of an episode. @param {string} url @param {number} number of the episode */
  async look(url, number) {
    const asked = (this.#shown += 1);
    const answer = await fetch(url).catch(() => null);
    if (asked !== this.#shown) {
      return;
    }
    this.#frame.classList.toggle("unread", !answer?.ok);
    if (!answer?.ok) {
      this.#say(answer ? await answer.text() : GONE);
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
      // A tap draws nothing, and must not remove the rectangle.
      this.rectangle = between(from, at, this.camera) ?? before;
    }
  }

  /** @param {PointerEvent} event @param {Point} at */
  #grip({ pointerType }, at) {
    const reach = REACH[/** @type {keyof typeof REACH} */ (pointerType)] ?? REACH.touch;
    const scale = this.#frame.clientWidth / this.camera.width;
    return this.rectangle && gripAt(this.rectangle, at, reach / scale);
  }

  /** @param {PointerEvent} event @returns {Point} in pixels of the image */
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

/**
 * @typedef {{top: number, left: number, height: number, width: number}} Rectangle
 * @typedef {{x: number, y: number}} Point
 * @typedef {{height: number, width: number}} Size
 * @typedef {"move" | "n" | "s" | "w" | "e" | "nw" | "ne" | "sw" | "se"} Grip what is dragged: the inside, a side
 *   or a corner, by the points of the compass
 */

/** @param {number} value @param {number} low @param {number} high */
const clamp = (value, low, high) => Math.max(low, Math.min(value, high));

/**
 * The whole pixels between two points, of which either may lie outside; null if there are none.
 *
 * @param {Point} from
 * @param {Point} to
 * @param {Size} size of the image
 * @returns {Rectangle | null}
 */
export function between(from, to, { height, width }) {
  const [left, right] = [from.x, to.x].map((x) => clamp(Math.round(x), 0, width)).sort((a, b) => a - b);
  const [top, bottom] = [from.y, to.y].map((y) => clamp(Math.round(y), 0, height)).sort((a, b) => a - b);
  return right > left && bottom > top ? { top, left, height: bottom - top, width: right - left } : null;
}

/**
 * What of a rectangle is at a point; null beside it.
 *
 * @param {Rectangle} rectangle
 * @param {Point} point
 * @param {number} reach how far from a side one may be; in a small rectangle less, so that it has an inside
 * @returns {Grip | null}
 */
export function gripAt({ top, left, height, width }, { x, y }, reach) {
  const vertical = side(y - top, height, reach);
  const horizontal = side(x - left, width, reach);
  if (vertical === null || horizontal === null) {
    return null;
  }
  const names = ["nw", "n", "ne", "w", "move", "e", "sw", "s", "se"];
  return /** @type {Grip} */ (names[3 * (vertical + 1) + horizontal + 1]);
}

/**
 * @param {number} at from where the rectangle begins
 * @param {number} length of the rectangle
 * @param {number} reach
 * @returns {-1 | 0 | 1 | null} its beginning, its inside, its end; null beside it
 */
function side(at, length, reach) {
  const inside = Math.min(reach, length / 3);
  if (at < -reach || at > length + reach) {
    return null;
  }
  return at < inside ? -1 : at > length - inside ? 1 : 0;
}

/**
 * A rectangle that was moved, or of which sides were; it stays in the image and keeps a pixel.
 *
 * @param {Rectangle} rectangle as it was
 * @param {Grip} grip
 * @param {Point} by how far
 * @param {Size} size of the image
 * @returns {Rectangle}
 */
export function dragged(rectangle, grip, by, size) {
  if (grip === "move") {
    const top = clamp(Math.round(rectangle.top + by.y), 0, Math.max(0, size.height - rectangle.height));
    const left = clamp(Math.round(rectangle.left + by.x), 0, Math.max(0, size.width - rectangle.width));
    return { ...rectangle, top, left };
  }
  const { top: north, left: west } = rectangle;
  const [south, east] = [north + rectangle.height, west + rectangle.width];
  const top = grip.includes("n") ? clamp(Math.round(north + by.y), 0, south - 1) : north;
  const bottom = grip.includes("s") ? clamp(Math.round(south + by.y), north + 1, size.height) : south;
  const left = grip.includes("w") ? clamp(Math.round(west + by.x), 0, east - 1) : west;
  const right = grip.includes("e") ? clamp(Math.round(east + by.x), west + 1, size.width) : east;
  return { top, left, height: bottom - top, width: right - left };
}

export const page = new Page();
page.load();
