"""Compiled: vertices to the world, to the camera and to the screen, and triangles into a depth buffer."""

from __future__ import annotations

import math

import numpy as np

from gym_hil.rendering.scene import (
    HALF,
    ONE,
    ZERO,
    Buffers,
    Camera,
    Floats,
    Ints,
    Real,
    Shapes,
    Window,
    helper,
    inlined,
)
from gym_hil.rendering.simd import (
    LANES,
    ceilings,
    fill_lanes,
    floors,
    gather_vertices,
    greater,
    lanes_above_zero,
    largest,
    less,
    load,
    lowest_bit,
    ramp,
    store,
    store_all,
    store_four,
    where_at_least,
    where_less,
)

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
    """Fill the triangles of one shape that was projected."""
    last = np.int64(shapes.triangle_spans[s, 1])
    for t in range(np.int64(shapes.triangle_spans[s, 0]), last, LANES):
        cut = fill(buffers.screen, shapes.triangles, t, last, (t, np.int64(1)), buffers.setup, depth, ids)
        while cut != 0:
            fill_clipped(shapes, t + lowest_bit(cut), camera, buffers, depth, ids)
            cut &= cut - 1


@helper
def project(shapes: Shapes, s: int, camera: Camera, buffers: Buffers) -> Window:
    """Write the vertices of a shape to the screen; 1/depth is -1 behind the near plane.

    Returns the rows of pixels and the segments that the shape may cover.
    """
    world, screen, last = buffers.world, buffers.screen, np.int64(shapes.vertex_spans[s, 1])
    low_x = low_y = low_w = ramp(MAX_COORDINATE, ZERO)
    high_x = high_y = ramp(-MAX_COORDINATE, ZERO)
    for i in range(np.int64(shapes.vertex_spans[s, 0]), last, LANES):
        x, y, z = to_camera(load(world, (0, i)), load(world, (1, i)), load(world, (2, i)), camera)
        w = ONE / greater(z, camera.near)
        x, y = camera.half_width + camera.focal * x * w, camera.half_height - camera.focal * y * w
        w = where_less(camera.near, z, w, -ONE)
        store_four(screen, i, np.int64(0), (x, y, w, w))
        number, count = ramp(ZERO, ONE), np.float32(last - i)
        low_x = where_less(number, count, less(x, low_x), low_x)
        low_y = where_less(number, count, less(y, low_y), low_y)
        low_w = where_less(number, count, less(w, low_w), low_w)
        high_x = where_less(number, count, greater(x, high_x), high_x)
        high_y = where_less(number, count, greater(y, high_y), high_y)
    rows, segments = buffers.is_cleared.shape
    if -largest(-low_w) < ZERO:
        return 0, rows, 0, segments
    top, bottom = covered(-largest(-low_y), largest(high_y), 2 * rows)
    left, right = covered(-largest(-low_x), largest(high_x), 2 * LANES * segments)
    return top // 2, (bottom + 1) // 2, left // (2 * LANES), (right + 2 * LANES - 1) // (2 * LANES)


@inlined
def covered(low: Real, high: Real, count: int) -> tuple[int, int]:
    """First and last + 1 of a row of `count` samples that lie between two coordinates."""
    first = int(math.ceil(min(max(low - HALF, ZERO), np.float32(count))))
    return first, max(int(math.floor(min(max(high - HALF, -ONE), np.float32(count - 1)))) + 1, first)


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
    fill(corners, buffers.fan, np.int64(0), np.int64(n - 2), (t, np.int64(0)), buffers.setup, depth, ids)


@inlined
def fill(
    screen: Floats, triangles: Ints, first: int, last: int, name: tuple[int, int], setup: Floats,
    depth: Floats, ids: Ints | None,
) -> int:  # fmt: skip
    """Write up to eight triangles, counter-clockwise (y down), wherever their 1/depth w is the greatest so far.

    The last LANES columns of `depth` and `ids` are a margin, which no image shows.

    Args:
        screen: (n, 4) vertices: x, y and w, which is not more than 0 behind the near plane.
        triangles: (m, 3) rows of `screen`.
        first: row of the first triangle.
        last: last row + 1, or more than eight behind the first.
        name: what is written into `ids` for the first triangle, and what each further one adds to that.
        setup: (16, 8) scratch array.
        depth: 1/depth of samples.
        ids: names of samples, or None.

    Returns:
        A number whose bit k is 1 where triangle `first` + k crosses the near plane; those are left out.
    """
    x0, y0, w0, _ = gather_vertices(screen, triangles, first, np.int64(0))
    x1, y1, w1, _ = gather_vertices(screen, triangles, first, np.int64(1))
    x2, y2, w2, _ = gather_vertices(screen, triangles, first, np.int64(2))
    there = where_less(ramp(ZERO, ONE), np.float32(last - first), ONE, ZERO)
    behind, front = less(less(w0, w1), w2), greater(greater(w0, w1), w2)
    cut = where_less(ZERO, front, where_less(ZERO, behind, ZERO, there), ZERO)
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    seen = where_less(ZERO, behind, where_less(area, -np.float32(1e-7), there, ZERO), ZERO)
    left, right = less(less(x0, x1), x2) - HALF, greater(greater(x0, x1), x2) - HALF
    top, bottom = less(less(y0, y1), y2) - HALF, greater(greater(y0, y1), y2) - HALF
    # also keeps whatever is not finite away from the index arithmetic below
    seen = where_less(-MAX_COORDINATE, less(left, top), seen, ZERO)
    seen = where_less(greater(right, bottom), MAX_COORDINATE, seen, ZERO)
    height, width = depth.shape[0], depth.shape[1] - LANES
    first_row, last_row = ceilings(greater(top, ZERO)), floors(less(bottom, np.float32(height - 1)))
    first_column, last_column = ceilings(greater(left, ZERO)), floors(less(right, np.float32(width - 1)))
    seen = where_at_least(last_row, first_row, where_at_least(last_column, first_column, seen, ZERO), ZERO)
    left_over = lanes_above_zero(seen)
    if left_over != 0:
        inverse = ONE / area
        w_x = ((w1 - w0) * (y2 - y0) - (w2 - w0) * (y1 - y0)) * inverse
        w_y = ((w2 - w0) * (x1 - x0) - (w1 - w0) * (x2 - x0)) * inverse
        x, y = first_column + HALF, first_row + HALF
        ux, uy, vx, vy, tx, ty = x1 - x0, y1 - y0, x2 - x1, y2 - y1, x0 - x2, y0 - y2
        e0 = uy * (x - x0) - ux * (y - y0) + FILL_SLACK * (greater(ux, -ux) + greater(uy, -uy))
        e1 = vy * (x - x1) - vx * (y - y1) + FILL_SLACK * (greater(vx, -vx) + greater(vy, -vy))
        e2 = ty * (x - x2) - tx * (y - y2) + FILL_SLACK * (greater(tx, -tx) + greater(ty, -ty))
        w = w0 + (x - x0) * w_x + (y - y0) * w_y
        lanes = first_row, last_row, first_column, last_column, e0, e1, e2, w, ux, uy, vx, vy, tx, ty, w_x, w_y
        store_all(setup, lanes)
    while left_over != 0:
        k = lowest_bit(left_over)
        left_over &= left_over - 1
        fill_one(setup[:, k], name[0] + name[1] * k, depth, ids)
    return lanes_above_zero(cut)


@inlined
def fill_one(setup: Floats, name: int, depth: Floats, ids: Ints | None) -> None:
    """Write one triangle, of which `fill` has computed `setup` (16,)."""
    e0, e1, e2, w = setup[4], setup[5], setup[6], setup[7]
    ux, uy, vx, vy, tx, ty = setup[8], setup[9], setup[10], setup[11], setup[12], setup[13]
    w_x, w_y = setup[14], setup[15]
    first_column, last_column = int(setup[2]), int(setup[3])
    for row in range(int(setup[0]), int(setup[1]) + 1):
        f0, f1, f2, here = e0, e1, e2, w
        # up to LANES - 1 samples behind the last column are tested too: they are outside of the triangle, but for
        # FILL_SLACK, or in the margin of the row
        for column in range(first_column, last_column + 1, LANES):
            fill_lanes(depth, ids, row, column, (f0, f1, f2), (uy, vy, ty), here, w_x, name)
            f0 += _STRIDE * uy
            f1 += _STRIDE * vy
            f2 += _STRIDE * ty
            here += _STRIDE * w_x
        e0 -= ux
        e1 -= vx
        e2 -= tx
        w += w_y
