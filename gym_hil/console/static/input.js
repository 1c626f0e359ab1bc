// What the operator does, merged over every source: a button is down while any source holds it.

/**
 * @typedef {{motion: number[], held: string[], changes: [string, string][], target: number[] | null}} InputState
 */

export class Input {
  /** Whether anything counts: only the page that has the seat may press. */
  #enabled = false;
  /** @type {Map<string, Set<string>>} source -> buttons that it holds */
  #down = new Map();
  /** @type {Map<string, number[]>} source -> motion */
  #motions = new Map();
  /** @type {[string, string][]} */
  #changes = [];
  /** @type {number[] | null} */
  #target = null;
  /** Called after each change of a button. */
  onChange = () => {};
  /** Called when everything is released, so that sources forget what they hold. @type {Set<() => void>} */
  onReleaseAll = new Set();

  get enabled() {
    return this.#enabled;
  }

  set enabled(on) {
    if (on !== this.#enabled) {
      this.releaseAll();
      this.#changes = [];
      this.#enabled = on;
    }
  }

  /** @param {string} button */
  isDown(button) {
    return [...this.#down.values()].some((buttons) => buttons.has(button));
  }

  /**
   * @param {string} source
   * @param {string} button
   */
  press(source, button) {
    if (!this.#enabled) {
      return;
    }
    const news = !this.isDown(button);
    const held = this.#down.get(source) ?? new Set();
    this.#down.set(source, held.add(button));
    if (news) {
      this.#change("press", button);
    }
  }

  /**
   * @param {string} source
   * @param {string} button
   */
  release(source, button) {
    if (this.#down.get(source)?.delete(button) && !this.isDown(button)) {
      this.#change("release", button);
    }
  }

  /**
   * Presses and lets go.
   *
   * @param {string} button
   */
  tap(button) {
    this.press("tap", button);
    this.release("tap", button);
  }

  /**
   * @param {string} source
   * @param {number[]} motion x forward, y left, z up, each in -1 to 1
   */
  move(source, [x, y, z]) {
    if (this.#enabled && (x || y || z)) {
      this.#motions.set(source, [x, y, z]);
    } else {
      this.#motions.delete(source);
    }
  }

  /** @param {number[] | null} target m, where the tool should go */
  set target(target) {
    this.#target = this.#enabled ? target : null;
  }

  /** Lets go of everything, on every source. */
  releaseAll() {
    for (const [source, buttons] of this.#down) {
      for (const button of [...buttons]) {
        this.release(source, button);
      }
    }
    this.#motions.clear();
    this.#target = null;
    this.onReleaseAll.forEach((forget) => forget());
  }

  /** Forgets presses that the server has not heard of. */
  dropChanges() {
    this.#changes = [];
  }

  /**
   * What to send now; its changes count as sent.
   *
   * @returns {InputState}
   */
  collect() {
    const motion = [0, 0, 0, 0, 0, 0];
    for (const part of this.#motions.values()) {
      part.forEach((value, axis) => (motion[axis] += value));
    }
    const held = new Set([...this.#down.values()].flatMap((buttons) => [...buttons]));
    const changes = this.#changes;
    this.#changes = [];
    return {
      motion: motion.map((value) => Math.min(Math.max(value, -1), 1)),
      held: [...held],
      changes,
      target: this.#target,
    };
  }

  /**
   * @param {string} kind
   * @param {string} button
   */
  #change(kind, button) {
    this.#changes.push([kind, button]);
    this.onChange();
  }
}
