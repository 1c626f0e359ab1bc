"""Compiled: filling triangles into a depth buffer, the shadow map, and the light on one point.

Array layouts are those of `gym_hil.rendering.scene.Scene`. No fast-math: equal states give equal bytes.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

helper = njit(nogil=True, error_model="numpy", _nrt=False)
inlined = njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)

FAR_EDGE = np.float32(1e9)
ONE = np.float32(1.0)
ZERO = np.float32(0.0)
HALF = np.float32(0.5)
MAX_COORDINATE = np.float32(1e8)  # samples
SMALL = 6  # samples
FILL_SLACK = np.float32(1e-3)  # samples; lets neighbours overlap by a hair, so that no gap opens between them


@helper
def fill(x0, y0, w0, x1, y1, w1, x2, y2, w2, triangle, depth, ids):
    """Write one counter-clockwise triangle (y down) wherever its 1/depth w is the greatest so far."""
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if not area < -np.float32(1e-7):
        return
    height, width = depth.shape
    top = min(y0, y1, y2) - HALF
    bottom = max(y0, y1, y2) - HALF
    left = min(x0, x1, x2) - HALF
    right = max(x0, x1, x2) - HALF
    # also keeps whatever is not finite away from the index arithmetic below
    if not (min(top, left) > -MAX_COORDINATE and max(bottom, right) < MAX_COORDINATE):
        return
    top = max(top, ZERO)
    bottom = min(bottom, np.float32(height - 1))
    if top > bottom or right < ZERO or left > np.float32(width - 1):
        return
    first_row = int(np.ceil(top))
    last_row = int(np.floor(bottom))
    if first_row > last_row or np.ceil(left) > right:
        return
    first_column = int(np.ceil(max(left, ZERO)))
    last_column = int(np.floor(min(right, np.float32(width - 1))))
    inverse = ONE / area
    w_x = ((w1 - w0) * (y2 - y0) - (w2 - w0) * (y1 - y0)) * inverse
    w_y = ((w2 - w0) * (x1 - x0) - (w1 - w0) * (x2 - x0)) * inverse
    keep_ids = ids.shape[0] == height
    if last_row - first_row < SMALL and last_column - first_column < SMALL:
        # testing every sample of a small box costs less than finding where its rows start and stop
        x = np.float32(first_column) + HALF
        y = np.float32(first_row) + HALF
        ux, uy, vx, vy, tx, ty = x1 - x0, y1 - y0, x2 - x1, y2 - y1, x0 - x2, y0 - y2
        e0 = uy * (x - x0) - ux * (y - y0) + FILL_SLACK * (abs(ux) + abs(uy))
        e1 = vy * (x - x1) - vx * (y - y1) + FILL_SLACK * (abs(vx) + abs(vy))
        e2 = ty * (x - x2) - tx * (y - y2) + FILL_SLACK * (abs(tx) + abs(ty))
        w = w0 + (x - x0) * w_x + (y - y0) * w_y
        for i in range(last_row - first_row + 1):
            row = first_row + i
            f0, f1, f2, here = e0, e1, e2, w
            for column in range(first_column, last_column + 1):
                if f0 >= ZERO and f1 >= ZERO and f2 >= ZERO and here > depth[row, column]:
                    depth[row, column] = here
                    if keep_ids:
                        ids[row, column] = triangle
                f0 += uy
                f1 += vy
                f2 += ty
                here += w_x
            e0 -= ux
            e1 -= vx
            e2 -= tx
            w += w_y
        return
    # seen from outside, edges 0-1-2 run counter-clockwise: going down is the left side, going up the right side
    la_x = lb_x = -FAR_EDGE
    ra_x = rb_x = FAR_EDGE
    la_y = lb_y = ra_y = rb_y = ZERO
    la_s = lb_s = ra_s = rb_s = ZERO
    for edge in range(3):
        if edge == 0:
            ax, ay, bx, by = x0, y0, x1, y1
        elif edge == 1:
            ax, ay, bx, by = x1, y1, x2, y2
        else:
            ax, ay, bx, by = x2, y2, x0, y0
        dy = by - ay
        if dy > np.float32(1e-6):
            slope = (bx - ax) / dy
            if la_x == -FAR_EDGE:
                la_x, la_y, la_s = ax, ay, slope
            else:
                lb_x, lb_y, lb_s = ax, ay, slope
        elif dy < -np.float32(1e-6):
            slope = (bx - ax) / dy
            if ra_x == FAR_EDGE:
                ra_x, ra_y, ra_s = ax, ay, slope
            else:
                rb_x, rb_y, rb_s = ax, ay, slope
    for row in range(first_row, last_row + 1):
        y = np.float32(row) + HALF
        start = max(la_x + (y - la_y) * la_s, lb_x + (y - lb_y) * lb_s, left) - HALF - FILL_SLACK
        stop = min(ra_x + (y - ra_y) * ra_s, rb_x + (y - rb_y) * rb_s, right + HALF) - HALF + FILL_SLACK
        first = int(np.ceil(min(max(start, ZERO), np.float32(width))))
        last = int(np.floor(min(max(stop, -ONE), np.float32(width - 1))))
        w = w0 + (y - y0) * w_y + (np.float32(first) + HALF - x0) * w_x
        if keep_ids:
            for column in range(first, last + 1):
                if w > depth[row, column]:
                    depth[row, column] = w
                    ids[row, column] = triangle
                w += w_x
        else:
            for step in range(last + 1 - first):
                depth[row, first + step] = max(depth[row, first + step], w + np.float32(step) * w_x)


@helper
def fill_clipped(world, triangles, t, name, camera, half_width, half_height, corners, depth, ids):
    """Cut one triangle at the near plane and fill what is in front of it, with `name` as its id; `corners` (4, 3) is scratch."""
    focal, near = camera[12], camera[13]
    n = 0
    for k in range(3):
        a = triangles[t, k]
        b = triangles[t, (k + 1) % 3]
        ax, ay, az = to_camera(world[a, 0], world[a, 1], world[a, 2], camera)
        bx, by, bz = to_camera(world[b, 0], world[b, 1], world[b, 2], camera)
        if az > near:
            corners[n, 0] = half_width + focal * ax / az
            corners[n, 1] = half_height - focal * ay / az
            corners[n, 2] = ONE / az
            n += 1
        if (az > near) != (bz > near):
            s = (near - az) / (bz - az)
            corners[n, 0] = half_width + focal * (ax + s * (bx - ax)) / near
            corners[n, 1] = half_height - focal * (ay + s * (by - ay)) / near
            corners[n, 2] = ONE / near
            n += 1
    for k in range(2, n):
        fill(
            corners[0, 0], corners[0, 1], corners[0, 2],
            corners[k - 1, 0], corners[k - 1, 1], corners[k - 1, 2],
            corners[k, 0], corners[k, 1], corners[k, 2],
            name, depth, ids,
        )  # fmt: skip


@inlined
def to_camera(x, y, z, camera):
    """Coordinates right, up and forward of the camera, m."""
    dx = x - camera[0]
    dy = y - camera[1]
    dz = z - camera[2]
    return (
        camera[3] * dx + camera[6] * dy + camera[9] * dz,
        camera[4] * dx + camera[7] * dy + camera[10] * dz,
        -(camera[5] * dx + camera[8] * dy + camera[11] * dz),
    )


@helper
def place(vertices, normals, spans, positions, rotations, world, world_normals):
    """Move all vertices and normals into the world frame."""
    for s in range(spans.shape[0]):
        r = rotations[s]
        p = positions[s]
        r0, r1, r2, r3, r4, r5, r6, r7, r8 = r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8]
        p0, p1, p2 = p[0], p[1], p[2]
        for i in range(spans[s, 0], spans[s, 1]):
            x, y, z = vertices[i, 0], vertices[i, 1], vertices[i, 2]
            world[i, 0] = r0 * x + r1 * y + r2 * z + p0
            world[i, 1] = r3 * x + r4 * y + r5 * z + p1
            world[i, 2] = r6 * x + r7 * y + r8 * z + p2
            x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
            world_normals[i, 0] = r0 * x + r1 * y + r2 * z
            world_normals[i, 1] = r3 * x + r4 * y + r5 * z
            world_normals[i, 2] = r6 * x + r7 * y + r8 * z


@helper
def draw_shadows(world, triangles, spans, colours, floor_shape, light, axes, screen, shadow_map, frame, no_ids):
    """Fill the shadow map with 1/distance from the light, fitted to what casts shadows.

    Args:
        frame: (3,) written: light-plane x and y of the map's corner, texels per unit.
    """
    directional = light[0] == ONE
    near = np.float32(0.05)
    reach = np.float32(1.5)
    if not directional and light[1] > np.float32(0.5):
        reach = math.sqrt(ONE - light[1] * light[1]) / light[1]
    low_x = low_y = FAR_EDGE
    high_x = high_y = -FAR_EDGE
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
                w = np.float32(100.0) - z
            elif z > near:
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
                fill(ax, ay, wa, bx, by, wb, cx, cy, wc, t, shadow_map, no_ids)


@inlined
def sunlit(x, y, z, bias, light, axes, shadow_map, frame):
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
def shadow_share(u, v, d, bias, directional, shadow_map, left, top, scale):
    """Share of light that reaches a point right, up and forward of the light, blended over four texels."""
    if directional:
        w = np.float32(100.0) - d + bias
    else:
        if d < np.float32(0.05):
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


@inlined
def power(base, exponent):
    """base ** exponent for 0 <= base <= 1, and 0 where that is too dark to see."""
    if exponent * (ONE - base) > np.float32(8.0):
        return ZERO
    if base <= ZERO:
        return ONE if exponent <= ZERO else ZERO
    return math.exp(exponent * math.log(base))


@helper
def illuminate(x, y, z, nx, ny, nz, shininess, camera, ambient, headlight, lights, key, out):
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
            strength /= light[3] + distance * (light[4] + distance * light[5])
            if light[0] == ZERO:
                axis = -(lx * light[13] + ly * light[14] + lz * light[15])
                if axis < light[1] or axis <= ZERO:
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
def glint(nx, ny, nz, hx, hy, hz, shininess):
    """Blinn's specular term for an unnormalised half vector."""
    length = math.sqrt(hx * hx + hy * hy + hz * hz)
    if length < np.float32(1e-6):
        return ZERO
    return power(min(max((nx * hx + ny * hy + nz * hz) / length, ZERO), ONE), shininess)


def entry(function):
    """Compile a function that Python calls, and keep the result on disk where some folder can be written."""
    try:
        return njit(nogil=True, error_model="numpy", cache=True, _nrt=False)(function)
    except RuntimeError:  # numba found no folder for its cache
        return helper(function)
