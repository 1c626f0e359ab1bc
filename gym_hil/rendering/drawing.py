"""Compiled: one call that draws every camera of a scene, from vertices to bytes."""

from __future__ import annotations

import math

import numpy as np

from gym_hil.rendering.kernels import (
    HALF,
    ONE,
    ZERO,
    draw_shadows,
    entry,
    fill,
    fill_clipped,
    helper,
    illuminate,
    place,
    to_camera,
)
from gym_hil.rendering.scene import Scene
from gym_hil.rendering.shading import FULL, ray, shade, shade_floor, shade_sky, veil

NOTHING = -1  # triangle of a sample that shows floor or sky
GRID = 4  # pixels between the points where the light on an endless floor is computed
QUARTER = np.float32(0.25)


@helper
def project(world, first, last, camera, half_width, half_height, screen):
    """Screen x, y and 1/depth of some vertices; 1/depth is -1 behind the near plane."""
    focal, near = camera[12], camera[13]
    for i in range(first, last):
        x, y, z = to_camera(world[i, 0], world[i, 1], world[i, 2], camera)
        if z > near:
            w = ONE / z
            screen[i, 0] = half_width + focal * x * w
            screen[i, 1] = half_height - focal * y * w
            screen[i, 2] = w
        else:
            screen[i, 2] = -ONE


@helper
def distance(scene, s, camera):
    """How far the middle of a shape lies right, up and forward of a camera, m."""
    r, b, p = scene.rotations[s], scene.bounds[s], scene.positions[s]
    return to_camera(
        r[0] * b[0] + r[1] * b[1] + r[2] * b[2] + p[0],
        r[3] * b[0] + r[4] * b[1] + r[5] * b[2] + p[1],
        r[6] * b[0] + r[7] * b[1] + r[8] * b[2] + p[2],
        camera,
    )


@helper
def in_view(scene, s, camera, half_width, half_height):
    """Whether the sphere around a shape reaches into the camera's view."""
    x, y, z = distance(scene, s, camera)
    radius, focal = scene.bounds[s, 3], camera[12]
    return (
        z + radius > camera[13]
        and focal * abs(x) - half_width * z < radius * math.sqrt(focal * focal + half_width * half_width)
        and focal * abs(y) - half_height * z < radius * math.sqrt(focal * focal + half_height * half_height)
    )


@helper
def draw_shape(scene, s, camera, half_width, half_height, depth, ids):
    """Fill the triangles of one shape."""
    world, triangles, spans, screen = scene.world, scene.triangles, scene.spans, scene.screen
    project(world, spans[s, 0], spans[s, 1], camera, half_width, half_height, screen)
    for t in range(spans[s, 2], spans[s, 3]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        wa, wb, wc = screen[a, 2], screen[b, 2], screen[c, 2]
        if wa > ZERO and wb > ZERO and wc > ZERO:
            fill(
                screen[a, 0], screen[a, 1], wa, screen[b, 0], screen[b, 1], wb, screen[c, 0], screen[c, 1], wc,
                t, depth, ids,
            )  # fmt: skip
        elif wa > ZERO or wb > ZERO or wc > ZERO:
            fill_clipped(world, triangles, t, camera, half_width, half_height, scene.corners, depth, ids)


@helper
def clear(scene, camera, half_width, half_height, plane):
    """Empty the depth buffer, or fill it with an endless floor.

    Args:
        plane: (3,) written: 1/depth of the floor is plane[0] + plane[1] * x + plane[2] * y over samples.
    """
    floor, depth = scene.floor, scene.depth
    scene.ids[:] = NOTHING
    plane[:] = ZERO
    height = ZERO
    for k in range(3):
        height += floor[10 + k] * (camera[k] - floor[1 + k])
    if floor[0] != ONE or height <= np.float32(1e-4):
        depth[:] = ZERO
        return
    inverse = -ONE / height
    right = (floor[10] * camera[3] + floor[11] * camera[6] + floor[12] * camera[9]) * inverse / camera[12]
    up = (floor[10] * camera[4] + floor[11] * camera[7] + floor[12] * camera[10]) * inverse / camera[12]
    back = (floor[10] * camera[5] + floor[11] * camera[8] + floor[12] * camera[11]) * inverse
    plane[1] = right
    plane[2] = -up
    plane[0] = -back - right * half_width + up * half_height
    for i in range(depth.shape[0]):
        start = plane[0] + plane[2] * (np.float32(i) + HALF)
        for j in range(depth.shape[1]):
            depth[i, j] = max(start + plane[1] * (np.float32(j) + HALF), ZERO)


@helper
def light_floor(scene, camera, half_width, half_height, plane):
    """Compute the light on the endless floor at every GRID-th pixel."""
    floor, grid = scene.floor, scene.grid
    for i in range(grid.shape[0]):
        y = np.float32(2 * GRID * i + 1)
        for j in range(grid.shape[1]):
            x = np.float32(2 * GRID * j + 1)
            dx, dy, dz = ray(x, y, camera, half_width, half_height)
            z = ONE / max(plane[0] + plane[1] * x + plane[2] * y, np.float32(0.01))
            illuminate(
                camera[0] + dx * z, camera[1] + dy * z, camera[2] + dz * z, floor[10], floor[11], floor[12], floor[19],
                camera, scene.ambient, scene.headlight, scene.lights, scene.choices[0], grid[i, j],
            )  # fmt: skip


@helper
def shade_background(scene, camera, half_width, half_height, plane, i, j, band, out):
    """Colour of floor or sky at the middle of a pixel, with the light from `band`, one row of the grid."""
    x = np.float32(2 * j + 1)
    y = np.float32(2 * i + 1)
    dx, dy, dz = ray(x, y, camera, half_width, half_height)
    w = plane[0] + plane[1] * x + plane[2] * y
    if w > ZERO:
        z = ONE / w
        dx *= z
        dy *= z
        dz *= z
        radius = math.sqrt(dx * dx + dy * dy)
        if radius < scene.floor[22]:
            k = j // GRID
            f = np.float32(j - k * GRID) / np.float32(GRID)
            p, q = band[k], band[k + 1]
            shade_floor(
                scene, camera, camera[0] + dx, camera[1] + dy, camera[2] + dz,
                p[0] + (q[0] - p[0]) * f, p[1] + (q[1] - p[1]) * f, p[2] + (q[2] - p[2]) * f,
                p[3] + (q[3] - p[3]) * f, p[4] + (q[4] - p[4]) * f, p[5] + (q[5] - p[5]) * f, out,
            )  # fmt: skip
            haze = scene.haze[3]
            if haze > ZERO and radius > scene.floor[22] * (ONE - haze):
                veil((radius / scene.floor[22] - ONE + haze) / haze, scene.haze, out)
            return
    shade_sky(scene, camera, dx, dy, dz, out)


@helper
def resolve(scene, view, camera, half_width, half_height, plane):
    """Shade every pixel once for each thing among its four samples, and average."""
    ids, pixels, grid = scene.ids, scene.pixels, scene.grid
    band, colour = scene.band, scene.colour
    for i in range(pixels.shape[0]):
        row = i // GRID
        f = np.float32(i - row * GRID) / np.float32(GRID)
        for j in range(grid.shape[1]):
            for k in range(6):
                band[j, k] = grid[row, j, k] + (grid[row + 1, j, k] - grid[row, j, k]) * f
        for j in range(pixels.shape[1]):
            t0, t1 = ids[2 * i, 2 * j], ids[2 * i, 2 * j + 1]
            t2, t3 = ids[2 * i + 1, 2 * j], ids[2 * i + 1, 2 * j + 1]
            if t0 == t1 and t0 == t2 and t0 == t3:
                if t0 == NOTHING:
                    shade_background(scene, camera, half_width, half_height, plane, i, j, band, pixels[i, j])
                else:
                    dx, dy, dz = ray(np.float32(2 * j + 1), np.float32(2 * i + 1), camera, half_width, half_height)
                    shade(scene, view, t0, dx, dy, dz, pixels[i, j])
                continue
            red = green = blue = ZERO
            before = np.int32(-2)
            for k in range(4):
                t = ids[2 * i + k // 2, 2 * j + k % 2]
                if t != before:
                    before = t
                    if t == NOTHING:
                        shade_background(scene, camera, half_width, half_height, plane, i, j, band, colour)
                    else:
                        x = np.float32(2 * j + k % 2) + HALF
                        y = np.float32(2 * i + k // 2) + HALF
                        dx, dy, dz = ray(x, y, camera, half_width, half_height)
                        shade(scene, view, t, dx, dy, dz, colour)
                red += min(colour[0], FULL)
                green += min(colour[1], FULL)
                blue += min(colour[2], FULL)
            pixels[i, j, 0] = red * QUARTER
            pixels[i, j, 1] = green * QUARTER
            pixels[i, j, 2] = blue * QUARTER


@helper
def blend_shape(scene, s, view, camera, half_width, half_height):
    """Lay one translucent shape over the picture."""
    ids, pixels, colour = scene.layer_ids, scene.pixels, scene.colour
    for i in range(ids.shape[0]):
        for j in range(ids.shape[1]):
            scene.layer_depth[i, j] = scene.depth[i, j]
    draw_shape(scene, s, camera, half_width, half_height, scene.layer_depth, ids)
    share = QUARTER * scene.colours[s, 3]
    for i in range(pixels.shape[0]):
        for j in range(pixels.shape[1]):
            before = np.int32(NOTHING)
            red = green = blue = covered = ZERO
            for k in range(4):
                t = ids[2 * i + k // 2, 2 * j + k % 2]
                if t == NOTHING:
                    continue
                if t != before:
                    before = t
                    x = np.float32(2 * j + k % 2) + HALF
                    y = np.float32(2 * i + k // 2) + HALF
                    dx, dy, dz = ray(x, y, camera, half_width, half_height)
                    shade(scene, view, t, dx, dy, dz, colour)
                red += min(colour[0], FULL)
                green += min(colour[1], FULL)
                blue += min(colour[2], FULL)
                covered += share
            if covered > ZERO:
                pixels[i, j, 0] = min(pixels[i, j, 0], FULL) * (ONE - covered) + red * share
                pixels[i, j, 1] = min(pixels[i, j, 1], FULL) * (ONE - covered) + green * share
                pixels[i, j, 2] = min(pixels[i, j, 2], FULL) * (ONE - covered) + blue * share
    ids[:] = NOTHING


@helper
def draw_camera(scene, view):
    """Draw the picture of one camera."""
    camera, plane, far_to_near = scene.cameras[view], scene.plane, scene.order
    half_height = np.float32(scene.pixels.shape[0])
    half_width = np.float32(scene.pixels.shape[1])
    clear(scene, camera, half_width, half_height, plane)
    shapes = scene.spans.shape[0]
    translucent = 0
    for s in range(shapes):
        far_to_near[s] = ZERO
        if not in_view(scene, s, camera, half_width, half_height):
            continue
        if scene.colours[s, 3] < ONE:
            _, _, z = distance(scene, s, camera)
            far_to_near[s] = max(z + scene.bounds[s, 3], np.float32(1e-6))
            translucent += 1
        else:
            draw_shape(scene, s, camera, half_width, half_height, scene.depth, scene.ids)
    if plane[0] != ZERO or plane[1] != ZERO or plane[2] != ZERO:
        light_floor(scene, camera, half_width, half_height, plane)
    resolve(scene, view, camera, half_width, half_height, plane)
    for _ in range(translucent):
        s = 0
        for k in range(1, shapes):
            if far_to_near[k] > far_to_near[s]:
                s = k
        far_to_near[s] = ZERO
        blend_shape(scene, s, view, camera, half_width, half_height)
    image = scene.images[view]
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            for k in range(3):
                image[i, j, k] = np.uint8(min(max(scene.pixels[i, j, k] + HALF, ZERO), FULL))


@entry
def draw(scene):
    """Draw all cameras of a Scene into scene.images."""
    place(
        scene.vertices, scene.normals, scene.spans, scene.positions, scene.rotations, scene.world, scene.world_normals
    )
    key = scene.choices[0]
    if key >= 0:
        draw_shadows(
            scene.world, scene.triangles, scene.spans, scene.colours, scene.choices[1], scene.lights[key],
            scene.light_axes, scene.screen, scene.shadow_map, scene.shadow_frame, scene.no_ids,
        )  # fmt: skip
    scene.lit_for[:] = NOTHING
    for view in range(scene.cameras.shape[0]):
        draw_camera(scene, view)
