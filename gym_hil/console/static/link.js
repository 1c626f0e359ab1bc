// The WebSocket to the server: comes back by itself after it was lost, and acknowledges each frame.

import { readFrame } from "./protocol.js";

const FIRST_WAIT = 250; // ms before the first new attempt; doubles with each
const LONGEST_WAIT = 4000; // ms
const REPLACED = 4001; // close code: the same page was opened again
const BUFFER_LIMIT = 4096; // bytes that wait to be sent, above which input is held back

/**
 * @typedef {"connecting" | "open" | "lost" | "refused" | "replaced"} LinkState
 * @typedef {{onState: (state: LinkState, retryAt: number) => void, onMessage: (message: any) => void,
 *   onFrame: (frame: import("./protocol.js").Frame) => void}} LinkHandlers
 */

export class Link {
  /** @type {WebSocket | null} */
  #socket = null;
  #wait = FIRST_WAIT;
  #timer = 0;
  #page;
  #handlers;

  /**
   * @param {string} page the id of this page
   * @param {LinkHandlers} handlers
   */
  constructor(page, handlers) {
    this.#page = page;
    this.#handlers = handlers;
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => document.hidden || this.retry());
  }

  /** Whether the server hears what is sent. */
  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Whether so much waits to be sent that input, of which the newest counts, should wait too. */
  get congested() {
    return !this.#socket || this.#socket.bufferedAmount > BUFFER_LIMIT;
  }

  /** @param {object} message */
  send(message) {
    if (this.open) {
      this.#socket?.send(JSON.stringify(message));
    }
  }

  connect() {
    const url = new URL("connect", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams({ page: this.#page }).toString();
    this.#handlers.onState("connecting", 0);
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code }) => socket === this.#socket && (code === REPLACED ? this.#yield() : this.#lose());
  }

  /** Tries again at once, if the connection is lost. */
  retry() {
    if (this.#timer) {
      clearTimeout(this.#timer);
      this.#timer = 0;
      this.connect();
    }
  }

  /** @param {string | ArrayBuffer} data */
  #hear(data) {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message.type === "hello") {
        this.#wait = FIRST_WAIT;
        this.#handlers.onState("open", 0);
      }
      this.#handlers.onMessage(message);
    } else {
      const frame = readFrame(data);
      this.#handlers.onFrame(frame);
      this.send({ type: "ack", channel: frame.channel, sequence: frame.sequence });
    }
  }

  /** Two pages that call themselves the same would throw each other out for ever. */
  #yield() {
    this.#socket = null;
    this.#handlers.onState("replaced", 0);
  }

  async #lose() {
    this.#socket = null;
    const wait = this.#wait * (0.8 + 0.4 * Math.random());
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.connect();
    }, wait);
    this.#handlers.onState("lost", performance.now() + wait);
    if (await this.#refused()) {
      this.#handlers.onState("refused", 0);
    }
  }

  /** A socket does not say why it was refused; a page that is refused too means that the cookie is not valid. */
  async #refused() {
    try {
      const answer = await fetch(document.baseURI, { method: "HEAD", cache: "no-store" });
      return answer.status === 401 || answer.status === 403;
    } catch {
      return false;
    }
  }
}
