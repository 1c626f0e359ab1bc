"""What a model says about light, floor and sky, as the arrays of `gym_hil.rendering.scene.Scene`."""

from __future__ import annotations

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.rendering.geometry import Geometry, look

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

FLOOR_FIELDS = 23
SKY_ROWS = 257
NO_LIGHT_AMBIENT = 0.3  # measured: what MuJoCo's renderer shows of a model in which every light is off


def floor(model: mujoco.MjModel, geometry: Geometry, geom: int) -> tuple[Floats, Floats, Ints]:
    """Numbers of the floor (23,), its texture at every scale (n, 4), and where each scale starts (levels, 3).

    `geom` is the id of the floor's geom, -1 for none.
    """
    numbers = np.zeros(FLOOR_FIELDS, dtype=np.float32)
    if geom < 0:
        return numbers, np.zeros((0, 4), np.float32), np.zeros((0, 3), np.int32)
    material = int(model.geom_matid[geom])
    rgba, gloss = look(model, model.geom_rgba[geom], material)
    numbers[0] = 1 if geometry.floor_shape < 0 else 2
    numbers[15:18] = rgba[:3]
    numbers[18:21] = gloss
    numbers[22] = model.vis.map.zfar * model.stat.extent / np.sqrt(2)  # measured: where MuJoCo ends an endless plane
    texture = _texture_of(model, material)
    if texture < 0:
        return numbers, np.zeros((0, 4), np.float32), np.zeros((0, 3), np.int32)
    texels, mips = mipmaps(_pixels(model, texture))
    repeats = texture_repeats(model, geom)
    numbers[13:15] = np.maximum(model.geom_size[geom, :2], 0.0) * repeats
    numbers[21] = float(max(repeats[0] * mips[0, 1], repeats[1] * mips[0, 2]))
    return numbers, texels, mips


def place_floor(data: mujoco.MjData, geom: int, repeats: NDArray[np.float64], numbers: Floats) -> None:
    """Write the floor's pose into its numbers: origin, texture axes for `repeats` (2,) per metre, and normal."""
    axes = data.geom_xmat[geom]
    numbers[1:4] = data.geom_xpos[geom]
    numbers[4:7] = axes[0::3] * repeats[0]
    numbers[7:10] = axes[1::3] * -repeats[1]
    numbers[10:13] = axes[2::3]


def texture_repeats(model: mujoco.MjModel, geom: int) -> NDArray[np.float64]:
    """Repeats per metre (2,) along a plane's x and y; measured on MuJoCo's renderer: its unit is half a size."""
    material = int(model.geom_matid[geom]) if geom >= 0 else -1
    if material < 0:
        return np.zeros(2)
    repeat = np.asarray(model.mat_texrepeat[material], dtype=np.float64)
    half = model.geom_size[geom, :2]
    uniform = np.full(2, bool(model.mat_texuniform[material])) | (half <= 0)
    return repeat / np.where(uniform, 2.0, 2.0 * np.where(uniform, 1.0, half))


def mipmaps(image: Floats) -> tuple[Floats, Ints]:
    """Halve an image down to one pixel.

    Args:
        image: (height, width, 3).

    Returns:
        All scales as rows (n, 4), and (levels, 3) first row, width and height of each. A scale is stored with a border
        of one texel that repeats its other side. The fourth number of a texel is 1 where it, its right, its lower and
        its lower right neighbour are the same.
    """
    levels = [image]
    while max(levels[-1].shape[:2]) > 1:
        levels.append(_halved(_halved(levels[-1], 0), 1).astype(np.float32))
    rows, mips, start = [], [], 0
    for level in levels:
        bordered = np.pad(level, ((1, 1), (1, 1), (0, 0)), mode="wrap")
        same = np.zeros((*bordered.shape[:2], 1), dtype=np.float32)
        block = [bordered[i : i - 1 or None, j : j - 1 or None] for i in (0, 1) for j in (0, 1)]
        same[:-1, :-1, 0] = np.all([(block[0] == other).all(axis=2) for other in block[1:]], axis=0)
        rows.append(np.concatenate([bordered, same], axis=2).reshape(-1, 4))
        mips.append((start, level.shape[1], level.shape[0]))
        start += len(rows[-1])
    return np.concatenate(rows), np.array(mips, dtype=np.int32)


def sky(model: mujoco.MjModel) -> Floats:
    """Colours (257, 3) of the skybox from straight down to straight up, averaged around the vertical; black without."""
    colours = np.zeros((SKY_ROWS, 3), dtype=np.float32)
    boxes = np.flatnonzero(model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    if not len(boxes):
        return colours
    faces = _pixels(model, int(boxes[0]))
    size = faces.shape[1]
    if faces.shape[0] < 6 * size:
        return colours + faces.mean(axis=(0, 1))
    right, left, up, down, front, back = faces[: 6 * size].reshape(6, size, size, 3)
    side = np.stack([right, left, front, back]).mean(axis=(0, 2))[::-1]
    centre = np.abs(np.arange(size) - (size - 1) / 2) / (size / 2)
    ring = np.maximum(centre[:, None], centre[None, :])
    for row in range(SKY_ROWS):
        height = (row - 128) / 64
        if abs(height) <= 1:
            at = np.clip((height + 1) / 2 * size - 0.5, 0, size - 1)
            low = int(at)
            high = min(low + 1, size - 1)
            colours[row] = side[low] + (side[high] - side[low]) * (at - low)
        else:
            face = up if height > 0 else down
            nearest = np.abs(ring - (2 - abs(height)))
            colours[row] = face[nearest <= nearest.min() + 1e-6].mean(axis=0)
    return colours


def haze(model: mujoco.MjModel, geometry: Geometry) -> Floats:
    """RGB and share (4,) of the haze that MuJoCo draws between an endless floor and a skybox; zeros without both."""
    wanted = geometry.floor >= 0 and bool((model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX).any())
    share = float(np.clip(model.vis.map.haze, 0.0, 1.0)) if wanted else 0.0
    return np.append(np.asarray(model.vis.rgba.haze)[:3], share).astype(np.float32)


def ambient(model: mujoco.MjModel) -> Floats:
    """RGB light (3,) that comes from everywhere."""
    light = model.vis.headlight
    active = np.flatnonzero(model.light_active)
    if not light.active and not len(active):
        return np.full(3, NO_LIGHT_AMBIENT, dtype=np.float32)
    own = np.asarray(light.ambient) if light.active else np.zeros(3)
    return (own + model.light_ambient[active].sum(axis=0)).astype(np.float32)


def headlight(model: mujoco.MjModel) -> Floats:
    """Diffuse RGB and specular strength (4,) of the headlight."""
    light = model.vis.headlight
    if not light.active:
        return np.zeros(4, dtype=np.float32)
    return np.append(np.asarray(light.diffuse), np.mean(light.specular)).astype(np.float32)


def lights(model: mujoco.MjModel) -> tuple[NDArray[np.intp], Floats, int]:
    """Ids of the lights that are on, their numbers (n, 16) still without a pose, and which of them casts shadows."""
    ids = np.flatnonzero(model.light_active)
    numbers = np.zeros((len(ids), 16), dtype=np.float32)
    for row, i in zip(numbers, ids, strict=True):
        row[0] = _light_kind(model, int(i))
        row[1] = np.cos(np.radians(model.light_cutoff[i]))
        row[2] = model.light_exponent[i]
        row[3:6] = model.light_attenuation[i]
        row[6:9] = model.light_diffuse[i]
        row[9] = model.light_specular[i].mean()
    casting = [k for k, i in enumerate(ids) if model.light_castshadow[i]]
    return ids, numbers, casting[0] if casting else -1


def light_axes(direction: NDArray[np.float64]) -> list[tuple[float, float, float]]:
    """Right, up and forward axis (3, 3) of a camera that looks along `direction` (3,)."""
    x, y, z = direction.tolist()  # plain floats: for nine numbers numpy costs more than it saves
    length = math.sqrt(x * x + y * y + z * z) or 1.0
    x, y, z = x / length, y / length, z / length
    flat = math.hypot(x, y)
    # looking straight down or up, any direction is as good a right
    right = (y / flat, -x / flat, 0.0) if flat > 1e-6 else (1.0, 0.0, 0.0)
    down = (y * right[2] - z * right[1], z * right[0] - x * right[2], x * right[1] - y * right[0])
    return [right, down, (x, y, z)]


def _halved(image: Floats, axis: int) -> Floats:
    """Average neighbours along one axis; of an odd number, some are averaged by three."""
    if image.shape[axis] == 1:
        return image
    half = image.shape[axis] // 2
    index = (np.arange(half + 1) * image.shape[axis]) // half
    shape = [1, 1, 1]
    shape[axis] = half
    return np.add.reduceat(image, index[:-1], axis=axis) / np.diff(index).reshape(shape).astype(np.float32)


def _light_kind(model: mujoco.MjModel, i: int) -> int:
    """0 spot, 1 directional, 2 point, in every MuJoCo version: older ones only know whether it is directional."""
    if not hasattr(model, "light_type"):
        return int(model.light_directional[i])
    kinds = {int(mujoco.mjtLightType.mjLIGHT_SPOT): 0, int(mujoco.mjtLightType.mjLIGHT_DIRECTIONAL): 1}
    return kinds.get(int(model.light_type[i]), 2)


def _texture_of(model: mujoco.MjModel, material: int) -> int:
    if material < 0:
        return -1
    ids = model.mat_texid[material]
    for role in (mujoco.mjtTextureRole.mjTEXROLE_RGB, mujoco.mjtTextureRole.mjTEXROLE_RGBA):
        if ids[role] >= 0 and model.tex_type[ids[role]] == mujoco.mjtTexture.mjTEXTURE_2D:
            return int(ids[role])
    return -1


def _pixels(model: mujoco.MjModel, texture: int) -> Floats:
    """A texture as (height, width, 3), 0..1."""
    height, width = int(model.tex_height[texture]), int(model.tex_width[texture])
    channels, start = int(model.tex_nchannel[texture]), int(model.tex_adr[texture])
    flat = model.tex_data[start : start + height * width * channels].reshape(height, width, channels)
    colour = flat[..., :3] if channels >= 3 else np.repeat(flat[..., :1], 3, axis=2)
    return colour.astype(np.float32) / np.float32(255.0)
