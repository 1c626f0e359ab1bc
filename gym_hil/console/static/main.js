// Puts the page together: what the server says goes to the view and the words, what the operator does goes back.

import { addButtons, keyFor, showButtons } from "./buttons.js";
import { Cameras } from "./cameras.js";
import { Drag } from "./drag.js";
import { GamepadSource } from "./gamepad.js";
import * as hud from "./hud.js";
import { pageId } from "./identity.js";
import { Input } from "./input.js";
import { Insets } from "./insets.js";
import { Keyboard, keyWarnings } from "./keyboard.js";
import { showLine } from "./line.js";
import { Link } from "./link.js";
import { element, html, make } from "./page.js";
import { Plot } from "./plot.js";
import { VERSION } from "./protocol.js";
import { ChannelScene } from "./scene.js";
import { Sender } from "./sender.js";
import { addTabs } from "./tabs.js";
import { addTheme } from "./theme.js";
import { addJoysticks } from "./touch.js";
import { View, whoDraws } from "./view.js";

/**
 * @typedef {import("./protocol.js").Frame} Frame
 * @typedef {import("./protocol.js").ChannelInfo} ChannelInfo
 */

const STAGE_KEY = "gym-hil-channel";
const LATENCY_SHARE = 0.1; // of the newest value in the running mean

class Page {
  /** @type {ChannelInfo[]} */
  channels = [];
  /** The channel that is watched. @type {ChannelInfo | null} */
  channel = null;
  /** @type {import("./protocol.js").Controls | null} */
  controls = null;
  /** @type {import("./protocol.js").Seat | null} */
  seat = null;
  /** @type {Frame | null} */
  frame = null;
  /** @type {import("./link.js").LinkState} */
  linkState = "connecting";
  input = new Input();
  keyboard = new Keyboard(this.input);
  gamepad = new GamepadSource(this.input);
  plot = new Plot({
    chart: element("chart", SVGSVGElement),
    success: html("success-rate"),
    intervention: html("intervention-rate"),
    note: html("chart-note"),
  });
  view = makeView();
  cameras = this.view && new Cameras(this.view, () => this.#showPresets());
  drag =
    this.view &&
    this.cameras &&
    new Drag(this.view, {
      input: this.input,
      cameras: this.cameras,
      keyboard: this.keyboard,
      intervention: () => this.controls?.intervention ?? null,
      driving: () => this.frame?.status.driver === "operator",
      seenUntil: () => this.frame?.inputTime ?? 0,
    });
  insets = new Insets(html("cameras"), this.view);
  link;
  /** The seat is taken without being asked for at most once, when the page was opened to be looked at. */
  #mayTakeSeat = !document.hidden;
  /** Whether the channel that is watched can be driven. */
  #mayDrive = false;
  #seatedAt = Infinity; // ms
  #latency = 0; // ms
  #lastFrame = 0; // ms
  #retryAt = 0; // ms

  /** @param {string} id */
  constructor(id) {
    this.link = new Link(id, {
      onState: (state, retryAt) => this.#showLink(state, retryAt),
      onMessage: (message) => this.#hear(message),
      onFrame: (frame) => this.#show(frame),
    });
    new Sender(this.link, this.input, () => this.gamepad.poll());
    this.gamepad.onName = () => this.#showControls();
    addButtons(this.input);
    addTabs(/** @type {HTMLElement} */ (document.querySelector("[role=tablist]")));
    addTheme(html("theme"), (theme) => {
      if (this.view) {
        this.view.theme = theme;
      }
    });
    addJoysticks(this.input, html("joystick-plane"), html("joystick-height"));
    this.#bind();
    this.link.connect();
    setInterval(() => this.#showNotice(), 250);
  }

  #bind() {
    const channels = element("channels", HTMLSelectElement);
    channels.addEventListener("change", () => {
      this.#watch(this.channels.find(({ id }) => id === Number(channels.value)) ?? null);
      channels.blur();
    });
    html("seat-button").addEventListener("click", () => {
      this.link.send({ type: this.seat?.holder === "you" ? "release" : "take" });
    });
    html("pause").addEventListener("click", () => {
      this.link.send({ type: "pause", on: html("paused").hidden });
    });
    html("retry").addEventListener("click", () => this.link.retry());
    html("details").addEventListener("click", () => {
      const open = document.body.classList.toggle("details-open");
      html("details").setAttribute("aria-expanded", String(open));
    });
    addEventListener("beforeunload", (event) => {
      if (document.body.dataset.driver === "you") {
        event.preventDefault(); // Ctrl+W lies next to the keys that drive
      }
    });
  }

  /** @param {any} message */
  #hear(message) {
    if (message.channel !== undefined && message.channel !== this.channel?.id) {
      return;
    }
    switch (message.type) {
      case "hello":
        if (message.version !== VERSION) {
          hud.toast("The program is of another version than this page. Reload the page.");
        }
        this.channel = null;
        this.#listChannels(message.channels);
        break;
      case "channels":
        this.#listChannels(message.channels);
        break;
      case "controls":
        this.controls = message;
        this.keyboard.keys = message.keys;
        this.gamepad.pad = message.pad;
        this.#mayDrive = message.intervention !== null || message.requests.length > 0;
        this.#showControls();
        this.#showSeat();
        break;
      case "lock":
        this.#sit(message);
        break;
      case "episodes":
        this.plot.add(message.episodes, message.first);
        break;
      case "event":
        hud.addEvent(message);
        break;
      case "metrics":
        html("tab-training").hidden = false;
        hud.showMetrics(message.values);
        break;
      case "refused":
        hud.toast(message.text);
        break;
    }
  }

  /** @param {ChannelInfo[]} channels */
  #listChannels(channels) {
    this.channels = channels;
    const list = element("channels", HTMLSelectElement);
    list.replaceChildren(
      ...channels.map(({ id, title, drivable }) => new Option(drivable ? title : `${title} (view only)`, String(id))),
    );
    list.disabled = channels.length < 2;
    const known = channels.find(({ id }) => id === this.channel?.id);
    if (known) {
      list.value = String(known.id);
      this.channel = known;
      this.#showSeat();
    } else {
      const kept = Number(sessionStorage.getItem(STAGE_KEY));
      this.#watch(channels.find(({ id }) => id === kept) ?? channels.find(({ drivable }) => drivable) ?? channels[0] ?? null);
    }
  }

  /** @param {ChannelInfo | null} channel */
  #watch(channel) {
    this.channel = channel;
    this.#mayDrive = channel?.drivable ?? false;
    this.seat = this.frame = this.controls = null;
    this.input.enabled = false;
    if (this.drag) {
      this.drag.known = null;
    }
    this.plot.add([], true);
    html("part-events").replaceChildren();
    html("tab-training").hidden = true;
    this.#showSeat();
    this.#showNotice();
    if (channel) {
      sessionStorage.setItem(STAGE_KEY, String(channel.id));
      element("channels", HTMLSelectElement).value = String(channel.id);
      document.title = `${channel.title} – gym_hil console`;
      this.link.send({ type: "watch", channel: channel.id, images: this.view === null });
      this.#load(channel).catch((error) => hud.toast(`The scene cannot be shown: ${error.message}`));
    }
  }

  /** @param {ChannelInfo} channel */
  async #load(channel) {
    const get = async (/** @type {string} */ name) => {
      const answer = await fetch(`channel/${channel.id}/${name}`);
      if (!answer.ok) {
        throw new Error(await answer.text());
      }
      return answer;
    };
    const [description, meshes] = await Promise.all([
      get("scene.json").then((answer) => answer.json()),
      get("meshes.bin").then((answer) => answer.arrayBuffer()),
    ]);
    if (this.channel?.id !== channel.id) {
      return;
    }
    const scene = new ChannelScene(description, meshes);
    if (this.view) {
      this.view.channel = scene;
    }
    this.insets.reset(description);
    this.#showPresets();
    if (this.frame) {
      this.#draw(this.frame, 0);
    }
  }

  /** @param {import("./protocol.js").Seat} seat */
  #sit(seat) {
    this.seat = seat;
    this.#showSeat();
    if (this.#mayTakeSeat && this.#mayDrive) {
      this.#mayTakeSeat = false;
      if (seat.holder === "none") {
        this.link.send({ type: "take" });
      }
    }
  }

  /** @param {Frame} frame */
  #show(frame) {
    if (frame.channel !== this.channel?.id) {
      return;
    }
    const now = performance.now();
    const { status } = frame;
    const before = this.frame?.status;
    // A new episode starts somewhere else; nothing flew there.
    const jumps = !before || before.episode !== status.episode || (status.step ?? 0) < (before.step ?? 0);
    const dt = 1000 * (this.view?.channel?.description.dt ?? 0.1);
    const duration = jumps ? 0 : Math.min(dt, now - this.#lastFrame);
    this.frame = frame;
    this.#lastFrame = now;
    this.#draw(frame, duration);
    hud.showStatus(status);
    hud.showPaused(Boolean(status.paused));
    this.#showDriver();
    // Before that, the time is that of another page's clock.
    if (frame.inputTime > this.#seatedAt && frame.inputTime <= now) {
      const latency = now - frame.inputTime;
      this.#latency = this.#latency ? this.#latency + LATENCY_SHARE * (latency - this.#latency) : latency;
    }
  }

  /**
   * @param {Frame} frame
   * @param {number} duration ms
   */
  #draw(frame, duration) {
    const { view } = this;
    if (view?.channel && frame.poses.length === 7 * view.channel.description.bodies.length) {
      view.channel.aim(frame.poses, performance.now(), duration);
      view.request();
    }
    if (!document.hidden) {
      this.insets.show(frame);
    }
    if (this.drag) {
      this.drag.known = frame.status.target ?? frame.status.tcp;
    }
  }

  #showDriver() {
    const driver = hud.whoDrives(this.frame?.status ?? null, this.seat);
    const seated = this.seat?.holder === "you";
    hud.showDriver(driver, this.controls, seated, keyFor(this.controls?.keys ?? {}, "INTERVENE"));
  }

  #showSeat() {
    const seated = this.linkState === "open" && this.seat?.holder === "you";
    if (seated !== this.input.enabled) {
      this.#seatedAt = seated ? performance.now() : Infinity;
      this.#latency = 0;
    }
    this.input.enabled = seated;
    hud.showSeat(this.seat, this.#mayDrive);
    element("pause", HTMLButtonElement).disabled = !seated;
    showButtons(this.controls ?? NO_CONTROLS, seated);
    document.querySelectorAll("#requests button").forEach((button) => button.toggleAttribute("disabled", !seated));
    this.#showDriver();
    this.view?.request();
  }

  #showControls() {
    const { legend, keys, requests } = this.controls ?? NO_CONTROLS;
    hud.showLegend(legend, keyWarnings(keys), this.gamepad.name);
    html("requests").replaceChildren(
      ...requests.map((name) => {
        const button = make("button", name.replaceAll("_", " "), "button");
        button.type = "button";
        button.addEventListener("click", () => this.link.send({ type: "request", name }));
        return button;
      }),
    );
    if (requests.length) {
      html("tab-training").hidden = false;
    }
  }

  #showPresets() {
    const root = html("presets");
    const buttons = (this.cameras?.presets ?? []).map(([name, label]) => {
      const button = make("button", label);
      button.type = "button";
      button.dataset.preset = name;
      button.setAttribute("aria-pressed", String(name === this.cameras?.preset));
      button.addEventListener("click", ({ detail }) => {
        this.cameras?.show(name);
        if (detail === 0) {
          /** @type {HTMLElement | null} */ (root.querySelector(`[data-preset=${name}]`))?.focus();
        }
      });
      return button;
    });
    root.replaceChildren(...buttons);
  }

  /**
   * @param {import("./link.js").LinkState} state
   * @param {number} retryAt ms
   */
  #showLink(state, retryAt) {
    // An attempt to come back is part of being lost, until it worked.
    const lost = this.linkState === "lost" && state === "connecting";
    this.linkState = lost ? "lost" : state;
    this.#retryAt = retryAt;
    document.body.dataset.link = this.linkState;
    if (this.linkState !== "open") {
      this.seat = this.frame = null; // who drives is not known
      this.input.dropChanges();
    }
    this.#showSeat();
    this.#showNotice();
  }

  #showNotice() {
    showLine({
      state: this.linkState,
      staged: this.channel !== null,
      retryAt: this.#retryAt,
      latency: this.linkState === "open" ? this.#latency : 0,
    });
  }
}

/** @type {import("./protocol.js").Controls} */
const NO_CONTROLS = { channel: 0, intervention: null, keys: {}, pad: {}, buttons: {}, legend: [], requests: [] };

/** The view, or null where the browser has no WebGL; everything but the view works then. */
function makeView() {
  if (whoDraws()) {
    return new View(element("view", HTMLCanvasElement));
  }
  hud.toast("This browser shows no 3-D graphics (WebGL). Everything else works.");
  return null;
}

export const page = new Page(await pageId());
