"""Compiled: the floor, its depth, its light, and runs of floor pixels.

Along a row of pixels everything that varies on the floor is a straight line divided by another one, so a run needs
a few constants and then little arithmetic for each pixel.
"""

from __future__ import annotations

import math

import numpy as np

from gym_hil.rendering.compiling import HALF, ONE, ZERO, Real, helper, inlined
from gym_hil.rendering.lighting import illuminate
from gym_hil.rendering.scene import Floats, Ints, Scene
from gym_hil.rendering.shading import FULL, ray, veil
from gym_hil.rendering.shadows import shadow_share

GRID_BITS = 3
GRID = 1 << GRID_BITS  # pixels between the points where the light on the floor is computed
FLOOR_BIAS: Real = np.float32(0.001)  # m
TWO: Real = np.float32(2.0)


@helper
def find_plane(scene: Scene, camera: Floats, half_width: Real, half_height: Real) -> bool:
    """Write `scene.plane`: 1/depth of the floor over samples; zeros where the camera can't see its upper side.

    Returns:
        Whether the camera is above a floor.
    """
    floor, plane = scene.floor, scene.plane
    plane[0] = plane[1] = plane[2] = ZERO
    height = ZERO
    for k in range(3):
        height += floor[10 + k] * (camera[k] - floor[1 + k])
    if floor[0] == ZERO or not height > np.float32(1e-4):
        return False
    inverse = -ONE / height
    right = (floor[10] * camera[3] + floor[11] * camera[6] + floor[12] * camera[9]) * inverse * camera[14]
    up = (floor[10] * camera[4] + floor[11] * camera[7] + floor[12] * camera[10]) * inverse * camera[14]
    back = (floor[10] * camera[5] + floor[11] * camera[8] + floor[12] * camera[11]) * inverse
    plane[1] = right
    plane[2] = -up
    plane[0] = -back - right * half_width + up * half_height
    return True


@helper
def light_floor(scene: Scene, camera: Floats, half_width: Real, half_height: Real) -> None:
    """Compute the light on the floor, and the level of its texture, at every GRID-th pixel."""
    floor, grid, plane = scene.floor, scene.grid, scene.plane
    last = np.float32(max(scene.mips.shape[0] - 1, 0))
    for i in range(grid.shape[0]):
        y = np.float32(2 * GRID * i + 1)
        for j in range(grid.shape[1]):
            x = np.float32(2 * GRID * j + 1)
            dx, dy, dz = ray(x, y, camera, half_width, half_height)
            z = ONE / max(plane[0] + plane[1] * x + plane[2] * y, np.float32(0.01))
            illuminate(
                camera[0] + dx * z, camera[1] + dy * z, camera[2] + dz * z, floor[10], floor[11], floor[12], floor[19],
                camera, scene.ambient, scene.headlight, scene.lights, scene.choices[0], grid[i, j],
            )  # fmt: skip
            # a pixel is two samples wide; its longer side on the floor grows with the slant of the ray
            square = dx * dx + dy * dy + dz * dz
            above = max(abs(dx * floor[10] + dy * floor[11] + dz * floor[12]), np.float32(1e-3))
            wide = TWO * camera[14] * square * z * floor[21] / above
            level = ZERO
            while wide > np.float32(1.5) and level < last:
                wide *= HALF
                level += ONE
            grid[i, j, 6] = level


@inlined
def mix_light(grid: Floats, band: Floats, i: int) -> None:
    """Interpolate the floor's light, known at the points of `grid`, along one row of pixels into `band`."""
    row = i >> GRID_BITS
    f = np.float32(i & (GRID - 1)) * (ONE / np.float32(GRID))
    for j in range(grid.shape[1]):
        for k in range(7):
            band[j, k] = grid[row, j, k] + (grid[row + 1, j, k] - grid[row, j, k]) * f


@inlined
def along(
    ax: Real, ay: Real, az: Real, camera: Floats, y: Real, half_width: Real, half_height: Real
) -> tuple[Real, Real]:
    """What a ray gains along a world axis in row y: its value at x = 0 and its growth per sample."""
    right = (ax * camera[3] + ay * camera[6] + az * camera[9]) * camera[14]
    up = (ax * camera[4] + ay * camera[7] + az * camera[10]) * camera[14]
    back = ax * camera[5] + ay * camera[8] + az * camera[11]
    return up * (half_height - y) - back - right * half_width, right


@helper
def shade_floor(
    floor: Floats,
    plane: Floats,
    band: Floats,
    camera: Floats,
    haze: Floats,
    light: Floats,
    axes: Floats,
    shadow_map: Floats,
    frame: Floats,
    texels: Floats,
    mips: Ints,
    key: bool,
    half_width: Real,
    half_height: Real,
    i: int,
    first: int,
    last: int,
    out: Floats,
) -> None:
    """Colours of the floor at the middles of pixels first..last - 1 of row i, where the endless plane can be seen.

    As in OpenGL, the texture dims what shines too, and the light that casts shadows is clipped apart from the rest.
    `light` is the one that casts shadows, if `key` says so; `out` (W, 6) is the row of pixels.
    """
    y = np.float32(2 * i + 1)
    cx, cy, cz = camera[0], camera[1], camera[2]
    w0 = plane[0] + plane[2] * y
    w1 = plane[1]
    ox, oy, oz = cx - floor[1], cy - floor[2], cz - floor[3]
    u_base = floor[4] * ox + floor[5] * oy + floor[6] * oz + floor[13]
    v_base = floor[7] * ox + floor[8] * oy + floor[9] * oz + floor[14]
    u0, u1 = along(floor[4], floor[5], floor[6], camera, y, half_width, half_height)
    v0, v1 = along(floor[7], floor[8], floor[9], camera, y, half_width, half_height)
    lx, ly, lz = cx - light[10], cy - light[11], cz - light[12]
    a_base = axes[0, 0] * lx + axes[0, 1] * ly + axes[0, 2] * lz
    b_base = axes[1, 0] * lx + axes[1, 1] * ly + axes[1, 2] * lz
    d_base = axes[2, 0] * lx + axes[2, 1] * ly + axes[2, 2] * lz
    a0, a1 = along(axes[0, 0], axes[0, 1], axes[0, 2], camera, y, half_width, half_height)
    b0, b1 = along(axes[1, 0], axes[1, 1], axes[1, 2], camera, y, half_width, half_height)
    d0, d1 = along(axes[2, 0], axes[2, 1], axes[2, 2], camera, y, half_width, half_height)
    frame0, frame1, frame2 = frame[0], frame[1], frame[2]
    directional = light[0] == ONE
    key_red, key_green, key_blue = light[6], light[7], light[8]
    red, green, blue, gloss, glow = floor[15], floor[16], floor[17], floor[18], floor[20]
    textured = mips.shape[0] > 0
    level = -1
    start, width, height = 0, 1, 1
    segment = -1
    p0 = p1 = p2 = p3 = p4 = p5 = p6 = q0 = q1 = q2 = q3 = q4 = q5 = q6 = ZERO
    for j in range(first, last):
        x = np.float32(2 * j + 1)
        z = ONE / max(w0 + w1 * x, np.float32(1e-3))
        if j >> GRID_BITS != segment:
            segment = j >> GRID_BITS
            p, q = band[segment], band[segment + 1]
            p0, p1, p2, p3, p4, p5, p6 = p[0], p[1], p[2], p[3], p[4], p[5], p[6] + HALF
            q0, q1, q2, q3, q4, q5, q6 = q[0] - p0, q[1] - p1, q[2] - p2, q[3] - p3, q[4] - p4, q[5] - p5, q[6] - p[6]
        f = np.float32(j & (GRID - 1)) * (ONE / np.float32(GRID))
        shine = gloss * (p3 + q3 * f)
        base_red = min(red * (p0 + q0 * f + glow) + shine, ONE)
        base_green = min(green * (p1 + q1 * f + glow) + shine, ONE)
        base_blue = min(blue * (p2 + q2 * f + glow) + shine, ONE)
        over_red = over_green = over_blue = ZERO
        diffuse = p4 + q4 * f
        if key and diffuse > ZERO:
            share = shadow_share(
                a_base + z * (a0 + a1 * x), b_base + z * (b0 + b1 * x), d_base + z * (d0 + d1 * x),
                FLOOR_BIAS, directional, shadow_map, frame0, frame1, frame2,
            )  # fmt: skip
            if share > ZERO:
                shine = gloss * (p5 + q5 * f)
                over_red = share * min(red * diffuse * key_red + shine, ONE)
                over_green = share * min(green * diffuse * key_green + shine, ONE)
                over_blue = share * min(blue * diffuse * key_blue + shine, ONE)
        part_red = part_green = part_blue = ONE
        if textured:
            wanted = int(p6 + q6 * f)
            if wanted != level:
                level = wanted
                start, width, height = mips[level, 0], mips[level, 1], mips[level, 2]
            u = u_base + z * (u0 + u1 * x)
            v = v_base + z * (v0 + v1 * x)
            u = (u - np.floor(u)) * np.float32(width) + HALF
            v = (v - np.floor(v)) * np.float32(height) + HALF
            # the texture has a border, so that the four texels around any point lie beside each other
            right, below = min(max(int(u), 0), width), min(max(int(v), 0), height)
            high = np.uint64(start + below * (width + 2) + right)
            part_red, part_green, part_blue = texels[high, 0], texels[high, 1], texels[high, 2]
            if texels[high, 3] == ZERO:
                next_ = high + np.uint64(1)
                deep = np.uint64(high + np.uint64(width + 2))
                last_ = np.uint64(deep + np.uint64(1))
                fu, fv = u - np.float32(right), v - np.float32(below)
                part_red += (texels[next_, 0] - part_red) * fu
                part_green += (texels[next_, 1] - part_green) * fu
                part_blue += (texels[next_, 2] - part_blue) * fu
                low_red = texels[deep, 0] + (texels[last_, 0] - texels[deep, 0]) * fu
                low_green = texels[deep, 1] + (texels[last_, 1] - texels[deep, 1]) * fu
                low_blue = texels[deep, 2] + (texels[last_, 2] - texels[deep, 2]) * fu
                part_red += (low_red - part_red) * fv
                part_green += (low_green - part_green) * fv
                part_blue += (low_blue - part_blue) * fv
        base_red *= FULL * part_red
        base_green *= FULL * part_green
        base_blue *= FULL * part_blue
        out[j, 0] = base_red
        out[j, 1] = base_green
        out[j, 2] = base_blue
        out[j, 3] = min(FULL * part_red * over_red, FULL - base_red)
        out[j, 4] = min(FULL * part_green * over_green, FULL - base_green)
        out[j, 5] = min(FULL * part_blue * over_blue, FULL - base_blue)
        if haze[3] > ZERO:
            dx, dy, _ = ray(x, y, camera, half_width, half_height)
            share = (z * math.sqrt(dx * dx + dy * dy) / floor[22] - ONE + haze[3]) / haze[3]
            if share > ZERO:
                veil(min(share, ONE), haze, out[j])
