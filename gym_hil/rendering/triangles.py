"""Compiled: vertices to the world, to the camera and to the screen, and triangles into a depth buffer."""

from __future__ import annotations

import math

import numpy as np

from gym_hil.rendering.scene import FLOOR, HALF, ONE, ZERO, Buffers, Camera, Floats, Ints, Real, Shapes, helper, inlined

FAR_EDGE: Real = np.float32(1e9)
MAX_COORDINATE: Real = np.float32(1e8)  # samples
SMALL = 4  # samples
FILL_SLACK: Real = np.float32(1e-3)  # samples; lets neighbours overlap by a hair, so that no gap opens between them


@helper
def place(shapes: Shapes, world: Floats, world_normals: Floats) -> None:
    """Move all vertices and normals into the world frame."""
    vertices, normals, spans = shapes.vertices, shapes.normals, shapes.vertex_spans
    for s in range(spans.shape[0]):
        r = shapes.rotations[s]
        p = shapes.positions[s]
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
def fill_shape(
    shapes: Shapes, s: int, is_floor: bool, camera: Camera, buffers: Buffers, depth: Floats, ids: Ints
) -> None:
    """Fill the triangles of one shape, with their own ids or with that of the floor."""
    triangles, screen = shapes.triangles, buffers.screen
    project(shapes, s, camera, buffers)
    for t in range(shapes.triangle_spans[s, 0], shapes.triangle_spans[s, 1]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        wa, wb, wc = screen[a, 2], screen[b, 2], screen[c, 2]
        name = np.int64(FLOOR) if is_floor else np.int64(t)
        if wa > ZERO and wb > ZERO and wc > ZERO:
            fill_facing(screen, a, b, c, name, depth, ids)
        elif wa > ZERO or wb > ZERO or wc > ZERO:
            fill_clipped(shapes, t, name, camera, buffers, depth, ids)


@inlined
def project(shapes: Shapes, s: int, camera: Camera, buffers: Buffers) -> None:
    """Screen x, y and 1/depth of the vertices of a shape; 1/depth is -1 behind the near plane."""
    world, screen = buffers.world, buffers.screen
    for i in range(shapes.vertex_spans[s, 0], shapes.vertex_spans[s, 1]):
        x, y, z = to_camera(world[i, 0], world[i, 1], world[i, 2], camera)
        if z > camera.near:
            w = ONE / z
            screen[i, 0] = camera.half_width + camera.focal * x * w
            screen[i, 1] = camera.half_height - camera.focal * y * w
            screen[i, 2] = w
        else:
            screen[i, 2] = -ONE


@helper
def fill_clipped(shapes: Shapes, t: int, name: int, camera: Camera, buffers: Buffers, depth: Floats, ids: Ints) -> None:
    """Cut one triangle at the near plane and fill what is in front of it, with `name` as its id."""
    world, corners, triangles = buffers.world, buffers.corners, shapes.triangles
    focal, near = camera.focal, camera.near
    n = 0
    for k in range(3):
        a = triangles[t, k]
        b = triangles[t, (k + 1) % 3]
        ax, ay, az = to_camera(world[a, 0], world[a, 1], world[a, 2], camera)
        bx, by, bz = to_camera(world[b, 0], world[b, 1], world[b, 2], camera)
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
            name, depth, ids,
        )  # fmt: skip


@inlined
def fill_facing(screen: Floats, a: int, b: int, c: int, name: int, depth: Floats, ids: Ints) -> None:
    """Fill the triangle of three vertices on the screen if its front is seen."""
    ax, ay, bx, by, cx, cy = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1], screen[c, 0], screen[c, 1]
    if (bx - ax) * (cy - ay) < (cx - ax) * (by - ay):
        fill(ax, ay, screen[a, 2], bx, by, screen[b, 2], cx, cy, screen[c, 2], name, depth, ids)


@helper
def fill(
    x0: Real, y0: Real, w0: Real, x1: Real, y1: Real, w1: Real, x2: Real, y2: Real, w2: Real,
    triangle: int, depth: Floats, ids: Ints,
) -> None:  # fmt: skip
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
    if last_row - first_row < SMALL and last_column - first_column < SMALL:
        # testing every sample of a small box costs less than finding where its rows start and stop
        _fill_box(
            x0, y0, w0, x1, y1, x2, y2, w_x, w_y, first_row, last_row, first_column, last_column, triangle, depth, ids
        )
    else:
        _fill_rows(x0, y0, w0, x1, y1, x2, y2, w_x, w_y, first_row, last_row, left, right, triangle, depth, ids)


@inlined
def _fill_box(
    x0: Real, y0: Real, w0: Real, x1: Real, y1: Real, x2: Real, y2: Real, w_x: Real, w_y: Real,
    first_row: int, last_row: int, first_column: int, last_column: int, triangle: int, depth: Floats, ids: Ints,
) -> None:  # fmt: skip
    """Test every sample of a triangle's bounding box; w grows by w_x with each column and by w_y with each row."""
    keep_ids = ids.shape[0] == depth.shape[0]
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


@inlined
def _fill_rows(
    x0: Real, y0: Real, w0: Real, x1: Real, y1: Real, x2: Real, y2: Real, w_x: Real, w_y: Real,
    first_row: int, last_row: int, left: Real, right: Real, triangle: int, depth: Floats, ids: Ints,
) -> None:  # fmt: skip
    """Fill each row of a triangle between its edges; w grows by w_x with each column and by w_y with each row."""
    height, width = depth.shape
    keep_ids = ids.shape[0] == height
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
