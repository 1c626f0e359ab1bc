"""The scene as NamedTuples, which compiled functions take apart, and the options that those are compiled with.

V vertices, those of each shape from a multiple of eight on, T triangles, S shapes, L lights; images of H x W pixels
with 2 x 2 samples each. M columns are a margin that vector instructions may reach. Lengths are in metres and colours
0..1 where nothing else is said.

No fast-math: equal states give equal bytes. Nothing compiled here owns memory, so no reference counts are kept; they
would cost more than the drawing. Where a helper is called from several places, whole numbers are made np.int64, so that
it need not be compiled for each kind of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Real = Any  # a float32 inside compiled code

ZERO: Real = np.float32(0.0)
QUARTER: Real = np.float32(0.25)
HALF: Real = np.float32(0.5)
ONE: Real = np.float32(1.0)
TWO: Real = np.float32(2.0)
FULL: Real = np.float32(255.0)  # a byte of full brightness

COMPILE_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
# Only compiled code calls these; without a way in from Python they are compiled in half the time.
_INNER_OPTIONS: dict[str, Any] = {**COMPILE_OPTIONS, "no_cpython_wrapper": True}
helper = njit(**_INNER_OPTIONS)
inlined = njit(forceinline=True, **_INNER_OPTIONS)

# Kinds of a floor.
NO_FLOOR, ENDLESS_FLOOR, FINITE_FLOOR = 0, 1, 2
# Kinds of a light.
SPOT, DIRECTIONAL, POINT = 0, 1, 2
# Ids of samples that show no triangle.
NOTHING, FLOOR = -1, -2
# Columns of the light on a vertex or on a point of the floor; the first three are RGB irradiance.
SPECULAR, SHADOW_DIFFUSE, SHADOW_SPECULAR = 3, 4, 5
MIP_LEVEL = 6  # a further column on the floor
# What a segment, see `floor`, shows of the floor where nothing stands before it.
NO_GROUND, ALL_GROUND, SOME_GROUND = ZERO, ONE, TWO
# What is known of the floor that a camera sees. MOVES: nothing, and only visible pixels are computed. STAYS: the camera
# does not move, and all pixels are computed, to be kept. KNOWN: all pixels were computed and are used again.
MOVES, STAYS, KNOWN = 0, 1, 2


class Shapes(NamedTuple):
    """The visible geoms and sites as triangles, each shape in its own frame."""

    vertices: Floats  # (3, V)
    normals: Floats  # (3, V) unit vectors
    triangles: Ints  # (T + M, 3) columns of `vertices`, counter-clockwise seen from outside
    faces: Floats  # (T, 4) these once more and the shape, in numbers that instructions gather
    surface: Ints  # (T,) triangles of one number form one smooth surface
    owners: Ints  # (V / 8,) the shape of eight vertices
    vertex_spans: Ints  # (S, 2) first and last + 1 vertex of each shape
    triangle_spans: Ints  # (S, 2) first and last + 1 triangle of each shape
    centres: Floats  # (S, 3) of a sphere around each shape
    radii: Floats  # (S,) of those spheres
    colours: Floats  # (S, 4) RGBA
    materials: Floats  # (S, 4) specular strength, shininess exponent, emission; one number is not used
    positions: Floats  # (S, 3) in the world
    rotations: Floats  # (S, 9) in the world, row by row


class Floor(NamedTuple):
    """The plane that is drawn with a texture."""

    kind: int  # NO_FLOOR, ENDLESS_FLOOR or FINITE_FLOOR
    geom: int  # id, -1 for none
    shape: int  # the shape that a finite floor is, -1 otherwise
    origin: Floats  # (3,)
    u_axis: Floats  # (3,) direction of the texture's first axis, as long as the texture repeats per metre
    v_axis: Floats  # (3,) likewise, of the second axis
    normal: Floats  # (3,)
    half: Floats  # (2,) half sizes of a finite floor
    repeats: NDArray[np.float64]  # (2,) of the texture per metre, along its two axes
    uv_offset: Floats  # (2,) texture coordinates at the origin
    colour: Floats  # (3,) RGB
    material: Floats  # (3,) specular strength, shininess exponent, emission
    texels_per_metre: Real  # of the texture at full size
    radius: Real  # at which an endless floor ends
    texels: Floats  # (n, 4) the texture at every scale, as `appearance.mipmaps` lays it out
    mips: Ints  # (levels, 3) first row in `texels`, width, height


class Sky(NamedTuple):
    """What is seen where nothing stands."""

    colours: Floats  # (257, 3) RGB from straight down over the horizon (128) to straight up, along the faces of a cube
    haze: Floats  # (3,) RGB of the haze in front of an endless floor's edge
    haze_share: Real  # share of the floor's radius that lies in haze; 0 for no haze


class Lights(NamedTuple):
    """OpenGL's fixed lighting, as MuJoCo sets it up."""

    shadow: int  # the light that casts shadows, -1 for none
    ambient: Floats  # (3,) RGB light from everywhere
    headlight: Floats  # (3,) diffuse RGB of the light that shines along the camera's axis
    headlight_specular: Real  # its specular strength
    kind: Ints  # (L,) SPOT, DIRECTIONAL or POINT
    cutoff: Floats  # (L,) cosine of half a spot's opening angle
    exponent: Floats  # (L,) of a spot
    attenuation: Floats  # (L, 3) constant, linear and quadratic
    diffuse: Floats  # (L, 3) RGB
    specular: Floats  # (L,) strength
    position: Floats  # (L, 3) in the world
    direction: Floats  # (L, 3) in the world


class ShadowMap(NamedTuple):
    """What the light that casts shadows sees."""

    axes: Floats  # (3, 3) right, up and forward of the light, in rows
    depth: Floats  # (N, N + M) 1/distance from the light
    corner: Floats  # (8,) x and y of the map's corner in the light's plane, 0, 0; again for a second vertex
    scale: Floats  # (8,) texels per unit of that plane, 0 for an empty map, twice; 1, 1; again for a second vertex


class Buffers(NamedTuple):
    """What is computed on the way to an image."""

    world: Floats  # (3, V) vertices in the world
    screen: Floats  # (V, 4) x, y in samples and 1/depth; one number is not used
    setup: Floats  # (16, 8) of eight triangles that are filled, see `triangles.fill`
    depth: Floats  # (2H, 2W + M) 1/depth of each sample
    ids: Ints  # (2H, 2W + M) triangle of each sample, or FLOOR, or NOTHING
    layer_depth: Floats  # (2H, 2W + M) like `depth`, of one translucent shape
    layer_ids: Ints  # (2H, 2W + M) like `ids`, of one translucent shape; NOTHING between drawings
    lit: Floats  # (V, 12) light on a vertex: RGB irradiance, the columns named above; right, up and forward of
    # the light that casts shadows, m, and its place in the world, m
    is_lit: NDArray[np.bool_]  # (V / 8,) whether `lit` holds for eight vertices and the camera that is drawn
    unlit: Ints  # (1 + V / 8,) how many and which of these are to be lit before the queue is shaded
    grid: Floats  # (rows, columns + M, 8) light on the floor at every few pixels, laid out like `lit`, then MIP_LEVEL
    band: Floats  # (columns, 8) one row of `grid`
    line: Floats  # (17,) what changes along one row of pixels, see `floor.measure_row`
    laid: Floats  # (6, 8) the floor with its shadows in eight pixels, laid out like `pixels`
    sky: Floats  # (6, 8) likewise, the sky
    distances: Floats  # (S,) of the translucent shapes that are still to be drawn
    corners: Floats  # (4, 4) of a triangle that is clipped, laid out like `screen`
    is_cleared: NDArray[np.bool_]  # (H, segments) whether `depth` and `ids` hold for the camera that is drawn
    fan: Ints  # (2 + M, 3) the rows of `corners` that make two triangles
    queue: Floats  # (4, 4W + M) what is to be shaded in a row: triangle, x and y in samples, weight
    queue_pixels: Ints  # (4W,) the column of each
    shaded: Floats  # (6, 8) of eight in the queue, laid out like `pixels`, times their weights
    parts: Ints  # segments of the row that show more than the floor
    row: Floats  # (W, 6) one row of `pixels`, where they are not kept
    pixels: Floats  # (H, W, 6) 0..255, RGB without, and RGB only from, the light that casts shadows


class Grounds(NamedTuple):
    """What stays of views while camera, lights and floor do, n of them; see `floor`."""

    kinds: Floats  # (n, H, segments + M) NO_GROUND, ALL_GROUND or SOME_GROUND, written eight at a time
    colours: Floats  # (n, H, segments, 9, 8) as `floor.colour_ground` lays them out
    bounds: Floats  # (n, H, segments, 4) least and greatest right, then up, of the seventh and eighth of these rows
    images: NDArray[np.uint8]  # (n, H, W, 3) without anything that stands there, and without shadows


class Scene(NamedTuple):
    """All that is drawn, and the memory to draw it with."""

    shapes: Shapes
    floor: Floor
    sky: Sky
    lights: Lights
    shadow_map: ShadowMap
    buffers: Buffers


class Poses(NamedTuple):
    """Where MuJoCo has everything, in arrays of an `MjData`, and which of it is drawn."""

    geoms: NDArray[np.intp]  # ids of the geoms among the shapes, which come first
    sites: NDArray[np.intp]  # ids of the sites among the shapes
    lights: NDArray[np.intp]  # ids of the lights
    geom_xpos: NDArray[np.float64]  # these as in `MjData`
    geom_xmat: NDArray[np.float64]
    site_xpos: NDArray[np.float64]
    site_xmat: NDArray[np.float64]
    light_xpos: NDArray[np.float64]
    light_xdir: NDArray[np.float64]
    cam_xpos: NDArray[np.float64]
    cam_xmat: NDArray[np.float64]


class Views(NamedTuple):
    """The cameras whose images are wanted, n of them."""

    cameras: NDArray[np.intp]  # (n,) ids
    focal: Floats  # (n,) focal lengths in samples
    near: Real  # distance of the near plane
    slots: NDArray[np.intp]  # (n,) which of the grounds is the camera's
    known: NDArray[np.intp]  # (n,) what it holds: MOVES, STAYS or KNOWN


Vector = tuple[Real, Real, Real]
Window = tuple[int, int, int, int]  # first and last + 1 row, first and last + 1 column


class Camera(NamedTuple):
    """Where an image is taken from; in the world."""

    position: Vector  # x, y, z
    right: Vector  # unit vector
    up: Vector  # unit vector
    back: Vector  # unit vector against the direction of view
    focal: Real  # focal length in samples
    pixel: Real  # 1 / focal
    near: Real  # distance of the near plane
    half_width: Real  # of the image, in samples
    half_height: Real  # of the image, in samples
