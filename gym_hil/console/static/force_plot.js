// Force and torque of the last seconds, as two small plots.

import { element, html } from "./dom.js";
import { node } from "./plot.js";

const SECONDS = 10; // that are shown
const [WIDTH, HEIGHT] = [310, 64];
const MARGIN = { left: 36, right: 4, top: 14, bottom: 4 };
const AXES = ["x", "y", "z"];
/** @typedef {{id: string, name: string, unit: string, range: number, start: number}} Quantity with the smallest range that is shown, and where its numbers begin */
/** @type {Quantity[]} */
const QUANTITIES = [
  { id: "force", name: "Force", unit: "N", range: 10, start: 0 },
  { id: "torque", name: "Torque", unit: "N m", range: 1, start: 3 },
];

export class ForcePlot {
  /** @type {{time: number, values: number[]}[]} time in ms, the newest last */
  #samples = [];

  clear() {
    this.#samples = [];
    html("forces").hidden = true;
  }

  /** @param {number[] | null} values N and N m; null where they are not observed */
  add(values) {
    if (!values) {
      return;
    }
    const now = performance.now();
    const first = this.#samples.findIndex(({ time }) => time > now - 1000 * SECONDS);
    this.#samples = [...(first < 0 ? [] : this.#samples.slice(first)), { time: now, values }];
    html("forces").hidden = false;
    QUANTITIES.forEach((quantity) => this.#draw(quantity));
  }

  /** @param {Quantity} quantity */
  #draw({ id, name, unit, range, start }) {
    const chart = element(id, SVGSVGElement);
    const samples = this.#samples.map(({ time, values }) => ({ time, values: values.slice(start, start + 3) }));
    const newest = samples[samples.length - 1];
    const limit = Math.max(range, ...samples.flatMap(({ values }) => values.map(Math.abs)));
    const x = (/** @type {number} */ time) =>
      WIDTH - MARGIN.right - ((newest.time - time) / (1000 * SECONDS)) * (WIDTH - MARGIN.left - MARGIN.right);
    const y = (/** @type {number} */ value) =>
      MARGIN.top + (0.5 - value / (2 * limit)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
    const lines = AXES.map((axis, index) => {
      const points = samples.map(({ time, values }) => `${x(time).toFixed(1)},${y(values[index]).toFixed(1)}`);
      return node("polyline", { points: points.join(" "), class: axis, stroke: "currentcolor" });
    });
    const grid = [limit, 0, -limit].flatMap((value) => [
      node("line", { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(value), y2: y(value), class: "grid" }),
      node("text", { x: MARGIN.left - 6, y: y(value) + 3.5, class: "tick" }, value.toPrecision(2)),
    ]);
    const size = `${name} ${Math.hypot(...newest.values).toFixed(1)} ${unit}`;
    chart.setAttribute("aria-label", size);
    chart.replaceChildren(...grid, ...lines, node("text", { x: MARGIN.left, y: 10, class: "value" }, size));
  }
}
