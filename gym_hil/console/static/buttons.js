// Buttons of the page that do what a key does, and are held as long as a finger or the mouse holds them.

import { keyLabel } from "./keyboard.js";

/** @returns {HTMLButtonElement[]} */
const all = () => [...document.querySelectorAll("button")].filter((button) => button.dataset.button);

/** @param {import("./input.js").Input} input */
export function addButtons(input) {
  for (const button of all()) {
    const name = button.dataset.button ?? "";
    button.addEventListener("pointerdown", (event) => {
      if (event.button === 0) {
        button.setPointerCapture(event.pointerId);
        input.press(`button ${name}`, name);
      }
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      button.addEventListener(end, () => input.release(`button ${name}`, name));
    }
    button.addEventListener("click", (event) => {
      if (event.detail === 0) {
        input.tap(name); // by the keyboard or an aid, which do not point
      }
    });
    button.addEventListener("contextmenu", (event) => event.preventDefault());
  }
}

/**
 * Shows which buttons there are, and by which key each can be had.
 *
 * @param {import("./protocol.js").Controls} controls
 * @param {boolean} seated
 */
export function showButtons({ buttons, keys, intervention }, seated) {
  for (const button of all()) {
    const name = button.dataset.button ?? "";
    const hint = button.querySelector("kbd");
    button.hidden = !(name in buttons) || (name === "INTERVENE" && intervention === "auto");
    button.disabled = !seated;
    button.title = buttons[name] ?? "";
    if (hint) {
      hint.textContent = keyFor(keys, name);
    }
  }
}

/**
 * @param {Record<string, string>} keys
 * @param {string} button
 * @returns {string} what is printed on the key for a button, the shortest if there are several; empty if there is none
 */
export function keyFor(keys, button) {
  const labels = Object.keys(keys).filter((code) => keys[code] === button).map(keyLabel);
  return labels.sort((one, other) => one.length - other.length)[0] ?? "";
}
