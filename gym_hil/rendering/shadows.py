"""Compiled: the shadow map, a depth buffer seen from the light, and what it says about a point."""

from __future__ import annotations

import math

import numpy as np

from gym_hil.rendering.compiling import HALF, ONE, ZERO, Real, helper, inlined
from gym_hil.rendering.filling import fill
from gym_hil.rendering.scene import Floats, Ints

LIGHT_NEAR: Real = np.float32(0.05)  # m; nothing closer to the light casts a shadow
PARALLEL: Real = np.float32(100.0)  # m; stands for the distance of a light without a place
EMPTY: Real = np.float32(1e9)


@helper
def draw_shadows(
    world: Floats,
    triangles: Ints,
    spans: Ints,
    colours: Floats,
    floor_shape: int,
    light: Floats,
    axes: Floats,
    screen: Floats,
    shadow_map: Floats,
    frame: Floats,
    no_ids: Ints,
) -> None:
    """Fill the shadow map with 1/distance from the light, fitted to what casts shadows; also writes `frame`."""
    directional = light[0] == ONE
    reach = np.float32(1.5)
    if not directional and light[1] > np.float32(0.5):
        reach = math.sqrt(ONE - light[1] * light[1]) / light[1]
    low_x = low_y = EMPTY
    high_x = high_y = -EMPTY
    for s in range(spans.shape[0]):
        if colours[s, 3] < ONE or s == floor_shape:
            continue
        for i in range(spans[s, 0], spans[s, 1]):
            dx = world[i, 0] - light[10]
            dy = world[i, 1] - light[11]
            dz = world[i, 2] - light[12]
            x = axes[0, 0] * dx + axes[0, 1] * dy + axes[0, 2] * dz
            y = axes[1, 0] * dx + axes[1, 1] * dy + axes[1, 2] * dz
            z = axes[2, 0] * dx + axes[2, 1] * dy + axes[2, 2] * dz
            if directional:
                w = PARALLEL - z
            elif z > LIGHT_NEAR:
                w = ONE / z
                x *= w
                y *= w
                if max(abs(x), abs(y)) > reach:
                    x = min(max(x, -reach), reach)
                    y = min(max(y, -reach), reach)
            else:
                screen[i, 2] = -ONE
                continue
            screen[i, 0] = x
            screen[i, 1] = y
            screen[i, 2] = w
            low_x = min(low_x, x)
            high_x = max(high_x, x)
            low_y = min(low_y, y)
            high_y = max(high_y, y)
    frame[:] = ZERO
    shadow_map[:] = ZERO
    if high_x < low_x:
        return
    size = np.float32(shadow_map.shape[0] - 4)
    step = max(high_x - low_x, high_y - low_y, np.float32(1e-4)) / size
    frame[0] = low_x - np.float32(2) * step
    frame[1] = low_y - np.float32(2) * step
    frame[2] = ONE / step
    for s in range(spans.shape[0]):
        if colours[s, 3] < ONE or s == floor_shape:
            continue
        for i in range(spans[s, 0], spans[s, 1]):
            screen[i, 0] = (screen[i, 0] - frame[0]) * frame[2]
            screen[i, 1] = (screen[i, 1] - frame[1]) * frame[2]
        for t in range(spans[s, 2], spans[s, 3]):
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            wa, wb, wc = screen[a, 2], screen[b, 2], screen[c, 2]
            ax, ay, bx, by, cx, cy = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1], screen[c, 0], screen[c, 1]
            if wa > ZERO and wb > ZERO and wc > ZERO and (bx - ax) * (cy - ay) < (cx - ax) * (by - ay):
                fill(ax, ay, wa, bx, by, wb, cx, cy, wc, np.int64(t), shadow_map, no_ids)


@inlined
def sunlit(
    x: Real, y: Real, z: Real, bias: Real, light: Floats, axes: Floats, shadow_map: Floats, frame: Floats
) -> Real:
    """Share of the shadow-casting light that reaches a point, 0..1."""
    dx = x - light[10]
    dy = y - light[11]
    dz = z - light[12]
    return shadow_share(
        axes[0, 0] * dx + axes[0, 1] * dy + axes[0, 2] * dz,
        axes[1, 0] * dx + axes[1, 1] * dy + axes[1, 2] * dz,
        axes[2, 0] * dx + axes[2, 1] * dy + axes[2, 2] * dz,
        bias, light[0] == ONE, shadow_map, frame[0], frame[1], frame[2],
    )  # fmt: skip


@inlined
def shadow_share(
    u: Real, v: Real, d: Real, bias: Real, directional: bool, shadow_map: Floats, left: Real, top: Real, scale: Real
) -> Real:
    """Share of light that reaches a point right, up and forward of the light, blended over four texels."""
    if directional:
        w = PARALLEL - d + bias
    else:
        if d < LIGHT_NEAR:
            return ONE
        w = ONE / d
        u *= w
        v *= w
        w += bias * w * w
    u = (u - left) * scale - HALF
    v = (v - top) * scale - HALF
    end = np.float32(shadow_map.shape[0] - 1)
    if not (u >= ZERO and v >= ZERO and u < end and v < end):
        return ONE
    i = np.uint32(v)
    j = np.uint32(u)
    fu = u - np.float32(j)
    fv = v - np.float32(i)
    i1 = np.uint32(i + np.uint32(1))
    j1 = np.uint32(j + np.uint32(1))
    p = ONE if shadow_map[i, j] <= w else ZERO
    q = ONE if shadow_map[i, j1] <= w else ZERO
    r = ONE if shadow_map[i1, j] <= w else ZERO
    s = ONE if shadow_map[i1, j1] <= w else ZERO
    p += (q - p) * fu
    r += (s - r) * fu
    return p + (r - p) * fv
