"""Compiled: OpenGL's fixed lighting, as MuJoCo sets it up, at one point."""

from __future__ import annotations

import math

import numpy as np

from gym_hil.rendering.compiling import HALF, ONE, ZERO, Real, helper, inlined
from gym_hil.rendering.scene import Floats

DARK: Real = np.float32(8.0)  # e to the power of minus this is less than one step of a byte


@helper
def illuminate(
    x: Real,
    y: Real,
    z: Real,
    nx: Real,
    ny: Real,
    nz: Real,
    shininess: Real,
    camera: Floats,
    ambient: Floats,
    headlight: Floats,
    lights: Floats,
    key: int,
    out: Floats,
) -> None:
    """OpenGL's fixed lighting of one point, as MuJoCo sets it up, into out (6,) in the layout of `lit`."""
    vx = camera[0] - x
    vy = camera[1] - y
    vz = camera[2] - z
    scale = ONE / max(math.sqrt(vx * vx + vy * vy + vz * vz), np.float32(1e-6))
    vx *= scale
    vy *= scale
    vz *= scale
    # the headlight shines along the camera's axis wherever the point is
    facing = max(nx * camera[5] + ny * camera[8] + nz * camera[11], ZERO)
    out[0] = ambient[0] + headlight[0] * facing
    out[1] = ambient[1] + headlight[1] * facing
    out[2] = ambient[2] + headlight[2] * facing
    out[3] = ZERO
    out[4] = ZERO
    out[5] = ZERO
    if facing > ZERO and headlight[3] > ZERO:
        out[3] = headlight[3] * glint(nx, ny, nz, camera[5] + vx, camera[8] + vy, camera[11] + vz, shininess)
    for k in range(lights.shape[0]):
        light = lights[k]
        strength = ONE
        if light[0] == ONE:
            lx, ly, lz = -light[13], -light[14], -light[15]
        else:
            lx = light[10] - x
            ly = light[11] - y
            lz = light[12] - z
            distance = max(math.sqrt(lx * lx + ly * ly + lz * lz), np.float32(1e-6))
            scale = ONE / distance
            lx *= scale
            ly *= scale
            lz *= scale
            if nx * lx + ny * ly + nz * lz <= ZERO:
                continue
            fading = light[3] + distance * (light[4] + distance * light[5])
            if fading != ONE:
                strength /= max(fading, np.float32(1e-6))
            if light[0] == ZERO:
                axis = -(lx * light[13] + ly * light[14] + lz * light[15])
                if axis < light[1] or axis <= ZERO:
                    continue
                if light[2] * (ONE - axis) > DARK:
                    continue
                strength *= power(min(axis, ONE), light[2])
        diffuse = nx * lx + ny * ly + nz * lz
        if diffuse <= ZERO or strength <= ZERO:
            continue
        shine = ZERO
        if light[9] > ZERO:
            shine = strength * light[9] * glint(nx, ny, nz, lx + vx, ly + vy, lz + vz, shininess)
        diffuse *= strength
        if k == key:
            out[4] = diffuse
            out[5] = shine
        else:
            out[0] += diffuse * light[6]
            out[1] += diffuse * light[7]
            out[2] += diffuse * light[8]
            out[3] += shine


@inlined
def glint(nx: Real, ny: Real, nz: Real, hx: Real, hy: Real, hz: Real, shininess: Real) -> Real:
    """Blinn's specular term for an unnormalised half vector, and 0 where that is too dark to see."""
    along = nx * hx + ny * hy + nz * hz
    length = math.sqrt(hx * hx + hy * hy + hz * hz)
    if along <= ZERO or shininess * (length - along) > DARK * length:
        return ZERO
    return power(min(along / length, ONE), shininess)


@inlined
def power(base: Real, exponent: Real) -> Real:
    """Raise a base in 0..1 to the nearest whole power: products are the same on every machine, logarithms are not."""
    n = int(exponent + HALF)
    result = ONE
    while n > 0:
        if n & 1:
            result *= base
        base *= base
        n >>= 1
    return result
