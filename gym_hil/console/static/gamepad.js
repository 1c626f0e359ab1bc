// The first gamepad that the browser knows as a standard one, asked 60 times a second.

const SOURCE = "gamepad";
const DEADZONE = 0.1; // of a stick's travel
const PRESSED = 0.5; // of a trigger's travel

export class GamepadSource {
  /** @type {Record<string, string>} index of a standard gamepad's button -> button */
  pad = {};
  /** What is attached, for people; null if nothing is. @type {string | null} */
  name = null;
  /** Called when `name` changes. */
  onName = () => {};
  /** @type {Set<string>} indices that were down when everything was let go, until they come up */
  #muted = new Set();
  /** @type {Set<string>} */
  #down = new Set();
  #sticksMuted = false;
  #input;

  /** @param {import("./input.js").Input} input */
  constructor(input) {
    this.#input = input;
    input.onReleaseAll.add(() => {
      this.#muted = new Set([...this.#muted, ...this.#down]);
      this.#sticksMuted = true;
      this.#down.clear();
    });
  }

  poll() {
    const pads = [...(navigator.getGamepads?.() ?? [])].filter((pad) => pad !== null && pad.connected);
    const pad = pads.find((candidate) => candidate?.mapping === "standard") ?? null;
    this.#rename(pad?.id ?? (pads.length ? `${pads[0]?.id}: not a standard gamepad to this browser` : null));
    this.#pollButtons(pad);
    this.#pollSticks(pad);
  }

  /** @param {Gamepad | null} pad */
  #pollButtons(pad) {
    for (const [index, button] of Object.entries(this.pad)) {
      const state = pad?.buttons[Number(index)];
      const down = state !== undefined && state.value > PRESSED;
      const source = `${SOURCE} ${index}`;
      if (!down) {
        this.#muted.delete(index);
        this.#down.delete(index);
        this.#input.release(source, button);
      } else if (!this.#muted.has(index) && !this.#down.has(index)) {
        this.#down.add(index);
        this.#input.press(source, button);
      }
    }
  }

  /** @param {Gamepad | null} pad */
  #pollSticks(pad) {
    const [leftX = 0, leftY = 0, , rightY = 0] = pad?.axes ?? [];
    const motion = [-leftY, -leftX, -rightY].map(withoutDeadzone);
    this.#sticksMuted &&= motion.some(Boolean);
    this.#input.move(SOURCE, this.#sticksMuted ? [0, 0, 0] : motion);
  }

  /** @param {string | null} name */
  #rename(name) {
    if (name !== this.name) {
      this.name = name;
      this.onName();
    }
  }
}

/** @param {number} value */
function withoutDeadzone(value) {
  const size = Math.min(Math.abs(value), 1);
  return size <= DEADZONE ? 0 : (Math.sign(value) * (size - DEADZONE)) / (1 - DEADZONE);
}
