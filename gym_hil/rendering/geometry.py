"""The visible triangles of a model, with normals that keep sharp edges sharp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.rendering import primitives

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

VISIBLE_GROUPS = 3  # groups 0, 1 and 2 are on in MuJoCo's default view options
CREASE = np.cos(np.radians(40.0))  # faces that meet at a larger angle do not share a normal
DEFAULT_RGBA = np.array([0.5, 0.5, 0.5, 1.0], dtype=np.float32)  # MuJoCo: a geom of this colour takes its material's

_SHAPES = {
    int(mujoco.mjtGeom.mjGEOM_PLANE): primitives.plane,
    int(mujoco.mjtGeom.mjGEOM_SPHERE): primitives.sphere,
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): primitives.capsule,
    int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): primitives.ellipsoid,
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): primitives.cylinder,
    int(mujoco.mjtGeom.mjGEOM_BOX): primitives.box,
}


@dataclass(frozen=True)
class Geometry:
    """Triangles of all shapes (visible geoms, then visible sites), in each shape's own frame.

    Attributes:
        vertices: (V, 3) m.
        normals: (V, 3) unit vectors.
        triangles: (T, 3) rows of `vertices`, counter-clockwise seen from outside.
        triangle_shape: (T,) the shape each triangle belongs to.
        triangle_surface: (T,) equal for triangles of one smooth surface.
        spans: (S, 4) first and last + 1 vertex, first and last + 1 triangle of each shape.
        bounds: (S, 4) centre and radius of a sphere around each shape, m.
        colours: (S, 4) RGBA, 0..1.
        gloss: (S, 3) specular strength, shininess exponent, emission.
        geoms: ids of the geoms among the shapes.
        sites: ids of the sites among the shapes.
        floor: id of the geom that is the floor, -1 without one. An endless floor has no triangles.
        floor_shape: the shape that stands for a floor of finite size, -1 without one.
    """

    vertices: Floats
    normals: Floats
    triangles: Ints
    triangle_shape: Ints
    triangle_surface: Ints
    spans: Ints
    bounds: Floats
    colours: Floats
    gloss: Floats
    geoms: NDArray[np.intp]
    sites: NDArray[np.intp]
    floor: int
    floor_shape: int


def extract(model: mujoco.MjModel) -> Geometry:
    """Collect the triangles of every geom and site that MuJoCo shows by default."""
    floor = _floor(model)
    endless = floor >= 0 and bool((model.geom_size[floor, :2] <= 0).any())
    geoms = [g for g in range(model.ngeom) if _geom_visible(model, g) and not (g == floor and endless)]
    sites = [s for s in range(model.nsite) if model.site_group[s] < VISIBLE_GROUPS and model.site_rgba[s, 3] > 0]
    meshes: dict[int, tuple[Floats, Floats, Ints]] = {}
    vertices, normals, triangles, spans, bounds, looks = [], [], [], [], [], []
    first_vertex = first_triangle = 0
    for g in geoms:
        mesh = int(model.geom_dataid[g]) if model.geom_type[g] == mujoco.mjtGeom.mjGEOM_MESH else -1
        if mesh < 0:
            parts = smoothed(*_SHAPES[int(model.geom_type[g])](model.geom_size[g]))
        else:
            if mesh not in meshes:
                meshes[mesh] = smoothed(*_mesh(model, mesh))
            parts = meshes[mesh]
        vertices.append(parts[0])
        normals.append(parts[1])
        triangles.append(parts[2])
        looks.append(look(model, model.geom_rgba[g], int(model.geom_matid[g])))
    for s in sites:
        parts = smoothed(*_SHAPES[int(model.site_type[s])](model.site_size[s]))
        vertices.append(parts[0])
        normals.append(parts[1])
        triangles.append(parts[2])
        looks.append(look(model, model.site_rgba[s], int(model.site_matid[s])))
    shifted = []
    for points, faces in zip(vertices, triangles, strict=True):
        spans.append((first_vertex, first_vertex + len(points), first_triangle, first_triangle + len(faces)))
        shifted.append(faces + first_vertex)
        first_vertex, first_triangle = spans[-1][1], spans[-1][3]
        bounds.append(_bounding_sphere(points))
    all_triangles = _rows(shifted, 3, np.int32)
    counts = [len(faces) for faces in triangles]
    return Geometry(
        vertices=_rows(vertices, 3, np.float32),
        normals=_rows(normals, 3, np.float32),
        triangles=all_triangles,
        triangle_shape=np.repeat(np.arange(len(counts), dtype=np.int32), counts),
        triangle_surface=surfaces(all_triangles, first_vertex),
        spans=np.array(spans, dtype=np.int32).reshape(-1, 4),
        bounds=np.array(bounds, dtype=np.float32).reshape(-1, 4),
        colours=np.array([colour for colour, _ in looks], dtype=np.float32).reshape(-1, 4),
        gloss=np.array([gloss for _, gloss in looks], dtype=np.float32).reshape(-1, 3),
        geoms=np.array(geoms, dtype=np.intp),
        sites=np.array(sites, dtype=np.intp),
        floor=floor if endless else -1,
        floor_shape=geoms.index(floor) if floor >= 0 and not endless else -1,
    )


def smoothed(points: NDArray[np.float64], faces: Ints) -> tuple[Floats, Floats, Ints]:
    """Give every corner a normal averaged over the neighbouring faces within the crease angle.

    Args:
        points: (n, 3) m.
        faces: (m, 3) rows of `points`.

    Returns:
        Vertices (v, 3), unit normals (v, 3) and faces (m', 3); a point with several normals becomes several
        vertices, and faces without area are left out.
    """
    points, where = np.unique(np.round(np.asarray(points, dtype=np.float64), 7), axis=0, return_inverse=True)
    faces = where.reshape(-1)[np.asarray(faces)].astype(np.int64)
    corners = points[faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(flat, axis=1)
    kept = area > 1e-12
    faces, corners = faces[kept], corners[kept]
    flat = flat[kept] / area[kept, None]
    weights = np.stack([_corner_angle(corners, k) for k in range(3)], axis=1).reshape(-1)
    owner = faces.reshape(-1)
    face_of = np.repeat(np.arange(len(faces)), 3)
    order = np.argsort(owner, kind="stable")
    count = np.bincount(owner, minlength=len(points))
    start = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
    # every pair of corners that meet in one point
    repeats = count[owner]
    mine = np.repeat(np.arange(len(owner)), repeats)
    step = np.arange(len(mine)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    other = order[np.repeat(start[owner], repeats) + step]
    close = np.einsum("ij,ij->i", flat[face_of[mine]], flat[face_of[other]]) >= CREASE
    mine, other = mine[close], other[close]
    total = np.stack(
        [np.bincount(mine, weights[other] * flat[face_of[other], k], minlength=len(owner)) for k in range(3)], axis=1
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    total = np.where(length > 1e-9, total / np.maximum(length, 1e-9), flat[face_of])
    keys = np.concatenate([owner[:, None], np.round(total * 1e4).astype(np.int64)], axis=1)
    _, first, index = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return (
        points[owner[first]].astype(np.float32),
        total[first].astype(np.float32),
        index.reshape(-1, 3).astype(np.int32),
    )


def surfaces(faces: Ints, vertices: int) -> Ints:
    """Number (m,) the faces (m, 3) so that those connected by shared vertices have the same number."""
    label = np.arange(vertices)
    while True:
        lowest = label[faces].min(axis=1, initial=vertices)
        spread = label.copy()
        np.minimum.at(spread, label[faces].reshape(-1), np.repeat(lowest, 3))
        np.minimum.at(spread, faces.reshape(-1), np.repeat(lowest, 3))
        spread = spread[spread]
        if np.array_equal(spread, label):
            return lowest.astype(np.int32)
        label = spread


def _corner_angle(corners: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    one = corners[:, (k + 1) % 3] - corners[:, k]
    two = corners[:, (k + 2) % 3] - corners[:, k]
    across = np.linalg.norm(np.cross(one, two), axis=1)
    return np.arctan2(across, np.einsum("ij,ij->i", one, two))


def _floor(model: mujoco.MjModel) -> int:
    planes = [g for g in range(model.ngeom) if model.geom_type[g] == mujoco.mjtGeom.mjGEOM_PLANE]
    for g in planes:
        if _geom_visible(model, g) and look(model, model.geom_rgba[g], int(model.geom_matid[g]))[0][3] >= 1:
            return g
    return -1


def _geom_visible(model: mujoco.MjModel, g: int) -> bool:
    kind = int(model.geom_type[g])
    drawable = kind in _SHAPES or (kind == mujoco.mjtGeom.mjGEOM_MESH and model.geom_dataid[g] >= 0)
    shown = bool(model.geom_group[g] < VISIBLE_GROUPS)
    return drawable and shown and look(model, model.geom_rgba[g], int(model.geom_matid[g]))[0][3] > 0


def _mesh(model: mujoco.MjModel, mesh: int) -> tuple[NDArray[np.float64], Ints]:
    vertex, face = model.mesh_vertadr[mesh], model.mesh_faceadr[mesh]
    points = model.mesh_vert[vertex : vertex + model.mesh_vertnum[mesh]].astype(np.float64)
    return points, model.mesh_face[face : face + model.mesh_facenum[mesh]]


def look(model: mujoco.MjModel, rgba: Floats, material: int) -> tuple[Floats, tuple[float, float, float]]:
    """Colour (4,) and (specular, shininess exponent, emission) of something with this rgba and material."""
    own = material < 0 or not np.array_equal(rgba, DEFAULT_RGBA)
    colour = np.array(rgba if own else model.mat_rgba[material], dtype=np.float32)
    if colour[3] < 1:
        colour[3] = 1 - (1 - colour[3]) ** 2  # measured: MuJoCo lays everything translucent on twice
    if material < 0:
        return colour, (0.5, 64.0, 0.0)
    gloss = (model.mat_specular[material], 128.0 * model.mat_shininess[material], model.mat_emission[material])
    return colour, (float(gloss[0]), float(gloss[1]), float(gloss[2]))


def _bounding_sphere(points: Floats) -> NDArray[np.float32]:
    if not len(points):
        return np.zeros(4, dtype=np.float32)
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    return np.append(centre, np.linalg.norm(points - centre, axis=1).max() + 1e-6).astype(np.float32)


def _rows(parts: Sequence[NDArray[Any]], width: int, dtype: type) -> NDArray[Any]:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros((0, width), dtype=dtype)
