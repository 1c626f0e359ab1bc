"""Compiled: the colour of a triangle and of the sky in one direction.

A colour is six numbers, 0..255: RGB without, and RGB only from, the light that casts shadows. OpenGL draws the two
apart, and lets nothing of the second through a translucent surface.
"""

from __future__ import annotations

import math

import numpy as np

from gym_hil.rendering.compiling import ONE, ZERO, Real, inlined
from gym_hil.rendering.lighting import illuminate
from gym_hil.rendering.scene import Floats, Scene
from gym_hil.rendering.shadows import sunlit

SHADOW_BIAS: Real = np.float32(0.004)  # m; hides the shadow map's texels on the faces that cast it
FULL: Real = np.float32(255.0)


@inlined
def ray(x: Real, y: Real, camera: Floats, half_width: Real, half_height: Real) -> tuple[Real, Real, Real]:
    """Direction of the ray through a sample, of length 1 along the camera's axis."""
    right = (x - half_width) * camera[14]
    up = (half_height - y) * camera[14]
    return (
        camera[3] * right + camera[4] * up - camera[5],
        camera[6] * right + camera[7] * up - camera[8],
        camera[9] * right + camera[10] * up - camera[11],
    )


@inlined
def shade(scene: Scene, view: int, t: int, dx: Real, dy: Real, dz: Real, out: Floats) -> None:
    """Colour of triangle t where the ray (dx, dy, dz) from camera `view` meets it, or of its nearest point."""
    world, triangles, lit, lights = scene.world, scene.triangles, scene.lit, scene.lights
    camera = scene.cameras[view]
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    ax, ay, az = world[a, 0], world[a, 1], world[a, 2]
    e1x, e1y, e1z = world[b, 0] - ax, world[b, 1] - ay, world[b, 2] - az
    e2x, e2y, e2z = world[c, 0] - ax, world[c, 1] - ay, world[c, 2] - az
    px, py, pz = dy * e2z - dz * e2y, dz * e2x - dx * e2z, dx * e2y - dy * e2x
    determinant = e1x * px + e1y * py + e1z * pz
    tx, ty, tz = camera[0] - ax, camera[1] - ay, camera[2] - az
    qx, qy, qz = ty * e1z - tz * e1y, tz * e1x - tx * e1z, tx * e1y - ty * e1x
    inverse = ONE / determinant if abs(determinant) > np.float32(1e-20) else ZERO
    u = min(max((tx * px + ty * py + tz * pz) * inverse, ZERO), ONE)
    v = min(max((dx * qx + dy * qy + dz * qz) * inverse, ZERO), ONE - u)
    x = ax + u * e1x + v * e2x
    y = ay + u * e1y + v * e2y
    z = az + u * e1z + v * e2z
    s = scene.shape[t]
    key = scene.choices[0]
    for k in range(3):
        i = triangles[t, k]
        if scene.lit_for[i] != view:
            scene.lit_for[i] = view
            n = scene.world_normals[i]
            illuminate(
                world[i, 0], world[i, 1], world[i, 2], n[0], n[1], n[2], scene.gloss[s, 1],
                camera, scene.ambient, scene.headlight, lights, key, lit[i],
            )  # fmt: skip
    first = ONE - u - v
    shine = scene.gloss[s, 0] * (first * lit[a, 3] + u * lit[b, 3] + v * lit[c, 3])
    for k in range(3):
        light_k = first * lit[a, k] + u * lit[b, k] + v * lit[c, k] + scene.gloss[s, 2]
        out[k] = min(FULL * (scene.colours[s, k] * light_k + shine), FULL)
        out[3 + k] = ZERO
    key_diffuse = first * lit[a, 4] + u * lit[b, 4] + v * lit[c, 4]
    if key_diffuse > ZERO:
        share = ONE
        if scene.colours[s, 3] == ONE:  # MuJoCo lets no shadow fall on what is translucent
            nx, ny, nz = e1y * e2z - e1z * e2y, e1z * e2x - e1x * e2z, e1x * e2y - e1y * e2x
            scale = SHADOW_BIAS / max(math.sqrt(nx * nx + ny * ny + nz * nz), np.float32(1e-20))
            share = sunlit(
                x + nx * scale, y + ny * scale, z + nz * scale, SHADOW_BIAS,
                lights[key], scene.light_axes, scene.shadow_map, scene.shadow_frame,
            )  # fmt: skip
        shine = scene.gloss[s, 0] * (first * lit[a, 5] + u * lit[b, 5] + v * lit[c, 5])
        for k in range(3):
            bright = scene.colours[s, k] * key_diffuse * lights[key, 6 + k] + shine
            out[3 + k] = min(FULL * share * bright, FULL - out[k])


@inlined
def shade_sky(scene: Scene, camera: Floats, dx: Real, dy: Real, dz: Real, out: Floats) -> None:
    """Colour of the sky in one direction, with the haze above the floor's edge."""
    sky, haze, floor = scene.sky, scene.haze, scene.floor
    side = max(abs(dx), abs(dy))
    if side > abs(dz):
        where = np.float32(128.0) + np.float32(64.0) * dz / side
    elif dz > ZERO:
        where = np.float32(256.0) - np.float32(64.0) * side / dz
    else:
        where = -np.float32(64.0) * side / min(dz, np.float32(-1e-9))
    i = min(max(int(where), 0), 255)
    f = where - np.float32(i)
    for k in range(3):
        out[k] = FULL * (sky[i, k] + (sky[i + 1, k] - sky[i, k]) * f)
        out[3 + k] = ZERO
    if haze[3] > ZERO and dz < ZERO:
        tangent = -dz / max(math.sqrt(dx * dx + dy * dy), np.float32(1e-9))
        height = max(camera[2] - floor[3], np.float32(1e-6))
        level = min(tangent * floor[22] / height, ONE)
        # the haze is a skirt that stands on the floor's edge and leans outward up to the camera's height
        veil(ONE - (ONE - level) / (ONE + haze[3] * level), haze, out)


@inlined
def veil(share: Real, haze: Floats, out: Floats) -> None:
    """Blend haze over a colour."""
    for k in range(3):
        out[k] += (FULL * haze[k] - out[k]) * share
        out[3 + k] -= out[3 + k] * share
