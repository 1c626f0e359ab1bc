// Tabs, by the pattern for them in WAI-ARIA: one is in the order of Tab, arrows go from one to the next.

/** @param {HTMLElement} list */
export function addTabs(list) {
  const tabs = /** @type {HTMLElement[]} */ ([...list.querySelectorAll("[role=tab]")]);
  tabs.forEach((tab) => tab.addEventListener("click", () => select(tabs, tab)));
  list.addEventListener("keydown", (event) => {
    const shown = tabs.filter((tab) => !tab.hidden);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = shown.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (step && at >= 0 && document.activeElement?.matches(":focus-visible")) {
      const next = shown[(at + step + shown.length) % shown.length];
      next.focus();
      select(tabs, next);
      event.preventDefault();
      event.stopPropagation();
    }
  });
}

/**
 * @param {HTMLElement[]} tabs
 * @param {HTMLElement} chosen
 */
function select(tabs, chosen) {
  for (const tab of tabs) {
    const on = tab === chosen;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    const part = document.getElementById(tab.getAttribute("aria-controls") ?? "");
    if (part) {
      part.hidden = !on;
    }
  }
}
