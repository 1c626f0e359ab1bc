// Text and numbers around the view: who drives, the episode, the connection, what happened.

import { html, make, setText, within } from "./dom.js";
/** @import {ConnectionState} from "./connection.js" */
/** @import {Bindings, LegendPart, Lock, LogEvent, Session, Status} from "./messages.js" */

const EVENTS_KEPT = 50;
const TOAST = 5000; // ms

/** @typedef {"none" | "stopped" | "nobody" | "policy" | "you" | "other" | "operator"} Driver */

/** Driver -> name in the banner, and what it says about them. */
const DRIVERS = {
  none: ["", ""],
  stopped: ["Stopped", "and holding still"],
  nobody: ["Nobody", "is driving"],
  policy: ["Policy", "is driving"],
  you: ["You", "are driving"],
  other: ["Another operator", "is driving"],
  operator: ["An operator", "is driving, at the machine"],
};
/** @type {Record<ConnectionState, string>} */
const CONNECTION = {
  connecting: "Connecting",
  open: "Connected",
  quiet: "No signal",
  lost: "Connection lost",
  refused: "Not allowed",
  replaced: "Opened elsewhere",
  outdated: "Another version",
  ended: "Ended",
};
/** @type {Record<NonNullable<Session["activity"]>, string>} */
const ACTIVITIES = { driving: "", recording: "REC", training: "Training", evaluating: "Evaluating" };

/**
 * @param {Status | null} status
 * @param {Lock | null} lock
 * @param {Session | null} session
 * @returns {Driver}
 */
export function whoDrives(status, lock, session) {
  if (status?.stopped) {
    return "stopped";
  }
  if (status?.driver !== "operator") {
    return status?.driver === "policy" && session?.has_policy === false ? "nobody" : (status?.driver ?? "none");
  }
  const holder = lock?.holder ?? "none";
  return holder === "none" ? "operator" : holder;
}

/**
 * @param {Driver} driver
 * @param {Bindings} bindings
 * @param {boolean} hasLock
 * @param {(button: string) => string} keyOf what is pressed for a button, empty if there is no such key
 * @param {Status | null} status
 */
export function showDriver(driver, bindings, hasLock, keyOf, status) {
  const key = keyOf("INTERVENE");
  const asks = driver === "policy" && Boolean(status?.asks_for_help);
  const [name, does] = asks ? [DRIVERS.policy[0], "asks for help"] : DRIVERS[driver];
  const by = key ? ` with ${key}` : "";
  const toggle = driver === "you" ? `Hand back${by}` : `Take over${by}`;
  const hints = {
    toggle,
    stay: toggle,
    hold: driver === "you" ? "Release to hand back" : `Hold ${key || "the button"} to drive`,
    auto: driver === "you" ? "Stop moving to hand back" : "Move to take over",
  };
  const mode = hasLock && ["you", "policy", "nobody"].includes(driver) ? bindings.intervention : null;
  document.body.dataset.driver = driver;
  document.body.toggleAttribute("data-asks", asks);
  setText(html("driver-name"), name);
  setText(html("driver-does"), does);
  if (driver === "stopped") {
    setText(html("driver-hint"), hasLock ? `Release with ${keyOf("STOP") || "the button"}` : "");
    return;
  }
  setText(html("driver-hint"), status?.silent ? "No input arrives: holding still" : mode ? hints[mode] : "");
  const handBack = mode === "hold" ? "Driving" : "Hand back";
  const label = driver === "you" ? handBack : mode === "hold" ? "Hold to drive" : "Take over";
  for (const button of document.querySelectorAll("[data-button=INTERVENE]")) {
    setText(within(button, "span", HTMLElement), label);
  }
}

/** @param {Lock | null} lock @param {boolean} drivable */
export function showLock(lock, drivable) {
  const button = html("lock-button");
  const holder = lock?.holder ?? "none";
  const asks = holder === "other" && lock?.asked === "you";
  const texts = { you: "You have the controls", none: "The controls are free", other: "Another page has the controls" };
  const wait = holder === "other" && lock && lock.free_in !== null ? `, free in ${Math.ceil(lock.free_in)} s` : "";
  const others = (lock?.pages ?? 1) - 1;
  document.body.dataset.lock = drivable ? holder : "none";
  const text = asks ? "Asked for the controls" : texts[holder];
  setText(html("lock-text"), !lock ? "" : drivable ? text + wait : "View only");
  setText(html("pages"), others > 0 ? `${others} other page${others > 1 ? "s" : ""} open` : "");
  const labels = { you: "Release", none: "Take the controls", other: asks ? "Withdraw request" : "Ask for the controls" };
  setText(button, labels[holder]);
  button.hidden = !lock || !drivable;
  button.classList.toggle("primary", holder === "none");
  html("ask").hidden = !(holder === "you" && lock?.asked === "other");
}

/** @param {Status} status @param {Session | null} session */
export function showStatus(status, session) {
  const { max_steps: limit, seconds_left: left, gripper } = status;
  const step = status.step ?? 0;
  const wanted = session?.episodes ? ` of ${session.episodes}` : "";
  setText(html("episode"), `${session?.episode ?? status.episode ?? "–"}${wanted}`);
  setText(html("steps"), limit === null ? `${step} steps` : `Step ${step} of ${limit}`);
  setText(html("time-left"), left === null ? "" : `${Math.max(left, 0).toFixed(1)} s left`);
  /** @type {HTMLElement} */ (html("progress").firstElementChild).style.width = `${limit ? (100 * step) / limit : 0}%`;
  html("progress").setAttribute("aria-valuenow", String(step));
  html("progress").setAttribute("aria-valuemax", String(limit ?? step));
  setText(html("reward"), number(status.reward));
  setText(html("return"), number(status.episode_return));
  setText(html("gripper"), gripper === null ? "" : `${Math.round(100 * gripper)}%`);
  html("gripper-row").hidden = gripper === null;
  html("outcome").hidden = !status.success;
  setText(html("pause-label"), status.paused ? "Resume" : "Pause");
  html("pause").setAttribute("aria-pressed", String(Boolean(status.paused)));
  for (const button of document.querySelectorAll("[data-button=STOP]")) {
    setText(within(button, "span", HTMLElement), status.stopped ? "Release stop" : "Stop");
    button.setAttribute("aria-pressed", String(status.stopped));
  }
  setText(html("pending"), status.pending ?? "");
  html("pending").hidden = !status.pending;
}

/** @param {Session | null} session what the command does */
export function showSession(session) {
  const { activity = null, dataset = null, episode = null, episodes = null } = session ?? {};
  const count = episode === null ? "" : `episode ${episode}${episodes ? ` of ${episodes}` : ""}`;
  const parts = [activity ? ACTIVITIES[activity] : "", [dataset, count].filter(Boolean).join(" · ")];
  html("session").hidden = !parts.some(Boolean);
  html("session").dataset.activity = activity ?? "";
  setText(html("activity"), parts[0]);
  setText(html("session-text"), parts[1]);
}

/**
 * What is to be known before anything else: there is no signal, it is paused, or something is waited for.
 *
 * @param {number} silence ms since the last message; 0 while they come
 * @param {Status | null} status
 * @param {Session | null} session
 * @param {number} left s until the phase of the session ends by itself; 0 if it does not
 */
export function showBadge(silence, status, session, left) {
  const seconds = left > 0 ? `${Math.ceil(left)} s` : "";
  const outcome = session?.outcome ? session.outcome + (seconds && `, kept in ${seconds}`) : "";
  const ready = session?.phase === "ready" ? (seconds ? `Ready: starts in ${seconds}` : `Ready: ${session.waiting}`) : "";
  const waiting = outcome || ready || (session?.waiting ? `Waiting: ${session.waiting}` : "");
  const text = silence ? `No image for ${(silence / 1000).toFixed(1)} s` : status?.paused ? "Paused" : waiting;
  setText(html("badge"), text);
  html("badge").hidden = !text;
}

/**
 * @param {LegendPart[]} legend
 * @param {[string, string][]} keys what is printed on the keys of this keyboard, and what they do
 * @param {[string, string][]} warnings
 * @param {string | null} pad the gamepad that is attached
 */
export function showLegend(legend, keys, warnings, pad) {
  const parts = legend.map(({ title, rows }) => {
    const section = document.createElement("section");
    const list = make("dl", "", "legend");
    const name = title.toLowerCase();
    for (const [control, action] of name.includes("keyboard") ? [...keys, ...warnings] : rows) {
      list.append(make("dt", control), make("dd", action));
    }
    section.append(make("h3", title));
    if (pad && name.includes("gamepad")) {
      section.append(make("p", pad, "note"));
    }
    section.append(list);
    return section;
  });
  const none = make("p", "This environment cannot be driven from the page.", "note");
  html("part-controls").replaceChildren(...(parts.length ? parts : [none]));
}

/** @param {LogEvent} event */
export function addEvent({ time, kind, text }) {
  const row = document.createElement("li");
  const when = new Date(1000 * time);
  const clock = make("time", when.toLocaleTimeString([], { hour12: false }));
  clock.dateTime = when.toISOString();
  row.dataset.kind = kind;
  row.append(clock, make("span", text));
  const list = html("part-events");
  list.prepend(row);
  while (list.children.length > EVENTS_KEPT) {
    list.lastElementChild?.remove();
  }
}

/** @param {Record<string, number>} values */
export function showMetrics(values) {
  const rows = Object.entries(values).map(([name, value]) => {
    const row = document.createElement("div");
    row.append(make("dt", name.replaceAll("_", " ")), make("dd", number(value)));
    return row;
  });
  html("metrics").replaceChildren(...rows);
}

/** @param {string} text shown for a while */
export function toast(text) {
  const place = html("toast");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(Number(place.dataset.timer));
  place.dataset.timer = String(setTimeout(() => (place.hidden = true), TOAST));
}

/**
 * Shows the state of the connection, in a notice over the view where nothing else works without it.
 *
 * @typedef {{state: ConnectionState, opened: boolean, hasChannel: boolean, wasDriving: boolean, retryAt: number,
 *   latency: number, silence: number, farewell: string}} ConnectionInfo with the time of the next attempt (ms, 0 for now), the age of the
 *   newest input when its effect was seen (ms, 0 if unknown), how long the server has been silent (ms), and what it
 *   said at its end
 * @param {ConnectionInfo} info
 */
export function showConnection(info) {
  const { state, retryAt, latency, silence } = info;
  const ms = state === "quiet" ? silence : latency;
  setText(html("connection-text"), CONNECTION[state]);
  html("connection-text").dataset.latency = ms ? ` · ${Math.round(ms)} ms` : "";
  const [title, text] = noticeFor(info);
  html("notice").hidden = !title;
  setText(html("notice-title"), title);
  setText(html("notice-text"), text);
  html("retry").hidden = state !== "lost" || !retryAt;
}

/** @param {ConnectionInfo} info @returns {[title: string, text: string]} */
function noticeFor({ state, opened, hasChannel, wasDriving, retryAt, farewell }) {
  switch (state) {
    case "connecting":
    case "quiet":
      return ["", ""];
    case "ended":
      return [farewell, "You can close this page. A program that starts again prints a new link."];
    case "open":
      return hasChannel ? ["", ""] : ["No environment is open", "It appears here as soon as one is."];
    case "refused":
      return ["This link is no longer valid", "Open the link that the program printed when it was started."];
    case "outdated":
      return ["The program is of another version than this page", "Reload the page to use it."];
    case "replaced":
      return ["Opened elsewhere", "The same page was opened again. Reload to use it here."];
    case "lost": {
      const wait = Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
      const next = retryAt ? `Trying again in ${wait} s.` : "Trying again.";
      const robot = "Without your input it holds still, and after 2 s you are no longer driving. ";
      const proxy = `Behind a proxy, start the program with --public-url ${document.baseURI} `;
      return opened ? ["Connection lost", (wasDriving ? robot : "") + next] : ["No connection", proxy + next];
    }
  }
}

/** @param {number | null} value */
function number(value) {
  if (value === null) {
    return "–";
  }
  const size = Math.abs(value);
  const plain = Number.isInteger(value) || (size >= 0.001 && size < 1e5);
  return plain ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}
