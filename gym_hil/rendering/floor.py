"""Compiled: the floor, its depth, its light, and runs of floor pixels.

Along a row of pixels everything that varies on the floor is a straight line divided by another one, so a run needs
a few constants and then little arithmetic for each pixel.
"""

from __future__ import annotations

import math

import numpy as np

from gym_hil.rendering.scene import (
    DIRECTIONAL,
    FULL,
    HALF,
    MIP_LEVEL,
    NO_FLOOR,
    ONE,
    TWO,
    ZERO,
    Camera,
    Floats,
    Floor,
    Real,
    Scene,
    ShadowMap,
    Vector,
    helper,
    inlined,
)
from gym_hil.rendering.shading import LIGHT_NEAR, PARALLEL, add_haze, illuminate, look_up
from gym_hil.rendering.triangles import ray

GRID_BITS = 3
GRID = 1 << GRID_BITS  # pixels between the points where the light on the floor is computed
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


@helper
def light_floor(scene: Scene, camera: Camera, plane: Vector) -> None:
    """Compute the light on the floor, and the level of its texture, at every GRID-th pixel."""
    floor, grid = scene.floor, scene.buffers.grid
    nx, ny, nz = floor.normal[0], floor.normal[1], floor.normal[2]
    last = np.float32(max(floor.mips.shape[0] - 1, 0))
    for i in range(grid.shape[0]):
        y = np.float32(2 * GRID * i + 1)
        for j in range(grid.shape[1]):
            x = np.float32(2 * GRID * j + 1)
            dx, dy, dz = ray(x, y, camera)
            z = ONE / max(plane[0] + plane[1] * x + plane[2] * y, np.float32(0.01))
            cx, cy, cz = camera.position
            point = (cx + dx * z, cy + dy * z, cz + dz * z)
            illuminate(point, (nx, ny, nz), floor.material[1], camera, scene.lights, grid[i, j])
            # a pixel is two samples wide; its longer side on the floor grows with the slant of the ray
            square = dx * dx + dy * dy + dz * dz
            above = max(abs(dx * nx + dy * ny + dz * nz), np.float32(1e-3))
            wide = TWO * camera.pixel * square * z * floor.texels_per_metre / above
            level = ZERO
            while wide > np.float32(1.5) and level < last:
                wide *= HALF
                level += ONE
            grid[i, j, MIP_LEVEL] = level


@inlined
def mix_light(grid: Floats, band: Floats, i: int) -> None:
    """Interpolate the floor's light, known at the points of `grid`, along one row of pixels into `band`."""
    row = i >> GRID_BITS
    f = np.float32(i & (GRID - 1)) * (ONE / np.float32(GRID))
    for j in range(grid.shape[1]):
        for k in range(7):
            band[j, k] = grid[row, j, k] + (grid[row + 1, j, k] - grid[row, j, k]) * f


@inlined
def along(axis: Floats, camera: Camera, y: Real) -> tuple[Real, Real]:
    """What a ray gains along a world axis in row y: its value at x = 0 and its growth per sample."""
    right, up, back = camera.right, camera.up, camera.back
    a = (axis[0] * right[0] + axis[1] * right[1] + axis[2] * right[2]) * camera.pixel
    b = (axis[0] * up[0] + axis[1] * up[1] + axis[2] * up[2]) * camera.pixel
    c = axis[0] * back[0] + axis[1] * back[1] + axis[2] * back[2]
    return b * (camera.half_height - y) - c - a * camera.half_width, a


@helper
def measure_row(scene: Scene, camera: Camera, plane: Vector, i: int) -> None:
    """Everything about the floor along row i of pixels that needs no table, into `Buffers.run`.

    In rows: RGB without, and RGB from, the light that casts shadows; the level of the texture, and where in it, twice;
    right, up and 1/distance as that light sees it, in the units of the shadow map's plane.

    All columns are computed, in loops that the compiler makes vector instructions of.
    """
    floor, lights, shadow_map, run = scene.floor, scene.lights, scene.shadow_map, scene.buffers.run
    mix_light(scene.buffers.grid, scene.buffers.band, i)
    key = max(lights.shadow, 0)
    key_red, key_green, key_blue = lights.diffuse[key, 0], lights.diffuse[key, 1], lights.diffuse[key, 2]
    red, green, blue = floor.colour[0], floor.colour[1], floor.colour[2]
    specular, emission = floor.material[0], floor.material[2]
    for segment in range(scene.buffers.band.shape[0] - 1):
        p, q = scene.buffers.band[segment], scene.buffers.band[segment + 1]
        p0, p1, p2, p3, p4, p5, p6 = p[0], p[1], p[2], p[3], p[4], p[5], p[6]
        q0, q1, q2, q3, q4, q5, q6 = q[0] - p0, q[1] - p1, q[2] - p2, q[3] - p3, q[4] - p4, q[5] - p5, q[6] - p6
        for k in range(GRID):
            j = segment * GRID + k
            f = np.float32(k) * (ONE / np.float32(GRID))
            shine = specular * (p3 + q3 * f)
            run[0, j] = min(red * (p0 + q0 * f + emission) + shine, ONE) * FULL
            run[1, j] = min(green * (p1 + q1 * f + emission) + shine, ONE) * FULL
            run[2, j] = min(blue * (p2 + q2 * f + emission) + shine, ONE) * FULL
            diffuse = p4 + q4 * f
            shine = specular * (p5 + q5 * f)
            run[3, j] = min(red * diffuse * key_red + shine, ONE) * FULL
            run[4, j] = min(green * diffuse * key_green + shine, ONE) * FULL
            run[5, j] = min(blue * diffuse * key_blue + shine, ONE) * FULL
            run[6, j] = p6 + q6 * f + HALF
    y = np.float32(2 * i + 1)
    cx, cy, cz = camera.position
    w0 = plane[0] + plane[2] * y
    w1 = plane[1]
    u_axis, v_axis, origin = floor.u_axis, floor.v_axis, floor.origin
    ox, oy, oz = cx - origin[0], cy - origin[1], cz - origin[2]
    u_base = u_axis[0] * ox + u_axis[1] * oy + u_axis[2] * oz + floor.uv_offset[0]
    v_base = v_axis[0] * ox + v_axis[1] * oy + v_axis[2] * oz + floor.uv_offset[1]
    u0, u1 = along(u_axis, camera, y)
    v0, v1 = along(v_axis, camera, y)
    axes, position = shadow_map.axes, lights.position[key]
    lx, ly, lz = cx - position[0], cy - position[1], cz - position[2]
    a_base = axes[0, 0] * lx + axes[0, 1] * ly + axes[0, 2] * lz
    b_base = axes[1, 0] * lx + axes[1, 1] * ly + axes[1, 2] * lz
    d_base = axes[2, 0] * lx + axes[2, 1] * ly + axes[2, 2] * lz
    a0, a1 = along(axes[0], camera, y)
    b0, b1 = along(axes[1], camera, y)
    d0, d1 = along(axes[2], camera, y)
    directional = lights.kind[key] == DIRECTIONAL
    for j in range(run.shape[1]):
        x = np.float32(np.int32(2) * np.int32(j) + np.int32(1))
        z = ONE / max(w0 + w1 * x, np.float32(1e-3))
        run[7, j] = u_base + z * (u0 + u1 * x)
        run[8, j] = v_base + z * (v0 + v1 * x)
        d = d_base + z * (d0 + d1 * x)
        near = not directional and d < LIGHT_NEAR
        w = ONE if directional else ONE / max(d, LIGHT_NEAR)
        run[9, j] = (a_base + z * (a0 + a1 * x)) * w
        run[10, j] = (b_base + z * (b0 + b1 * x)) * w
        far = PARALLEL - d + FLOOR_BIAS if directional else w + FLOOR_BIAS * w * w
        run[11, j] = LIT if near else far


@helper
def colour_ground(scene: Scene, camera: Camera, plane: Vector, i: int, first: int, last: int, ground: Floats) -> None:
    """Colours of the floor, and where it is for the shadow map, at pixels first..last - 1 of row i, into ground (W, 9).

    They stay the same while camera, floor and lights do. As in OpenGL, the texture dims what shines too.
    """
    floor, sky, run = scene.floor, scene.sky, scene.buffers.run
    textured, has_shadows = floor.mips.shape[0] > 0, scene.lights.shadow >= 0
    level = -1
    start, width, height = 0, 1, 1
    for j in range(first, last):
        part_red = part_green = part_blue = ONE
        if textured:
            wanted = int(run[6, j])
            if wanted != level:
                level = wanted
                start, width, height = floor.mips[level, 0], floor.mips[level, 1], floor.mips[level, 2]
            part_red, part_green, part_blue = sample_texture(floor.texels, start, width, height, run[7, j], run[8, j])
        here = ground[j]
        here[0], here[1], here[2] = run[0, j] * part_red, run[1, j] * part_green, run[2, j] * part_blue
        here[3], here[4], here[5] = run[3, j] * part_red, run[4, j] * part_green, run[5, j] * part_blue
        if not has_shadows:
            here[3] = here[4] = here[5] = ZERO
        here[6], here[7], here[8] = run[9, j], run[10, j], run[11, j]
        if sky.haze_share > ZERO:
            x, y = np.float32(2 * j + 1), np.float32(2 * i + 1)
            z = ONE / max(plane[0] + plane[2] * y + plane[1] * x, np.float32(1e-3))
            dx, dy, _ = ray(x, y, camera)
            share = (z * math.sqrt(dx * dx + dy * dy) / floor.radius - ONE + sky.haze_share) / sky.haze_share
            if share > ZERO:
                add_haze(min(share, ONE), sky.haze, here)


@inlined
def lay_floor(ground: Floats, first: int, last: int, shadow_map: ShadowMap, out: Floats) -> None:
    """The ground (W, 9) of pixels first..last - 1 with the shadows that lie on it, into a row of pixels (W, 6)."""
    left, top, scale = shadow_map.corner[0], shadow_map.corner[1], shadow_map.scale[0]
    for j in range(first, last):
        here, pixel = ground[j], out[j]
        share = look_up(shadow_map.depth, (here[6] - left) * scale, (here[7] - top) * scale, here[8])
        for k in range(3):
            pixel[k] = here[k]
            pixel[3 + k] = min(share * here[3 + k], FULL - here[k])


@inlined
def sample_texture(texels: Floats, start: int, width: int, height: int, u: Real, v: Real) -> Vector:
    """RGB of the texture's level that begins at row `start` of `texels`, blended over four texels."""
    u = (u - np.floor(u)) * np.float32(width) + HALF
    v = (v - np.floor(v)) * np.float32(height) + HALF
    # the texture has a border, so that the four texels around any point lie beside each other
    right, below = min(max(int(u), 0), width), min(max(int(v), 0), height)
    high = np.uint64(start + below * (width + 2) + right)
    red, green, blue = texels[high, 0], texels[high, 1], texels[high, 2]
    if texels[high, 3] == ZERO:
        next_ = high + np.uint64(1)
        deep = np.uint64(high + np.uint64(width + 2))
        last_ = np.uint64(deep + np.uint64(1))
        fu, fv = u - np.float32(right), v - np.float32(below)
        red += (texels[next_, 0] - red) * fu
        green += (texels[next_, 1] - green) * fu
        blue += (texels[next_, 2] - blue) * fu
        low_red = texels[deep, 0] + (texels[last_, 0] - texels[deep, 0]) * fu
        low_green = texels[deep, 1] + (texels[last_, 1] - texels[deep, 1]) * fu
        low_blue = texels[deep, 2] + (texels[last_, 2] - texels[deep, 2]) * fu
        red += (low_red - red) * fv
        green += (low_green - green) * fv
        blue += (low_blue - blue) * fv
    return red, green, blue
