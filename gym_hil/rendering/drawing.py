"""Compiled: from the poses of shapes and cameras to bytes."""

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

from gym_hil.rendering.floor import (
    GRID,
    clear_segments,
    colour_ground,
    find_ground,
    find_plane,
    is_seen,
    lay_floor,
    light_floor,
    light_ground,
    measure_row,
)
from gym_hil.rendering.scene import (
    ALL_GROUND,
    COMPILE_OPTIONS,
    ENDLESS_FLOOR,
    FLOOR,
    FULL,
    HALF,
    KNOWN,
    MOVES,
    NO_GROUND,
    NOTHING,
    ONE,
    QUARTER,
    SOME_GROUND,
    STAYS,
    TWO,
    ZERO,
    Buffers,
    Camera,
    Floats,
    Grounds,
    Ints,
    Poses,
    Real,
    Scene,
    Vector,
    Views,
    Window,
    helper,
    inlined,
)
from gym_hil.rendering.shading import draw_shadows, is_outside, light_vertices, shade_sky, shade_triangles
from gym_hil.rendering.simd import LANES, copy_pixels, count_ids, largest, less, load, ramp, store_bytes
from gym_hil.rendering.triangles import centre, fill_shape, is_in_view, place, project, ray

Image = NDArray[np.uint8]
P = ParamSpec("P")

_LOG = logging.getLogger(__name__)


@helper
def draw_camera(scene: Scene, camera: Camera, ground: Grounds, known: int, image: Image) -> None:
    """Draw the image of one camera; `known` says what `ground`, which is of this view alone, holds."""
    shapes, buffers, distances = scene.shapes, scene.buffers, scene.buffers.distances
    plane = find_plane(scene.floor, camera)
    sees_floor = is_seen(plane)
    is_endless = scene.floor.kind == ENDLESS_FLOOR and sees_floor
    buffers.is_cleared[:] = is_endless
    if is_endless:
        fill_endless(scene, camera, plane)
    buffers.is_lit[:] = False
    translucent = 0
    rows, columns, _ = buffers.pixels.shape
    kept = (np.int64(rows), np.int64(0), np.int64(columns), np.int64(0))  # where translucent shapes may lie over others
    for s in range(distances.shape[0]):
        distances[s] = ZERO
        x, y, z = centre(shapes, s, camera)
        radius = shapes.radii[s]
        if s == scene.floor.shape or not is_in_view(x, y, z, radius, camera):
            continue
        if shapes.colours[s, 3] < ONE:
            distances[s] = max(z + radius, np.float32(1e-6))
            translucent += 1
            top, bottom, left, right = window_of(scene, s, camera)
            kept = (min(kept[0], top), max(kept[1], bottom), min(kept[2], left), max(kept[3], right))
        else:
            clear_segments(scene, camera, plane, project(shapes, s, camera, buffers))
            fill_shape(shapes, s, camera, buffers, buffers.depth, buffers.ids)
    if known != KNOWN:
        find_ground(scene, camera, plane, ground.kinds)
        if sees_floor:
            light_floor(scene, camera, plane)
        if known == STAYS:
            keep_ground(scene, camera, plane, ground)
    window = (np.int64(0), rows, np.int64(0), columns)
    resolve(scene, camera, plane, window, buffers.ids, ONE, kept, ground, known, image)
    for _ in range(translucent):
        farthest: Any = np.int64(0)
        for s in range(1, distances.shape[0]):
            if distances[s] > distances[farthest]:
                farthest = s
        distances[farthest] = ZERO
        window = window_of(scene, farthest, camera)
        begin_layer(buffers, window)
        project(shapes, farthest, camera, buffers)
        fill_shape(shapes, farthest, camera, buffers, buffers.layer_depth, buffers.layer_ids)
        alpha = shapes.colours[farthest, 3]
        # KNOWN, because a layer lays no floor
        resolve(scene, camera, plane, window, buffers.layer_ids, alpha, kept, ground, KNOWN, image)
    for i in range(kept[0], kept[1]):
        for j in range(GRID * (kept[2] // GRID), min(GRID * ((kept[3] + GRID - 1) // GRID), columns)):
            finish_pixel(image, i, j, buffers.pixels[i, j])


@helper
def pose(scene: Scene, poses: Poses) -> None:
    """Write where everything is into the scene, in single precision."""
    shapes, lights, floor = scene.shapes, scene.lights, scene.floor
    count = poses.geoms.shape[0]
    for s in range(shapes.radii.shape[0]):
        if s < count:
            copy(poses.geom_xpos[poses.geoms[s]], shapes.positions[s])
            copy(poses.geom_xmat[poses.geoms[s]], shapes.rotations[s])
        else:
            copy(poses.site_xpos[poses.sites[s - count]], shapes.positions[s])
            copy(poses.site_xmat[poses.sites[s - count]], shapes.rotations[s])
    for k in range(poses.lights.shape[0]):
        copy(poses.light_xpos[poses.lights[k]], lights.position[k])
        copy(poses.light_xdir[poses.lights[k]], lights.direction[k])
    if floor.geom >= 0:
        copy(poses.geom_xpos[floor.geom], floor.origin)
        axes = poses.geom_xmat[floor.geom]
        for k in range(3):
            floor.u_axis[k] = np.float32(axes[3 * k] * floor.repeats[0])
            floor.v_axis[k] = np.float32(axes[3 * k + 1] * -floor.repeats[1])
            floor.normal[k] = np.float32(axes[3 * k + 2])


@inlined
def copy(source: NDArray[np.float64], target: Floats) -> None:
    """Write numbers in single precision."""
    for k in range(target.shape[0]):
        target[k] = np.float32(source[k])


@inlined
def look_through(scene: Scene, poses: Poses, views: Views, k: int) -> Camera:
    """The camera of view k."""
    p, m = poses.cam_xpos[views.cameras[k]], poses.cam_xmat[views.cameras[k]]
    rows, columns, _ = scene.buffers.pixels.shape
    return Camera(
        position=(np.float32(p[0]), np.float32(p[1]), np.float32(p[2])),
        right=(np.float32(m[0]), np.float32(m[3]), np.float32(m[6])),
        up=(np.float32(m[1]), np.float32(m[4]), np.float32(m[7])),
        back=(np.float32(m[2]), np.float32(m[5]), np.float32(m[8])),
        focal=views.focal[k],
        pixel=ONE / views.focal[k],
        near=views.near,
        half_width=np.float32(columns),
        half_height=np.float32(rows),
    )


@helper
def fill_endless(scene: Scene, camera: Camera, plane: Vector) -> None:
    """Fill all samples with an endless floor up to its edge."""
    depth, ids, radius = scene.buffers.depth, scene.buffers.ids, scene.floor.radius
    ids[:] = NOTHING
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
def keep_ground(scene: Scene, camera: Camera, plane: Vector, ground: Grounds) -> None:
    """Compute what stays of the view of a camera that does not move."""
    rows, columns, _ = ground.images.shape
    laid, sky = scene.buffers.laid, scene.buffers.sky
    for i in range(rows):
        measure_row(scene, camera, plane, i)
        for segment in range(ground.colours.shape[1]):
            first, colours = GRID * segment, ground.colours[i, segment]
            colour_ground(scene, camera, i, segment, colours)
            for k in range(2):
                lanes = load(colours, (6 + k, 0))
                ground.bounds[i, segment, 2 * k] = -largest(-lanes)
                ground.bounds[i, segment, 2 * k + 1] = largest(lanes)
            if first + GRID > columns:
                ground.kinds[i, segment] = SOME_GROUND
            elif ground.kinds[i, segment] == ALL_GROUND:
                light_ground(colours, ramp(ONE, ZERO), laid)
                finish_segment(ground.images, i, first, laid)
            elif ground.kinds[i, segment] == NO_GROUND:
                shade_sky(scene.sky, scene.floor, camera, i, first, sky)
                finish_segment(ground.images, i, first, sky)


@inlined
def window_of(scene: Scene, s: int, camera: Camera) -> Window:
    """The pixels that a shape may cover."""
    half_width, half_height = camera.half_width, camera.half_height
    top, bottom, left, right = 0, scene.buffers.pixels.shape[0], 0, scene.buffers.pixels.shape[1]
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
    return top, bottom, left, right


@helper
def begin_layer(buffers: Buffers, window: Window) -> None:
    """Let the opaque image hide what lies behind it of a translucent shape."""
    top, bottom, left, right = window
    for i in range(2 * top, 2 * bottom):
        for j in range(2 * left, 2 * right):
            buffers.layer_depth[i, j] = buffers.depth[i, j]
            buffers.layer_ids[i, j] = NOTHING


@helper
def resolve(
    scene: Scene, camera: Camera, plane: Vector, window: Window, ids: Ints, alpha: Real, kept: Window,
    ground: Grounds, known: int, image: Image,
) -> None:  # fmt: skip
    """Shade every pixel once for each surface among its four samples, average, and lay it over the image.

    The opaque image, with an alpha of 1, covers everything; a translucent shape has less.
    Pixels go straight into the image, but for segments in the window `kept`: those stay in `Buffers.pixels`.
    """
    top, bottom, left, right = window
    laid, sky, is_cleared = scene.buffers.laid, scene.buffers.sky, scene.buffers.is_cleared
    for i in range(top, bottom):
        in_kept_row = kept[0] <= i < kept[1]
        row = scene.buffers.pixels[i] if in_kept_row else scene.buffers.row
        colours = ground.colours[0 if known == MOVES else i]
        measured = False
        queued = parts = np.int64(0)
        for segment in range(left // GRID, (right + GRID - 1) // GRID):
            first = GRID * segment
            start, end = max(first, left), min(first + GRID, right)
            keep = in_kept_row and first < kept[3] and first + GRID > kept[2]
            kind = ground.kinds[i, segment]
            floor_samples = sky_samples = np.int64(0)
            if alpha == ONE:
                if is_cleared[i, segment] or kind == SOME_GROUND or keep or end - start < GRID:
                    if not is_cleared[i, segment]:
                        clear_segments(scene, camera, plane, (i, i + 1, segment, segment + 1))
                    floor_samples = count_ids(ids, 2 * i, 2 * first, np.int64(FLOOR))
                    sky_samples = count_ids(ids, 2 * i, 2 * first, np.int64(NOTHING))
                elif known == KNOWN and (kind == NO_GROUND or is_outside(scene.shadow_map, ground.bounds[i, segment])):
                    copy_pixels(ground.images, image, i, first)
                    continue
                elif kind == ALL_GROUND:
                    floor_samples = np.int64(4 * GRID)
                else:
                    sky_samples = np.int64(4 * GRID)
            if floor_samples > 0:
                if known == MOVES:
                    if not measured:
                        measure_row(scene, camera, plane, i)
                        measured = True
                    colour_ground(scene, camera, i, segment, colours[segment])
                lay_floor(colours[segment], scene.shadow_map, laid)
                if floor_samples == 4 * GRID and end - start == GRID and not keep:
                    finish_segment(image, i, first, laid)
                    continue
            if sky_samples > 0:
                shade_sky(scene.sky, scene.floor, camera, i, first, sky)
                if sky_samples == 4 * GRID and end - start == GRID and not keep:
                    finish_segment(image, i, first, sky)
                    continue
            for j in range(start, end):
                pixel = row[j]
                t0, t1, t2, t3 = samples(ids, i, j)
                same = t0 == t1 and t0 == t2 and t0 == t3
                if alpha < ONE:
                    if not (same and t0 == NOTHING):
                        dim(pixel, alpha, QUARTER * np.float32(4 - count(NOTHING, t0, t1, t2, t3)))
                else:
                    for k in range(6):
                        pixel[k] = ZERO
                    if floor_samples > 0:
                        add_share(pixel, laid[:, j - first], count(FLOOR, t0, t1, t2, t3))
                    if sky_samples > 0:
                        add_share(pixel, sky[:, j - first], count(NOTHING, t0, t1, t2, t3))
                if same and t0 >= 0:
                    queue_triangle(scene, t0, np.float32(2 * j + 1), np.float32(2 * i + 1), j, queued)
                    scene.buffers.queue[3, queued] = alpha
                    queued += 1
                elif t0 >= 0 or t1 >= 0 or t2 >= 0 or t3 >= 0:
                    queued = queue_surfaces(scene, ids, i, j, alpha, queued)
            if not keep:
                scene.buffers.parts[parts] = segment
                parts += 1
        for k in range(1, scene.buffers.unlit[0] + 1):
            light_vertices(scene, camera, np.int64(scene.buffers.unlit[k]))
        scene.buffers.unlit[0] = 0
        for item in range(0, queued, LANES):
            shade_triangles(scene, camera, item)
            for k in range(min(LANES, int(queued) - item)):
                pixel = row[scene.buffers.queue_pixels[item + k]]
                for c in range(6):
                    pixel[c] += scene.buffers.shaded[c, k]
        for part in range(parts):
            first = GRID * scene.buffers.parts[part]
            for j in range(first, min(first + GRID, right)):
                finish_pixel(image, i, j, row[j])


@inlined
def samples(ids: Ints, i: int, j: int) -> tuple[int, int, int, int]:
    """What the four samples of a pixel show."""
    return ids[2 * i, 2 * j], ids[2 * i, 2 * j + 1], ids[2 * i + 1, 2 * j], ids[2 * i + 1, 2 * j + 1]


@inlined
def count(name: int, t0: int, t1: int, t2: int, t3: int) -> int:
    """How many of a pixel's samples show the same as `name`."""
    return (t0 == name) + (t1 == name) + (t2 == name) + (t3 == name)


@inlined
def dim(pixel: Floats, alpha: Real, covered: Real) -> None:
    """Let less of a pixel (6,) through a translucent shape that covers a share of it."""
    for k in range(3):
        pixel[k] *= ONE - alpha * covered
        pixel[3 + k] *= ONE - covered


@inlined
def add_share(pixel: Floats, colour: Floats, samples: int) -> None:
    """Add to a pixel (6,) the colour (6,) that some of its samples show."""
    share = QUARTER * np.float32(samples)
    if share > ZERO:
        for k in range(6):
            pixel[k] += colour[k] * share


@inlined
def queue_surfaces(scene: Scene, ids: Ints, i: int, j: int, alpha: Real, queued: int) -> int:
    """Queue the triangles that a pixel's samples show, each surface once. Returns the new length of the queue."""
    queue = scene.buffers.queue
    last = np.int32(NOTHING)
    for k in range(4):
        t = ids[2 * i + k // 2, 2 * j + k % 2]
        if t >= 0:
            if scene.shapes.surface[t] != last:
                last = scene.shapes.surface[t]
                x, y = np.float32(2 * j + k % 2) + HALF, np.float32(2 * i + k // 2) + HALF
                queue_triangle(scene, t, x, y, j, queued)
                queue[3, queued] = ZERO
                queued += 1
            queue[3, queued - 1] += QUARTER * alpha
    return queued


@inlined
def queue_triangle(scene: Scene, t: int, x: Real, y: Real, j: int, item: int) -> None:
    """Put triangle t, as the sample at x, y shows it to the pixel in column j, as an item of the queue."""
    shapes, queue, is_lit = scene.shapes, scene.buffers.queue, scene.buffers.is_lit
    unlit = scene.buffers.unlit
    for corner in range(3):
        part = shapes.triangles[t, corner] // LANES
        if not is_lit[part]:
            is_lit[part] = True
            unlit[0] += 1
            unlit[unlit[0]] = part
    queue[0, item], queue[1, item], queue[2, item] = np.float32(t), x, y
    scene.buffers.queue_pixels[item] = j


@inlined
def finish_pixel(image: Image, i: int, j: int, pixel: Floats) -> None:
    """Round a pixel (6,) into the image."""
    for k in range(3):
        image[i, j, k] = np.uint8(min(max(pixel[k] + pixel[3 + k] + HALF, ZERO), FULL))


@inlined
def finish_segment(image: Image, i: int, j: int, laid: Floats) -> None:
    """Round eight pixels (6, 8), of which no part is less than 0, into row i of the image from column j on."""
    red, green, blue = load(laid, (0, 0)), load(laid, (1, 0)), load(laid, (2, 0))
    red = less(red + load(laid, (3, 0)) + HALF, FULL)
    green = less(green + load(laid, (4, 0)) + HALF, FULL)
    blue = less(blue + load(laid, (5, 0)) + HALF, FULL)
    store_bytes(image, i, j, red, green, blue)


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


def _compile(sources: int) -> Callable[[Scene, Poses, Views, Grounds, Image], None]:
    """Make `draw`; `sources` makes numba compile anew when any of the modules that it uses has changed."""

    def draw(scene: Scene, poses: Poses, views: Views, grounds: Grounds, images: Image) -> None:
        """Draw what some cameras see into images (n, H, W, 3)."""
        if sources >= 0:
            pose(scene, poses)
            place(scene.shapes, scene.buffers.world)
            if scene.lights.shadow >= 0:
                draw_shadows(scene)
            for k in range(views.cameras.shape[0]):
                slot = views.slots[k]
                ground = Grounds(grounds.kinds[slot], grounds.colours[slot], grounds.bounds[slot], grounds.images[slot])
                draw_camera(scene, look_through(scene, poses, views, k), ground, views.known[k], images[k])

    return entry(draw)


_COMPILED = ("scene", "simd", "triangles", "shading", "floor", "drawing")

draw = _compile(fingerprint(*(f"gym_hil.rendering.{name}" for name in _COMPILED)))


class CompilingNotice(event.Listener):
    """Logs once that the renderer is compiled, and keeps the garbage collector out of it."""

    def __init__(self) -> None:
        self.is_logged = False
        self._was_collecting = False

    def on_start(self, compiled: event.Event) -> None:
        if compiled.data["dispatcher"] is not draw:
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
        if compiled.data["dispatcher"] is draw and self._was_collecting:
            gc.enable()


NOTICE = CompilingNotice()
event.register("numba:compile", NOTICE)
