// Success and intervention rate over the episodes, as a small plot.

import { element, html, setText } from "./dom.js";
/** @import {EpisodeSummary} from "./messages.js" */

const WINDOW = 20; // episodes that a rate is taken over
const KEPT = 500; // episodes
const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [310, 92];
const MARGIN = { left: 36, right: 8, top: 8, bottom: 18 };

export class Plot {
  /** @type {EpisodeSummary[]} */
  #episodes = [];

  /** @param {EpisodeSummary[]} episodes @param {boolean} first whether these are all */
  add(episodes, first) {
    this.#episodes = [...(first ? [] : this.#episodes), ...episodes].slice(-KEPT);
    const counted = this.#episodes.filter((episode) => !episode.discarded);
    const rates = counted.map((_, index) => ratesOf(counted.slice(Math.max(0, index + 1 - WINDOW), index + 1)));
    const newest = rates.at(-1);
    const [success, intervention] = newest ? [percent(newest.success), percent(newest.intervention)] : ["–", "–"];
    setText(html("success-rate"), success);
    setText(html("intervention-rate"), intervention);
    setText(html("chart-note"), summary(counted.length, this.#episodes.length));
    const chart = element("chart", SVGSVGElement);
    chart.setAttribute("aria-label", newest ? `Success ${success}, by hand ${intervention}` : "No episodes yet");
    chart.replaceChildren(...[0, 0.5, 1].flatMap(gridLine), ...counted.map(dot), ...curves(rates));
  }
}

/** @param {number} index @param {number} count */
function x(index, count) {
  return MARGIN.left + (count > 1 ? index / (count - 1) : 1) * (WIDTH - MARGIN.left - MARGIN.right);
}

/** @param {number} rate */
function y(rate) {
  return MARGIN.top + (1 - rate) * (HEIGHT - MARGIN.top - MARGIN.bottom);
}

/** @param {number} rate */
function gridLine(rate) {
  const line = { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(rate), y2: y(rate), class: "grid" };
  return [node("line", line), node("text", { x: MARGIN.left - 6, y: y(rate) + 3.5, class: "tick" }, percent(rate))];
}

/** @type {(episode: EpisodeSummary, index: number, all: EpisodeSummary[]) => SVGElement} */
function dot({ success }, index, { length }) {
  const r = length > 60 ? 1.2 : 2.2;
  return node("circle", { cx: x(index, length), cy: HEIGHT - 7, r, class: success ? "good" : "bad" });
}

/** @param {{success: number, intervention: number}[]} rates */
function curves(rates) {
  return /** @type {const} */ (["intervention", "success"]).map((kind) => {
    const points = rates.map((rate, index) => `${x(index, rates.length).toFixed(1)},${y(rate[kind]).toFixed(1)}`);
    return node("polyline", { points: points.join(" "), class: `line ${kind}` });
  });
}

/** @param {EpisodeSummary[]} episodes */
function ratesOf(episodes) {
  const steps = episodes.reduce((sum, episode) => sum + episode.steps, 0);
  const byHand = episodes.reduce((sum, episode) => sum + episode.interventions, 0);
  return {
    success: episodes.filter((episode) => episode.success).length / episodes.length,
    intervention: steps ? byHand / steps : 0,
  };
}

/** @param {number} rate */
function percent(rate) {
  return `${Math.round(100 * rate)}%`;
}

/** @param {number} counted @param {number} all */
function summary(counted, all) {
  const discarded = all > counted ? `, ${all - counted} re-recorded` : "";
  const newest = `Last ${Math.min(counted, WINDOW)} of ${counted} episode${counted === 1 ? "" : "s"}${discarded}`;
  return all ? newest : "Shown after the first episode";
}

/** @param {string} name @param {Record<string, string | number>} attributes @param {string} [text] */
export function node(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, String(value)));
  made.textContent = text;
  return made;
}
