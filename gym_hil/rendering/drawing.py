"""Compiled: from vertices to bytes; one call for what all cameras share, and one for each camera."""

from __future__ import annotations

import gc
import inspect
import logging
import os
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import numpy as np
from numba import njit
from numba.core import event
from numpy.typing import NDArray

from gym_hil.rendering.floor import colour_ground, find_plane, lay_floor, light_floor, measure_row
from gym_hil.rendering.scene import (
    COMPILE_OPTIONS,
    ENDLESS_FLOOR,
    FLOOR,
    FULL,
    HALF,
    KNOWN,
    MOVES,
    NOTHING,
    ONE,
    QUARTER,
    STAYS,
    TWO,
    ZERO,
    Camera,
    Floats,
    Ints,
    Real,
    Scene,
    Vector,
    helper,
    inlined,
)
from gym_hil.rendering.shading import draw_shadows, shade_sky, shade_triangle
from gym_hil.rendering.triangles import centre, fill_shape, is_in_view, place, ray

Image = NDArray[np.uint8]
Window = tuple[int, int, int, int]  # first and last + 1 row, first and last + 1 column, in pixels
P = ParamSpec("P")

_LOG = logging.getLogger(__name__)


@helper
def draw_camera(scene: Scene, camera: Camera, ground: Floats, known: int, image: Image) -> None:
    """Draw the image of one camera; `known` says what its ground (H, W, 9) holds: MOVES, STAYS or KNOWN."""
    shapes, buffers, distances = scene.shapes, scene.buffers, scene.buffers.distances
    plane = find_plane(scene.floor, camera)
    clear(scene, camera, plane)
    buffers.is_lit[:] = False
    translucent = 0
    for s in range(distances.shape[0]):
        distances[s] = ZERO
        x, y, z = centre(shapes, s, camera)
        radius = shapes.radii[s]
        if not is_in_view(x, y, z, radius, camera):
            continue
        if shapes.colours[s, 3] < ONE:
            distances[s] = max(z + radius, np.float32(1e-6))
            translucent += 1
        else:
            fill_shape(shapes, s, s == scene.floor.shape, camera, buffers, buffers.depth, buffers.ids)
    rows, columns, _ = buffers.pixels.shape
    if known != KNOWN and (plane[0] != ZERO or plane[1] != ZERO or plane[2] != ZERO):
        light_floor(scene, camera, plane)
        if known == STAYS:
            for i in range(rows):
                measure_row(scene, camera, plane, i)
                colour_ground(scene, camera, plane, i, np.int64(0), columns, ground[i])
    window = (np.int64(0), rows, np.int64(0), columns)
    resolve(scene, camera, plane, window, buffers.ids, ONE, translucent > 0, ground, known == MOVES, image)
    for _ in range(translucent):
        farthest: Any = np.int64(0)
        for s in range(1, distances.shape[0]):
            if distances[s] > distances[farthest]:
                farthest = s
        distances[farthest] = ZERO
        window = begin_layer(scene, farthest, camera)
        fill_shape(
            shapes, farthest, farthest == scene.floor.shape, camera, buffers, buffers.layer_depth, buffers.layer_ids
        )
        alpha = shapes.colours[farthest, 3]
        resolve(scene, camera, plane, window, buffers.layer_ids, alpha, translucent > 0, ground, False, image)
    if translucent > 0:
        for i in range(rows):
            finish_row(image, i, buffers.pixels[i])


@helper
def clear(scene: Scene, camera: Camera, plane: Vector) -> None:
    """Empty the depth buffer, or fill it with an endless floor up to its edge."""
    depth, ids, radius = scene.buffers.depth, scene.buffers.ids, scene.floor.radius
    depth[:] = ZERO
    ids[:] = NOTHING
    if scene.floor.kind != ENDLESS_FLOOR or (plane[0] == ZERO and plane[1] == ZERO and plane[2] == ZERO):
        return
    for i in range(depth.shape[0]):
        start = plane[0] + plane[2] * (np.float32(i) + HALF)
        for j in range(depth.shape[1]):
            w = max(start + plane[1] * (np.float32(j) + HALF), ZERO)
            depth[i, j] = w
            if w > ZERO:
                dx, dy, _ = ray(np.float32(j) + HALF, np.float32(i) + HALF, camera)
                if dx * dx + dy * dy < (w * radius) * (w * radius):
                    ids[i, j] = FLOOR


@helper
def begin_layer(scene: Scene, s: int, camera: Camera) -> Window:
    """Let the opaque image hide what lies behind it of a translucent shape; the pixels that the shape may cover."""
    buffers, half_width, half_height = scene.buffers, camera.half_width, camera.half_height
    top, bottom, left, right = 0, buffers.pixels.shape[0], 0, buffers.pixels.shape[1]
    x, y, z = centre(scene.shapes, s, camera)
    radius = scene.shapes.radii[s]
    nearest = z - radius
    if nearest > camera.near:
        # no point of the sphere is farther from its centre on the screen than this
        reach = camera.focal * radius / nearest * (ONE + max(abs(x), abs(y)) / z) + ONE
        x = half_width + camera.focal * x / z
        y = half_height - camera.focal * y / z
        top = int(min(max(y - reach, ZERO), TWO * half_height)) // 2
        bottom = (int(min(max(y + reach, ZERO), TWO * half_height)) + 1) // 2
        left = int(min(max(x - reach, ZERO), TWO * half_width)) // 2
        right = (int(min(max(x + reach, ZERO), TWO * half_width)) + 1) // 2
    for i in range(2 * top, 2 * bottom):
        for j in range(2 * left, 2 * right):
            buffers.layer_depth[i, j] = buffers.depth[i, j]
            buffers.layer_ids[i, j] = NOTHING
    return top, bottom, left, right


@helper
def resolve(
    scene: Scene, camera: Camera, plane: Vector, window: Window, ids: Ints, alpha: Real, keep: bool,
    ground: Floats, measure: bool, image: Image,
) -> None:  # fmt: skip
    """Shade every pixel once for each surface among its four samples, average, and lay it over the image.

    The opaque image, with an alpha of 1, covers everything; a translucent shape has less.
    Without `keep` the pixels go straight into the image, which leaves the processor's cache to other things.
    """
    # All of a pixel's cases are in one loop: this is where the time goes, and in parts it takes a twentieth longer.
    buffers = scene.buffers
    top, bottom, left, right = window
    for i in range(top, bottom):
        row = buffers.pixels[i if keep else 0]
        measured = not measure
        j = left
        while j < right:
            t0, t1, t2, t3 = samples(ids, i, j)
            same = t0 == t1 and t0 == t2 and t0 == t3
            end = j + 1
            done = False
            if alpha < ONE:
                done = same and t0 == NOTHING
                if not done:
                    dim(row[j], alpha, QUARTER * np.float32(4 - count(NOTHING, t0, t1, t2, t3)))
            elif t0 == FLOOR or t1 == FLOOR or t2 == FLOOR or t3 == FLOOR:
                if not measured:
                    measure_row(scene, camera, plane, i)
                    measured = True
                if same:
                    end = end_of_floor(ids, i, j, right)
                if measure:
                    colour_ground(scene, camera, plane, i, j, end, ground[i])
                lay_floor(ground[i], j, end, scene.shadow_map, row)
                done = same
                if not same:
                    scale(row[j], QUARTER * np.float32(count(FLOOR, t0, t1, t2, t3)))
            else:
                for k in range(6):
                    row[j, k] = ZERO
            if not done:
                add_surfaces(scene, camera, ids, i, j, same, alpha, row[j])
            j = end
        if not keep:
            finish_row(image, i, row)


@inlined
def samples(ids: Ints, i: int, j: int) -> tuple[int, int, int, int]:
    """What the four samples of a pixel show."""
    return ids[2 * i, 2 * j], ids[2 * i, 2 * j + 1], ids[2 * i + 1, 2 * j], ids[2 * i + 1, 2 * j + 1]


@inlined
def count(name: int, t0: int, t1: int, t2: int, t3: int) -> int:
    """How many of a pixel's samples show the same as `name`."""
    return (t0 == name) + (t1 == name) + (t2 == name) + (t3 == name)


@inlined
def end_of_floor(ids: Ints, i: int, j: int, right: int) -> int:
    """The first column after j whose pixel in row i does not show the floor alone."""
    j += 1
    while j < right and (
        ids[2 * i, 2 * j] == FLOOR and ids[2 * i, 2 * j + 1] == FLOOR
        and ids[2 * i + 1, 2 * j] == FLOOR and ids[2 * i + 1, 2 * j + 1] == FLOOR
    ):  # fmt: skip
        j += 1
    return j


@inlined
def scale(pixel: Floats, factor: Real) -> None:
    """Multiply all of a pixel (6,)."""
    for k in range(6):
        pixel[k] *= factor


@inlined
def dim(pixel: Floats, alpha: Real, covered: Real) -> None:
    """Let less of a pixel (6,) through a translucent shape that covers a share of it."""
    for k in range(3):
        pixel[k] *= ONE - alpha * covered
        pixel[3 + k] *= ONE - covered


@inlined
def add_surfaces(
    scene: Scene, camera: Camera, ids: Ints, i: int, j: int, same: bool, alpha: Real, pixel: Floats
) -> None:
    """Add the triangles, and with an alpha of 1 the sky, that a pixel's samples show, each surface shaded once."""
    colour = scene.buffers.colour
    last = FLOOR
    k = 0
    while k < 4:
        t = ids[2 * i + k // 2, 2 * j + k % 2]
        weight = QUARTER * alpha
        if same:
            k = 3
            weight = alpha
        surface = scene.shapes.surface[t] if t >= 0 else t
        if surface != last and (t >= 0 or alpha == ONE):
            last = surface
            x = np.float32(2 * j + 1) if same else np.float32(2 * j + k % 2) + HALF
            y = np.float32(2 * i + 1) if same else np.float32(2 * i + k // 2) + HALF
            dx, dy, dz = ray(x, y, camera)
            if t >= 0:
                shade_triangle(scene, camera, t, dx, dy, dz, colour)
            elif t == NOTHING:
                shade_sky(scene.sky, scene.floor, camera, dx, dy, dz, colour)
        if t >= 0 or (alpha == ONE and t == NOTHING):
            for c in range(6):
                pixel[c] += colour[c] * weight
        k += 1


@inlined
def finish_row(image: Image, i: int, pixels: Floats) -> None:
    """Round one row of pixels (W, 6) into the image."""
    for j in range(image.shape[1]):
        for k in range(3):
            image[i, j, k] = np.uint8(min(max(pixels[j, k] + pixels[j, 3 + k] + HALF, ZERO), FULL))


def fingerprint(*modules: str) -> int:
    """Checksum of the sources of some modules, 0 where there are none; numba itself looks at one module only."""
    try:
        return zlib.crc32("".join(inspect.getsource(sys.modules[name]) for name in modules).encode())
    except OSError:
        return 0


def entry(function: Callable[P, None]) -> Callable[P, None]:
    """Compile a function that Python calls, and keep the result on disk where some folder can be written."""
    try:
        return njit(cache=_can_cache(), **COMPILE_OPTIONS)(function)
    except RuntimeError:  # numba found no folder for its cache
        return njit(**COMPILE_OPTIONS)(function)


def _can_cache() -> bool:
    """Whether numba may look for a folder: for a user without a home directory it would make one called `~`."""
    if {"NUMBA_CACHE_DIR", "XDG_CACHE_HOME"} & set(os.environ) or os.path.isabs(os.path.expanduser("~")):
        return True
    try:
        with tempfile.TemporaryFile(dir=Path(__file__).parent / "__pycache__"):
            return True
    except OSError:
        return False


def _compile(sources: int) -> tuple[Callable[[Scene], None], Callable[[Scene, Camera, Floats, int, Image], None]]:
    """Make `begin` and `draw`; `sources` makes numba compile anew when any of the modules they use has changed.

    They are two because the compiler makes slower code of one that does both.
    """

    def begin(scene: Scene) -> None:
        """Place what all cameras share: vertices and shadows."""
        if sources >= 0:
            place(scene.shapes, scene.buffers.world, scene.buffers.world_normals)
            if scene.lights.shadow >= 0:
                draw_shadows(scene)

    def draw(scene: Scene, camera: Camera, ground: Floats, known: int, image: Image) -> None:
        """Draw what one camera sees into its image (H, W, 3); see `draw_camera`."""
        if sources >= 0:
            draw_camera(scene, camera, ground, known, image)

    return entry(begin), entry(draw)


_COMPILED = ("scene", "triangles", "shading", "floor", "drawing")

begin, draw = _compile(fingerprint(*(f"gym_hil.rendering.{name}" for name in _COMPILED)))


class CompilingNotice(event.Listener):
    """Logs once that the renderer is compiled, and keeps the garbage collector out of it."""

    def __init__(self) -> None:
        self.is_logged = False
        self._was_collecting = False

    def on_start(self, compiled: event.Event) -> None:
        if compiled.data["dispatcher"] not in (begin, draw):
            return
        if not self.is_logged:
            self.is_logged = True
            _LOG.warning(
                "Compiling the renderer. This happens once on a machine and takes about a quarter of a minute."
            )
        # Numba makes many objects that stay; the garbage collector's looks through them are a fifth of the time.
        self._was_collecting = gc.isenabled()
        gc.disable()

    def on_end(self, compiled: event.Event) -> None:
        if compiled.data["dispatcher"] in (begin, draw) and self._was_collecting:
            gc.enable()


NOTICE = CompilingNotice()
event.register("numba:compile", NOTICE)
