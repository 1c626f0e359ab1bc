"""Compiled: the colour of a triangle, of the floor and of the sky in one direction. Colours are 0..255, unclipped."""

from __future__ import annotations

import math

import numpy as np

from gym_hil.rendering.kernels import HALF, ONE, ZERO, helper, illuminate, sunlit

SHADOW_BIAS = np.float32(0.004)  # m; hides the shadow map's texels on the faces that cast it
FLOOR_BIAS = np.float32(0.001)  # m
FULL = np.float32(255.0)


@helper
def ray(x, y, camera, half_width, half_height):
    """Direction of the ray through a sample, of length 1 along the camera's axis."""
    right = (x - half_width) / camera[12]
    up = (half_height - y) / camera[12]
    return (
        camera[3] * right + camera[4] * up - camera[5],
        camera[6] * right + camera[7] * up - camera[8],
        camera[9] * right + camera[10] * up - camera[11],
    )


@helper
def shade(scene, view, t, dx, dy, dz, out):
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
    if s == scene.choices[1]:
        floor = scene.floor
        light = lit[a]  # no other use: the floor is not lit at its corners
        illuminate(
            x, y, z, floor[10], floor[11], floor[12], floor[19],
            camera, scene.ambient, scene.headlight, lights, key, light,
        )  # fmt: skip
        shade_floor(scene, camera, x, y, z, light[0], light[1], light[2], light[3], light[4], light[5], out)
        return
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
    key_diffuse = first * lit[a, 4] + u * lit[b, 4] + v * lit[c, 4]
    shine = first * lit[a, 3] + u * lit[b, 3] + v * lit[c, 3]
    if key_diffuse > ZERO:
        nx, ny, nz = e1y * e2z - e1z * e2y, e1z * e2x - e1x * e2z, e1x * e2y - e1y * e2x
        scale = SHADOW_BIAS / max(math.sqrt(nx * nx + ny * ny + nz * nz), np.float32(1e-20))
        share = sunlit(
            x + nx * scale, y + ny * scale, z + nz * scale, SHADOW_BIAS,
            lights[key], scene.light_axes, scene.shadow_map, scene.shadow_frame,
        )  # fmt: skip
        key_diffuse *= share
        shine += (first * lit[a, 5] + u * lit[b, 5] + v * lit[c, 5]) * share
    for k in range(3):
        light_k = first * lit[a, k] + u * lit[b, k] + v * lit[c, k] + scene.gloss[s, 2]
        if key_diffuse > ZERO:
            light_k += key_diffuse * lights[key, 6 + k]
        out[k] = FULL * (scene.colours[s, k] * light_k + scene.gloss[s, 0] * shine)


@helper
def shade_floor(scene, camera, x, y, z, red, green, blue, shine, key_diffuse, key_shine, out):
    """Colour of the floor at a point, given the light there."""
    floor = scene.floor
    key = scene.choices[0]
    if key_diffuse > ZERO:
        share = sunlit(
            x, y, z, FLOOR_BIAS, scene.lights[key], scene.light_axes, scene.shadow_map, scene.shadow_frame
        )
        key_diffuse *= share
        shine += key_shine * share
        red += key_diffuse * scene.lights[key, 6]
        green += key_diffuse * scene.lights[key, 7]
        blue += key_diffuse * scene.lights[key, 8]
    out[0] = out[1] = out[2] = ONE
    if scene.mips.shape[0] > 0:
        texture(scene, camera, x, y, z, out)
    gloss = floor[18] * shine
    out[0] = FULL * (out[0] * floor[15] * (red + floor[20]) + gloss)
    out[1] = FULL * (out[1] * floor[16] * (green + floor[20]) + gloss)
    out[2] = FULL * (out[2] * floor[17] * (blue + floor[20]) + gloss)


@helper
def texture(scene, camera, x, y, z, out):
    """The floor's texture at a point, 0..1, at the scale at which a camera sees it."""
    floor, texels, mips = scene.floor, scene.texels, scene.mips
    dx, dy, dz = x - camera[0], y - camera[1], z - camera[2]
    square = dx * dx + dy * dy + dz * dz
    above = abs(dx * floor[10] + dy * floor[11] + dz * floor[12])
    # a pixel is two samples wide; its longer side on the floor grows with the slant of the ray
    wide = np.float32(2.0) * square * floor[21] / (camera[12] * max(above, np.float32(1e-3)))
    level = 0
    while wide > np.float32(1.5) and level < mips.shape[0] - 1:
        wide *= HALF
        level += 1
    x -= floor[1]
    y -= floor[2]
    z -= floor[3]
    u = floor[4] * x + floor[5] * y + floor[6] * z + floor[13]
    v = floor[7] * x + floor[8] * y + floor[9] * z + floor[14]
    start, width, height = mips[level, 0], mips[level, 1], mips[level, 2]
    u = min(u - math.floor(u), ONE) * np.float32(width) + HALF
    v = min(v - math.floor(v), ONE) * np.float32(height) + HALF
    j1 = int(u)
    i1 = int(v)
    fu = u - np.float32(j1)
    fv = v - np.float32(i1)
    j0 = j1 - 1 if j1 > 0 else width - 1
    i0 = i1 - 1 if i1 > 0 else height - 1
    if j1 >= width:
        j1 = 0
    if i1 >= height:
        i1 = 0
    p = start + i0 * width
    q = start + i1 * width
    for k in range(3):
        top = texels[p + j0, k] + (texels[p + j1, k] - texels[p + j0, k]) * fu
        low = texels[q + j0, k] + (texels[q + j1, k] - texels[q + j0, k]) * fu
        out[k] = top + (low - top) * fv


@helper
def shade_sky(scene, camera, dx, dy, dz, out):
    """Colour of the sky in one direction, with the haze above the floor's edge."""
    sky, haze, floor = scene.sky, scene.haze, scene.floor
    side = max(abs(dx), abs(dy))
    if side > abs(dz):
        where = np.float32(128.0) + np.float32(64.0) * dz / side
    elif dz > ZERO:
        where = np.float32(256.0) - np.float32(64.0) * side / dz
    else:
        where = -np.float32(64.0) * side / min(dz, np.float32(-1e-9))
    i = min(int(where), 255)
    f = where - np.float32(i)
    for k in range(3):
        out[k] = FULL * (sky[i, k] + (sky[i + 1, k] - sky[i, k]) * f)
    if haze[3] > ZERO and dz < ZERO:
        tangent = -dz / max(math.sqrt(dx * dx + dy * dy), np.float32(1e-9))
        height = max(camera[2] - floor[3], np.float32(1e-6))
        level = min(tangent * floor[22] / height, ONE)
        # the haze is a skirt that stands on the floor's edge and leans outward up to the camera's height
        veil(ONE - (ONE - level) / (ONE + haze[3] * level), haze, out)


@helper
def veil(share, haze, out):
    """Blend haze over a colour."""
    for k in range(3):
        out[k] += (FULL * haze[k] - out[k]) * share
