// By which id the server knows this page again after a lost connection or a reload.

const KEY = "gym-hil-page";
const PATIENCE = 60; // ms that another page has to say that the id is its own

/** @returns {string} 32 hexadecimal digits */
function invent() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The id of this tab. A duplicated tab starts with a copy of the session's storage, so it asks first whether the id is
 * in use: two pages with one id would throw each other off the line for ever.
 *
 * @returns {Promise<string>}
 */
export async function pageId() {
  const channel = new BroadcastChannel(KEY);
  let id = sessionStorage.getItem(KEY);
  if (id && (await isTaken(channel, id))) {
    id = null;
  }
  const mine = id ?? invent();
  sessionStorage.setItem(KEY, mine);
  channel.onmessage = ({ data }) => {
    if (data.ask === mine) {
      channel.postMessage({ taken: mine });
    }
  };
  // A page that is leaving must not claim the id that its successor asks for.
  addEventListener("pagehide", () => (channel.onmessage = null));
  return mine;
}

/**
 * @param {BroadcastChannel} channel
 * @param {string} id
 * @returns {Promise<boolean>}
 */
function isTaken(channel, id) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), PATIENCE);
    channel.onmessage = ({ data }) => {
      if (data.taken === id) {
        clearTimeout(timer);
        resolve(true);
      }
    };
    channel.postMessage({ ask: id });
  });
}
