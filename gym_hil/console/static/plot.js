// Success and intervention rate over the episodes, as a small plot.

const WINDOW = 20; // episodes that a rate is taken over
const KEPT = 500; // episodes
const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 36, right: 8, top: 8, bottom: 18 }; // px

/** @typedef {import("./messages.js").EpisodeSummary} EpisodeSummary */

export class Plot {
  /** @type {EpisodeSummary[]} */
  #episodes = [];
  #parts;

  /** @param {{chart: SVGSVGElement, success: HTMLElement, intervention: HTMLElement, note: HTMLElement}} parts */
  constructor(parts) {
    this.#parts = parts;
    new ResizeObserver(() => this.#draw()).observe(/** @type {Element} */ (parts.chart.parentElement));
    parts.chart.addEventListener("pointermove", (event) => this.#point(event));
    parts.chart.addEventListener("pointerleave", () => this.#draw());
  }

  /**
   * @param {EpisodeSummary[]} episodes
   * @param {boolean} first whether these are all
   */
  add(episodes, first) {
    this.#episodes = [...(first ? [] : this.#episodes), ...episodes].slice(-KEPT);
    this.#draw();
  }

  /** Episodes that count. */
  get #counted() {
    return this.#episodes.filter((episode) => !episode.discarded);
  }

  /** @param {EpisodeSummary | null} [pointed] */
  #draw(pointed = null) {
    const { chart, success, intervention, note } = this.#parts;
    const counted = this.#counted;
    const width = chart.clientWidth;
    const height = chart.clientHeight;
    const rates = counted.map((_, index) => ratesOf(counted.slice(Math.max(0, index + 1 - WINDOW), index + 1)));
    const newest = rates.at(-1);
    success.textContent = newest ? percent(newest.success) : "–";
    intervention.textContent = newest ? percent(newest.intervention) : "–";
    note.textContent = pointed ? describe(pointed) : summary(counted.length, this.#episodes.length);
    const words = `Success ${success.textContent}, by hand ${intervention.textContent}`;
    chart.setAttribute("aria-label", newest ? words : "No episodes yet");
    chart.replaceChildren();
    if (!width || !height) {
      return;
    }
    const x = (/** @type {number} */ index) => this.#x(index, counted.length);
    const y = (/** @type {number} */ rate) => MARGIN.top + (1 - rate) * (height - MARGIN.top - MARGIN.bottom);
    for (const rate of [0, 0.5, 1]) {
      const line = { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(rate), y2: y(rate), class: "grid" };
      chart.append(node("line", line));
      chart.append(node("text", { x: MARGIN.left - 6, y: y(rate) + 3.5, class: "tick" }, percent(rate)));
    }
    const dot = counted.length > 60 ? 1.2 : 2.2;
    counted.forEach(({ success: good }, index) => {
      chart.append(node("circle", { cx: x(index), cy: height - 7, r: dot, class: good ? "good" : "bad" }));
    });
    for (const kind of /** @type {const} */ (["intervention", "success"])) {
      const points = rates.map((rate, index) => `${x(index).toFixed(1)},${y(rate[kind]).toFixed(1)}`);
      chart.append(node("polyline", { points: points.join(" "), class: `line ${kind}` }));
      if (newest) {
        chart.append(node("circle", { cx: x(rates.length - 1), cy: y(newest[kind]), r: 3, class: `end ${kind}` }));
      }
    }
    if (pointed) {
      const at = x(counted.indexOf(pointed));
      chart.append(node("line", { x1: at, x2: at, y1: MARGIN.top, y2: height - 2, class: "pointer" }));
    }
  }

  /**
   * @param {number} index
   * @param {number} count
   */
  #x(index, count) {
    const room = this.#parts.chart.clientWidth - MARGIN.left - MARGIN.right;
    return MARGIN.left + (count > 1 ? (index / (count - 1)) * room : room);
  }

  /** @param {PointerEvent} event */
  #point({ offsetX }) {
    const counted = this.#counted;
    const distances = counted.map((_, index) => Math.abs(this.#x(index, counted.length) - offsetX));
    this.#draw(counted[distances.indexOf(Math.min(...distances))] ?? null);
  }
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

/** @param {EpisodeSummary} episode */
function describe({ number, steps, interventions, success }) {
  const byHand = steps ? percent(interventions / steps) : "0%";
  return `Episode ${number}: ${success ? "success" : "no success"}, ${steps} steps, ${byHand} by hand`;
}

/**
 * @param {number} counted
 * @param {number} all
 */
function summary(counted, all) {
  if (!all) {
    return "Shown after the first episode";
  }
  const discarded = all > counted ? `, ${all - counted} re-recorded` : "";
  return `Last ${Math.min(counted, WINDOW)} of ${counted} episode${counted === 1 ? "" : "s"}${discarded}`;
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
function node(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, String(value)));
  if (text) {
    element.textContent = text;
  }
  return element;
}
