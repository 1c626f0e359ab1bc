"""Compiled: light on a point, shadows, the colour of a triangle, and the colour of the sky.

The shadow map is a depth buffer seen from the light.

A colour is six numbers, 0..255: RGB without, and RGB only from, the light that casts shadows. OpenGL draws the two
apart, and lets nothing of the second through a translucent surface.
"""

from __future__ import annotations

import math

import numpy as np

from gym_hil.rendering.scene import (
    DIRECTIONAL,
    FULL,
    HALF,
    ONE,
    SHADOW_DIFFUSE,
    SHADOW_SPECULAR,
    SPECULAR,
    SPOT,
    TWO,
    ZERO,
    Camera,
    Floats,
    Floor,
    Lights,
    Real,
    Scene,
    ShadowMap,
    Shapes,
    Sky,
    Vector,
    helper,
    inlined,
)
from gym_hil.rendering.triangles import fill_facing

SHADOW_BIAS: Real = np.float32(0.004)  # m; hides the shadow map's texels on the faces that cast it
DARK: Real = np.float32(8.0)  # e to the power of minus this is less than one step of a byte
LIGHT_NEAR: Real = np.float32(0.05)  # m; nothing closer to the light casts a shadow
PARALLEL: Real = np.float32(100.0)  # m; stands for the distance of a light without a place
EMPTY: Real = np.float32(1e9)
MARGIN = 4  # texels of the map's side that nothing is drawn into


@inlined
def illuminate(point: Vector, normal: Vector, shininess: Real, camera: Camera, lights: Lights, out: Floats) -> None:
    """OpenGL's fixed lighting of one point, as MuJoCo sets it up, into out (6,) in the layout of `Buffers.lit`."""
    nx, ny, nz = normal
    bx, by, bz = camera.back
    vx, vy, vz, _ = towards(point, camera.position)
    # the headlight shines along the camera's axis wherever the point is
    facing = max(nx * bx + ny * by + nz * bz, ZERO)
    for c in range(3):
        out[c] = lights.ambient[c] + lights.headlight[c] * facing
        out[3 + c] = ZERO
    if facing > ZERO and lights.headlight_specular > ZERO:
        out[SPECULAR] = lights.headlight_specular * glint(nx, ny, nz, bx + vx, by + vy, bz + vz, shininess)
    for k in range(lights.kind.shape[0]):
        position, direction = lights.position[k], lights.direction[k]
        strength = ONE
        if lights.kind[k] == DIRECTIONAL:
            lx, ly, lz = -direction[0], -direction[1], -direction[2]
        else:
            lx, ly, lz, distance = towards(point, (position[0], position[1], position[2]))
            if nx * lx + ny * ly + nz * lz <= ZERO:
                continue
            strength = faded(lights, k, distance, -(lx * direction[0] + ly * direction[1] + lz * direction[2]))
        diffuse = nx * lx + ny * ly + nz * lz
        if diffuse <= ZERO or strength <= ZERO:
            continue
        shine = ZERO
        if lights.specular[k] > ZERO:
            shine = strength * lights.specular[k] * glint(nx, ny, nz, lx + vx, ly + vy, lz + vz, shininess)
        diffuse *= strength
        if k == lights.shadow:
            out[SHADOW_DIFFUSE] = diffuse
            out[SHADOW_SPECULAR] = shine
        else:
            for c in range(3):
                out[c] += diffuse * lights.diffuse[k, c]
            out[SPECULAR] += shine


@inlined
def towards(start: Vector, end: Vector) -> tuple[Real, Real, Real, Real]:
    """Unit vector from one point to another, and the distance between them."""
    x = end[0] - start[0]
    y = end[1] - start[1]
    z = end[2] - start[2]
    distance = max(math.sqrt(x * x + y * y + z * z), np.float32(1e-6))
    scale = ONE / distance
    return x * scale, y * scale, z * scale, distance


@inlined
def faded(lights: Lights, k: int, distance: Real, cosine: Real) -> Real:
    """Share of light k that arrives at a distance, and at an angle to its axis where it is a spot."""
    attenuation = lights.attenuation[k]
    strength = ONE
    fading = attenuation[0] + distance * (attenuation[1] + distance * attenuation[2])
    if fading != ONE:
        strength /= max(fading, np.float32(1e-6))
    if lights.kind[k] != SPOT:
        return strength
    if cosine < lights.cutoff[k] or cosine <= ZERO or lights.exponent[k] * (ONE - cosine) > DARK:
        return ZERO
    return strength * power(min(cosine, ONE), lights.exponent[k])


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
def shadow_share(right: Real, up: Real, forward: Real, bias: Real, directional: bool, shadow_map: ShadowMap) -> Real:
    """Share of the light, 0..1, that reaches a point right, up and forward of it."""
    if not directional and forward < LIGHT_NEAR:
        return ONE
    w = ONE if directional else ONE / forward
    depth = PARALLEL - forward + bias if directional else w + bias * w * w
    corner, scale = shadow_map.corner, shadow_map.scale[0]
    return look_up(shadow_map.depth, (right * w - corner[0]) * scale, (up * w - corner[1]) * scale, depth)


@inlined
def look_up(depth: Floats, u: Real, v: Real, w: Real) -> Real:
    """Share of the light, 0..1, at u and v in texels of the shadow map and 1/distance w, blended over four texels."""
    u -= HALF
    v -= HALF
    end = np.float32(depth.shape[0] - 1)
    if not (u >= ZERO and v >= ZERO and u < end and v < end):
        return ONE
    i = np.uint32(v)
    j = np.uint32(u)
    i1 = np.uint32(i + np.uint32(1))
    j1 = np.uint32(j + np.uint32(1))
    p = ONE if depth[i, j] <= w else ZERO
    q = ONE if depth[i, j1] <= w else ZERO
    r = ONE if depth[i1, j] <= w else ZERO
    s = ONE if depth[i1, j1] <= w else ZERO
    fu = u - np.float32(j)
    p += (q - p) * fu
    r += (s - r) * fu
    return p + (r - p) * (v - np.float32(i))


@inlined
def shade_triangle(scene: Scene, camera: Camera, t: int, dx: Real, dy: Real, dz: Real, out: Floats) -> None:
    """Colour of triangle t where the ray (dx, dy, dz) from the camera meets it, or of its nearest point."""
    shapes, lights, shadow_map, lit = scene.shapes, scene.lights, scene.shadow_map, scene.buffers.lit
    world, triangles = scene.buffers.world, shapes.triangles
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    ax, ay, az = world[a, 0], world[a, 1], world[a, 2]
    e1x, e1y, e1z = world[b, 0] - ax, world[b, 1] - ay, world[b, 2] - az
    e2x, e2y, e2z = world[c, 0] - ax, world[c, 1] - ay, world[c, 2] - az
    px, py, pz = dy * e2z - dz * e2y, dz * e2x - dx * e2z, dx * e2y - dy * e2x
    determinant = e1x * px + e1y * py + e1z * pz
    tx, ty, tz = camera.position[0] - ax, camera.position[1] - ay, camera.position[2] - az
    qx, qy, qz = ty * e1z - tz * e1y, tz * e1x - tx * e1z, tx * e1y - ty * e1x
    inverse = ONE / determinant if abs(determinant) > np.float32(1e-20) else ZERO
    u = min(max((tx * px + ty * py + tz * pz) * inverse, ZERO), ONE)
    v = min(max((dx * qx + dy * qy + dz * qz) * inverse, ZERO), ONE - u)
    s = shapes.shape[t]
    for k in range(3):
        light_vertex(scene, camera, triangles[t, k], shapes.materials[s, 1])
    first = ONE - u - v
    specular, emission = shapes.materials[s, 0], shapes.materials[s, 2]
    shine = specular * (first * lit[a, SPECULAR] + u * lit[b, SPECULAR] + v * lit[c, SPECULAR])
    for k in range(3):
        light_k = first * lit[a, k] + u * lit[b, k] + v * lit[c, k] + emission
        out[k] = min(FULL * (shapes.colours[s, k] * light_k + shine), FULL)
        out[3 + k] = ZERO
    diffuse = first * lit[a, SHADOW_DIFFUSE] + u * lit[b, SHADOW_DIFFUSE] + v * lit[c, SHADOW_DIFFUSE]
    if diffuse > ZERO:
        share = ONE
        if shapes.colours[s, 3] == ONE:  # MuJoCo lets no shadow fall on what is translucent
            nx, ny, nz = e1y * e2z - e1z * e2y, e1z * e2x - e1x * e2z, e1x * e2y - e1y * e2x
            scale = SHADOW_BIAS / max(math.sqrt(nx * nx + ny * ny + nz * nz), np.float32(1e-20))
            x = ax + u * e1x + v * e2x + nx * scale
            y = ay + u * e1y + v * e2y + ny * scale
            z = az + u * e1z + v * e2z + nz * scale
            right, up, forward = to_light(x, y, z, lights, shadow_map)
            directional = lights.kind[lights.shadow] == DIRECTIONAL
            share = shadow_share(right, up, forward, SHADOW_BIAS, directional, shadow_map)
        shine = specular * (first * lit[a, SHADOW_SPECULAR] + u * lit[b, SHADOW_SPECULAR] + v * lit[c, SHADOW_SPECULAR])
        for k in range(3):
            bright = shapes.colours[s, k] * diffuse * lights.diffuse[lights.shadow, k] + shine
            out[3 + k] = min(FULL * share * bright, FULL - out[k])


@inlined
def light_vertex(scene: Scene, camera: Camera, i: int, shininess: Real) -> None:
    """Compute the light on a vertex unless that was done for this camera."""
    if not scene.buffers.is_lit[i]:
        scene.buffers.is_lit[i] = True
        p, n = scene.buffers.world[i], scene.buffers.world_normals[i]
        illuminate(
            (p[0], p[1], p[2]), (n[0], n[1], n[2]), shininess, camera, scene.lights, scene.buffers.lit[i]
        )  # fmt: skip


@inlined
def shade_sky(sky: Sky, floor: Floor, camera: Camera, dx: Real, dy: Real, dz: Real, out: Floats) -> None:
    """Colour of the sky in one direction, with the haze above the floor's edge."""
    colours, share = sky.colours, sky.haze_share
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
        out[k] = FULL * (colours[i, k] + (colours[i + 1, k] - colours[i, k]) * f)
        out[3 + k] = ZERO
    if share > ZERO and dz < ZERO:
        tangent = -dz / max(math.sqrt(dx * dx + dy * dy), np.float32(1e-9))
        height = max(camera.position[2] - floor.origin[2], np.float32(1e-6))
        level = min(tangent * floor.radius / height, ONE)
        # the haze is a skirt that stands on the floor's edge and leans outward up to the camera's height
        add_haze(ONE - (ONE - level) / (ONE + share * level), sky.haze, out)


@inlined
def add_haze(share: Real, haze: Floats, out: Floats) -> None:
    """Blend haze over a colour."""
    for k in range(3):
        out[k] += (FULL * haze[k] - out[k]) * share
        out[3 + k] -= out[3 + k] * share
