// The operator's hands in a WebXR session: controllers, bare hands that pinch, or the phone itself.

import { html, within } from "./dom.js";
import * as THREE from "./vendor/three.js";

/** Buttons in the layout `xr-standard` of the WebXR Gamepads Module: name in `Bindings.headset` -> index. */
const BUTTONS = { stick: 3, a: 4, b: 5 };
const [TRIGGER, SQUEEZE, STICK_X, STICK_Y] = [0, 1, 2, 3];
const SIDE = [0.8, 0.5]; // of the stick's way to the side: where it counts as pressed, and as released
const PINCH = [0.015, 0.045]; // m between thumb and finger: closed, open
const TOUCH = [0.015, 0.03]; // m between the thumb and another finger: where they count as touching, and as apart
/** Names in `Bindings.headset` -> how to press it, with controllers and with bare hands. @type {Record<string, string>[]} */
const CONTROLS = [
  { a: "A or X", b: "B or Y", stick: "press the stick", both: "squeeze both hands" },
  {
    little: "thumb to little finger",
    "left-ring": "left thumb to ring finger",
    "right-ring": "right thumb to ring finger",
  },
];
const STOPPED = "stopped "; // starts the names that count while the emergency stop is on
const SQUEEZED = 0.5;
const COLOURS = { idle: "#6b7785", active: "#f08c00" };

/**
 * @typedef {"left" | "right"} Side
 * @typedef {Omit<import("./messages.js").Hand, "time" | "yaw">} Measured
 * @typedef {{side: Side, pose: XRRigidTransform | null, squeeze: number, trigger: number | null,
 *   stick: [number, number], gamepad: Gamepad | null, gaps: Record<string, number>}} Found with `gaps`, m between the
 *   thumb and other fingers of a bare hand
 */

export class Hands {
  /** What keeps the operator from driving, for the panel; empty for nothing. */
  problem = "";
  #input;
  /** Which hand drives: the last one that squeezed. @type {Side} */
  #side = "right";
  /** Names of buttons that are down, and what they are. @type {Map<string, import("./messages.js").Button>} */
  #down = new Map();
  /** Those that were down before they counted; they count again once they came up. @type {Set<string>} */
  #muted = new Set();
  /** @type {XRSession | null} */
  #session = null;
  /** The touch areas of a phone. @type {HTMLElement | null} */
  #phone = null;
  #touched = { squeeze: false, trigger: false };
  /** @type {Record<Side, THREE.Mesh<THREE.CapsuleGeometry, THREE.MeshLambertMaterial>>} */
  #shapes;

  /**
   * @param {import("./input.js").InputState} input
   * @param {THREE.Group} rig where the hands are drawn
   */
  constructor(input, rig) {
    this.#input = input;
    input.onReleaseAll.add(() => {
      [...this.#down.keys()].forEach((name) => this.#muted.add(name));
      this.#down.clear();
    });
    const capsule = new THREE.CapsuleGeometry(0.018, 0.07, 4, 12).rotateX(Math.PI / 3);
    const shape = () => new THREE.Mesh(capsule, new THREE.MeshLambertMaterial());
    this.#shapes = { left: shape(), right: shape() };
    rig.add(this.#shapes.left, this.#shapes.right);
    const phone = html("phone");
    const squeeze = within(phone, ".squeeze", HTMLButtonElement);
    const grip = within(phone, ".grip", HTMLButtonElement);
    squeeze.addEventListener("pointerdown", (event) => {
      this.#touched.squeeze = true;
      squeeze.setPointerCapture(event.pointerId);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      squeeze.addEventListener(end, () => (this.#touched.squeeze = false));
    }
    grip.addEventListener("click", () => {
      this.#touched.trigger = !this.#touched.trigger;
      grip.setAttribute("aria-pressed", String(this.#touched.trigger));
    });
    within(phone, ".leave", HTMLButtonElement).addEventListener("click", () => this.#session?.end());
  }

  /**
   * @param {XRSession} session
   * @param {HTMLElement | null} phone its touch areas, where the session is that of a phone
   */
  start(session, phone) {
    this.#session = session;
    this.#phone = phone;
    this.#touched = { squeeze: false, trigger: false };
    if (phone) {
      phone.hidden = false;
    }
  }

  /** Whether a phone is the hand. */
  get byPhone() {
    return this.#phone !== null;
  }

  stop() {
    this.#session = null;
    html("phone").hidden = true;
    for (const [name, button] of this.#down) {
      this.#input.release(`headset ${name}`, button);
    }
    this.#down.clear();
    this.#muted.clear();
  }

  /** @type {Record<string, string>} */
  #bindings = {};
  /** Whether the emergency stop is on. */
  #isStopped = false;
  #isBare = false;

  /** What the operator does to move the tool. */
  get clutch() {
    return this.#phone ? "Hold" : this.#isBare ? "Pinch" : "Squeeze";
  }

  /**
   * How the operator presses a button with these hands; empty if they cannot, or a touch area says it.
   *
   * @param {import("./messages.js").Button} button
   */
  controlFor(button) {
    const names = this.#phone ? [] : Object.keys(this.#bindings).filter((name) => this.#bindings[name] === button);
    const controls = CONTROLS[Number(this.#isBare)];
    const name = names.find((one) => one.replace(STOPPED, "") in controls) ?? "";
    const control = controls[name.replace(STOPPED, "")] ?? "";
    return name.startsWith(STOPPED) && !this.#isStopped ? `stop, then ${control}` : control;
  }

  /**
   * The hand that drives; presses the buttons of both.
   *
   * @param {XRFrame} frame
   * @param {XRReferenceSpace} space
   * @param {XRViewerPose} head
   * @param {Record<string, string>} bindings name -> button
   * @param {boolean} isStopped whether the emergency stop is on
   * @returns {Measured}
   */
  read(frame, space, head, bindings, isStopped) {
    this.#bindings = bindings;
    this.#isStopped = isStopped;
    const found = this.#phone ? [this.#readPhone(head)] : this.#find(frame, space);
    for (const one of found) {
      one.pose = isSound(one.pose) ? one.pose : null;
    }
    this.#isBare = !this.#phone && found.length > 0 && found.every(({ trigger }) => trigger === null);
    const driving = found.find(({ side }) => side === this.#side);
    const squeezing = found.find(({ squeeze }) => squeeze > SQUEEZED);
    if (squeezing && !(driving && driving.squeeze > SQUEEZED)) {
      this.#side = squeezing.side;
    }
    const hand = found.find(({ side }) => side === this.#side) ?? found[0];
    const isHidden = frame.session.visibilityState !== "visible";
    this.problem = !hand ? "No controller and no hand in sight" : hand.pose ? "" : "The hand is out of sight: holding still";
    found.forEach((one) => this.#press(one));
    // With pinches, the other hand's is the trigger.
    const [one, other] = found.filter(({ trigger }) => trigger !== null);
    this.#set("any both", Boolean(one && other) && Math.min(one.squeeze, other.squeeze) > SQUEEZED);
    this.#draw(found);
    if (!hand || isHidden) {
      return { side: this.#side, position: null, orientation: [0, 0, 0, 1], squeeze: 0, trigger: 0, stick: [0, 0] };
    }
    const { pose, side, squeeze, stick } = hand;
    // Without a trigger the pinch of the other hand is the trigger.
    const trigger = hand.trigger ?? found.find((other) => other !== hand)?.squeeze ?? 0;
    const { x, y, z } = pose?.position ?? { x: 0, y: 0, z: 0 };
    const { x: qx, y: qy, z: qz, w } = pose?.orientation ?? { x: 0, y: 0, z: 0, w: 1 };
    return {
      side,
      position: pose ? [x, y, z] : null,
      orientation: [qx, qy, qz, w],
      squeeze,
      trigger,
      stick,
    };
  }

  /**
   * Lets the hand that drives feel something.
   *
   * @param {number} strength 0 to 1
   * @param {number} duration ms
   */
  tick(strength, duration) {
    if (this.#phone) {
      navigator.vibrate?.(duration);
    }
    for (const { handedness, gamepad } of this.#session?.inputSources ?? []) {
      if (handedness === this.#side) {
        const actuator = /** @type {any} */ (gamepad)?.hapticActuators?.[0];
        actuator?.pulse?.(strength, duration)?.catch?.(() => {}); // a controller without a motor refuses
      }
    }
  }

  /**
   * @param {XRFrame} frame
   * @param {XRReferenceSpace} space
   * @returns {Found[]}
   */
  #find(frame, space) {
    /** @type {Found[]} */
    const found = [];
    for (const { handedness: side, gripSpace, gamepad, hand } of frame.session.inputSources) {
      if (side === "none") {
        continue;
      }
      if (hand) {
        const place = (/** @type {XRHandJoint} */ name) => {
          const joint = hand.get(name);
          return (joint && frame.getJointPose?.(joint, space)?.transform) ?? null;
        };
        const gapTo = (/** @type {XRHandJoint} */ name) => {
          const [thumb, finger] = [place("thumb-tip")?.position, place(name)?.position];
          return thumb && finger ? Math.hypot(thumb.x - finger.x, thumb.y - finger.y, thumb.z - finger.z) : Infinity;
        };
        const gaps = { little: gapTo("pinky-finger-tip"), [`${side}-ring`]: gapTo("ring-finger-tip") };
        const squeeze = Math.min(Math.max((PINCH[1] - gapTo("index-finger-tip")) / (PINCH[1] - PINCH[0]), 0), 1);
        found.push({ side, pose: place("wrist"), squeeze, trigger: null, stick: [0, 0], gamepad: null, gaps });
      } else if (gripSpace && gamepad) {
        const pose = frame.getPose(gripSpace, space);
        found.push({
          side,
          // An emulated position is a guess, such as an arm's length from the shoulder.
          pose: pose && !pose.emulatedPosition ? pose.transform : null,
          squeeze: gamepad.buttons[SQUEEZE]?.value ?? 0,
          trigger: gamepad.buttons[TRIGGER]?.value ?? 0,
          stick: [gamepad.axes[STICK_X] ?? 0, gamepad.axes[STICK_Y] ?? 0],
          gamepad,
          gaps: {},
        });
      }
    }
    return found;
  }

  /**
   * @param {XRViewerPose} head
   * @returns {Found}
   */
  #readPhone(head) {
    const { squeeze, trigger } = this.#touched;
    const pose = head.emulatedPosition ? null : head.transform;
    const stick = /** @type {[number, number]} */ ([0, 0]);
    return { side: "right", pose, squeeze: Number(squeeze), trigger: Number(trigger), stick, gamepad: null, gaps: {} };
  }

  /** @param {Found} hand */
  #press({ side, gamepad, stick, gaps }) {
    const limit = (/** @type {string} */ name, /** @type {number[]} */ [pressed, released]) =>
      this.#down.has(`${side} ${name}`) || this.#muted.has(`${side} ${name}`) ? released : pressed;
    for (const [name, gap] of Object.entries(gaps)) {
      this.#set(`${side} ${name}`, gap < limit(name, TOUCH));
    }
    if (!gamepad) {
      return;
    }
    const isAside = Math.abs(stick[0]) > limit("side", SIDE) && Math.abs(stick[0]) > Math.abs(stick[1]);
    this.#set(`${side} side`, isAside);
    for (const [name, index] of Object.entries(BUTTONS)) {
      this.#set(`${side} ${name}`, gamepad.buttons[index]?.pressed ?? false);
    }
  }

  /**
   * @param {string} name of a hand's button
   * @param {boolean} isDown
   */
  #set(name, isDown) {
    const held = this.#down.get(name);
    const own = name.split(" ")[1];
    const button = (this.#isStopped && this.#bindings[STOPPED + own]) || this.#bindings[own];
    if (!isDown) {
      this.#muted.delete(name);
      this.#down.delete(name);
      if (held) {
        this.#input.release(`headset ${name}`, held);
      }
    } else if (!button) {
      this.#muted.add(name);
    } else if (!held && !this.#muted.has(name)) {
      this.#down.set(name, /** @type {import("./messages.js").Button} */ (button));
      this.#input.press(`headset ${name}`, /** @type {import("./messages.js").Button} */ (button));
    }
  }

  /** @param {Found[]} found */
  #draw(found) {
    for (const side of /** @type {Side[]} */ (["left", "right"])) {
      const hand = found.find((one) => one.side === side);
      const shape = this.#shapes[side];
      const pose = this.#phone ? null : hand?.pose;
      shape.visible = Boolean(pose);
      if (hand && pose) {
        shape.position.set(pose.position.x, pose.position.y, pose.position.z);
        shape.quaternion.set(pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w);
        shape.material.color.set(side === this.#side && hand.squeeze > SQUEEZED ? COLOURS.active : COLOURS.idle);
      }
    }
  }
}

/**
 * Whether a pose was measured, in numbers.
 *
 * @param {XRRigidTransform | null} pose
 */
export function isSound(pose) {
  const parts = pose ? [pose.position, pose.orientation] : [];
  return parts.length > 0 && parts.every(({ x, y, z, w }) => [x, y, z, w].every(Number.isFinite));
}
