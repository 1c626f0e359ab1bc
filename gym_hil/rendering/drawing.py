"""Compiled: from vertices to bytes; one call for what all cameras share, and one for each camera."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.rendering.compiling import HALF, ONE, ZERO, Real, entry, fingerprint, helper, inlined
from gym_hil.rendering.filling import fill, fill_clipped, place, to_camera
from gym_hil.rendering.ground import find_plane, light_floor, mix_light, shade_floor
from gym_hil.rendering.scene import Floats, Ints, Scene
from gym_hil.rendering.shading import FULL, ray, shade, shade_sky
from gym_hil.rendering.shadows import draw_shadows

NOTHING = -1  # triangle of a sample that shows sky
FLOOR = -2  # triangle of a sample that shows the floor
TWO: Real = np.float32(2.0)
QUARTER: Real = np.float32(0.25)


@helper
def project(
    world: Floats, first: int, last: int, camera: Floats, half_width: Real, half_height: Real, screen: Floats
) -> None:
    """Screen x, y and 1/depth of some vertices; 1/depth is -1 behind the near plane."""
    focal, near = camera[12], camera[13]
    for i in range(first, last):
        x, y, z = to_camera(world[i, 0], world[i, 1], world[i, 2], camera)
        if z > near:
            w = ONE / z
            screen[i, 0] = half_width + focal * x * w
            screen[i, 1] = half_height - focal * y * w
            screen[i, 2] = w
        else:
            screen[i, 2] = -ONE


@helper
def middle(position: Floats, rotation: Floats, bound: Floats, camera: Floats) -> tuple[Real, Real, Real]:
    """How far the middle of a shape lies right, up and forward of a camera, m."""
    x, y, z = bound[0], bound[1], bound[2]
    return to_camera(
        rotation[0] * x + rotation[1] * y + rotation[2] * z + position[0],
        rotation[3] * x + rotation[4] * y + rotation[5] * z + position[1],
        rotation[6] * x + rotation[7] * y + rotation[8] * z + position[2],
        camera,
    )


@helper
def in_view(x: Real, y: Real, z: Real, radius: Real, camera: Floats, half_width: Real, half_height: Real) -> bool:
    """Whether a sphere, given by its middle in the camera's frame, reaches into the camera's view."""
    focal = camera[12]
    return (
        z + radius > camera[13]
        and focal * abs(x) - half_width * z < radius * math.sqrt(focal * focal + half_width * half_width)
        and focal * abs(y) - half_height * z < radius * math.sqrt(focal * focal + half_height * half_height)
    )


@helper
def draw_shape(
    scene: Scene, s: int, camera: Floats, half_width: Real, half_height: Real, depth: Floats, ids: Ints
) -> None:
    """Fill the triangles of one shape."""
    world, triangles, spans, screen = scene.world, scene.triangles, scene.spans, scene.screen
    floor = s == scene.choices[1]
    project(world, spans[s, 0], spans[s, 1], camera, half_width, half_height, screen)
    for t in range(spans[s, 2], spans[s, 3]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        wa, wb, wc = screen[a, 2], screen[b, 2], screen[c, 2]
        if wa > ZERO and wb > ZERO and wc > ZERO:
            ax, ay, bx, by, cx, cy = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1], screen[c, 0], screen[c, 1]
            if (bx - ax) * (cy - ay) < (cx - ax) * (by - ay):
                fill(ax, ay, wa, bx, by, wb, cx, cy, wc, FLOOR if floor else t, depth, ids)
        elif wa > ZERO or wb > ZERO or wc > ZERO:
            fill_clipped(
                world, triangles, t, FLOOR if floor else t, camera, half_width, half_height, scene.corners, depth, ids
            )


@helper
def clear(scene: Scene, camera: Floats, half_width: Real, half_height: Real) -> None:
    """Empty the depth buffer, or fill it with an endless floor up to its edge."""
    depth, ids, plane = scene.depth, scene.ids, scene.plane
    seen = find_plane(scene, camera, half_width, half_height)
    if not seen or scene.floor[0] != ONE:
        depth[:] = ZERO
        ids[:] = NOTHING
        return
    for i in range(depth.shape[0]):
        start = plane[0] + plane[2] * (np.float32(i) + HALF)
        for j in range(depth.shape[1]):
            w = max(start + plane[1] * (np.float32(j) + HALF), ZERO)
            depth[i, j] = w
            ids[i, j] = NOTHING
            if w > ZERO:
                dx, dy, _ = ray(np.float32(j) + HALF, np.float32(i) + HALF, camera, half_width, half_height)
                if dx * dx + dy * dy < (w * scene.floor[22]) * (w * scene.floor[22]):
                    ids[i, j] = FLOOR


@inlined
def finish_row(image: NDArray[np.uint8], i: int, pixels: Floats) -> None:
    """Round one row of pixels (W, 6) into the image."""
    for j in range(image.shape[1]):
        for k in range(3):
            image[i, j, k] = np.uint8(min(max(pixels[j, k] + pixels[j, 3 + k] + HALF, ZERO), FULL))


@helper
def resolve(scene: Scene, view: int, ids: Ints, alpha: Real, keep: bool, half_width: Real, half_height: Real) -> None:
    """Shade every pixel once for each surface among its four samples, average, and lay it over the image.

    The opaque image, with an alpha of 1, covers everything; a translucent shape has less.
    Without `keep` the pixels go straight into the image, which leaves the processor's cache to other things.
    """
    pixels, colour, camera = scene.pixels, scene.colour, scene.cameras[view]
    key = max(scene.choices[0], 0)
    first_column, width = np.int64(scene.window[2]), np.int64(scene.window[3])
    share = QUARTER * alpha
    for i in range(np.int64(scene.window[0]), np.int64(scene.window[1])):
        row = i if keep else 0
        mixed = False
        j = first_column
        while j < width:
            t0, t1 = ids[2 * i, 2 * j], ids[2 * i, 2 * j + 1]
            t2, t3 = ids[2 * i + 1, 2 * j], ids[2 * i + 1, 2 * j + 1]
            same = t0 == t1 and t0 == t2 and t0 == t3
            if alpha < ONE:
                if same and t0 < 0:
                    j += 1
                    continue
                covered = QUARTER * np.float32((t0 >= 0) + (t1 >= 0) + (t2 >= 0) + (t3 >= 0))
                for k in range(3):
                    pixels[row, j, k] *= ONE - alpha * covered
                    pixels[row, j, 3 + k] *= ONE - covered
            elif t0 == FLOOR or t1 == FLOOR or t2 == FLOOR or t3 == FLOOR:
                if not mixed:
                    mix_light(scene.grid, scene.band, i)
                    mixed = True
                end = j + 1
                while same and end < width and (
                    ids[2 * i, 2 * end] == FLOOR and ids[2 * i, 2 * end + 1] == FLOOR
                    and ids[2 * i + 1, 2 * end] == FLOOR and ids[2 * i + 1, 2 * end + 1] == FLOOR
                ):  # fmt: skip
                    end += 1
                shade_floor(
                    scene.floor, scene.plane, scene.band, camera, scene.haze, scene.lights[key], scene.light_axes,
                    scene.shadow_map, scene.shadow_frame, scene.texels, scene.mips, scene.choices[0] >= 0,
                    half_width, half_height, i, j, end, pixels[row],
                )  # fmt: skip
                if same:
                    j = end
                    continue
                part = QUARTER * np.float32((t0 == FLOOR) + (t1 == FLOOR) + (t2 == FLOOR) + (t3 == FLOOR))
                for k in range(6):
                    pixels[row, j, k] *= part
            else:
                for k in range(6):
                    pixels[row, j, k] = ZERO
            last = FLOOR
            k = 0
            while k < 4:
                t = ids[2 * i + k // 2, 2 * j + k % 2]
                weight = share
                if same:
                    k = 3
                    weight = alpha
                surface = scene.surface[t] if t >= 0 else t
                if surface != last and (t >= 0 or alpha == ONE):
                    last = surface
                    x = np.float32(2 * j + 1) if same else np.float32(2 * j + k % 2) + HALF
                    y = np.float32(2 * i + 1) if same else np.float32(2 * i + k // 2) + HALF
                    dx, dy, dz = ray(x, y, camera, half_width, half_height)
                    if t >= 0:
                        shade(scene, view, t, dx, dy, dz, colour)
                    elif t == NOTHING:
                        shade_sky(scene, camera, dx, dy, dz, colour)
                if t >= 0 or (alpha == ONE and t == NOTHING):
                    for c in range(6):
                        pixels[row, j, c] += colour[c] * weight
                k += 1
            j += 1
        if not keep:
            finish_row(scene.images[view], i, pixels[row])


@helper
def whole_window(window: Ints, rows: int, columns: int) -> None:
    """Let `resolve` look at all pixels."""
    window[0] = window[2] = 0
    window[1] = rows
    window[3] = columns


@helper
def begin_layer(scene: Scene, s: int, camera: Floats, half_width: Real, half_height: Real) -> None:
    """Find the pixels that a translucent shape may cover, and let the opaque image hide what lies behind it."""
    whole_window(scene.window, scene.pixels.shape[0], scene.pixels.shape[1])
    window = scene.window
    x, y, z = middle(scene.positions[s], scene.rotations[s], scene.bounds[s], camera)
    radius = scene.bounds[s, 3]
    nearest = z - radius
    if nearest > camera[13]:
        # no point of the sphere is farther from the middle on the screen than this
        reach = camera[12] * radius / nearest * (ONE + max(abs(x), abs(y)) / z) + ONE
        x = half_width + camera[12] * x / z
        y = half_height - camera[12] * y / z
        window[0] = int(min(max(y - reach, ZERO), TWO * half_height)) // 2
        window[1] = (int(min(max(y + reach, ZERO), TWO * half_height)) + 1) // 2
        window[2] = int(min(max(x - reach, ZERO), TWO * half_width)) // 2
        window[3] = (int(min(max(x + reach, ZERO), TWO * half_width)) + 1) // 2
    for i in range(2 * window[0], 2 * window[1]):
        for j in range(2 * window[2], 2 * window[3]):
            scene.layer_depth[i, j] = scene.depth[i, j]
            scene.layer_ids[i, j] = NOTHING


@helper
def draw_camera(scene: Scene, view: int) -> None:
    """Draw the image of one camera."""
    camera, order = scene.cameras[view], scene.order
    half_height = np.float32(scene.pixels.shape[0])
    half_width = np.float32(scene.pixels.shape[1])
    clear(scene, camera, half_width, half_height)
    translucent = 0
    for s in range(order.shape[0]):
        order[s] = ZERO
        x, y, z = middle(scene.positions[s], scene.rotations[s], scene.bounds[s], camera)
        radius = scene.bounds[s, 3]
        if not in_view(x, y, z, radius, camera, half_width, half_height):
            continue
        if scene.colours[s, 3] < ONE:
            order[s] = max(z + radius, np.float32(1e-6))
            translucent += 1
        else:
            draw_shape(scene, s, camera, half_width, half_height, scene.depth, scene.ids)
    if scene.plane[0] != ZERO or scene.plane[1] != ZERO or scene.plane[2] != ZERO:
        light_floor(scene, camera, half_width, half_height)
    whole_window(scene.window, scene.pixels.shape[0], scene.pixels.shape[1])
    resolve(scene, view, scene.ids, ONE, translucent > 0, half_width, half_height)
    for _ in range(translucent):
        farthest: Any = np.int64(0)
        for s in range(1, order.shape[0]):
            if order[s] > order[farthest]:
                farthest = s
        order[farthest] = ZERO
        begin_layer(scene, farthest, camera, half_width, half_height)
        draw_shape(scene, farthest, camera, half_width, half_height, scene.layer_depth, scene.layer_ids)
        resolve(scene, view, scene.layer_ids, scene.colours[farthest, 3], translucent > 0, half_width, half_height)
    if translucent > 0:
        for i in range(scene.pixels.shape[0]):
            finish_row(scene.images[view], i, scene.pixels[i])


def _compile(sources: int) -> tuple[Callable[[Scene], None], Callable[[Scene, int], None]]:
    """Make `begin` and `draw`; `sources` makes numba compile anew when any of the modules they use has changed.

    They are two because the compiler makes slower code of one that does both.
    """

    def begin(scene: Scene) -> None:
        """Place what all cameras share: vertices and shadows."""
        if sources < 0:
            return
        place(
            scene.vertices, scene.normals, scene.spans, scene.positions, scene.rotations,
            scene.world, scene.world_normals,
        )  # fmt: skip
        key = scene.choices[0]
        if key >= 0:
            draw_shadows(
                scene.world, scene.triangles, scene.spans, scene.colours, scene.choices[1], scene.lights[key],
                scene.light_axes, scene.screen, scene.shadow_map, scene.shadow_frame, scene.no_ids,
            )  # fmt: skip
        scene.lit_for[:] = NOTHING

    def draw(scene: Scene, view: int) -> None:
        """Draw what one camera sees into its image."""
        if sources >= 0:
            draw_camera(scene, view)

    return entry(begin), entry(draw)


_COMPILED = ("compiling", "scene", "filling", "lighting", "shadows", "shading", "ground", "drawing")

begin, draw = _compile(fingerprint(*(f"gym_hil.rendering.{name}" for name in _COMPILED)))
