// Elements of the page, and light or dark.

const THEME_KEY = "gym-hil-theme";

/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) {
    throw new Error(`The page has no ${kind.name} with the id ${id}.`);
  }
  return found;
}

/** @param {string} id */
export const html = (id) => element(id, HTMLElement);

/**
 * The first part of an element that matches a selector.
 *
 * @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} kind
 * @returns {T}
 */
export function within(root, selector, kind) {
  const found = root.querySelector(selector);
  if (!(found instanceof kind)) {
    throw new Error(`There is no ${kind.name} ${selector} here.`);
  }
  return found;
}

/**
 * Changes a text only if it is another one, so that nothing is laid out or read aloud without need.
 *
 * @param {HTMLElement} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) {
    target.textContent = text;
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} text
 * @param {string} [className]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

/**
 * Follows the system's light or dark until the operator chooses.
 *
 * @param {HTMLElement} button
 * @param {(theme: "light" | "dark") => void} onTheme called now and at each change
 */
export function addTheme(button, onTheme) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const current = () => ((root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark" ? "dark" : "light");
  const kept = localStorage.getItem(THEME_KEY);
  if (kept === "light" || kept === "dark") {
    root.dataset.theme = kept;
  }
  system.addEventListener("change", () => onTheme(current()));
  button.addEventListener("click", () => {
    root.dataset.theme = current() === "dark" ? "light" : "dark";
    localStorage.setItem(THEME_KEY, root.dataset.theme);
    onTheme(current());
  });
  onTheme(current());
}
