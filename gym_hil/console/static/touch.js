// Two joysticks for thumbs: one for the plane, one for the height.

import { create } from "./vendor/nipplejs.js";

const SIZE = 112; // px

/**
 * @param {import("./input.js").Input} input
 * @param {HTMLElement} plane where the joystick for x and y goes
 * @param {HTMLElement} height where the one for z goes
 */
export function addJoysticks(input, plane, height) {
  let [x, y, z] = [0, 0, 0];
  const tell = () => input.move("touch", [x, y, z]);

  const flat = joystick(plane, false);
  flat.on("move", ({ data }) => {
    [x, y] = [data.vector.y, -data.vector.x];
    tell();
  });
  flat.on("end", () => {
    [x, y] = [0, 0];
    tell();
  });
  const upright = joystick(height, true);
  upright.on("move", ({ data }) => {
    z = data.vector.y;
    tell();
  });
  upright.on("end", () => {
    z = 0;
    tell();
  });
  input.onReleaseAll.add(() => ([x, y, z] = [0, 0, 0]));
}

/**
 * @param {HTMLElement} zone
 * @param {boolean} lockY
 */
function joystick(zone, lockY) {
  return create({
    zone,
    lockY,
    mode: "static",
    position: { left: "50%", top: "50%" },
    size: SIZE,
    restOpacity: 1,
    color: { front: "var(--joystick-front)", back: "var(--joystick-back)" },
  });
}
