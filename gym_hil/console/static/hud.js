// Text and numbers around the view: who drives, the episode, the connection, what happened.

import { html, make, setText } from "./dom.js";

const EVENTS_KEPT = 50;
const TOAST = 5000; // ms

/**
 * @typedef {import("./messages.js").Status} Status
 * @typedef {import("./messages.js").Lock} Lock
 * @typedef {import("./messages.js").Bindings} Bindings
 * @typedef {import("./connection.js").ConnectionState} ConnectionState
 * @typedef {"none" | "policy" | "you" | "other" | "operator"} Driver
 */

/** Driver -> name in the banner, and what it says about them. */
const DRIVERS = {
  none: ["", ""],
  policy: ["Policy", "is driving"],
  you: ["You", "are driving"],
  other: ["Another operator", "is driving"],
  operator: ["An operator", "is driving, at the machine"],
};
/** @type {Record<ConnectionState, string>} */
const CONNECTION = {
  connecting: "Connecting",
  open: "Connected",
  lost: "Connection lost",
  refused: "Not allowed",
  replaced: "Opened elsewhere",
};

/**
 * @param {Status | null} status
 * @param {Lock | null} lock
 * @returns {Driver}
 */
export function whoDrives(status, lock) {
  if (status?.driver !== "operator") {
    return status?.driver ?? "none";
  }
  const holder = lock?.holder ?? "none";
  return holder === "none" ? "operator" : holder;
}

/**
 * @param {Driver} driver
 * @param {Bindings} bindings
 * @param {boolean} hasLock
 * @param {string} key what is pressed to take over, empty if there is no such key
 */
export function showDriver(driver, bindings, hasLock, key) {
  const [name, does] = DRIVERS[driver];
  const by = key ? ` with ${key}` : "";
  const hints = {
    toggle: driver === "you" ? `Hand back${by}` : `Take over${by}`,
    hold: driver === "you" ? "Release to hand back" : `Hold ${key || "the button"} to drive`,
    auto: driver === "you" ? "Stop moving to hand back" : "Move to take over",
  };
  const mode = hasLock && (driver === "you" || driver === "policy") ? bindings.intervention : null;
  document.body.dataset.driver = driver;
  setText(html("driver-name"), name);
  setText(html("driver-does"), does);
  setText(html("driver-hint"), mode ? hints[mode] : "");
  const handBack = mode === "hold" ? "Driving" : "Hand back";
  setText(html("intervene-label"), driver === "you" ? handBack : mode === "hold" ? "Hold to drive" : "Take over");
}

/**
 * @param {Lock | null} lock
 * @param {boolean} drivable
 */
export function showLock(lock, drivable) {
  const button = html("lock-button");
  const holder = lock?.holder ?? "none";
  const texts = { you: "You have the controls", none: "The controls are free", other: "Another page has the controls" };
  const wait = holder === "other" && lock && lock.free_in !== null ? `, free in ${Math.ceil(lock.free_in)} s` : "";
  const others = (lock?.pages ?? 1) - 1;
  document.body.dataset.lock = drivable ? holder : "none";
  setText(html("lock-text"), !lock ? "" : drivable ? texts[holder] + wait : "View only");
  setText(html("pages"), others > 0 ? `${others} other page${others > 1 ? "s" : ""} open` : "");
  setText(button, holder === "you" ? "Release" : "Take the controls");
  button.hidden = !lock || !drivable;
  button.classList.toggle("primary", holder === "none");
  button.setAttribute("aria-disabled", String(holder === "other"));
}

/** @param {Status} status */
export function showStatus(status) {
  const { max_steps: limit, seconds_left: left, gripper, tcp } = status;
  const step = status.step ?? 0;
  setText(html("episode"), String(status.episode ?? "–"));
  setText(html("steps"), limit === null ? `${step} steps` : `Step ${step} of ${limit}`);
  setText(html("time-left"), left === null ? "" : `${Math.max(left, 0).toFixed(1)} s left`);
  setMeter("progress", limit ? step / limit : 0);
  html("progress").setAttribute("aria-valuenow", String(step));
  html("progress").setAttribute("aria-valuemax", String(limit ?? step));
  setText(html("reward"), number(status.reward));
  setText(html("return"), number(status.episode_return));
  setText(html("gripper"), gripper === null ? "–" : `${Math.round(100 * gripper)}%`);
  setMeter("gripper-meter", gripper ?? 0);
  setText(html("tool"), tcp === null ? "–" : `${(100 * tcp[2]).toFixed(1)} cm`);
  html("outcome").hidden = !status.success;
  html("paused").hidden = !status.paused;
  setText(html("pause-label"), status.paused ? "Resume" : "Pause");
  html("pause").setAttribute("aria-pressed", String(Boolean(status.paused)));
}

/**
 * @param {import("./messages.js").LegendPart[]} legend
 * @param {[string, string][]} warnings
 * @param {string | null} pad the gamepad that is attached
 */
export function showLegend(legend, warnings, pad) {
  const parts = legend.map(({ title, rows }) => {
    const section = document.createElement("section");
    const list = make("dl", "", "legend");
    const name = title.toLowerCase();
    for (const [control, action] of name.includes("keyboard") ? [...rows, ...warnings] : rows) {
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

/** @param {import("./messages.js").LogEvent} event */
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
 *   latency: number}} ConnectionInfo with the time of the next attempt (ms, 0 for now) and the age of the newest input
 *   when its effect was seen (ms, 0 if unknown)
 * @param {ConnectionInfo} info
 */
export function showConnection(info) {
  const { state, retryAt, latency } = info;
  setText(html("connection-text"), CONNECTION[state]);
  html("connection-text").dataset.latency = latency ? ` · ${Math.round(latency)} ms` : "";
  const [title, text] = noticeFor(info);
  html("notice").hidden = !title;
  setText(html("notice-title"), title);
  setText(html("notice-text"), text);
  html("retry").hidden = state !== "lost" || !retryAt;
}

/**
 * @param {ConnectionInfo} info
 * @returns {[title: string, text: string]}
 */
function noticeFor({ state, opened, hasChannel, wasDriving, retryAt }) {
  switch (state) {
    case "connecting":
      return ["", ""];
    case "open":
      return hasChannel ? ["", ""] : ["No environment is open", "It appears here as soon as one is."];
    case "refused":
      return ["This link is no longer valid", "Open the link that the program printed when it was started."];
    case "replaced":
      return ["Opened elsewhere", "The same page was opened again. Reload to use it here."];
    case "lost": {
      const wait = Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
      const next = retryAt ? `Trying again in ${wait} s.` : "Trying again.";
      const robot = "The robot stands still. After 2 s without a connection you are no longer driving. ";
      const proxy = `Behind a proxy, start the program with --public-url ${document.baseURI} `;
      return opened ? ["Connection lost", (wasDriving ? robot : "") + next] : ["No connection", proxy + next];
    }
  }
}

/**
 * @param {string} id
 * @param {number} share
 */
function setMeter(id, share) {
  const bar = /** @type {HTMLElement} */ (html(id).firstElementChild);
  bar.style.transform = `scaleX(${Math.min(Math.max(share, 0), 1)})`;
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
