"""Compiled: the floor, its depth, its light, and runs of floor pixels.

Along a row of pixels everything that varies on the floor is a straight line divided by another one, so a row needs a
few constants and then little arithmetic for each pixel. A segment of a row are GRID pixels, that begin at a multiple
of it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gym_hil.rendering.scene import (
    ALL_GROUND,
    DIRECTIONAL,
    FINITE_FLOOR,
    FLOOR,
    FULL,
    HALF,
    MIP_LEVEL,
    NO_FLOOR,
    NO_GROUND,
    NOTHING,
    ONE,
    SHADOW_DIFFUSE,
    SHADOW_SPECULAR,
    SOME_GROUND,
    SPECULAR,
    TWO,
    ZERO,
    Camera,
    Floats,
    Floor,
    Real,
    Scene,
    ShadowMap,
    Vector,
    Window,
    helper,
    inlined,
)
from gym_hil.rendering.shading import LIGHT_NEAR, PARALLEL, add_haze, illuminate, look_up
from gym_hil.rendering.simd import (
    LANES,
    Lanes,
    between,
    fill_lanes,
    floors,
    gather_four,
    greater,
    largest,
    less,
    load,
    ramp,
    store,
    store_four,
    where_less,
)
from gym_hil.rendering.triangles import ray

GRID = LANES  # pixels between the points where the light on the floor is computed
FLOOR_BIAS: Real = np.float32(0.001)  # m
LIT: Real = np.float32(1e9)  # 1/m: nearer to the light than all that casts shadows


@helper
def find_plane(floor: Floor, camera: Camera) -> Vector:
    """1/depth of an endless floor as plane[0] + plane[1] x + plane[2] y over samples; zeros where none can be seen."""
    normal, right, up, back = floor.normal, camera.right, camera.up, camera.back
    height = ZERO
    for k in range(3):
        height += normal[k] * (camera.position[k] - floor.origin[k])
    if floor.kind == NO_FLOOR or not height > np.float32(1e-4):
        return ZERO, ZERO, ZERO
    inverse = -ONE / height
    a = (normal[0] * right[0] + normal[1] * right[1] + normal[2] * right[2]) * inverse * camera.pixel
    b = (normal[0] * up[0] + normal[1] * up[1] + normal[2] * up[2]) * inverse * camera.pixel
    c = (normal[0] * back[0] + normal[1] * back[1] + normal[2] * back[2]) * inverse
    return -c - a * camera.half_width + b * camera.half_height, a, -b


@inlined
def is_seen(plane: Vector) -> bool:
    """Whether the plane that `find_plane` found can be seen."""
    return plane[0] != ZERO or plane[1] != ZERO or plane[2] != ZERO


class Edges(NamedTuple):
    """What `edges_at` needs to know of a floor with an end and of a camera."""

    x_axis: Vector
    y_axis: Vector
    camera_x: Real  # where the camera is along these axes, from the floor's middle
    camera_y: Real
    half_x: Real
    half_y: Real
    nearest: Real  # greatest 1/depth


@inlined
def find_edges(scene: Scene, camera: Camera) -> Edges:
    """The edges of a floor with an end, zeros for another."""
    origin, none = scene.floor.origin, (ZERO, ZERO, ZERO)
    if scene.floor.shape < 0:
        return Edges(none, none, ZERO, ZERO, ZERO, ZERO, ZERO)
    r = scene.shapes.rotations[scene.floor.shape]
    x_axis, y_axis = (r[0], r[3], r[6]), (r[1], r[4], r[7])
    cx, cy, cz = camera.position[0] - origin[0], camera.position[1] - origin[1], camera.position[2] - origin[2]
    camera_x = x_axis[0] * cx + x_axis[1] * cy + x_axis[2] * cz
    camera_y = y_axis[0] * cx + y_axis[1] * cy + y_axis[2] * cz
    return Edges(x_axis, y_axis, camera_x, camera_y, scene.floor.half[0], scene.floor.half[1], ONE / camera.near)


@inlined
def edges_at(
    edges: Edges, plane: Vector, camera: Camera, x: Real, y: Real
) -> tuple[Real, Real, Real, Real, Real, Real]:
    """Values of which none is negative where a sample shows the floor, no nearer than allowed; the last is 1/depth.

    They are planes over the samples.
    """
    ray_x, ray_x_step = along(edges.x_axis, camera, y)
    ray_y, ray_y_step = along(edges.y_axis, camera, y)
    w = plane[0] + plane[2] * y + plane[1] * x
    # the point on the floor, times w
    point_x, point_y = edges.camera_x * w + ray_x + ray_x_step * x, edges.camera_y * w + ray_y + ray_y_step * x
    return (
        edges.half_x * w - point_x,
        edges.half_x * w + point_x,
        edges.half_y * w - point_y,
        edges.half_y * w + point_y,
        edges.nearest - w,
        w,
    )


@helper
def clear_segments(scene: Scene, camera: Camera, plane: Vector, window: Window) -> None:
    """Empty the samples of those segments of a window that are not cleared, and fill in a floor with an end.

    The window is given in rows of pixels and in segments.
    """
    depth, ids, is_cleared = scene.buffers.depth, scene.buffers.ids, scene.buffers.is_cleared
    has_floor = scene.floor.kind == FINITE_FLOOR and is_seen(plane)
    edges, slope = find_edges(scene, camera), plane[1]
    _, ray_x_step = along(edges.x_axis, camera, ZERO)
    _, ray_y_step = along(edges.y_axis, camera, ZERO)
    step_x, step_y = edges.camera_x * slope + ray_x_step, edges.camera_y * slope + ray_y_step
    steps = (
        edges.half_x * slope - step_x,
        edges.half_x * slope + step_x,
        edges.half_y * slope - step_y,
        edges.half_y * slope + step_y,
        -slope,
    )
    for i in range(window[0], window[1]):
        for segment in range(window[2], window[3]):
            if is_cleared[i, segment]:
                continue
            is_cleared[i, segment] = True
            for part in range(4):
                row, column = 2 * i + part // 2, 2 * GRID * segment + LANES * (part % 2)
                store(depth, (row, column), ZERO)  # in one piece, which is faster to load again at once
                for k in range(LANES):
                    ids[row, column + k] = NOTHING
                if has_floor:
                    x, y = np.float32(column) + HALF, np.float32(row) + HALF
                    a, b, c, d, e, w = edges_at(edges, plane, camera, x, y)
                    fill_lanes(depth, ids, row, column, (a, b, c, d, e), steps, w, slope, np.int64(FLOOR))


@helper
def find_ground(scene: Scene, camera: Camera, plane: Vector, kinds: Floats) -> None:
    """Write into `kinds` which segments show nothing but a floor with an end, and which show none of it."""
    kinds[:] = NO_GROUND
    if scene.floor.kind != FINITE_FLOOR or not is_seen(plane):
        return
    edges = find_edges(scene, camera)
    half, step = max(edges.half_x, edges.half_y), np.float32(2 * GRID)
    for i in range(kinds.shape[0]):
        y = np.float32(2 * i) + HALF
        for segment in range(0, kinds.shape[1] - LANES, LANES):
            # samples in the corners of eight segments
            left = ramp(np.float32(2 * GRID * segment) + HALF, step)
            right = ramp(np.float32(2 * GRID * segment + 2 * GRID - 1) + HALF, step)
            p, q = edges_at(edges, plane, camera, left, y), edges_at(edges, plane, camera, right, y)
            r, s = edges_at(edges, plane, camera, left, y + ONE), edges_at(edges, plane, camera, right, y + ONE)
            inside = outside = ramp(np.float32(np.inf), ZERO)
            for k in range(6):
                inside = less(inside, less(less(p[k], q[k]), less(r[k], s[k])))
                outside = less(outside, greater(greater(p[k], q[k]), greater(r[k], s[k])))
            w = greater(greater(p[5], q[5]), greater(r[5], s[5]))
            # what rounding may change
            slack = np.float32(1e-4) * half * greater(w, -w) + np.float32(1e-6) * edges.nearest + np.float32(1e-5)
            kind = where_less(slack, inside, ALL_GROUND, SOME_GROUND)
            store(kinds, (i, segment), where_less(outside, -slack, NO_GROUND, kind))


@helper
def light_floor(scene: Scene, camera: Camera, plane: Vector) -> None:
    """Compute the light on the floor, and the level of its texture, at every GRID-th pixel."""
    floor, grid = scene.floor, scene.buffers.grid
    nx, ny, nz = floor.normal[0], floor.normal[1], floor.normal[2]
    for i in range(grid.shape[0]):
        y = np.float32(2 * GRID * i + 1)
        for j in range(0, grid.shape[1] - LANES, LANES):
            x = ramp(np.float32(2 * GRID * j + 1), np.float32(2 * GRID))
            dx, dy, dz = ray(x, y, camera)
            z = ONE / greater(plane[0] + plane[1] * x + plane[2] * y, np.float32(0.01))
            cx, cy, cz = camera.position
            point = (cx + dx * z, cy + dy * z, cz + dz * z)
            red, green, blue, shine, diffuse, glow = illuminate(
                point, (nx, ny, nz), floor.material[1], camera, scene.lights
            )
            # a pixel is two samples wide; its longer side on the floor grows with the slant of the ray
            square = dx * dx + dy * dy + dz * dz
            above = dx * nx + dy * ny + dz * nz
            above = greater(greater(above, -above), np.float32(1e-3))
            wide = TWO * camera.pixel * square * z * floor.texels_per_metre / above
            level = ramp(ZERO, ZERO)
            for _ in range(floor.mips.shape[0] - 1):
                level = where_less(np.float32(1.5), wide, level + ONE, level)
                wide = wide * HALF
            store_four(grid[i], j, np.int64(0), (red, green, blue, shine))
            store_four(grid[i], j, np.int64(4), (diffuse, glow, level, level))


@inlined
def mix_light(grid: Floats, band: Floats, i: int) -> None:
    """Interpolate the floor's light, known at the points of `grid`, along one row of pixels into `band`."""
    row = i // GRID
    f = np.float32(i % GRID) * (ONE / np.float32(GRID))
    for j in range(band.shape[0]):
        store(band, (j, 0), between(load(grid, (row, j, 0)), load(grid, (row + 1, j, 0)), f))


@inlined
def along(axis: Floats | Vector, camera: Camera, y: Real) -> tuple[Real, Real]:
    """What a ray gains along a world axis in row y: its value at x = 0 and its growth per sample."""
    right, up, back = camera.right, camera.up, camera.back
    a = (axis[0] * right[0] + axis[1] * right[1] + axis[2] * right[2]) * camera.pixel
    b = (axis[0] * up[0] + axis[1] * up[1] + axis[2] * up[2]) * camera.pixel
    c = axis[0] * back[0] + axis[1] * back[1] + axis[2] * back[2]
    return b * (camera.half_height - y) - c - a * camera.half_width, a


@helper
def measure_row(scene: Scene, camera: Camera, plane: Vector, i: int) -> None:
    """What `colour_ground` needs of row i of pixels: the light along it into `Buffers.band`, and `Buffers.line`.

    The line has 1/depth; then the texture's two coordinates; then right, up and forward of the light that casts
    shadows, each as the value at the camera, and what a ray of length 1 adds to it, at x = 0 and for each sample.
    """
    floor, lights, line = scene.floor, scene.lights, scene.buffers.line
    mix_light(scene.buffers.grid, scene.buffers.band, i)
    y = np.float32(2 * i + 1)
    cx, cy, cz = camera.position
    line[0] = plane[0] + plane[2] * y
    line[1] = plane[1]
    origin, position, axes = floor.origin, lights.position[max(lights.shadow, 0)], scene.shadow_map.axes
    ox, oy, oz = cx - origin[0], cy - origin[1], cz - origin[2]
    lx, ly, lz = cx - position[0], cy - position[1], cz - position[2]
    for k in range(5):
        axis = floor.u_axis if k == 0 else floor.v_axis if k == 1 else axes[k - 2]
        x, y_, z = (ox, oy, oz) if k < 2 else (lx, ly, lz)
        at_camera = axis[0] * x + axis[1] * y_ + axis[2] * z
        line[2 + 3 * k] = at_camera + floor.uv_offset[k] if k < 2 else at_camera
        line[3 + 3 * k], line[4 + 3 * k] = along(axis, camera, y)


@inlined
def colour_ground(scene: Scene, camera: Camera, i: int, segment: int, ground: Floats) -> None:
    """Colours of the floor, and where it is for the shadow map, at the pixels of a segment of row i, into `ground`.

    They stay the same while camera, floor and lights do. In rows of `ground`: RGB without, and RGB from, the light that
    casts shadows, as bytes have it; right, up and 1/distance as that light sees it, in units of the shadow map's plane.
    As in OpenGL, the texture dims what shines too.
    """
    floor, lights, line = scene.floor, scene.lights, scene.buffers.line
    p, q = scene.buffers.band[segment], scene.buffers.band[segment + 1]
    f = ramp(ZERO, ONE / np.float32(GRID))
    x = ramp(np.float32(2 * GRID * segment + 1), TWO)
    z = ONE / greater(line[0] + line[1] * x, np.float32(1e-3))
    part_red = part_green = part_blue = ramp(ONE, ZERO)
    if floor.mips.shape[0] > 0:
        level = min(max(int(HALF * (p[MIP_LEVEL] + q[MIP_LEVEL]) + HALF), 0), floor.mips.shape[0] - 1)
        u = line[2] + z * (line[3] + line[4] * x)
        v = line[5] + z * (line[6] + line[7] * x)
        part_red, part_green, part_blue = sample_texture(floor, level, u, v)
    key, specular, emission = max(lights.shadow, 0), floor.material[0], floor.material[2]
    shine = specular * between(p[SPECULAR], q[SPECULAR], f)
    glow = specular * between(p[SHADOW_SPECULAR], q[SHADOW_SPECULAR], f)
    diffuse = between(p[SHADOW_DIFFUSE], q[SHADOW_DIFFUSE], f)
    if lights.shadow < 0:
        diffuse = glow = ramp(ZERO, ZERO)
    for k in range(3):
        part = part_red if k == 0 else part_green if k == 1 else part_blue
        colour = floor.colour[k]
        store(ground, (k, 0), less(colour * (between(p[k], q[k], f) + emission) + shine, ONE) * FULL * part)
        store(ground, (3 + k, 0), less(colour * lights.diffuse[key, k] * diffuse + glow, ONE) * FULL * part)
    a = line[8] + z * (line[9] + line[10] * x)
    b = line[11] + z * (line[12] + line[13] * x)
    d = line[14] + z * (line[15] + line[16] * x)
    if lights.kind[key] == DIRECTIONAL:
        store(ground, (6, 0), a)
        store(ground, (7, 0), b)
        store(ground, (8, 0), PARALLEL + FLOOR_BIAS - d)
    else:
        w = ONE / greater(d, LIGHT_NEAR)
        store(ground, (6, 0), a * w)
        store(ground, (7, 0), b * w)
        store(ground, (8, 0), where_less(d, LIGHT_NEAR, LIT, w + FLOOR_BIAS * w * w))
    if scene.sky.haze_share > ZERO:
        veil(scene, camera, i, segment, ground)


@helper
def veil(scene: Scene, camera: Camera, i: int, segment: int, ground: Floats) -> None:
    """Lay the haze over the ground of a segment of row i."""
    sky, line = scene.sky, scene.buffers.line
    for k in range(GRID):
        x, y = np.float32(2 * (GRID * segment + k) + 1), np.float32(2 * i + 1)
        z = ONE / max(line[0] + line[1] * x, np.float32(1e-3))
        dx, dy, _ = ray(x, y, camera)
        share = (z * math.sqrt(dx * dx + dy * dy) / scene.floor.radius - ONE + sky.haze_share) / sky.haze_share
        if share > ZERO:
            add_haze(min(share, ONE), sky.haze, ground[:6, k])


@inlined
def lay_floor(ground: Floats, shadow_map: ShadowMap, out: Floats) -> None:
    """The ground of a segment with the shadows that lie on it, laid out as in `Buffers.pixels`, into out (6, GRID)."""
    light_ground(ground, look_up(shadow_map, load(ground, (6, 0)), load(ground, (7, 0)), load(ground, (8, 0))), out)


@inlined
def light_ground(ground: Floats, share: Lanes, out: Floats) -> None:
    """The ground of a segment with a share of the light that casts shadows, likewise."""
    for k in range(3):
        plain = load(ground, (k, 0))
        store(out, (k, 0), plain)
        store(out, (3 + k, 0), less(share * load(ground, (3 + k, 0)), FULL - plain))


@inlined
def sample_texture(floor: Floor, level: int, u: Lanes, v: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """RGB of a level of the floor's texture, blended over four texels."""
    texels, start, width, height = floor.texels, floor.mips[level, 0], floor.mips[level, 1], floor.mips[level, 2]
    u = (u - floors(u)) * np.float32(width) + HALF
    v = (v - floors(v)) * np.float32(height) + HALF
    # the texture has a border, so that the four texels around any point lie beside each other
    right = less(greater(floors(u), ZERO), np.float32(width))
    below = less(greater(floors(v), ZERO), np.float32(height))
    wide, four, first = np.int64(4 * (width + 2)), np.int64(4), np.int64(4 * start)
    red, green, blue, is_plain = gather_four(texels, first, below, wide, right, four)
    if largest(ONE - is_plain) > ZERO:
        u, v = u - right, v - below
        beside = gather_four(texels, first + 4, below, wide, right, four)
        low = gather_four(texels, first + wide, below, wide, right, four)
        last = gather_four(texels, first + wide + 4, below, wide, right, four)
        red = blend(red, beside[0], low[0], last[0], u, v)
        green = blend(green, beside[1], low[1], last[1], u, v)
        blue = blend(blue, beside[2], low[2], last[2], u, v)
    return red, green, blue


@inlined
def blend(here: Lanes, beside: Lanes, low: Lanes, last: Lanes, u: Lanes, v: Lanes) -> Lanes:
    """What lies between four neighbours."""
    above = between(here, beside, u)
    return above + (between(low, last, u) - above) * v
