// Rectangles on an image, in its pixels: what a drag makes of them.

/**
 * @typedef {{top: number, left: number, height: number, width: number}} Rectangle
 * @typedef {{x: number, y: number}} Point
 * @typedef {{height: number, width: number}} Size
 * @typedef {"move" | "n" | "s" | "w" | "e" | "nw" | "ne" | "sw" | "se"} Grip what is taken hold of: the inside, a side
 *   or a corner, by the points of the compass
 */

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
const clamp = (value, low, high) => Math.max(low, Math.min(value, high));

/**
 * The whole pixels between two points, of which either may lie outside; null if there are none.
 *
 * @param {Point} from
 * @param {Point} to
 * @param {Size} size of the image
 * @returns {Rectangle | null}
 */
export function between(from, to, { height, width }) {
  const [left, right] = [from.x, to.x].map((x) => clamp(Math.round(x), 0, width)).sort((a, b) => a - b);
  const [top, bottom] = [from.y, to.y].map((y) => clamp(Math.round(y), 0, height)).sort((a, b) => a - b);
  return right > left && bottom > top ? { top, left, height: bottom - top, width: right - left } : null;
}

/**
 * What of a rectangle is at a point; null beside it.
 *
 * @param {Rectangle} rectangle
 * @param {Point} point
 * @param {number} reach how far from a side one may be; in a small rectangle less, so that it has an inside
 * @returns {Grip | null}
 */
export function gripAt({ top, left, height, width }, { x, y }, reach) {
  const vertical = side(y - top, height, reach);
  const horizontal = side(x - left, width, reach);
  if (vertical === null || horizontal === null) {
    return null;
  }
  const names = ["nw", "n", "ne", "w", "move", "e", "sw", "s", "se"];
  return /** @type {Grip} */ (names[3 * (vertical + 1) + horizontal + 1]);
}

/**
 * @param {number} at from where the rectangle begins
 * @param {number} length of the rectangle
 * @param {number} reach
 * @returns {-1 | 0 | 1 | null} its beginning, its inside, its end; null beside it
 */
function side(at, length, reach) {
  const inside = Math.min(reach, length / 3);
  if (at < -reach || at > length + reach) {
    return null;
  }
  return at < inside ? -1 : at > length - inside ? 1 : 0;
}

/**
 * A rectangle that was moved, or of which sides were; it stays in the image and keeps a pixel.
 *
 * @param {Rectangle} rectangle as it was
 * @param {Grip} grip
 * @param {Point} by how far
 * @param {Size} size of the image
 * @returns {Rectangle}
 */
export function dragged(rectangle, grip, by, size) {
  if (grip === "move") {
    const top = clamp(Math.round(rectangle.top + by.y), 0, Math.max(0, size.height - rectangle.height));
    const left = clamp(Math.round(rectangle.left + by.x), 0, Math.max(0, size.width - rectangle.width));
    return { ...rectangle, top, left };
  }
  let { top, left } = rectangle;
  let [bottom, right] = [top + rectangle.height, left + rectangle.width];
  if (grip.includes("n")) {
    top = clamp(Math.round(top + by.y), 0, bottom - 1);
  }
  if (grip.includes("s")) {
    bottom = clamp(Math.round(bottom + by.y), top + 1, size.height);
  }
  if (grip.includes("w")) {
    left = clamp(Math.round(left + by.x), 0, right - 1);
  }
  if (grip.includes("e")) {
    right = clamp(Math.round(right + by.x), left + 1, size.width);
  }
  return { top, left, height: bottom - top, width: right - left };
}
