"""Floor, sky and lights of a model, as parts of a `gym_hil.rendering.scene.Scene`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.rendering.geometry import Geometry, look
from gym_hil.rendering.scene import (
    DIRECTIONAL,
    ENDLESS_FLOOR,
    FINITE_FLOOR,
    NO_FLOOR,
    POINT,
    SPOT,
    Floats,
    Floor,
    Ints,
    Lights,
    Sky,
)

SKY_ROWS = 257
NO_LIGHT_AMBIENT = 0.3  # measured: what MuJoCo's renderer shows of a model in which every light is off


def floor(model: mujoco.MjModel, geometry: Geometry, known: Floor | None = None) -> Floor:
    """The floor of a model, without a pose yet; the texture of `known` is reused if it has not changed."""
    geom, endless = geometry.floor, geometry.is_endless
    material = int(model.geom_matid[geom]) if geom >= 0 else -1
    rgba, gloss = look(model, model.geom_rgba[geom], material) if geom >= 0 else (np.zeros(4), (0.0, 0.0, 0.0))
    texels, mips = np.zeros((0, 4), np.float32), np.zeros((0, 3), np.int32)
    repeats = texture_repeats(model, geom)
    offset, texels_per_metre = np.zeros(2), 0.0
    texture = _texture_of(model, material)
    if texture >= 0:
        pixels = _pixels(model, texture)
        same = known is not None and np.array_equal(full_size(known), pixels)
        texels, mips = (known.texels, known.mips) if known is not None and same else mipmaps(pixels)
        offset = np.maximum(model.geom_size[geom, :2], 0.0) * repeats
        texels_per_metre = float(max(repeats[0] * mips[0, 1], repeats[1] * mips[0, 2]))
    origin, u_axis, v_axis, normal = np.zeros((4, 3), dtype=np.float32)
    return Floor(
        geom=geom,
        repeats=repeats,
        kind=NO_FLOOR if geom < 0 else ENDLESS_FLOOR if endless else FINITE_FLOOR,
        shape=int(np.searchsorted(geometry.geoms, geom)) if geom >= 0 and not endless else -1,
        origin=origin,
        u_axis=u_axis,
        v_axis=v_axis,
        normal=normal,
        half=(model.geom_size[geom, :2] if geom >= 0 else np.zeros(2)).astype(np.float32),
        uv_offset=offset.astype(np.float32),
        colour=rgba[:3].astype(np.float32),
        material=np.array(gloss, dtype=np.float32),
        texels_per_metre=np.float32(texels_per_metre),
        # measured: where MuJoCo ends an endless plane
        radius=np.float32(model.vis.map.zfar * model.stat.extent / np.sqrt(2)),
        texels=texels,
        mips=mips,
    )


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
    """Halve an image (height, width, 3) down to one pixel: `Floor.texels` and `Floor.mips`.

    A scale is stored with a border of one texel that repeats its other side. The fourth number of a texel is 1 where
    it, its right, its lower and its lower right neighbour are the same.
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


def full_size(floor: Floor) -> Floats:
    """The texture of a floor that has one, (height, width, 3)."""
    _, width, height = floor.mips[0]
    return floor.texels[: (width + 2) * (height + 2), :3].reshape(height + 2, width + 2, 3)[1:-1, 1:-1]


def sky(model: mujoco.MjModel, *, endless_floor: bool) -> Sky:
    """The first skybox of a model, and the haze that MuJoCo draws between it and an endless floor."""
    boxes = np.flatnonzero(model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    share = float(np.clip(model.vis.map.haze, 0.0, 1.0)) if endless_floor and len(boxes) else 0.0
    haze = np.asarray(model.vis.rgba.haze)[:3].astype(np.float32)
    return Sky(_skybox(model, int(boxes[0]) if len(boxes) else -1), haze, np.float32(share))


def lights(model: mujoco.MjModel) -> tuple[NDArray[np.intp], Lights]:
    """Ids (n,) of the lights that are on, and the light of a model, still without poses.

    Of a model without lights there is one that is dark, so that compiled code always finds one.
    """
    ids = np.flatnonzero(model.light_active)
    head = model.vis.headlight
    ambient = np.asarray(head.ambient) if head.active else np.zeros(3)
    ambient = ambient + model.light_ambient[ids].sum(axis=0)
    if not head.active and not len(ids):
        ambient = np.full(3, NO_LIGHT_AMBIENT)
    count = max(len(ids), 1)
    casting = np.flatnonzero(model.light_castshadow[ids])
    one, three = np.zeros(count, dtype=np.float32), np.zeros((count, 3), dtype=np.float32)
    found = Lights(
        shadow=int(casting[0]) if len(casting) else -1,
        ambient=ambient.astype(np.float32),
        headlight=(np.asarray(head.diffuse) if head.active else np.zeros(3)).astype(np.float32),
        headlight_specular=np.float32(np.mean(head.specular) if head.active else 0.0),
        kind=np.zeros(count, dtype=np.int32),
        cutoff=one,
        exponent=one.copy(),
        attenuation=three,
        diffuse=three.copy(),
        specular=one.copy(),
        position=three.copy(),
        direction=three.copy(),
    )
    if len(ids):
        found.kind[:] = [_light_kind(model, int(i)) for i in ids]
        found.cutoff[:] = np.cos(np.radians(model.light_cutoff[ids]))
        found.exponent[:] = model.light_exponent[ids]
        found.attenuation[:] = model.light_attenuation[ids]
        found.diffuse[:] = model.light_diffuse[ids]
        found.specular[:] = model.light_specular[ids].mean(axis=1)
    return ids, found


def light_axes(direction: Sequence[float]) -> list[tuple[float, float, float]]:
    """Right, up and forward axis (3, 3) of a camera that looks along `direction` (3,)."""
    x, y, z = direction
    length = math.sqrt(x * x + y * y + z * z) or 1.0
    x, y, z = x / length, y / length, z / length
    flat = math.hypot(x, y)
    # looking straight down or up, any direction is as good a right
    right = (y / flat, -x / flat, 0.0) if flat > 1e-6 else (1.0, 0.0, 0.0)
    down = (y * right[2] - z * right[1], z * right[0] - x * right[2], x * right[1] - y * right[0])
    return [right, down, (x, y, z)]


def _skybox(model: mujoco.MjModel, texture: int) -> Floats:
    """Colours (257, 3) from straight down to straight up, averaged around the vertical; black without a texture."""
    colours = np.zeros((SKY_ROWS, 3), dtype=np.float32)
    if texture < 0:
        return colours
    faces = _pixels(model, texture)
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
    """In every MuJoCo version: older ones only know whether a light is directional."""
    if not hasattr(model, "light_type"):
        return DIRECTIONAL if model.light_directional[i] else SPOT
    kinds = {int(mujoco.mjtLightType.mjLIGHT_SPOT): SPOT, int(mujoco.mjtLightType.mjLIGHT_DIRECTIONAL): DIRECTIONAL}
    return kinds.get(int(model.light_type[i]), POINT)


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
