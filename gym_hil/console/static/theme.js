// Light or dark: as the system has it, until the operator chooses.

const KEY = "gym-hil-theme";

/**
 * @param {HTMLElement} button
 * @param {(theme: "light" | "dark") => void} onTheme called now and at each change
 */
export function addTheme(button, onTheme) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const current = () => document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");
  const tell = () => onTheme(current() === "dark" ? "dark" : "light");
  const kept = localStorage.getItem(KEY);
  if (kept === "light" || kept === "dark") {
    document.documentElement.dataset.theme = kept;
  }
  system.addEventListener("change", tell);
  button.addEventListener("click", () => {
    const theme = current() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(KEY, theme);
    tell();
  });
  tell();
}
