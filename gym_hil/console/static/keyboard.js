// Keys, by where they are on the keyboard, so that WASD is in the same place on every layout.

const SOURCE = "keyboard";
/** What is printed on keys whose code does not say it. */
const LABELS = {
  ArrowUp: "↑",
  ArrowDown: "↓",
  ArrowLeft: "←",
  ArrowRight: "→",
  Escape: "Esc",
  Enter: "↵",
  NumpadEnter: "↵",
};
/** Keys that a focused element needs for itself. */
const ACTIVATION = new Set(["Enter", "NumpadEnter", "Space"]);

export class Keyboard {
  /** @type {Record<string, string>} code -> button */
  keys = {};
  /** @type {Set<string>} codes that are down and count */
  #down = new Set();
  /** @type {Set<string>} */
  #lent = new Set();
  #input;

  /** @param {import("./input.js").Input} input */
  constructor(input) {
    this.#input = input;
    input.onReleaseAll.add(() => this.#down.clear());
    addEventListener("keydown", (event) => this.#press(event));
    addEventListener("keyup", (event) => this.#release(event));
    // What was clicked must not keep the focus, or the next key would be its own.
    addEventListener("click", ({ detail, target }) => {
      if (detail > 0 && target instanceof Element) {
        target.closest("button")?.blur();
      }
    });
  }

  /**
   * Gives keys away for a while, such as Shift while it says how to drag.
   *
   * @param {string[]} codes
   */
  lend(codes) {
    this.#lent = new Set(codes);
    codes.forEach((code) => this.#up(code));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    this.#mendModifiers(event);
    const button = this.keys[event.code];
    if (!button || !this.#input.enabled || event.altKey || event.metaKey || wantsKeys(event)) {
      return;
    }
    event.preventDefault();
    // A letter with Ctrl is a command to the browser. It is kept from it where it can be, and never moves the robot.
    if (event.repeat || this.#lent.has(event.code) || (event.ctrlKey && event.code.startsWith("Key"))) {
      return;
    }
    this.#down.add(event.code);
    this.#input.press(SOURCE, button);
  }

  /** @param {KeyboardEvent} event */
  #release(event) {
    if (this.#down.has(event.code)) {
      event.preventDefault(); // else letting go of Space clicks a focused button
    }
    this.#up(event.code);
    this.#mendModifiers(event);
  }

  /** @param {string} code */
  #up(code) {
    const button = this.keys[code];
    const others = () => [...this.#down].some((other) => this.keys[other] === button);
    if (this.#down.delete(code) && !others()) {
      this.#input.release(SOURCE, button);
    }
  }

  /**
   * Lets go of modifiers whose release was not reported: Windows hides the first of two Shifts, macOS everything while
   * the command key is down.
   *
   * @param {KeyboardEvent} event
   */
  #mendModifiers(event) {
    for (const code of [...this.#down]) {
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
 * Whether the focused element is to be operated by this key rather than the robot. Somebody who came to a button by Tab
 * wants to press it; somebody who clicked it does not.
 *
 * @param {KeyboardEvent} event
 */
function wantsKeys(event) {
  const focused = document.activeElement;
  if (focused instanceof HTMLSelectElement) {
    return !event.ctrlKey;
  }
  return ACTIVATION.has(event.code) && focused !== null && focused.matches("button:focus-visible");
}

/**
 * What is printed on a key.
 *
 * @param {string} code
 * @returns {string}
 */
export function keyLabel(code) {
  const side = /^(Shift|Control|Alt)(Left|Right)$/.exec(code);
  if (side) {
    return `${side[2] === "Left" ? "left" : "right"} ${side[1] === "Control" ? "Ctrl" : side[1]}`;
  }
  return LABELS[/** @type {keyof typeof LABELS} */ (code)] ?? code.replace(/^(Key|Digit)/, "");
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
  const warning = "not for the robot: Ctrl+W closes the tab. With Ctrl held, move by the arrows";
  return clash ? [["Ctrl + letter", warning]] : [];
}
