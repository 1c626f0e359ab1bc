// Words and numbers around the view: who drives, the seat, the episode, the connection, what happened.

import { html, make, setText } from "./page.js";

const EVENTS_KEPT = 50;
const TOAST = 5000; // ms

/**
 * @typedef {import("./protocol.js").Status} Status
 * @typedef {import("./protocol.js").Seat} Seat
 * @typedef {import("./protocol.js").Controls} Controls
 * @typedef {"none" | "policy" | "you" | "other" | "operator"} Driver
 */

/** Driver -> what the banner calls them, and what it says about them. */
const DRIVERS = {
  none: ["", ""],
  policy: ["Policy", "is driving"],
  you: ["You", "are driving"],
  other: ["Another operator", "is driving"],
  operator: ["An operator", "is driving, at the machine"],
};

/**
 * @param {Status | null} status
 * @param {Seat | null} seat
 * @returns {Driver}
 */
export function whoDrives(status, seat) {
  if (status?.driver !== "operator") {
    return status?.driver ?? "none";
  }
  const holder = seat?.holder ?? "none";
  return holder === "none" ? "operator" : holder;
}

/**
 * @param {Driver} driver
 * @param {Controls | null} controls
 * @param {boolean} seated
 * @param {string} key what is pressed to take over, empty if there is no such key
 */
export function showDriver(driver, controls, seated, key) {
  const [name, does] = DRIVERS[driver];
  const by = key ? ` with ${key}` : "";
  const hints = {
    toggle: driver === "you" ? `Hand back${by}` : `Take over${by}`,
    hold: driver === "you" ? "Let go to hand back" : `Hold ${key || "the button"} to drive`,
    auto: driver === "you" ? "Stop moving to hand back" : "Move to take over",
  };
  const mode = seated && (driver === "you" || driver === "policy") ? controls?.intervention : null;
  document.body.dataset.driver = driver;
  setText(html("driver-name"), name);
  setText(html("driver-does"), does);
  setText(html("driver-hint"), mode ? hints[mode] : "");
  const handBack = mode === "hold" ? "Driving" : "Hand back";
  setText(html("intervene-label"), driver === "you" ? handBack : mode === "hold" ? "Hold to drive" : "Take over");
}

/**
 * @param {Seat | null} seat
 * @param {boolean} drivable
 */
export function showSeat(seat, drivable) {
  const button = html("seat-button");
  const holder = drivable ? (seat?.holder ?? "none") : "view-only";
  const texts = {
    you: "You have the controls",
    none: "The controls are free",
    other: "Another page has the controls",
    "view-only": "View only",
  };
  const wait = holder === "other" && seat && seat.free_in !== null ? `, free in ${Math.ceil(seat.free_in)} s` : "";
  const others = (seat?.pages ?? 1) - 1;
  document.body.dataset.seat = holder;
  setText(html("seat-text"), seat ? texts[holder] + wait : "");
  setText(html("pages"), others > 0 ? `${others} other page${others > 1 ? "s" : ""} open` : "");
  setText(button, holder === "you" ? "Release" : "Take the controls");
  button.hidden = !seat || !drivable;
  button.classList.toggle("primary", holder === "none");
  button.setAttribute("aria-disabled", String(holder === "other"));
}

/** @param {Status} status */
export function showStatus(status) {
  const { max_steps: most, seconds_left: left, gripper, tcp } = status;
  const step = status.step ?? 0;
  setText(html("episode"), String(status.episode ?? "–"));
  setText(html("steps"), most === null ? `${step} steps` : `Step ${step} of ${most}`);
  setText(html("time-left"), left === null ? "" : `${Math.max(left, 0).toFixed(1)} s left`);
  setMeter("progress", most ? step / most : 0);
  html("progress").setAttribute("aria-valuenow", String(step));
  html("progress").setAttribute("aria-valuemax", String(most ?? step));
  setText(html("reward"), number(status.reward));
  setText(html("return"), number(status.episode_return));
  setText(html("gripper"), gripper === null ? "–" : `${Math.round(100 * gripper)}%`);
  setMeter("gripper-meter", gripper ?? 0);
  setText(html("tool"), tcp === null ? "–" : `${(100 * tcp[2]).toFixed(1)} cm`);
  html("outcome").hidden = !status.success;
}

/** @param {boolean} paused */
export function showPaused(paused) {
  html("paused").hidden = !paused;
  setText(html("pause-label"), paused ? "Go on" : "Pause");
  html("pause").setAttribute("aria-pressed", String(paused));
}

/**
 * @param {import("./protocol.js").LegendPart[]} legend
 * @param {[string, string][]} warnings
 * @param {string | null} pad the gamepad that is attached
 */
export function showLegend(legend, warnings, pad) {
  const parts = legend.map(({ title, rows }) => {
    const section = document.createElement("section");
    const list = make("dl", "", "legend");
    const name = title.toLowerCase();
    for (const [what, does] of name.includes("keyboard") ? [...rows, ...warnings] : rows) {
      list.append(make("dt", what), make("dd", does));
    }
    section.append(make("h3", title));
    if (pad && name.includes("gamepad")) {
      section.append(make("p", pad, "note"));
    }
    section.append(list);
    return section;
  });
  html("part-controls").replaceChildren(...(parts.length ? parts : [make("p", "Nobody can drive here.", "note")]));
}

/** @param {import("./protocol.js").ChannelEvent} event */
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

/**
 * @param {string} text what the server refused and why
 */
export function toast(text) {
  const place = html("toast");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(Number(place.dataset.timer));
  place.dataset.timer = String(setTimeout(() => (place.hidden = true), TOAST));
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
