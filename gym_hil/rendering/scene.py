"""The arrays that the compiled part of the rasteriser reads and writes, under one name each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


class Scene(NamedTuple):
    """What one call draws. V vertices, T triangles, S shapes, L lights, C cameras; images of H x W pixels.

    Attributes:
        vertices: (V, 3) m, in the frame of their shape.
        normals: (V, 3) unit vectors, in the frame of their shape.
        triangles: (T, 3) rows of vertices, counter-clockwise seen from outside.
        shape: (T,) the shape of each triangle.
        surface: (T,) triangles of one number form one smooth surface.
        spans: (S, 4) first and last + 1 vertex, first and last + 1 triangle.
        bounds: (S, 4) centre and radius of a sphere around the shape, m, in its frame.
        colours: (S, 4) RGBA, 0..1.
        gloss: (S, 3) specular strength, shininess exponent, emission.
        floor: (24) kind (0 none, 1 endless, 2 the shape given in `choices`), origin 3, u axis 3, v axis 3 (texture
            repeats per m), normal 3, u and v at the origin, RGB 3, specular strength, shininess exponent, emission,
            texels per m, radius at which an endless floor ends in m, 0.
        texels: (n, 4) the floor's texture at every scale, as `appearance.mipmaps` lays it out.
        mips: (levels, 3) first row in `texels`, width, height.
        sky: (257, 3) colours from straight down over the horizon (128) to straight up, along the faces of a cube.
        haze: (4) RGB and the share of the floor's radius that lies in haze; share 0 stands for none.
        ambient: (3) RGB light from everywhere.
        headlight: (4) diffuse RGB and specular strength of the light that shines along the camera's axis.
        choices: (2) the light that casts shadows, the shape that is the floor; -1 for none.
        positions: (S, 3) m, in the world.
        rotations: (S, 9) row-major, in the world.
        lights: (L, 16) kind (0 spot, 1 directional, 2 point), cosine of the cutoff, exponent, attenuation 3,
            diffuse RGB, specular strength, position 3, direction 3.
        light_axes: (3, 3) right, up and forward of the shadow map.
        cameras: (C, 15) position 3, rotation 9 (columns right, up, back), focal length in samples, near distance
            in m, 1 / focal length.
        world: (V, 3) vertices in the world.
        world_normals: (V, 3) normals in the world.
        screen: (V, 3) x, y in samples and 1/depth.
        depth: (2H, 2W) 1/depth of each sample.
        ids: (2H, 2W) triangle of each sample, -1 for floor or sky.
        layer_depth: (2H, 2W) like `depth`, of one translucent shape.
        layer_ids: (2H, 2W) like `ids`, of one translucent shape; -1 between drawings.
        shadow_map: (N, N) 1/distance from the light.
        shadow_frame: (3) light-plane x and y of the map's corner, texels per unit; 0 texels for an empty map.
        lit: (V, 6) light on a vertex: RGB irradiance and specular; then diffuse and specular share of the light
            that casts shadows.
        lit_for: (V,) the camera for which `lit` holds.
        grid: (rows, columns, 7) light on the floor at every few pixels, laid out like `lit`, and the texture's level.
        band: (columns, 7) one row of `grid`.
        plane: (3) 1/depth of an endless floor as plane[0] + plane[1] x + plane[2] y over samples.
        order: (S) distance of the translucent shapes that are still to be drawn, m.
        window: (4) first and last + 1 row, first and last + 1 column of the pixels that are being shaded.
        corners: (4, 3) scratch of clipping.
        colour: (6) scratch of shading.
        no_ids: (0, 0) stands for `ids` where only depth is wanted.
        pixels: (H, W, 6) colours before rounding: RGB without, and RGB only from, the light that casts shadows.
        images: (C, H, W, 3) the result.
    """

    vertices: Floats
    normals: Floats
    triangles: Ints
    shape: Ints
    surface: Ints
    spans: Ints
    bounds: Floats
    colours: Floats
    gloss: Floats
    floor: Floats
    texels: Floats
    mips: Ints
    sky: Floats
    haze: Floats
    ambient: Floats
    headlight: Floats
    choices: Ints
    positions: Floats
    rotations: Floats
    lights: Floats
    light_axes: Floats
    cameras: Floats
    world: Floats
    world_normals: Floats
    screen: Floats
    depth: Floats
    ids: Ints
    layer_depth: Floats
    layer_ids: Ints
    shadow_map: Floats
    shadow_frame: Floats
    lit: Floats
    lit_for: Ints
    grid: Floats
    band: Floats
    plane: Floats
    order: Floats
    window: Ints
    corners: Floats
    colour: Floats
    no_ids: Ints
    pixels: Floats
    images: NDArray[np.uint8]
