// What the operator does, merged over every source, and sent to the server 60 times a second.

/** @import {Connection} from "./connection.js" */
/** @import {Button, Hand, Input} from "./messages.js" */

const PERIOD = 1000 / 60; // ms between messages
const FORGET = 1000; // ms without a measurement, after which the hand counts as gone
const RECENT = 0.6 * PERIOD; // ms since the previous message; a further one is sent only after that

/** A button is down while any source holds it. */
export class InputState {
  /** Whether anything counts: only the page that holds the control lock may press. */
  #enabled = false;
  /** @type {Map<string, Set<Button>>} source -> buttons that it holds */
  #down = new Map();
  /** @type {Map<string, number[]>} source -> motion */
  #motions = new Map();
  /** @type {["press" | "release", Button][]} */
  #changes = [];
  /** m, where the tool should go; null if it is not dragged. @type {[number, number, number] | null} */
  target = null;
  /** How the tool should be turned, w first; null likewise. @type {[number, number, number, number] | null} */
  targetRotation = null;
  /** The hand of a WebXR session, as it was last measured. @type {Hand | null} */
  hand = null;
  /** Called when there is something to send. */
  report = () => {};
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

  /** @param {Button} button */
  isDown(button) {
    return [...this.#down.values()].some((buttons) => buttons.has(button));
  }

  /** @param {string} source @param {Button} button */
  press(source, button) {
    if (!this.#enabled) {
      return;
    }
    const isNew = !this.isDown(button);
    const held = this.#down.get(source) ?? new Set();
    this.#down.set(source, held.add(button));
    if (isNew) {
      this.#change("press", button);
    }
  }

  /** @param {string} source @param {Button} button */
  release(source, button) {
    if (this.#down.get(source)?.delete(button) && !this.isDown(button)) {
      this.#change("release", button);
    }
  }

  /** Presses and releases. @param {Button} button */
  tap(button) {
    this.press("tap", button);
    this.release("tap", button);
  }

  /**
   * @param {string} source
   * @param {number[]} motion x forward, y left, z up, then a rotation vector about these; each in -1 to 1
   */
  move(source, motion) {
    if (this.#enabled && motion.some(Boolean)) {
      this.#motions.set(source, [...motion]);
    } else {
      this.#motions.delete(source);
    }
  }

  /** Releases everything, on every source. */
  releaseAll() {
    for (const [source, buttons] of this.#down) {
      [...buttons].forEach((button) => this.release(source, button));
    }
    this.#motions.clear();
    this.target = this.targetRotation = null;
    this.onReleaseAll.forEach((forget) => forget());
  }

  /** Forgets presses that were not sent. */
  dropChanges() {
    this.#changes = [];
  }

  /** The message to send now; its changes count as sent. @returns {Input} */
  collect() {
    const [x, y, z, rx, ry, rz] = [0, 1, 2, 3, 4, 5].map((axis) => {
      const sum = [...this.#motions.values()].reduce((total, motion) => total + (motion[axis] ?? 0), 0);
      return Math.min(Math.max(sum, -1), 1);
    });
    const held = new Set([...this.#down.values()].flatMap((buttons) => [...buttons]));
    const changes = this.#changes;
    this.#changes = [];
    return {
      type: "input",
      time: performance.now(),
      motion: [x, y, z, rx, ry, rz],
      held: [...held],
      changes,
      target: this.target,
      target_rotation: this.targetRotation,
      // A headset that was taken off draws no frames, and its last measurement must not go on driving.
      hand: this.hand && performance.now() - this.hand.time < FORGET ? this.hand : null,
    };
  }

  /** @param {"press" | "release"} kind @param {Button} button */
  #change(kind, button) {
    this.#changes.push([kind, button]);
    this.onChange();
  }
}

/**
 * Sends the input regularly, and at once when a button changes.
 *
 * @param {InputState} input
 * @param {Connection} connection
 * @param {() => void} poll asks the sources that do not report by themselves
 */
export function sendInput(input, connection, poll) {
  let sent = -Infinity; // ms
  const send = () => {
    if (input.enabled && connection.open && !connection.congested) {
      sent = performance.now();
      connection.send(input.collect());
    }
  };
  // A headset draws 72 to 120 times a second, and the page's own timer goes on besides.
  const sendUnlessRecent = () => performance.now() - sent > RECENT && send();
  const stop = () => {
    input.releaseAll();
    send();
  };
  input.onChange = send;
  input.report = sendUnlessRecent;
  setInterval(() => {
    // A hidden page sends nothing. After 0.25 s the robot stops, and after 2 s the intervention ends.
    if (!document.hidden) {
      poll();
      sendUnlessRecent();
    }
  }, PERIOD);
  addEventListener("blur", () => input.releaseAll());
  document.addEventListener("visibilitychange", () => document.hidden && stop());
  addEventListener("pagehide", () => {
    stop();
    connection.send({ type: "release" });
  });
}
