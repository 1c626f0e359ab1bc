"""Compiled: vertices to the world and to the camera, and triangles into a depth buffer."""

from __future__ import annotations

import numpy as np

from gym_hil.rendering.compiling import HALF, ONE, ZERO, Real, helper, inlined
from gym_hil.rendering.scene import Floats, Ints

FAR_EDGE: Real = np.float32(1e9)
MAX_COORDINATE: Real = np.float32(1e8)  # samples
SMALL = 4  # samples
FILL_SLACK: Real = np.float32(1e-3)  # samples; lets neighbours overlap by a hair, so that no gap opens between them


@helper
def fill(
    x0: Real,
    y0: Real,
    w0: Real,
    x1: Real,
    y1: Real,
    w1: Real,
    x2: Real,
    y2: Real,
    w2: Real,
    triangle: int,
    depth: Floats,
    ids: Ints,
) -> None:
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
                # no branches: which samples are inside is as good as random to the processor
                there = depth[row, column]
                nearer = (min(f0, f1, f2) >= ZERO) & (here > there)
                depth[row, column] = here if nearer else there
                if keep_ids:
                    old = ids[row, column]
                    ids[row, column] = triangle if nearer else old
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
def fill_clipped(
    world: Floats,
    triangles: Ints,
    t: int,
    name: int,
    camera: Floats,
    half_width: Real,
    half_height: Real,
    corners: Floats,
    depth: Floats,
    ids: Ints,
) -> None:
    """Cut one triangle at the near plane and fill what is in front of it, with `name` as its id."""
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
def to_camera(x: Real, y: Real, z: Real, camera: Floats) -> tuple[Real, Real, Real]:
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
def place(
    vertices: Floats,
    normals: Floats,
    spans: Ints,
    positions: Floats,
    rotations: Floats,
    world: Floats,
    world_normals: Floats,
) -> None:
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
