// How the line to the server is, in words; in large ones when it stands in the way of everything else.

import { html, setText } from "./page.js";

/**
 * @typedef {{title: string, text: string, retry: boolean}} Notice
 * @typedef {import("./link.js").LinkState} LinkState
 */

/** @type {Record<LinkState, string>} */
const WORDS = {
  connecting: "Connecting",
  open: "Connected",
  lost: "Connection lost",
  refused: "Not allowed in",
  replaced: "Opened elsewhere",
};
const NO_STAGE = { title: "No environment is open", text: "It appears here as soon as one is.", retry: false };
const REFUSED = {
  title: "This link is no longer valid",
  text: "Open the link that the program printed when it was started.",
  retry: false,
};
const REPLACED = {
  title: "Opened elsewhere",
  text: "The same page was opened again. Reload to use it here.",
  retry: false,
};

/**
 * @param {{state: LinkState, staged: boolean, retryAt: number, latency: number}} line whether a channel is watched, when
 *   the next attempt is (ms, 0 for now), and how old the newest input was when its effect was seen (ms, 0 if unknown)
 */
export function showLine({ state, staged, retryAt, latency }) {
  setText(html("link-text"), WORDS[state]);
  html("link-text").dataset.latency = latency ? ` · ${Math.round(latency)} ms` : "";
  const notice = noticeFor(state, staged, retryAt);
  html("notice").hidden = !notice;
  if (notice) {
    setText(html("notice-title"), notice.title);
    setText(html("notice-text"), notice.text);
    html("retry").hidden = !notice.retry;
  }
}

/**
 * @param {LinkState} state
 * @param {boolean} staged
 * @param {number} retryAt ms
 * @returns {Notice | null}
 */
function noticeFor(state, staged, retryAt) {
  switch (state) {
    case "connecting":
      return null;
    case "open":
      return staged ? null : NO_STAGE;
    case "refused":
      return REFUSED;
    case "replaced":
      return REPLACED;
    case "lost": {
      const wait = Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
      const next = retryAt ? `Trying again in ${wait} s.` : "Trying again.";
      return { title: "Connection lost", text: `The robot no longer hears you. ${next}`, retry: retryAt > 0 };
    }
  }
}
