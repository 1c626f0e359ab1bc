// What the server says, as types, and how a frame is read. The words are in gym_hil/console/messages.py.

/**
 * @typedef {{id: number, title: string, drivable: boolean}} ChannelInfo
 * @typedef {{title: string, rows: [string, string][]}} LegendPart
 * @typedef {{channel: number, intervention: "toggle" | "hold" | "auto" | null, keys: Record<string, string>,
 *   pad: Record<string, string>, buttons: Record<string, string>, legend: LegendPart[], requests: string[]}} Controls
 * @typedef {{channel: number, holder: "you" | "other" | "none", free_in: number | null, pages: number}} Seat
 * @typedef {{number: number, steps: number, interventions: number, success: boolean, episode_return: number,
 *   discarded: boolean}} Episode
 * @typedef {{channel: number, time: number, kind: string, text: string}} ChannelEvent
 * @typedef {{episode: number | null, step: number | null, max_steps: number | null, seconds_left: number | null,
 *   reward: number | null, episode_return: number | null, driver: "policy" | "operator" | null, success: boolean | null,
 *   gripper: number | null, tcp: number[] | null, target: number[] | null, paused: boolean | null}} Status
 * @typedef {{channel: number, sequence: number, published: number, inputTime: number, poses: Float32Array,
 *   status: Status, images: (Uint8Array<ArrayBuffer> | null)[]}} Frame
 *
 * @typedef {{body: number, type: string, size: number[], pos: number[], quat: number[], rgba: number[],
 *   mesh: string | null}} Geom
 * @typedef {{vertices: number, position: number, normal: number, index: number, indices: number, wide: boolean,
 *   low: number[], extent: number[]}} MeshInfo
 * @typedef {{name: string, body: number, pos: number[], quat: number[], fovy: number}} SceneCamera
 * @typedef {{title: string, dt: number, bodies: string[], geoms: Geom[], meshes: Record<string, MeshInfo>,
 *   cameras: SceneCamera[], workspace: number[][] | null}} SceneDescription
 */

export const VERSION = 2;
export const POSE = 7; // numbers for a body: x, y, z, then a quaternion, w first
const FRAME = 1;
const HEADER = 32; // bytes

/**
 * Reads a frame. Its poses and images are views of the same buffer.
 *
 * @param {ArrayBuffer} buffer
 * @returns {Frame}
 */
export function readFrame(buffer) {
  const view = new DataView(buffer);
  if (view.getUint8(0) !== FRAME) {
    throw new Error(`The server sent a binary message of kind ${view.getUint8(0)}; expected ${FRAME}.`);
  }
  const bodies = view.getUint16(6, true);
  const words = HEADER + 4 * POSE * bodies;
  let offset = words + view.getUint16(2, true);
  const status = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, words, offset - words)));
  const images = [];
  for (let count = view.getUint8(1); count > 0; count -= 1) {
    const length = view.getUint32(offset, true);
    images.push(length ? new Uint8Array(buffer, offset + 4, length) : null);
    offset += 4 + length;
  }
  return {
    channel: view.getUint16(4, true),
    sequence: view.getUint32(8, true),
    published: view.getFloat64(16, true),
    inputTime: view.getFloat64(24, true),
    poses: new Float32Array(buffer, HEADER, POSE * bodies),
    status,
    images,
  };
}
