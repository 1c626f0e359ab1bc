"""Compiled: vertices to the world, to the camera and to the screen, and triangles into a depth buffer."""

from __future__ import annotations

import math

import numpy as np

from gym_hil.rendering.scene import HALF, ONE, ZERO, Buffers, Camera, Floats, Ints, Real, Shapes, helper, inlined
from gym_hil.rendering.simd import LANES, fill_lanes, greater, load, store, where_less

MAX_COORDINATE: Real = np.float32(1e8)  # samples
_STRIDE: Real = np.float32(LANES)
FILL_SLACK: Real = np.float32(1e-3)  # samples; lets neighbours overlap by a hair, so that no gap opens between them


@helper
def place(shapes: Shapes, world: Floats) -> None:
    """Move all vertices into the world frame."""
    vertices, spans = shapes.vertices, shapes.vertex_spans
    for s in range(spans.shape[0]):
        r = shapes.rotations[s]
        p = shapes.positions[s]
        r0, r1, r2, r3, r4, r5, r6, r7, r8 = r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8]
        p0, p1, p2 = p[0], p[1], p[2]
        # what reaches into the next shape is overwritten by that
        for i in range(spans[s, 0], spans[s, 1], LANES):
            x, y, z = load(vertices, (0, i)), load(vertices, (1, i)), load(vertices, (2, i))
            store(world, (0, i), r0 * x + r1 * y + r2 * z + p0)
            store(world, (1, i), r3 * x + r4 * y + r5 * z + p1)
            store(world, (2, i), r6 * x + r7 * y + r8 * z + p2)


@inlined
def to_camera(x: Real, y: Real, z: Real, camera: Camera) -> tuple[Real, Real, Real]:
    """Coordinates right, up and forward of the camera, m."""
    right, up, back = camera.right, camera.up, camera.back
    dx = x - camera.position[0]
    dy = y - camera.position[1]
    dz = z - camera.position[2]
    return (
        right[0] * dx + right[1] * dy + right[2] * dz,
        up[0] * dx + up[1] * dy + up[2] * dz,
        -(back[0] * dx + back[1] * dy + back[2] * dz),
    )


@inlined
def ray(x: Real, y: Real, camera: Camera) -> tuple[Real, Real, Real]:
    """Direction of the ray through a sample, of length 1 along the camera's axis."""
    right, up, back = camera.right, camera.up, camera.back
    a = (x - camera.half_width) * camera.pixel
    b = (camera.half_height - y) * camera.pixel
    return (
        right[0] * a + up[0] * b - back[0],
        right[1] * a + up[1] * b - back[1],
        right[2] * a + up[2] * b - back[2],
    )


@inlined
def centre(shapes: Shapes, s: int, camera: Camera) -> tuple[Real, Real, Real]:
    """How far the centre of a shape lies right, up and forward of a camera, m."""
    x, y, z = shapes.centres[s, 0], shapes.centres[s, 1], shapes.centres[s, 2]
    rotation, position = shapes.rotations[s], shapes.positions[s]
    return to_camera(
        rotation[0] * x + rotation[1] * y + rotation[2] * z + position[0],
        rotation[3] * x + rotation[4] * y + rotation[5] * z + position[1],
        rotation[6] * x + rotation[7] * y + rotation[8] * z + position[2],
        camera,
    )


@inlined
def is_in_view(x: Real, y: Real, z: Real, radius: Real, camera: Camera) -> bool:
    """Whether a sphere, given by its centre in the camera's frame, reaches into the camera's view."""
    focal, half_width, half_height = camera.focal, camera.half_width, camera.half_height
    return (
        z + radius > camera.near
        and focal * abs(x) - half_width * z < radius * math.sqrt(focal * focal + half_width * half_width)
        and focal * abs(y) - half_height * z < radius * math.sqrt(focal * focal + half_height * half_height)
    )


@helper
def fill_shape(shapes: Shapes, s: int, camera: Camera, buffers: Buffers, depth: Floats, ids: Ints) -> None:
    """Fill the triangles of one shape."""
    triangles, screen = shapes.triangles, buffers.screen
    project(shapes, s, camera, buffers)
    for t in range(shapes.triangle_spans[s, 0], shapes.triangle_spans[s, 1]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        wa, wb, wc = screen[2, a], screen[2, b], screen[2, c]
        if wa > ZERO and wb > ZERO and wc > ZERO:
            fill_facing(screen, a, b, c, t, depth, ids)
        elif wa > ZERO or wb > ZERO or wc > ZERO:
            fill_clipped(shapes, t, camera, buffers, depth, ids)


@inlined
def project(shapes: Shapes, s: int, camera: Camera, buffers: Buffers) -> None:
    """Screen x, y and 1/depth of the vertices of a shape; 1/depth is -1 behind the near plane."""
    world, screen = buffers.world, buffers.screen
    for i in range(shapes.vertex_spans[s, 0], shapes.vertex_spans[s, 1], LANES):
        x, y, z = to_camera(load(world, (0, i)), load(world, (1, i)), load(world, (2, i)), camera)
        w = ONE / greater(z, camera.near)
        store(screen, (0, i), camera.half_width + camera.focal * x * w)
        store(screen, (1, i), camera.half_height - camera.focal * y * w)
        store(screen, (2, i), where_less(camera.near, z, w, -ONE))


@helper
def fill_clipped(shapes: Shapes, t: int, camera: Camera, buffers: Buffers, depth: Floats, ids: Ints) -> None:
    """Cut one triangle at the near plane and fill what is in front of it."""
    world, corners, triangles = buffers.world, buffers.corners, shapes.triangles
    focal, near = camera.focal, camera.near
    n = 0
    for k in range(3):
        a = triangles[t, k]
        b = triangles[t, (k + 1) % 3]
        ax, ay, az = to_camera(world[0, a], world[1, a], world[2, a], camera)
        bx, by, bz = to_camera(world[0, b], world[1, b], world[2, b], camera)
        if az > near:
            corners[n, 0] = camera.half_width + focal * ax / az
            corners[n, 1] = camera.half_height - focal * ay / az
            corners[n, 2] = ONE / az
            n += 1
        if (az > near) != (bz > near):
            s = (near - az) / (bz - az)
            corners[n, 0] = camera.half_width + focal * (ax + s * (bx - ax)) / near
            corners[n, 1] = camera.half_height - focal * (ay + s * (by - ay)) / near
            corners[n, 2] = ONE / near
            n += 1
    for k in range(2, n):
        fill(
            corners[0, 0], corners[0, 1], corners[0, 2],
            corners[k - 1, 0], corners[k - 1, 1], corners[k - 1, 2],
            corners[k, 0], corners[k, 1], corners[k, 2],
            t, depth, ids,
        )  # fmt: skip


@inlined
def fill_facing(screen: Floats, a: int, b: int, c: int, name: int, depth: Floats, ids: Ints | None) -> None:
    """Fill the triangle of three vertices on the screen if its front is seen."""
    ax, ay, bx, by, cx, cy = screen[0, a], screen[1, a], screen[0, b], screen[1, b], screen[0, c], screen[1, c]
    if (bx - ax) * (cy - ay) < (cx - ax) * (by - ay):
        fill(ax, ay, screen[2, a], bx, by, screen[2, b], cx, cy, screen[2, c], name, depth, ids)


@inlined
def fill(
    x0: Real, y0: Real, w0: Real, x1: Real, y1: Real, w1: Real, x2: Real, y2: Real, w2: Real,
    triangle: int, depth: Floats, ids: Ints | None,
) -> None:  # fmt: skip
    """Write one counter-clockwise triangle (y down) wherever its 1/depth w is the greatest so far.

    The last LANES columns of `depth` and `ids` are a margin, which no image shows. `ids` may be None.
    """
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if not area < -np.float32(1e-7):
        return
    height, width = depth.shape[0], depth.shape[1] - LANES
    top = min(y0, y1, y2) - HALF
    bottom = max(y0, y1, y2) - HALF
    left = min(x0, x1, x2) - HALF
    right = max(x0, x1, x2) - HALF
    # also keeps whatever is not finite away from the index arithmetic below
    if not (min(top, left) > -MAX_COORDINATE and max(bottom, right) < MAX_COORDINATE):
        return
    top, bottom = max(top, ZERO), min(bottom, np.float32(height - 1))
    left, right = max(left, ZERO), min(right, np.float32(width - 1))
    if top > bottom or left > right:
        return
    first_row, last_row = int(np.ceil(top)), int(bottom)
    first_column, last_column = int(np.ceil(left)), int(right)
    if first_row > last_row or first_column > last_column:
        return
    inverse = ONE / area
    w_x = ((w1 - w0) * (y2 - y0) - (w2 - w0) * (y1 - y0)) * inverse
    w_y = ((w2 - w0) * (x1 - x0) - (w1 - w0) * (x2 - x0)) * inverse
    x, y = np.float32(first_column) + HALF, np.float32(first_row) + HALF
    ux, uy, vx, vy, tx, ty = x1 - x0, y1 - y0, x2 - x1, y2 - y1, x0 - x2, y0 - y2
    e0 = uy * (x - x0) - ux * (y - y0) + FILL_SLACK * (abs(ux) + abs(uy))
    e1 = vy * (x - x1) - vx * (y - y1) + FILL_SLACK * (abs(vx) + abs(vy))
    e2 = ty * (x - x2) - tx * (y - y2) + FILL_SLACK * (abs(tx) + abs(ty))
    w = w0 + (x - x0) * w_x + (y - y0) * w_y
    for row in range(first_row, last_row + 1):
        f0, f1, f2, here = e0, e1, e2, w
        # up to LANES - 1 samples behind the last column are tested too: they are outside of the triangle, or in the
        # margin of the row
        for column in range(first_column, last_column + 1, LANES):
            fill_lanes(depth, ids, row, column, (f0, f1, f2), (uy, vy, ty), here, w_x, triangle)
            f0 += _STRIDE * uy
            f1 += _STRIDE * vy
            f2 += _STRIDE * ty
            here += _STRIDE * w_x
        e0 -= ux
        e1 -= vx
        e2 -= tx
        w += w_y
