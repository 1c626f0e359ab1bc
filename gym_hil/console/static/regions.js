// The page that asks for crop regions: a card for each camera, a way through the episodes, and the end.

import { element, html, setText } from "./page.js";
import { RegionCard } from "./region_card.js";
import { addTheme } from "./theme.js";

/** @typedef {{dataset: string, episodes: number, cameras: import("./region_card.js").Camera[]}} Dataset */

const GONE = "The command no longer answers; start it again.";

class Page {
  /** @type {RegionCard[]} */
  cards = [];
  episode = 0;
  #episodes = 0;
  #confirm = element("confirm", HTMLButtonElement);
  #previous = element("previous", HTMLButtonElement);
  #next = element("next", HTMLButtonElement);

  constructor() {
    addTheme(element("theme", HTMLButtonElement), () => {});
    this.#confirm.addEventListener("click", () => this.#send());
    this.#previous.addEventListener("click", () => this.#show(this.episode - 1));
    this.#next.addEventListener("click", () => this.#show(this.episode + 1));
  }

  async load() {
    const answer = await fetch("cameras").catch(() => null);
    if (!answer?.ok) {
      this.#say(answer ? await answer.text() : GONE);
      return;
    }
    /** @type {Dataset} */
    const { dataset, episodes, cameras } = await answer.json();
    const template = element("camera", HTMLTemplateElement);
    this.cards = cameras.map((camera) => new RegionCard(template, camera, () => this.#changed()));
    this.#episodes = episodes;
    setText(html("dataset"), dataset);
    html("cameras").replaceChildren(...this.cards.map((card) => card.root));
    html("episodes").hidden = episodes < 2;
    this.#show(0);
    this.#changed();
  }

  /** @param {number} episode */
  #show(episode) {
    this.episode = episode;
    this.#previous.disabled = episode === 0;
    this.#next.disabled = episode === this.#episodes - 1;
    setText(html("episode"), `Episode ${episode} (0 to ${this.#episodes - 1})`);
    this.cards.forEach((card, index) => card.look(`image/${episode}/${index}`, episode));
  }

  #changed() {
    html("toast").hidden = true;
    const count = this.cards.filter((card) => card.numbers).length;
    const all = this.cards.length;
    setText(this.#confirm, count ? `Crop ${all === 1 ? "it" : `${count} of ${all} cameras`}` : "Leave all as they are");
    this.#confirm.disabled = false;
  }

  async #send() {
    this.#confirm.disabled = true;
    const wanted = this.cards.filter((card) => card.numbers).map((card) => [card.camera.key, card.numbers]);
    const body = JSON.stringify(Object.fromEntries(wanted));
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch("regions", { method: "POST", headers, body }).catch(() => null);
    this.#confirm.disabled = false;
    if (answer?.ok) {
      this.#finish();
    } else if (answer?.status === 422) {
      const { camera, text } = await answer.json();
      const card = this.cards.find((one) => one.camera.key === camera);
      card ? card.complain(text) : this.#say(text);
    } else {
      this.#say(answer ? await answer.text() : GONE);
    }
  }

  #finish() {
    html("main").inert = true;
    html("footer").inert = true;
    html("notice").hidden = false;
  }

  /** @param {string} text */
  #say(text) {
    setText(html("toast"), text);
    html("toast").hidden = false;
  }
}

export const page = new Page();
page.load();
