// Keys, gamepad, buttons and joysticks of the page.

import { element } from "./dom.js";
import { create } from "./vendor/nipplejs.js";
/** @import {InputState} from "./input.js" */
/** @import {Bindings, Button, Session, StickAxis} from "./messages.js" */

const DEADZONE = 0.1; // of a stick's travel
const PRESSED = 0.5; // of a trigger's travel
const JOYSTICK_SIZE = 112; // px
const RUMBLE = { duration: 400, strongMagnitude: 0.7, weakMagnitude: 1 }; // ms, and shares of full strength
/** What is printed on keys whose code does not say it. @type {Record<string, string>} */
const LABELS = {
  ArrowUp: "↑",
  ArrowDown: "↓",
  ArrowLeft: "←",
  ArrowRight: "→",
  Escape: "Esc",
  Enter: "↵",
  NumpadEnter: "↵",
};
/** Code -> what is printed on that key of this keyboard, as far as it is known. @type {Map<string, string>} */
const layout = new Map();
/** Keys that a focused button needs for itself. */
const ACTIVATION = new Set(["Enter", "NumpadEnter", "Space"]);

/** Keys, by where they are on the keyboard, so that WASD is in the same place on every layout. */
export class Keyboard {
  /** @type {Record<string, string>} code -> button */
  keys = {};
  /** @type {Map<string, Button>} code that is down and counts -> the button that it has pressed */
  #down = new Map();
  /** @type {Set<string>} codes that something else uses for now */
  #lent = new Set();
  #input;

  /** Called when the label of a key has become known. */
  onLayout = () => {};

  /** @param {InputState} input */
  constructor(input) {
    this.#input = input;
    this.#readLayout();
    input.onReleaseAll.add(() => this.#down.clear());
    addEventListener("keydown", (event) => this.#press(event));
    addEventListener("keyup", (event) => this.#release(event));
    // What was clicked must not keep the focus, or the next key would be its own.
    addEventListener("click", ({ detail, target }) => {
      if (detail > 0 && target instanceof Element) {
        /** @type {HTMLElement | null} */ (target.closest("button, summary"))?.blur();
      }
    });
  }

  /** Gives keys away for a while, such as Shift while it changes how to drag. @param {string[]} codes */
  lend(codes) {
    this.#lent = new Set(codes);
    codes.forEach((code) => this.#up(code));
  }

  /** Asks the browser what is printed on the keys; only Chromium knows. */
  async #readLayout() {
    try {
      const keyboard = /** @type {{getLayoutMap?: () => Promise<Map<string, string>>} | undefined} */ (
        /** @type {any} */ (navigator).keyboard
      );
      const known = await keyboard?.getLayoutMap?.();
      known?.forEach((label, code) => layout.set(code, label.toUpperCase()));
      this.onLayout();
    } catch {
      // Not allowed here: the labels are learned from what is pressed.
    }
  }

  /** Learns what is printed on a key that is pressed. @param {KeyboardEvent} event */
  #learn({ code, key, ctrlKey, altKey, metaKey, shiftKey }) {
    const label = key.toUpperCase();
    if (!code.startsWith("Key") || key.length !== 1 || ctrlKey || altKey || metaKey || shiftKey) {
      return;
    }
    if ((layout.get(code) ?? code.slice(3)) !== label) {
      layout.set(code, label);
      this.onLayout();
    }
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    this.#learn(event);
    this.#releaseModifiers(event);
    const button = /** @type {Button | undefined} */ (this.keys[event.code]);
    if (!button || !this.#input.enabled || event.altKey || event.metaKey || isForFocused(event)) {
      return;
    }
    event.preventDefault();
    // A letter with Ctrl is a command to the browser. It is kept from it where it can be, and never moves the robot.
    if (event.repeat || this.#lent.has(event.code) || (event.ctrlKey && event.code.startsWith("Key"))) {
      return;
    }
    this.#down.set(event.code, button);
    this.#input.press(event.code, button);
  }

  /** @param {KeyboardEvent} event */
  #release(event) {
    if (this.#down.has(event.code)) {
      event.preventDefault(); // otherwise releasing Space clicks a focused button
    }
    this.#up(event.code);
    this.#releaseModifiers(event);
  }

  /** @param {string} code */
  #up(code) {
    const button = this.#down.get(code);
    if (button) {
      this.#down.delete(code);
      this.#input.release(code, button);
    }
  }

  /**
   * Releases modifiers whose release was not reported: Windows hides the first of two Shifts, macOS everything while
   * the command key is down.
   *
   * @param {KeyboardEvent} event
   */
  #releaseModifiers(event) {
    for (const code of [...this.#down.keys()]) {
      const stuck =
        (code.startsWith("Shift") && !event.shiftKey) ||
        (code.startsWith("Control") && !event.ctrlKey) ||
        (event.metaKey && !code.startsWith("Meta"));
      if (stuck) {
        this.#up(code);
      }
    }
  }
}

/**
 * Whether a key is for the focused element rather than the robot. An operator who reached a button by Tab wants to
 * press it; one who clicked it does not.
 *
 * @param {KeyboardEvent} event
 */
function isForFocused(event) {
  const focused = document.activeElement;
  if (focused instanceof HTMLSelectElement) {
    return !event.ctrlKey;
  }
  return ACTIVATION.has(event.code) && focused !== null && focused.matches("button:focus-visible, summary:focus-visible");
}

/** The first gamepad that the browser knows as a standard one. */
export class GamepadSource {
  /** @type {Record<string, string>} index of a standard gamepad's button -> button */
  pad = {};
  /** @type {StickAxis[]} */
  sticks = [];
  /** What is attached, for humans; null if nothing is. @type {string | null} */
  name = null;
  /** Called when `name` changes. */
  onName = () => {};
  /** @type {Set<string>} indices that were down when everything was released, until they come up */
  #muted = new Set();
  /** @type {Set<string>} */
  #down = new Set();
  #sticksMuted = false;
  #input;

  /** @param {InputState} input */
  constructor(input) {
    this.#input = input;
    input.onReleaseAll.add(() => {
      this.#down.forEach((index) => this.#muted.add(index));
      this.#down.clear();
      this.#sticksMuted = true;
    });
  }

  poll() {
    const pads = [...(navigator.getGamepads?.() ?? [])].filter((pad) => pad?.connected);
    const pad = pads.find((candidate) => candidate?.mapping === "standard") ?? null;
    const name = pad?.id ?? (pads.length ? `${pads[0]?.id}: not a standard gamepad to this browser` : null);
    if (name !== this.name) {
      this.name = name;
      this.onName();
    }
    this.#pollButtons(pad);
    const turning = this.#input.isDown("TURN");
    const motion = [0, 0, 0, 0, 0, 0];
    for (const { axis, component, sign } of this.sticks.filter((stick) => stick.turning === turning)) {
      motion[component] = sign * withoutDeadzone(pad?.axes[axis] ?? 0);
    }
    this.#sticksMuted &&= motion.some(Boolean);
    this.#input.move("gamepad", this.#sticksMuted ? [] : motion);
  }

  /** Lets the gamepad rumble, where it and the browser can. */
  rumble() {
    for (const pad of navigator.getGamepads?.() ?? []) {
      pad?.vibrationActuator?.playEffect?.("dual-rumble", RUMBLE)?.catch?.(() => {}); // a pad without a motor refuses
    }
  }

  /** @param {Gamepad | null} pad */
  #pollButtons(pad) {
    for (const [index, name] of Object.entries(this.pad)) {
      const button = /** @type {Button} */ (name);
      const source = `gamepad ${index}`;
      if ((pad?.buttons[Number(index)]?.value ?? 0) <= PRESSED) {
        this.#muted.delete(index);
        this.#down.delete(index);
        this.#input.release(source, button);
      } else if (!this.#muted.has(index) && !this.#down.has(index)) {
        this.#down.add(index);
        this.#input.press(source, button);
      }
    }
  }
}

/** @param {number} value */
function withoutDeadzone(value) {
  const size = Math.min(Math.abs(value), 1);
  return size <= DEADZONE ? 0 : (Math.sign(value) * (size - DEADZONE)) / (1 - DEADZONE);
}

/** @returns {[HTMLButtonElement, Button][]} the page's buttons that do what a key does */
function inputButtons() {
  const buttons = [...document.querySelectorAll("button")].filter((button) => button.dataset.button);
  return buttons.map((button) => [button, /** @type {Button} */ (button.dataset.button)]);
}

/** @type {Record<string, string>} */
const DECISIONS = { SUCCESS: "Keep", RERECORD: "Again" };
/** @type {Record<string, string>} */
const NAMES = { SUCCESS: "Success", RERECORD: "Re-record" };

/** Lets the page's buttons be held as long as a finger or the mouse holds them. @param {InputState} input */
export function addButtons(input) {
  for (const [button, name] of inputButtons()) {
    button.addEventListener("pointerdown", (event) => {
      if (event.button === 0) {
        button.setPointerCapture(event.pointerId);
        input.press(`button ${name}`, name);
      }
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      button.addEventListener(end, () => input.release(`button ${name}`, name));
    }
    button.addEventListener("click", (event) => {
      if (event.detail === 0) {
        input.tap(name); // by the keyboard or a screen reader, which do not point
      }
    });
    button.addEventListener("contextmenu", (event) => event.preventDefault());
  }
}

/**
 * Shows which buttons there are, and which key does the same.
 *
 * @param {Bindings} bindings
 * @param {boolean} enabled
 * @param {Session | null} session whose `choices` are the buttons that decide something now
 */
export function showButtons({ buttons, keys, intervention }, enabled, session) {
  const choices = session?.choices ?? [];
  element("joystick-plane", HTMLElement).hidden = !("FORWARD" in buttons || "LEFT" in buttons);
  element("joystick-height", HTMLElement).hidden = !("UP" in buttons);
  for (const [button, name] of inputButtons()) {
    const hint = button.querySelector("kbd");
    const isIdle = name === "FAILURE" ? choices.includes("DELETE_LAST") : name === "DELETE_LAST" && !choices.includes(name);
    button.hidden = !(name in buttons) || isIdle || (name === "INTERVENE" && intervention === "auto");
    const label = button.querySelector("span");
    if (label && name in NAMES) {
      label.textContent = choices.includes(name) ? DECISIONS[name] : NAMES[name];
    }
    button.disabled = !enabled;
    button.title = buttons[name] ?? "";
    if (hint) {
      hint.textContent = keyFor(keys, name);
    }
  }
}

/**
 * @param {Record<string, string>} keys
 * @param {string} button
 * @returns {string} what is printed on the key for a button, the shortest of several; empty if there is none
 */
export function keyFor(keys, button) {
  const labels = Object.keys(keys).filter((code) => keys[code] === button).map(keyLabel);
  return labels.sort((one, other) => one.length - other.length)[0] ?? "";
}

/** What is printed on a key. @param {string} code */
export function keyLabel(code) {
  const side = /^(Shift|Control|Alt)(Left|Right)$/.exec(code);
  if (side) {
    return `${side[2].toLowerCase()} ${side[1] === "Control" ? "Ctrl" : side[1]}`;
  }
  return LABELS[code] ?? layout.get(code) ?? code.replace(/^(Key|Digit)/, "");
}

/**
 * The keys as rows of a legend, with what is printed on them.
 *
 * @param {Bindings} bindings
 * @returns {[string, string][]}
 */
export function keyRows({ keys, buttons }) {
  const codes = Object.keys(keys).filter((code) => code !== "NumpadEnter");
  const names = [...new Set(codes.map((code) => keys[code]))];
  return names.map((name) => [
    codes.filter((code) => keys[code] === name).map(keyLabel).join(" or "),
    buttons[name] ?? "",
  ]);
}

/**
 * What an operator has to know about a browser's own keys, as rows of a legend; empty if there is nothing to say.
 *
 * @param {Record<string, string>} keys
 * @returns {[string, string][]}
 */
export function keyWarnings(keys) {
  const codes = Object.keys(keys);
  const clash = codes.some((code) => code.startsWith("Control")) && codes.includes("KeyW");
  const warning = "not for the robot: Ctrl+W closes the tab. While you hold Ctrl, move with the arrow keys";
  return clash ? [["Ctrl + letter", warning]] : [];
}

/**
 * Two joysticks for thumbs.
 *
 * @param {InputState} input
 * @param {HTMLElement} plane where the joystick for x and y goes
 * @param {HTMLElement} height where the one for z goes
 */
export function addJoysticks(input, plane, height) {
  const motion = [0, 0, 0];
  const set = (/** @type {Record<number, number>} */ values) => input.move("touch", Object.assign(motion, values));
  const flat = joystick(plane, false);
  flat.on("move", ({ data }) => set({ 0: data.vector.y, 1: -data.vector.x }));
  flat.on("end", () => set({ 0: 0, 1: 0 }));
  const upright = joystick(height, true);
  upright.on("move", ({ data }) => set({ 2: data.vector.y }));
  upright.on("end", () => set({ 2: 0 }));
  input.onReleaseAll.add(() => motion.fill(0));
}

/** @param {HTMLElement} zone @param {boolean} lockY */
function joystick(zone, lockY) {
  return create({
    zone,
    lockY,
    mode: "static",
    position: { left: "50%", top: "50%" },
    size: JOYSTICK_SIZE,
    restOpacity: 1,
    color: { front: "var(--joystick-front)", back: "var(--joystick-back)" },
  });
}
