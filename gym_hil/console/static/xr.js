// A WebXR session: the scene around the operator, and the hand that drives. Placing, drawing, ticks in the hand.

import { element, html } from "./dom.js";
import { Hands, isSound } from "./xr_hands.js";
import { Panel } from "./xr_panel.js";
import * as THREE from "./vendor/three.js";

/** Takes WebXR's axes (x right, y up, z back) to those of the robot's base (x forward, y left, z up). */
const TO_BASE = new THREE.Quaternion(0.5, -0.5, -0.5, 0.5);
const UP = new THREE.Vector3(0, 0, 1);
const HEADING = THREE.MathUtils.degToRad(-55); // where the operator looks at first: over the robot's left shoulder
const DISTANCE = 0.46; // of that from which the page looks; m in m, the scene is as large as it is
const NEAREST = 0.6; // m
const EYES = 0.6; // m above the middle of the view
const OUT_OF_VIEW = THREE.MathUtils.degToRad(60); // beyond this the scene is brought in front of the operator again
const SMOOTHING = 30; // ms in which the scene moves to a new state
const SLOW_SCALE = 0.5; // of the resolution, where the processor draws
const EDGE = 1e-4; // m from the workspace's edge
/** Strength and duration, ms. @type {Record<string, [number, number]>} */
const TICKS = { touch: [0.6, 40], edge: [0.3, 20], help: [1, 400] };
const SCREEN = 0.8; // m, height of the image of an environment that has no scene
const FEATURES = ["hand-tracking"];

/**
 * @typedef {"immersive-vr" | "immersive-ar"} Mode
 * @typedef {{input: import("./input.js").InputState, toast: (text: string) => void, onChange: () => void,
 *   bindings: () => import("./messages.js").Bindings,
 *   facts: (hands: Hands) => import("./xr_panel.js").Facts}} XrParts
 */

export class Xr {
  /** Whether the browser can enter each mode. @type {Record<Mode, boolean>} */
  supported = { "immersive-vr": false, "immersive-ar": false };
  /** How often a state of the environment was drawn in sessions. */
  drawn = 0;
  #view;
  #parts;
  #hands;
  panel = new Panel();
  /** The image of an environment that has no scene. @type {THREE.Mesh<THREE.PlaneGeometry, THREE.MeshBasicMaterial>} */
  #screen = new THREE.Mesh(new THREE.PlaneGeometry(1, 1), new THREE.MeshBasicMaterial({ toneMapped: false }));
  /** Where WebXR's reference space is in the scene. */
  #rig = new THREE.Group();
  #camera = new THREE.PerspectiveCamera();
  /** @type {XRSession | null} */
  #session = null;
  #entering = false;
  /** Whether the scene stands in front of the operator; not before the first pose of the head. */
  #placed = false;
  /** Direction in the reference space that is forward to the robot, rad. */
  #yaw = 0;
  #squeezing = false;
  /** @type {import("./connection.js").Frame | null} */
  #frame = null;
  #touches = -1;
  #atEdge = [false, false, false];

  /**
   * @param {import("./view.js").View} view
   * @param {XrParts} parts
   */
  constructor(view, parts) {
    this.#view = view;
    this.#parts = parts;
    this.#hands = new Hands(parts.input, this.#rig);
    this.#rig.add(this.#camera);
    this.#screen.up.set(0, 0, 1);
    const { xr } = navigator;
    if (xr) {
      this.#look(xr);
      xr.addEventListener?.("devicechange", () => this.#look(xr));
    }
  }

  get session() {
    return this.#session;
  }

  /**
   * Why a mode cannot be entered and what to do; empty if it can be.
   *
   * @param {Mode} mode
   */
  obstacle(mode) {
    const port = location.port || (location.protocol === "https:" ? "443" : "80");
    if (!isSecureContext) {
      return (
        "A browser lets only secure pages use a headset. On the computer that the headset is connected to by USB, run " +
        `adb reverse tcp:${port} tcp:${port} and open the printed link with 127.0.0.1 here; or start the program with ` +
        "--allow-remote --tls."
      );
    }
    if (!navigator.xr) {
      return "This browser has no WebXR. Open the printed link in the headset's own browser, such as Meta Quest's.";
    }
    return this.supported[mode] ? "" : "This browser finds no headset. Open the printed link in the headset's own browser.";
  }

  /** Enters a session, or ends the one that is on. @param {Mode} mode */
  async toggle(mode) {
    const obstacle = this.obstacle(mode);
    if (this.#session) {
      await this.#session.end();
    } else if (obstacle) {
      this.#parts.toast(obstacle);
    } else if (!this.#entering) {
      this.#entering = true;
      try {
        await this.#enter(mode);
      } catch (error) {
        this.#parts.toast(`The headset's session did not start: ${error instanceof Error ? error.message : error}`);
      } finally {
        this.#entering = false;
      }
    }
  }

  /** Shows a new state of the environment. @param {import("./connection.js").Frame} frame */
  show(frame) {
    const { touches, target, asks_for_help: asks } = frame.status;
    const [low, high] = this.#view.channel?.description.workspace ?? [];
    if (touches !== null && touches > this.#touches && this.#touches >= 0 && frame.status.step) {
      this.#hands.tick(...TICKS.touch);
    }
    this.#touches = touches ?? -1;
    if (asks && frame.status.driver !== "operator" && !this.#frame?.status.asks_for_help) {
      this.#hands.tick(...TICKS.help);
    }
    if (target && low && high) {
      const atEdge = target.map((value, axis) => value < low[axis] + EDGE || value > high[axis] - EDGE);
      if (atEdge.some((there, axis) => there && !this.#atEdge[axis])) {
        this.#hands.tick(...TICKS.edge);
      }
      this.#atEdge = atEdge;
    }
    this.#frame = frame;
    if (this.#session && !this.#view.channel) {
      this.#showImage();
    }
  }

  #showImage() {
    const image = element("image", HTMLCanvasElement);
    const { material, scale } = this.#screen;
    if (material.map?.image !== image || scale.x * image.height !== scale.y * image.width) {
      material.map?.dispose();
      material.map = new THREE.CanvasTexture(image);
      material.map.colorSpace = THREE.SRGBColorSpace;
      material.needsUpdate = true;
      scale.set((SCREEN * image.width) / image.height, SCREEN, 1);
    }
    material.map.needsUpdate = true;
  }

  /** How long the scene may take to move to a new state, ms. @param {number} usual */
  smoothing(usual) {
    return this.#session ? Math.min(usual, SMOOTHING) : usual;
  }

  /** @param {XRSystem} xr */
  async #look(xr) {
    for (const mode of /** @type {Mode[]} */ (Object.keys(this.supported))) {
      this.supported[mode] = await xr.isSessionSupported(mode).catch(() => false);
    }
    this.#parts.onChange();
  }

  /** @param {Mode} mode */
  async #enter(mode) {
    const isAr = mode === "immersive-ar";
    const overlay = html("phone");
    /** @type {XRSessionInit} */
    const options = isAr
      ? { optionalFeatures: [...FEATURES, "dom-overlay"], domOverlay: { root: overlay } }
      : { optionalFeatures: FEATURES };
    const session = await /** @type {XRSystem} */ (navigator.xr).requestSession(mode, options);
    const { renderer } = this.#view;
    try {
      renderer.xr.enabled = true;
      renderer.xr.setReferenceSpaceType("local");
      renderer.xr.setFramebufferScaleFactor(this.#view.slow ? SLOW_SCALE : 1);
      await renderer.xr.setSession(session);
    } catch (error) {
      renderer.xr.enabled = false;
      await session.end().catch(() => {});
      throw error;
    }
    session.addEventListener("end", () => this.#leave()); // after the renderer's own
    this.#session = session;
    this.#placed = this.#squeezing = false;
    this.#hands.start(session, session.domOverlayState ? overlay : null);
    this.#view.present(true);
    // Through the headset's cameras one sees the room in place of floor and sky.
    this.#view.surroundings.floorless = session.environmentBlendMode !== undefined && session.environmentBlendMode !== "opaque";
    this.#view.scene.add(this.#rig, this.panel.mesh, this.#screen);
    renderer.xr.getReferenceSpace()?.addEventListener("reset", () => (this.#placed = false));
    renderer.setAnimationLoop((now, frame) => frame && this.#step(now, frame));
    this.#parts.onChange();
  }

  #leave() {
    this.#session = null;
    this.#hands.stop();
    this.#parts.input.hand = null;
    this.#parts.input.report();
    this.#rig.removeFromParent();
    this.panel.mesh.removeFromParent();
    this.#screen.removeFromParent();
    this.#view.surroundings.floorless = false;
    const { renderer } = this.#view;
    renderer.setAnimationLoop(null);
    renderer.xr.enabled = false;
    this.#view.present(false);
    this.#parts.onChange();
  }

  /**
   * One frame of the session.
   *
   * @param {number} now ms
   * @param {XRFrame} frame
   */
  #step(now, frame) {
    const space = this.#view.renderer.xr.getReferenceSpace();
    const head = space && frame.getViewerPose(space);
    if (!space || !head || !isSound(head.transform)) {
      return; // the headset has lost where it is; without messages the robot holds still
    }
    const { headset } = this.#parts.bindings();
    const hand = this.#hands.read(frame, space, head, headset, this.#frame?.status.stopped ?? false);
    const engages = hand.squeeze > 0.5 && !this.#squeezing;
    this.#squeezing = hand.squeeze > 0.5;
    if (!this.#placed || (engages && this.#isOutOfView(head))) {
      this.#place(head);
    }
    this.#parts.input.hand = { ...hand, time: performance.now(), yaw: this.#view.channel ? this.#yaw : yawOf(head) };
    this.#parts.input.report();
    this.panel.update(this.#parts.facts(this.#hands), this.#hands.problem);
    this.#view.drawFor(this.#camera, now);
    if (this.#frame) {
      this.drawn += 1;
    }
  }

  /** Puts the scene in front of the operator, whichever way they look. @param {XRViewerPose} head */
  #place(head) {
    const { workspace, view } = this.#view.channel?.description ?? { workspace: null, view: null };
    const centre = new THREE.Vector3().fromArray(view?.centre ?? [0, 0, 0]);
    if (workspace) {
      centre.z = workspace[0][2];
    }
    const distance = Math.max(DISTANCE * (view?.distance ?? 0), NEAREST);
    const eyes = new THREE.Vector3(-Math.cos(HEADING), -Math.sin(HEADING), 0).multiplyScalar(distance).add(centre);
    eyes.z = centre.z + EYES;
    const turn = HEADING - yawOf(head);
    const { x, y, z } = head.transform.position;
    this.#rig.quaternion.setFromAxisAngle(UP, turn).multiply(TO_BASE);
    this.#rig.position.copy(eyes).sub(new THREE.Vector3(x, y, z).applyQuaternion(this.#rig.quaternion));
    this.#rig.updateMatrixWorld();
    this.#yaw = -turn;
    this.#placed = true;
    this.panel.place(centre, eyes, this.#hands.byPhone);
    this.#screen.visible = !this.#view.channel;
    this.#screen.position.copy(centre).setZ(eyes.z - 0.1);
    this.#screen.lookAt(eyes.x, eyes.y, eyes.z - 0.1);
  }

  /** Whether the operator does not see what they are about to drive. @param {XRViewerPose} head */
  #isOutOfView(head) {
    const tool = this.#frame?.status.tcp;
    if (!this.#view.channel || !tool) {
      return false;
    }
    const { x, y, z } = head.transform.position;
    const way = this.#rig.worldToLocal(new THREE.Vector3().fromArray(tool)).sub(new THREE.Vector3(x, y, z));
    const off = Math.atan2(-way.x, -way.z) - yawOf(head);
    return Math.abs(THREE.MathUtils.euclideanModulo(off + Math.PI, 2 * Math.PI) - Math.PI) > OUT_OF_VIEW;
  }
}

/** Which way the head looks about the vertical, counter-clockwise, rad. @param {XRViewerPose} head */
function yawOf({ transform: { orientation } }) {
  const ahead = new THREE.Vector3(0, 0, -1).applyQuaternion(
    new THREE.Quaternion(orientation.x, orientation.y, orientation.z, orientation.w),
  );
  return Math.atan2(-ahead.x, -ahead.z);
}
