// Sounds for an operator who does not look at the page: an episode starts or ends, a countdown, the emergency stop.

const SOUNDS_KEY = "gym-hil-sounds";
const LENGTH = 0.12; // s, of one tone
/** Sound -> its tones, Hz. */
const TONES = {
  tick: [660],
  start: [880, 1320],
  success: [660, 880, 1320],
  end: [440],
  help: [880, 660, 880, 660],
  stop: [880, 440, 880, 440],
};

/** @typedef {keyof typeof TONES} Sound */

export class Sounds {
  #on = localStorage.getItem(SOUNDS_KEY) === "on";
  /** @type {AudioContext | null} */
  #audio = null;

  /** @param {HTMLElement} button turns the sounds on and off */
  constructor(button) {
    button.setAttribute("aria-pressed", String(this.#on));
    button.addEventListener("click", () => {
      this.#on = !this.#on;
      localStorage.setItem(SOUNDS_KEY, this.#on ? "on" : "off");
      button.setAttribute("aria-pressed", String(this.#on));
      this.play("tick");
    });
  }

  /** @param {Sound} sound */
  play(sound) {
    if (!this.#on) {
      return;
    }
    const audio = (this.#audio ??= new AudioContext());
    audio.resume(); // a browser lets a page sound after the first click or key
    TONES[sound].forEach((frequency, index) => {
      const [tone, volume] = [audio.createOscillator(), audio.createGain()];
      const start = audio.currentTime + index * LENGTH;
      tone.frequency.value = frequency;
      volume.gain.setValueAtTime(0.15, start);
      volume.gain.exponentialRampToValueAtTime(0.001, start + LENGTH);
      tone.connect(volume).connect(audio.destination);
      tone.start(start);
      tone.stop(start + LENGTH);
    });
  }
}
