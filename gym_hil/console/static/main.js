// Connects the parts of the page: messages of the server go to the view and the text, input of the operator goes back.

import { Connection, pageId, VERSION } from "./connection.js";
import { addTheme, element, html, make, setText } from "./dom.js";
import { Drag } from "./drag.js";
import { ForcePlot } from "./force_plot.js";
import * as hud from "./hud.js";
import { Images } from "./images.js";
import { InputState, sendInput } from "./input.js";
import * as sources from "./input_sources.js";
import { Plot } from "./plot.js";
import { ChannelScene } from "./scene.js";
import { Sounds } from "./sounds.js";
import { Cameras, graphics, View } from "./view.js";
import { Xr } from "./xr.js";
/** @import {ConnectionState, Frame} from "./connection.js" */
/** @import {Bindings, Button, ChannelInfo, Lock, SceneDescription, ServerMessage, Session} from "./messages.js" */
/** @import {Hands} from "./xr_hands.js" */
/** @import {Facts} from "./xr_panel.js" */

/** Buttons without which the handle has no ring about x, y and z. */
const RINGS = ["TURN_X_PLUS", "TURN_Y_PLUS", "TURN_Z_PLUS"];
/** What the operator can choose between episodes, for the panel in the headset. @type {Record<string, string>} */
const CHOICES = { SUCCESS: "Keep", RERECORD: "Again", DELETE_LAST: "Delete last", QUIT: "Quit" };
const TWICE = new Set(["DELETE_LAST", "QUIT"]); // of these, those that are pressed twice
/** States of a connection that ends by itself when the line is back. */
const LOST = new Set(["connecting", "quiet", "lost"]);
const CHANNEL_KEY = "gym-hil-channel";
const LATENCY_SHARE = 0.1; // of the newest value in the running mean
const NO_WEBGL = "This browser has no 3-D graphics (WebGL), so you see images that the program draws.";
const NO_VIEW =
  "This browser has no 3-D graphics (WebGL), and the model has no camera. To see it here, make the environment with " +
  'render_mode="rgb_array".';

/** @type {Bindings} */
const NO_BINDINGS = {
  type: "bindings",
  channel: 0,
  intervention: null,
  keys: {},
  pad: {},
  sticks: [],
  headset: {},
  buttons: {},
  legend: [],
  requests: [],
};

class Page {
  /** @type {ChannelInfo[]} */
  channels = [];
  /** The channel that is watched. @type {ChannelInfo | null} */
  channel = null;
  /** @type {Bindings} */
  bindings = NO_BINDINGS;
  /** @type {Lock | null} */
  lock = null;
  /** @type {Session | null} */
  session = null;
  /** What is shown. @type {SceneDescription | null} */
  description = null;
  /** @type {Frame | null} */
  frame = null;
  /** @type {ConnectionState} */
  state = "connecting";
  input = new InputState();
  keyboard = new sources.Keyboard(this.input);
  gamepad = new sources.GamepadSource(this.input);
  plot = new Plot();
  forces = new ForcePlot();
  sounds = new Sounds(html("sounds"));
  canvas = element("view", HTMLCanvasElement);
  view = graphics() ? new View(this.canvas) : null;
  cameras = this.view && new Cameras(this.view, () => this.#showPresets());
  images = new Images(html("cameras"), this.view, element("image", HTMLCanvasElement));
  drag =
    this.view &&
    this.cameras &&
    new Drag(this.view, {
      input: this.input,
      cameras: this.cameras,
      keyboard: this.keyboard,
      intervention: () => this.bindings.intervention,
      turns: () => RINGS.map((button) => button in this.bindings.buttons),
      driving: () => this.frame?.status.driver === "operator",
      seenUntil: () => this.frame?.inputTime ?? 0,
    });
  xr =
    this.view &&
    new Xr(this.view, {
      input: this.input,
      toast: hud.toast,
      onChange: () => this.#showHeadset(),
      bindings: () => this.bindings,
      facts: (hands) => this.#facts(hands),
    });
  connection;
  /** The control lock is taken without being asked for at most once, when the page was opened to be looked at. */
  #mayTakeLock = !document.hidden;
  /** Whether the channel that is watched can be driven. */
  #mayDrive = false;
  #loading = false;
  #farewell = "";
  /** Meshes that were loaded, and for which descriptions. */
  #meshes = { key: "", data: new ArrayBuffer(0) };
  #wasDriving = false;
  /** When the phase of the session ends by itself, ms; 0 if it does not. */
  #phaseEnd = 0;
  #lastTick = 0; // s that were left in it at the last tick
  /** Since when this page has the control lock, ms. */
  #lockedAt = Infinity;
  #latency = 0; // ms
  #lastFrame = 0; // ms
  #showing = 0; // the animation frame that will show the status; 0 for none
  #retryAt = 0; // ms

  /** @param {string} id */
  constructor(id) {
    this.connection = new Connection(id, {
      onState: (state, retryAt) => this.#setState(state, retryAt),
      onMessage: (message) => this.#receive(message),
      onFrame: (frame) => this.#show(frame),
    });
    sendInput(this.input, this.connection, () => this.gamepad.poll());
    this.gamepad.onName = () => this.#showBindings();
    this.keyboard.onLayout = () => {
      this.#showBindings();
      this.#showLock();
    };
    sources.addButtons(this.input);
    addTheme(html("theme"), (theme) => {
      if (this.view) {
        this.view.theme = theme;
      }
    });
    sources.addJoysticks(this.input, html("joystick-plane"), html("joystick-height"));
    this.#bind();
    this.connection.connect();
    setInterval(() => this.#showConnection(), 100);
  }

  #bind() {
    const channels = element("channels", HTMLSelectElement);
    channels.addEventListener("change", () => {
      this.#watch(this.channels.find(({ id }) => id === Number(channels.value)) ?? null);
      channels.blur();
    });
    const presets = element("presets", HTMLSelectElement);
    presets.addEventListener("change", () => {
      (this.#drawn ? this.cameras : this.images)?.show(presets.value);
      presets.blur();
    });
    html("lock-button").addEventListener("click", () => {
      const gives = this.lock?.holder === "you" || (this.lock?.holder === "other" && this.lock.asked === "you");
      this.connection.send({ type: gives ? "release" : "take" });
    });
    html("grant").addEventListener("click", () => this.connection.send({ type: "answer", grant: true }));
    html("deny").addEventListener("click", () => this.connection.send({ type: "answer", grant: false }));
    html("pause").addEventListener("click", () => {
      this.connection.send({ type: "pause", on: !this.frame?.status.paused });
    });
    for (const mode of /** @type {const} */ (["immersive-vr", "immersive-ar"])) {
      html(mode).addEventListener("click", () => {
        if (!this.xr) {
          hud.toast(NO_WEBGL);
        } else if (this.lock?.holder === "none") {
          this.connection.send({ type: "take" });
        }
        this.xr?.toggle(mode);
      });
    }
    html("retry").addEventListener("click", () => this.connection.retry());
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

  /** @param {ServerMessage} message */
  #receive(message) {
    if (this.state === "outdated" || ("channel" in message && message.channel !== this.channel?.id)) {
      return;
    }
    switch (message.type) {
      case "hello":
        if (message.version !== VERSION) {
          this.#setState("outdated", 0);
          break;
        }
        this.channel = null;
        this.#listChannels(message.channels);
        break;
      case "channels":
        this.#listChannels(message.channels);
        break;
      case "bindings":
        this.bindings = message;
        this.keyboard.keys = message.keys;
        this.gamepad.pad = message.pad;
        this.gamepad.sticks = message.sticks;
        this.#mayDrive = message.intervention !== null || message.requests.length > 0;
        this.#showBindings();
        this.#showLock();
        break;
      case "session":
        this.#setSession(message);
        break;
      case "ended":
        this.#farewell = message.text;
        this.#setState("ended", 0);
        break;
      case "lock":
        this.#setLock(message);
        break;
      case "episodes":
        this.plot.add(message.episodes, message.first);
        break;
      case "logevent":
        hud.addEvent(message);
        if (message.kind === "connection") {
          hud.toast(message.text);
        }
        break;
      case "metrics":
        html("training").hidden = false;
        hud.showMetrics(message.values);
        break;
      case "refused":
        hud.toast(message.text);
        break;
    }
  }

  /** @param {Session} session */
  #setSession(session) {
    const before = this.session?.phase ?? null;
    this.session = session;
    this.#phaseEnd = session.seconds === null ? 0 : performance.now() + 1000 * session.seconds;
    this.#lastTick = 0;
    if (session.phase === "running" && (before === "ready" || before === "waiting")) {
      this.sounds.play("start");
    } else if (session.phase === "outcome" && before !== "outcome") {
      this.sounds.play(this.frame?.status.success ? "success" : "end");
    }
    hud.showSession(session);
    this.#showLock();
    this.#showConnection();
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
      this.#showLock();
    } else {
      const kept = Number(sessionStorage.getItem(CHANNEL_KEY));
      const drivable = channels.find((channel) => channel.drivable);
      this.#watch(channels.find(({ id }) => id === kept) ?? drivable ?? channels[0] ?? null);
    }
  }

  /** @param {ChannelInfo | null} channel */
  #watch(channel) {
    this.channel = channel;
    this.#mayDrive = channel?.drivable ?? false;
    this.lock = this.frame = this.description = this.session = null;
    this.bindings = NO_BINDINGS;
    this.input.enabled = false;
    if (this.drag) {
      this.drag.toolTarget = null;
    }
    this.plot.add([], true);
    this.forces.clear();
    html("part-events").replaceChildren();
    html("training").hidden = true;
    this.#phaseEnd = 0;
    hud.showSession(null);
    this.#showLock();
    this.#showConnection();
    if (channel) {
      sessionStorage.setItem(CHANNEL_KEY, String(channel.id));
      element("channels", HTMLSelectElement).value = String(channel.id);
      document.title = `${channel.title} – gym_hil console`;
      this.connection.send({ type: "watch", channel: channel.id, images: !this.view });
      this.#load(channel);
    }
  }

  /** Whether the page draws the scene, rather than showing images. */
  get #drawn() {
    return this.view !== null && (this.description?.bodies.length ?? 0) > 0;
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
    this.#loading = true;
    try {
      /** @type {SceneDescription} */
      const description = await (await get("scene.json")).json();
      const key = `${channel.id} ${JSON.stringify(description.meshes)}`;
      if (this.view && key !== this.#meshes.key && Object.keys(description.meshes).length) {
        this.#meshes = { key, data: await (await get("meshes.bin")).arrayBuffer() };
      }
      if (this.channel?.id === channel.id) {
        this.#describe(description);
      }
    } catch (error) {
      hud.toast(`The scene cannot be shown: ${error instanceof Error ? error.message : error}`);
    } finally {
      this.#loading = false;
    }
  }

  /** @param {SceneDescription} description */
  #describe(description) {
    const isNew = this.description === null;
    this.description = description;
    if (this.view) {
      this.view.channel = this.#drawn ? new ChannelScene(description, this.#meshes.data, this.view.slow) : null;
    }
    if (isNew && description.view) {
      this.cameras?.start(description.view);
    }
    this.images.reset(description, this.#drawn);
    this.canvas.hidden = !this.#drawn;
    html("image").hidden = this.#drawn;
    const blank = !this.#drawn && description.bodies.length > 0 && !description.images.length;
    setText(html("view-note"), this.#drawn ? "" : (description.note ?? (blank ? NO_VIEW : "")));
    if (isNew && !this.view && description.bodies.length) {
      hud.toast(NO_WEBGL);
    }
    this.#showPresets();
    if (this.frame) {
      this.#draw(this.frame, 0);
    }
  }

  /** @param {Lock} lock */
  #setLock(lock) {
    this.lock = lock;
    this.#showLock();
    if (this.#mayTakeLock && this.#mayDrive) {
      this.#mayTakeLock = false;
      if (lock.holder === "none") {
        this.connection.send({ type: "take" });
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
    // A new episode starts somewhere else; nothing moved there.
    const jumps = !before || before.episode !== status.episode || (status.step ?? 0) < (before.step ?? 0);
    const dt = 1000 * (this.description?.dt ?? 0.1);
    const duration = jumps ? 0 : Math.min(dt, now - this.#lastFrame);
    this.frame = frame;
    this.#lastFrame = now;
    this.xr?.show(frame);
    if (status.stopped && before && !before.stopped) {
      this.sounds.play("stop");
    }
    if (status.asks_for_help && status.driver !== "operator" && !before?.asks_for_help) {
      this.sounds.play("help");
      this.gamepad.rumble();
    }
    if (frame.revision === this.description?.revision) {
      this.#draw(frame, this.xr?.smoothing(duration) ?? duration);
    } else if (!this.#loading && frame.revision > (this.description?.revision ?? 0)) {
      this.#load(this.channel);
    }
    this.forces.add(status.force_torque);
    if (this.xr?.session?.domOverlayState) {
      this.#showStatus(); // a phone in AR shows buttons of the page, whether or not it runs the page's animation frames
    } else {
      this.#showing ||= requestAnimationFrame(() => this.#showStatus());
    }
    // Before that, the time is that of another page's clock.
    if (frame.inputTime > this.#lockedAt && frame.inputTime <= now) {
      const latency = now - frame.inputTime;
      this.#latency = this.#latency ? this.#latency + LATENCY_SHARE * (latency - this.#latency) : latency;
    }
  }

  /** When the browser draws the page, which a headset does not do while it shows the scene. */
  #showStatus() {
    this.#showing = 0;
    if (this.frame) {
      hud.showStatus(this.frame.status, this.session);
    }
    this.#showDriver();
  }

  /** @param {Frame} frame @param {number} duration ms */
  #draw(frame, duration) {
    const { view } = this;
    if (frame.revision !== this.description?.revision) {
      return;
    }
    if (view?.channel) {
      view.channel.aim(frame.poses, performance.now(), duration);
      view.request();
    }
    if (!document.hidden) {
      this.images.update(frame);
    }
    if (this.drag) {
      this.drag.toolTarget = this.#drawn && !this.xr?.session ? frame.status.target : null;
      this.drag.toolRotation = frame.status.target_rotation;
    }
  }

  #showDriver() {
    const status = this.state === "open" ? (this.frame?.status ?? null) : null;
    const driver = hud.whoDrives(status, this.lock, this.session);
    const keyOf = (/** @type {string} */ button) => sources.keyFor(this.bindings.keys, button);
    hud.showDriver(driver, this.bindings, this.lock?.holder === "you", keyOf, status);
  }

  #showLock() {
    const hasLock = this.state === "open" && this.lock?.holder === "you";
    if (hasLock !== this.input.enabled) {
      this.#lockedAt = hasLock ? performance.now() : Infinity;
      this.#latency = 0;
    }
    this.input.enabled = hasLock;
    hud.showLock(this.lock, this.#mayDrive);
    element("pause", HTMLButtonElement).disabled = !hasLock;
    html("pause").hidden = !this.#mayDrive;
    sources.showButtons(this.bindings, hasLock, this.session);
    document.querySelectorAll("#requests button").forEach((button) => button.toggleAttribute("disabled", !hasLock));
    this.#showDriver();
    this.view?.request();
  }

  #showBindings() {
    const { legend, keys, requests } = this.bindings;
    hud.showLegend(legend, sources.keyRows(this.bindings), sources.keyWarnings(keys), this.gamepad.name);
    this.#showHeadset();
    html("requests").replaceChildren(
      ...requests.map((name) => {
        const button = make("button", name.replaceAll("_", " "), "button");
        button.type = "button";
        button.addEventListener("click", () => this.connection.send({ type: "request", name }));
        return button;
      }),
    );
    if (requests.length) {
      html("training").hidden = false;
    }
  }

  /** The buttons that enter VR and AR, where a headset can drive. */
  #showHeadset() {
    const modes = /** @type {const} */ ([["immersive-vr", "VR"], ["immersive-ar", "AR"]]);
    for (const [mode, name] of modes) {
      const obstacle = this.xr ? this.xr.obstacle(mode) : NO_WEBGL;
      const button = element(mode, HTMLButtonElement);
      // A computer's browser that could enter neither shows one button, which says why.
      button.hidden = !Object.keys(this.bindings.headset).length || (mode === "immersive-ar" && obstacle !== "");
      button.setAttribute("aria-disabled", String(obstacle !== ""));
      button.title = obstacle;
      setText(button, this.xr?.session ? `Exit ${name}` : `Enter ${name}`);
    }
  }

  /** What the panel in the headset shows. @param {Hands} hands @returns {Facts} */
  #facts(hands) {
    const { frame, session, lock } = this;
    const status = frame?.status;
    const stop = hands.controlFor("STOP");
    const stopped = status?.stopped ? `Emergency stop${stop && `: ${stop} to go on`}` : "";
    const other = lock && lock.holder !== "you" ? "Another page has the controls: this one only watches" : "";
    const text = (/** @type {string} */ id) => html(id).textContent ?? "";
    const choices = (session?.choices ?? []).map((name) => {
      const button = /** @type {Button} */ (name);
      const control = hands.controlFor(button);
      return control && `${CHOICES[name]}: ${control}${TWICE.has(name) ? ", twice" : ""}`;
    });
    return {
      driver: document.body.dataset.driver ?? "none",
      title: this.state === "open" ? `${text("driver-name")} ${text("driver-does")}` : text("connection-text"),
      hint: `${hands.clutch} to ${status?.driver === "operator" ? "move" : "take over"}`,
      episode: `Episode ${text("episode")}`,
      steps: text("steps"),
      time: text("time-left"),
      session: session?.activity === "recording" ? "● REC" : "",
      success: status?.success === true,
      scale: status?.hand_scale ?? null,
      notice: capitalised(text("pending") || text("badge")),
      choices: choices.filter(Boolean),
      // What connecting again does not cure has words of its own.
      problem:
        this.state === "open" ? stopped || other : LOST.has(this.state) ? "No signal: the robot holds still" : text("notice-title"),
    };
  }

  #showPresets() {
    // Without a scene one of the images takes the place of the view.
    const source = this.#drawn && this.cameras ? this.cameras : this.images;
    const list = element("presets", HTMLSelectElement);
    list.replaceChildren(...source.presets.map((name) => new Option(name, name)));
    list.value = source.preset;
    html("look").hidden = source.presets.length < 2;
  }

  /** @param {ConnectionState} state @param {number} retryAt ms */
  #setState(state, retryAt) {
    if (this.state === "ended" || this.state === "outdated" || (state === "quiet" && this.state !== "open")) {
      return;
    }
    if ((state === "lost" || state === "quiet") && this.state === "open") {
      this.#wasDriving = document.body.dataset.driver === "you";
    }
    // An attempt to reconnect is part of being lost, until it worked.
    this.state = this.state === "lost" && state === "connecting" ? "lost" : state;
    this.#retryAt = retryAt;
    document.body.dataset.connection = this.state;
    if (this.state !== "open") {
      this.input.dropChanges();
      if (this.state !== "quiet") {
        this.lock = this.frame = null; // who drives is not known
      }
    }
    this.#showLock();
    this.#showConnection();
  }

  #showConnection() {
    hud.showConnection({
      state: this.state,
      opened: this.connection.opened,
      hasChannel: this.channel !== null,
      wasDriving: this.#wasDriving,
      retryAt: this.#retryAt,
      latency: this.state === "open" ? this.#latency : 0,
      silence: this.connection.silence,
      farewell: this.#farewell,
    });
    const left = this.#phaseEnd ? (this.#phaseEnd - performance.now()) / 1000 : 0;
    const tick = Math.ceil(left);
    if (this.session?.phase === "ready" && tick > 0 && tick !== this.#lastTick) {
      this.sounds.play("tick");
    }
    this.#lastTick = tick;
    hud.showBadge(this.state === "quiet" ? this.connection.silence : 0, this.frame?.status ?? null, this.session, left);
  }
}

/** @param {string} text */
function capitalised(text) {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

export const page = new Page(await pageId());
