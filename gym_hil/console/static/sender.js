// Tells the server what the operator does: 60 times a second, and at once when a button changes.

const PERIOD = 1000 / 60; // ms

export class Sender {
  #link;
  #input;
  #poll;

  /**
   * @param {import("./link.js").Link} link
   * @param {import("./input.js").Input} input
   * @param {() => void} poll asks the sources that do not tell by themselves
   */
  constructor(link, input, poll) {
    this.#link = link;
    this.#input = input;
    this.#poll = poll;
    input.onChange = () => this.#send();
    setInterval(() => this.#tick(), PERIOD);
    addEventListener("blur", () => input.releaseAll());
    document.addEventListener("visibilitychange", () => document.hidden && this.#rest());
    addEventListener("pagehide", () => {
      this.#rest();
      link.send({ type: "release" });
    });
  }

  #tick() {
    // Silence is what tells the server that nobody looks: it ends the intervention after 0.25 s.
    if (!document.hidden) {
      this.#poll();
      this.#send();
    }
  }

  #rest() {
    this.#input.releaseAll();
    this.#send();
  }

  #send() {
    if (this.#input.enabled && this.#link.open && !this.#link.congested) {
      this.#link.send({ type: "input", time: performance.now(), ...this.#input.collect() });
    }
  }
}
