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
from gym_hil.rendering.simd import (
    LANES,
    Lanes,
    between,
    floors,
    gather,
    gather_four,
    greater,
    largest,
    less,
    load,
    ramp,
    roots,
    store,
    store_four,
    where_at_least,
    where_less,
)
from gym_hil.rendering.triangles import fill, ray

SHADOW_BIAS: Real = np.float32(0.004)  # m; hides the shadow map's texels on the faces that cast it
DARK: Real = np.float32(8.0)  # e to the power of minus this is less than one step of a byte
LIGHT_NEAR: Real = np.float32(0.05)  # m; nothing closer to the light casts a shadow
PARALLEL: Real = np.float32(100.0)  # m; stands for the distance of a light without a place
EMPTY: Real = np.float32(1e9)
MARGIN = 4  # texels of the map's side that nothing is drawn into


@inlined
def illuminate(
    point: tuple[Lanes, Lanes, Lanes],
    normal: Vector | tuple[Lanes, Lanes, Lanes],
    shininess: Real,
    camera: Camera,
    lights: Lights,
) -> tuple[Lanes, Lanes, Lanes, Lanes, Lanes, Lanes]:
    """OpenGL's fixed lighting of eight points, as MuJoCo sets it up: the first six columns of `Buffers.lit`.

    The normal is that of each point, or of all.
    """
    nx, ny, nz = normal
    bx, by, bz = camera.back
    vx, vy, vz, _ = towards(point, camera.position)
    # the headlight shines along the camera's axis wherever the point is
    facing = greater(nx * bx + ny * by + nz * bz, ZERO)
    red = lights.ambient[0] + lights.headlight[0] * facing
    green = lights.ambient[1] + lights.headlight[1] * facing
    blue = lights.ambient[2] + lights.headlight[2] * facing
    shine = shadow_diffuse = shadow_shine = ramp(ZERO, ZERO)
    if lights.headlight_specular > ZERO:
        glow = lights.headlight_specular * glint(nx, ny, nz, bx + vx, by + vy, bz + vz, shininess)
        shine = where_less(ZERO, facing, glow, ZERO)
    for k in range(lights.kind.shape[0]):
        position, direction = lights.position[k], lights.direction[k]
        strength = ramp(ONE, ZERO)
        lx, ly, lz = ramp(-direction[0], ZERO), ramp(-direction[1], ZERO), ramp(-direction[2], ZERO)
        if lights.kind[k] != DIRECTIONAL:
            lx, ly, lz, distance = towards(point, (position[0], position[1], position[2]))
            strength = faded(lights, k, distance, -(lx * direction[0] + ly * direction[1] + lz * direction[2]))
        diffuse = nx * lx + ny * ly + nz * lz
        strength = where_less(ZERO, diffuse, strength, ZERO)
        glow = ramp(ZERO, ZERO)
        if lights.specular[k] > ZERO and largest(strength) > ZERO:
            glow = strength * lights.specular[k] * glint(nx, ny, nz, lx + vx, ly + vy, lz + vz, shininess)
        diffuse = where_less(ZERO, strength, diffuse * strength, ZERO)
        if k == lights.shadow:
            shadow_diffuse, shadow_shine = diffuse, glow
        else:
            red = red + diffuse * lights.diffuse[k, 0]
            green = green + diffuse * lights.diffuse[k, 1]
            blue = blue + diffuse * lights.diffuse[k, 2]
            shine = shine + glow
    return red, green, blue, shine, shadow_diffuse, shadow_shine


@inlined
def towards(start: tuple[Lanes, Lanes, Lanes], end: Vector) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Unit vectors from eight points to another, and the distances between them."""
    x = end[0] - start[0]
    y = end[1] - start[1]
    z = end[2] - start[2]
    distance = greater(roots(x * x + y * y + z * z), np.float32(1e-6))
    scale = ONE / distance
    return x * scale, y * scale, z * scale, distance


@inlined
def faded(lights: Lights, k: int, distance: Lanes, cosine: Lanes) -> Lanes:
    """Share of light k that arrives at a distance, and at an angle to its axis where it is a spot."""
    attenuation = lights.attenuation[k]
    fading = attenuation[0] + distance * (attenuation[1] + distance * attenuation[2])
    strength = ONE / greater(fading, np.float32(1e-6))
    if lights.kind[k] != SPOT:
        return strength
    strength = strength * power(less(cosine, ONE), lights.exponent[k])
    strength = where_less(cosine, lights.cutoff[k], ZERO, where_less(ZERO, cosine, strength, ZERO))
    return where_less(DARK, lights.exponent[k] * (ONE - cosine), ZERO, strength)


@inlined
def glint(nx: Lanes, ny: Lanes, nz: Lanes, hx: Lanes, hy: Lanes, hz: Lanes, shininess: Real) -> Lanes:
    """Blinn's specular term for an unnormalised half vector, and 0 where that is too dark to see."""
    along = nx * hx + ny * hy + nz * hz
    length = roots(hx * hx + hy * hy + hz * hz)
    bright = where_less(DARK * length, shininess * (length - along), ZERO, where_less(ZERO, along, ONE, ZERO))
    result = ramp(ZERO, ZERO)
    if largest(bright) > ZERO:
        result = where_less(HALF, bright, power(less(along / length, ONE), shininess), ZERO)
    return result


@inlined
def power(base: Lanes, exponent: Real) -> Lanes:
    """Raise bases in 0..1 to the nearest whole power: products are the same on every machine, logarithms are not."""
    n = int(exponent + HALF)
    result = ramp(ONE, ZERO)
    while n > 0:
        if n & 1:
            result = result * base
        base = base * base
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
    shadow_map.depth[:] = ZERO
    size = np.float32(shadow_map.depth.shape[0] - MARGIN)
    step = max(high_x - low_x, high_y - low_y, np.float32(1e-4)) / size
    for k in range(0, LANES, 4):
        corner[k], corner[k + 1] = low_x - TWO * step, low_y - TWO * step
        scale[k] = scale[k + 1] = ZERO if high_x < low_x else ONE / step
    if high_x < low_x:
        return
    for i in range(0, screen.shape[0], 2):
        store(screen, (i, 0), (load(screen, (i, 0)) - load(corner, (0,))) * load(scale, (0,)))
    for s in range(shapes.radii.shape[0]):
        if casts_shadow(shapes, scene.floor, s):
            last = np.int64(shapes.triangle_spans[s, 1])
            for t in range(np.int64(shapes.triangle_spans[s, 0]), last, LANES):
                fill(screen, shapes.triangles, t, last, (t, np.int64(1)), scene.buffers.setup, shadow_map.depth, None)


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
    low_x = low_y = high_x = high_y = ramp(-EMPTY, ZERO)  # the low ones with the other sign
    for i in range(np.int64(spans[s, 0]), np.int64(spans[s, 1]), LANES):
        x, y, z = to_light(load(world, (0, i)), load(world, (1, i)), load(world, (2, i)), lights, scene.shadow_map)
        # of this shape, and not behind the light
        counts = where_less(ramp(np.float32(i), ONE), np.float32(spans[s, 1]), ONE, ZERO)
        if directional:
            w = PARALLEL - z
        else:
            w = ONE / greater(z, LIGHT_NEAR)
            x, y = greater(less(x * w, reach), -reach), greater(less(y * w, reach), -reach)
            counts, w = where_less(LIGHT_NEAR, z, counts, ZERO), where_less(LIGHT_NEAR, z, w, -ONE)
        store_four(screen, i, np.int64(0), (x, y, w, w))
        low_x = where_less(HALF, counts, greater(low_x, -x), low_x)
        high_x = where_less(HALF, counts, greater(high_x, x), high_x)
        low_y = where_less(HALF, counts, greater(low_y, -y), low_y)
        high_y = where_less(HALF, counts, greater(high_y, y), high_y)
    return -largest(low_x), largest(high_x), -largest(low_y), largest(high_y)


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
def look_up(shadow_map: ShadowMap, right: Lanes, up: Lanes, w: Lanes) -> Lanes:
    """Share of the light, 0..1, that reaches points: right and up in the plane of the map, and 1/distance w.

    Four texels are blended; outside of the map all is lit.
    """
    depth, scale = shadow_map.depth, shadow_map.scale[0]
    u, v = (right - shadow_map.corner[0]) * scale - HALF, (up - shadow_map.corner[1]) * scale - HALF
    end = np.float32(depth.shape[0] - 1)
    inside = where_at_least(u, ZERO, where_less(u, end, ONE, ZERO), ZERO)
    inside = where_at_least(v, ZERO, where_less(v, end, inside, ZERO), ZERO)
    share = ramp(ONE, ZERO)
    if largest(inside) > ZERO:
        u, v = where_less(inside, HALF, ZERO, u), where_less(inside, HALF, ZERO, v)
        i, j = floors(v), floors(u)
        wide, one = depth.shape[1], np.int64(1)
        p = where_at_least(w, gather(depth, np.int64(0), i, wide, j, one), ONE, ZERO)
        q = where_at_least(w, gather(depth, one, i, wide, j, one), ONE, ZERO)
        r = where_at_least(w, gather(depth, wide, i, wide, j, one), ONE, ZERO)
        s = where_at_least(w, gather(depth, wide + 1, i, wide, j, one), ONE, ZERO)
        above, below = between(p, q, u - j), between(r, s, u - j)
        share = where_less(inside, HALF, ONE, above + (below - above) * (v - i))
    return share


@inlined
def is_outside(shadow_map: ShadowMap, bounds: Floats) -> bool:
    """Whether points between bounds, least and greatest right and up, (4,), lie outside of the map."""
    scale, end = shadow_map.scale[0], np.float32(shadow_map.depth.shape[0] - 1)
    return (
        (bounds[1] - shadow_map.corner[0]) * scale - HALF < ZERO
        or (bounds[0] - shadow_map.corner[0]) * scale - HALF >= end
        or (bounds[3] - shadow_map.corner[1]) * scale - HALF < ZERO
        or (bounds[2] - shadow_map.corner[1]) * scale - HALF >= end
    )


@inlined
def shade_triangles(scene: Scene, camera: Camera, item: int) -> None:
    """Colours of eight in the queue, each where the ray through a sample meets a triangle, or of its nearest point."""
    shapes, lights, lit = scene.shapes, scene.lights, scene.buffers.lit
    queue, out = scene.buffers.queue, scene.buffers.shaded
    a, b, c, s = four(shapes.faces, load(queue, (0, item)), np.int64(0))
    dx, dy, dz = ray(load(queue, (1, item)), load(queue, (2, item)), camera)
    far_a, ax, ay, az = four(lit, a, np.int64(8))
    far_b, bx, by, bz = four(lit, b, np.int64(8))
    far_c, cx, cy, cz = four(lit, c, np.int64(8))
    e1x, e1y, e1z = bx - ax, by - ay, bz - az
    e2x, e2y, e2z = cx - ax, cy - ay, cz - az
    px, py, pz = dy * e2z - dz * e2y, dz * e2x - dx * e2z, dx * e2y - dy * e2x
    determinant = e1x * px + e1y * py + e1z * pz
    tx, ty, tz = camera.position[0] - ax, camera.position[1] - ay, camera.position[2] - az
    qx, qy, qz = ty * e1z - tz * e1y, tz * e1x - tx * e1z, tx * e1y - ty * e1x
    size = greater(determinant, -determinant)
    inverse = where_less(np.float32(1e-20), size, ONE / determinant, ZERO)
    u = less(greater((tx * px + ty * py + tz * pz) * inverse, ZERO), ONE)
    v = less(greater((dx * qx + dy * qy + dz * qz) * inverse, ZERO), ONE - u)
    shares = (ONE - u - v, u, v)
    weight = load(queue, (3, item))
    specular, _, emission, _ = four(shapes.materials, s, np.int64(0))
    red, green, blue, alpha = four(shapes.colours, s, np.int64(0))
    p, q, r = four(lit, a, np.int64(0)), four(lit, b, np.int64(0)), four(lit, c, np.int64(0))
    shine = specular * mixed(p[SPECULAR], q[SPECULAR], r[SPECULAR], shares)
    light = mixed(p[0], q[0], r[0], shares), mixed(p[1], q[1], r[1], shares), mixed(p[2], q[2], r[2], shares)
    diffuse_a, glow_a, right_a, up_a = four(lit, a, np.int64(SHADOW_DIFFUSE))
    diffuse_b, glow_b, right_b, up_b = four(lit, b, np.int64(SHADOW_DIFFUSE))
    diffuse_c, glow_c, right_c, up_c = four(lit, c, np.int64(SHADOW_DIFFUSE))
    diffuse = mixed(diffuse_a, diffuse_b, diffuse_c, shares)
    share = glow = ramp(ZERO, ZERO)
    if largest(diffuse) > ZERO:
        glow = specular * mixed(glow_a, glow_b, glow_c, shares)
        right, up = mixed(right_a, right_b, right_c, shares), mixed(up_a, up_b, up_c, shares)
        forward = mixed(far_a, far_b, far_c, shares)
        if lights.kind[lights.shadow] == DIRECTIONAL:
            share = look_up(scene.shadow_map, right, up, PARALLEL + SHADOW_BIAS - forward)
        else:
            w = ONE / greater(forward, LIGHT_NEAR)
            share = look_up(scene.shadow_map, right * w, up * w, w + SHADOW_BIAS * w * w)
            share = where_less(forward, LIGHT_NEAR, ONE, share)
        # MuJoCo lets no shadow fall on what is translucent
        share = where_less(alpha, ONE, ONE, share)
        share = where_less(ZERO, diffuse, share, ZERO)
    colours = red, green, blue
    for k in range(3):
        plain = less(FULL * (colours[k] * (light[k] + emission) + shine), FULL)
        bright = colours[k] * diffuse * lights.diffuse[max(lights.shadow, 0), k] + glow
        store(out, (k, 0), plain * weight)
        store(out, (3 + k, 0), less(FULL * share * bright, FULL - plain) * weight)


@inlined
def column(array: Floats, rows: Lanes, k: int) -> Lanes:
    """The numbers in column k of eight rows of an array."""
    return gather(array, np.int64(k), rows, array.shape[1], ramp(ZERO, ZERO), np.int64(0))


@inlined
def four(array: Floats, rows: Lanes, k: int) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """The numbers in column k, and in the three after it, of eight rows of an array."""
    return gather_four(array, k, rows, array.shape[1], ramp(ZERO, ZERO), np.int64(0))


@inlined
def mixed(a: Lanes, b: Lanes, c: Lanes, shares: tuple[Lanes, Lanes, Lanes]) -> Lanes:
    """What lies between the values at the corners of triangles."""
    return shares[0] * a + shares[1] * b + shares[2] * c


@inlined
def light_vertices(scene: Scene, camera: Camera, part: int) -> None:
    """Compute the light on eight vertices, the first of which is 8 part."""
    shapes, world, lit, i = scene.shapes, scene.buffers.world, scene.buffers.lit, LANES * part
    s = shapes.owners[part]
    r = shapes.rotations[s]
    px, py, pz = load(world, (0, i)), load(world, (1, i)), load(world, (2, i))
    x, y, z = load(shapes.normals, (0, i)), load(shapes.normals, (1, i)), load(shapes.normals, (2, i))
    nx = r[0] * x + r[1] * y + r[2] * z
    ny = r[3] * x + r[4] * y + r[5] * z
    nz = r[6] * x + r[7] * y + r[8] * z
    red, green, blue, shine, diffuse, glow = illuminate(
        (px, py, pz), (nx, ny, nz), shapes.materials[s, 1], camera, scene.lights
    )
    # a point above the surface, so that the shadow map's texels do not lie on the faces that cast them
    x, y, z = px + SHADOW_BIAS * nx, py + SHADOW_BIAS * ny, pz + SHADOW_BIAS * nz
    right = up = forward = ramp(ZERO, ZERO)
    if scene.lights.shadow >= 0:
        right, up, forward = to_light(x, y, z, scene.lights, scene.shadow_map)
    store_four(lit, i, np.int64(0), (red, green, blue, shine))
    store_four(lit, i, np.int64(4), (diffuse, glow, right, up))
    store_four(lit, i, np.int64(8), (forward, px, py, pz))


@inlined
def shade_sky(sky: Sky, floor: Floor, camera: Camera, i: int, j: int, out: Floats) -> None:
    """The sky, with the haze above the floor's edge, in eight pixels of row i from column j, into out (6, 8)."""
    dx, dy, dz = ray(ramp(np.float32(2 * j + 1), TWO), np.float32(2 * i + 1), camera)
    side, height = greater(greater(dx, -dx), greater(dy, -dy)), greater(dz, -dz)
    pole = where_less(ZERO, dz, np.float32(256.0) - np.float32(64.0) * side / height, np.float32(64.0) * side / height)
    where = where_less(height, side, np.float32(128.0) + np.float32(64.0) * dz / side, pole)
    low = less(greater(floors(where), ZERO), np.float32(255.0))
    amount = ramp(ZERO, ZERO)
    if sky.haze_share > ZERO:
        tangent = -dz / greater(roots(dx * dx + dy * dy), np.float32(1e-9))
        above = max(camera.position[2] - floor.origin[2], np.float32(1e-6))
        level = less(tangent * floor.radius / above, ONE)
        # the haze is a skirt that stands on the floor's edge and leans outward up to the camera's height
        amount = where_less(dz, ZERO, ONE - (ONE - level) / (ONE + sky.haze_share * level), ZERO)
    for k in range(3):
        colour = FULL * between(column(sky.colours, low, k), column(sky.colours, low + ONE, k), where - low)
        store(out, (k, 0), between(colour, FULL * sky.haze[k], amount))
        store(out, (3 + k, 0), ZERO)


@inlined
def add_haze(share: Real, haze: Floats, out: Floats) -> None:
    """Blend haze over a colour."""
    for k in range(3):
        out[k] += (FULL * haze[k] - out[k]) * share
        out[3 + k] -= out[3 + k] * share
