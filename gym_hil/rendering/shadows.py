"""Compiled: the shadow map, a depth buffer seen from the light, and how much of that light reaches a point."""

from __future__ import annotations

import math

import numpy as np

from gym_hil.rendering.scene import (
    DIRECTIONAL,
    HALF,
    ONE,
    TWO,
    ZERO,
    Floor,
    Lights,
    Real,
    Scene,
    ShadowMap,
    Shapes,
    helper,
    inlined,
)
from gym_hil.rendering.triangles import fill_facing

LIGHT_NEAR: Real = np.float32(0.05)  # m; nothing closer to the light casts a shadow
PARALLEL: Real = np.float32(100.0)  # m; stands for the distance of a light without a place
EMPTY: Real = np.float32(1e9)
MARGIN = 4  # texels of the map's side that nothing is drawn into


@helper
def draw_shadows(scene: Scene) -> None:
    """Fill the shadow map with 1/distance from the light, fitted to what casts shadows."""
    shapes, shadow_map, screen = scene.shapes, scene.shadow_map, scene.buffers.screen
    corner, scale = shadow_map.corner, shadow_map.scale
    low_x = low_y = EMPTY
    high_x = high_y = -EMPTY
    for s in range(shapes.radii.shape[0]):
        if casts_shadow(shapes, scene.floor, s):
            box = project_to_light(scene, s)
            low_x, high_x = min(low_x, box[0]), max(high_x, box[1])
            low_y, high_y = min(low_y, box[2]), max(high_y, box[3])
    corner[:] = ZERO
    scale[:] = ZERO
    shadow_map.depth[:] = ZERO
    if high_x < low_x:
        return
    size = np.float32(shadow_map.depth.shape[0] - MARGIN)
    step = max(high_x - low_x, high_y - low_y, np.float32(1e-4)) / size
    corner[0] = low_x - TWO * step
    corner[1] = low_y - TWO * step
    scale[0] = ONE / step
    for s in range(shapes.radii.shape[0]):
        if not casts_shadow(shapes, scene.floor, s):
            continue
        for i in range(shapes.vertex_spans[s, 0], shapes.vertex_spans[s, 1]):
            screen[i, 0] = (screen[i, 0] - corner[0]) * scale[0]
            screen[i, 1] = (screen[i, 1] - corner[1]) * scale[0]
        for t in range(shapes.triangle_spans[s, 0], shapes.triangle_spans[s, 1]):
            a, b, c = shapes.triangles[t, 0], shapes.triangles[t, 1], shapes.triangles[t, 2]
            if screen[a, 2] > ZERO and screen[b, 2] > ZERO and screen[c, 2] > ZERO:
                fill_facing(screen, a, b, c, np.int64(t), shadow_map.depth, scene.buffers.no_ids)


@inlined
def casts_shadow(shapes: Shapes, floor: Floor, s: int) -> bool:
    """Whether a shape throws a shadow: opaque ones do, the floor does not."""
    return not (shapes.colours[s, 3] < ONE or s == floor.shape)


@inlined
def project_to_light(scene: Scene, s: int) -> tuple[Real, Real, Real, Real]:
    """Write the vertices of a shape to the screen as the light sees them, before the map's corner and scale are known.

    Returns the lowest and highest x and the lowest and highest y; the lowest is above the highest for none.
    """
    lights, k = scene.lights, scene.lights.shadow
    world, screen, spans = scene.buffers.world, scene.buffers.screen, scene.shapes.vertex_spans
    directional = lights.kind[k] == DIRECTIONAL
    cutoff = lights.cutoff[k]
    reach = np.float32(1.5)
    if not directional and cutoff > HALF:
        reach = math.sqrt(ONE - cutoff * cutoff) / cutoff
    low_x = low_y = EMPTY
    high_x = high_y = -EMPTY
    for i in range(spans[s, 0], spans[s, 1]):
        x, y, z = to_light(world[i, 0], world[i, 1], world[i, 2], lights, scene.shadow_map)
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
    return low_x, high_x, low_y, high_y


@inlined
def to_light(x: Real, y: Real, z: Real, lights: Lights, shadow_map: ShadowMap) -> tuple[Real, Real, Real]:
    """Coordinates right, up and forward of the light that casts shadows, m."""
    position, axes = lights.position[lights.shadow], shadow_map.axes
    dx = x - position[0]
    dy = y - position[1]
    dz = z - position[2]
    return (
        axes[0, 0] * dx + axes[0, 1] * dy + axes[0, 2] * dz,
        axes[1, 0] * dx + axes[1, 1] * dy + axes[1, 2] * dz,
        axes[2, 0] * dx + axes[2, 1] * dy + axes[2, 2] * dz,
    )


@inlined
def shadow_share(
    u: Real, v: Real, d: Real, bias: Real, directional: bool, shadow_map: ShadowMap, left: Real, top: Real, scale: Real
) -> Real:
    """Share of the light, 0..1, that reaches a point right, up and forward of it, blended over four texels.

    The map's corner and scale are arguments, so that a caller in a loop reads them once.
    """
    depth = shadow_map.depth
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
    end = np.float32(depth.shape[0] - 1)
    if not (u >= ZERO and v >= ZERO and u < end and v < end):
        return ONE
    i = np.uint32(v)
    j = np.uint32(u)
    fu = u - np.float32(j)
    fv = v - np.float32(i)
    i1 = np.uint32(i + np.uint32(1))
    j1 = np.uint32(j + np.uint32(1))
    p = ONE if depth[i, j] <= w else ZERO
    q = ONE if depth[i, j1] <= w else ZERO
    r = ONE if depth[i1, j] <= w else ZERO
    s = ONE if depth[i1, j1] <= w else ZERO
    p += (q - p) * fu
    r += (s - r) * fu
    return p + (r - p) * fv
