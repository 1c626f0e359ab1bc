// The WebSocket to the server: reconnects by itself, reads frames and acknowledges each.

/** @import {PageMessage, ServerMessage, Status} from "./messages.js" */

/** @type {typeof import("./messages.js").VERSION} */
export const VERSION = 4;
export const POSE = 7; // numbers for a body: x, y, z, then a quaternion, w first
const FRAME = 1;
const HEADER = 32; // bytes
const FIRST_WAIT = 250; // ms before the first new attempt; doubles with each
const LONGEST_WAIT = 4000; // ms
const REPLACED = 4001; // close code: the same page was opened again
const TICK = 100; // ms; the server sends something at least every 150 ms
const QUIET = 5; // ticks without a message, after which the page says so
const DEAD = 30; // ticks, after which it connects anew
const BUFFER_LIMIT = 4096; // bytes that wait to be sent, above which input is held back
const ID_KEY = "gym-hil-page";
const ID_WAIT = 200; // ms that another page has to claim the id

/**
 * @typedef {"connecting" | "open" | "quiet" | "lost" | "refused" | "replaced" | "outdated" | "ended"} ConnectionState
 * @typedef {{channel: number, sequence: number, revision: number, published: number, inputTime: number, poses: Float32Array,
 *   status: Status, images: (Uint8Array<ArrayBuffer> | null)[]}} Frame
 * @typedef {{onState: (state: ConnectionState, retryAt: number) => void,
 *   onMessage: (message: ServerMessage) => void, onFrame: (frame: Frame) => void}} Handlers
 */

export class Connection {
  /** Whether the connection was ever open. */
  opened = false;
  /** @type {WebSocket | null} */
  #socket = null;
  #wait = FIRST_WAIT;
  #timer = 0;
  #ended = false;
  /** Ticks since the last message; counted, because a page that was busy finds its messages only after the clock. */
  #quiet = 0;
  #page;
  #handlers;

  /** @param {string} page the id of this page @param {Handlers} handlers */
  constructor(page, handlers) {
    this.#page = page;
    this.#handlers = handlers;
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => document.hidden || this.retry());
    setInterval(() => this.#listen(), TICK);
  }

  /** How long the server has been silent, ms. */
  get silence() {
    return this.#quiet * TICK;
  }

  /** Whether the server receives what is sent. */
  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Whether so much waits to be sent that input, of which the newest counts, should wait too. */
  get congested() {
    return !this.#socket || this.#socket.bufferedAmount > BUFFER_LIMIT;
  }

  /** @param {PageMessage} message */
  send(message) {
    if (this.open) {
      this.#socket?.send(JSON.stringify(message));
    }
  }

  connect() {
    const url = new URL("connect", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams({ page: this.#page }).toString();
    this.#quiet = 0;
    this.#handlers.onState("connecting", 0);
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code }) => socket === this.#socket && this.#close(code);
  }

  /** Tries again at once, if the connection is lost. */
  retry() {
    if (this.#timer) {
      clearTimeout(this.#timer);
      this.#timer = 0;
      this.connect();
    }
  }

  /** Notices a connection over which nothing comes any more, and gives it up in the end. */
  #listen() {
    if (!this.open || document.hidden || !this.opened) {
      this.#quiet = 0;
      return;
    }
    this.#quiet += 1;
    if (this.#quiet === QUIET) {
      this.#handlers.onState("quiet", 0);
    } else if (this.#quiet === DEAD && this.#socket) {
      this.#socket.onclose = this.#socket.onmessage = null;
      this.#socket.close(); // over a dead line this takes long, so it is not waited for
      this.#close(0);
    }
  }

  /** @param {string | ArrayBuffer} data */
  #receive(data) {
    if (this.#quiet >= QUIET) {
      this.#handlers.onState("open", 0);
    }
    this.#quiet = 0;
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message.type === "hello") {
        this.#wait = FIRST_WAIT;
        this.opened = true;
        this.#handlers.onState("open", 0);
      }
      this.#ended ||= message.type === "ended";
      if (message.type !== "alive") {
        this.#handlers.onMessage(message);
      }
    } else {
      const frame = readFrame(data);
      this.#handlers.onFrame(frame);
      this.send({ type: "ack", channel: frame.channel, sequence: frame.sequence });
    }
  }

  /** @param {number} code why the socket was closed */
  async #close(code) {
    this.#socket = null;
    if (this.#ended) {
      return;
    }
    if (code === REPLACED) {
      // Two pages with the same id would replace each other for ever.
      this.#handlers.onState("replaced", 0);
      return;
    }
    const wait = this.#wait * (0.8 + 0.4 * Math.random());
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.connect();
    }, wait);
    this.#handlers.onState("lost", performance.now() + wait);
    if (await isRefused()) {
      this.#handlers.onState("refused", 0);
    }
  }
}

/** A socket does not say why it was refused. If the page is refused too, the cookie is not valid. */
async function isRefused() {
  try {
    const answer = await fetch(document.baseURI, { method: "HEAD", cache: "no-store" });
    return answer.status === 401 || answer.status === 403;
  } catch {
    return false;
  }
}

/** Reads a frame. Its poses and images are views of the same buffer. @param {ArrayBuffer} buffer @returns {Frame} */
function readFrame(buffer) {
  const view = new DataView(buffer);
  if (view.getUint8(0) !== FRAME) {
    throw new Error(`The server sent a binary message of kind ${view.getUint8(0)}; expected ${FRAME}.`);
  }
  const bodies = view.getUint16(6, true);
  const text = HEADER + 4 * POSE * bodies;
  let offset = text + view.getUint16(2, true);
  const status = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, text, offset - text)));
  const images = [];
  for (let count = view.getUint8(1); count > 0; count -= 1) {
    const length = view.getUint32(offset, true);
    images.push(length ? new Uint8Array(buffer, offset + 4, length) : null);
    offset += 4 + length;
  }
  return {
    channel: view.getUint16(4, true),
    sequence: view.getUint32(8, true),
    revision: view.getUint32(12, true),
    published: view.getFloat64(16, true),
    inputTime: view.getFloat64(24, true),
    poses: new Float32Array(buffer, HEADER, POSE * bodies),
    status,
    images,
  };
}

/**
 * The id of this tab, by which the server recognises it after a lost connection or a reload. A duplicated tab starts
 * with a copy of the session's storage, so it asks first whether the id is in use.
 *
 * @returns {Promise<string>}
 */
export async function pageId() {
  const others = new BroadcastChannel(ID_KEY);
  const kept = sessionStorage.getItem(ID_KEY);
  const id = kept && !(await isTaken(others, kept)) ? kept : randomId();
  sessionStorage.setItem(ID_KEY, id);
  others.onmessage = ({ data }) => data.ask === id && others.postMessage({ taken: id });
  // A page that is leaving must not claim the id that its successor asks for.
  addEventListener("pagehide", () => (others.onmessage = null));
  return id;
}

/** @returns {string} 32 hexadecimal digits */
function randomId() {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16).padStart(8, "0")).join("");
}

/** @param {BroadcastChannel} others @param {string} id @returns {Promise<boolean>} */
function isTaken(others, id) {
  return new Promise((resolve) => {
    setTimeout(() => resolve(false), ID_WAIT);
    others.onmessage = ({ data }) => data.taken === id && resolve(true);
    others.postMessage({ ask: id });
  });
}
