"""What is drawn of a model: triangles of its visible geoms and sites, with normals that keep sharp edges sharp."""

from __future__ import annotations

from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.rendering.renderer import VISIBLE_GROUPS
from gym_hil.rendering.scene import Floats, Ints, Shapes
from gym_hil.rendering.simd import LANES

Points = NDArray[np.float64]
Triangles = tuple[Floats, Floats, Ints]  # vertices (v, 3), normals (v, 3), faces (m, 3)
Material = tuple[float, float, float]  # specular strength, shininess exponent, emission

CREASE = np.cos(np.radians(40.0))  # faces that meet at a larger angle do not share a normal
DEFAULT_RGBA = np.array([0.5, 0.5, 0.5, 1.0], dtype=np.float32)  # MuJoCo: a geom of this colour takes its material's
DEFAULT_MATERIAL: Material = (0.5, 64.0, 0.0)
SLICES = 24  # around the axis; 15 degrees a step is smooth at the sizes a camera of this package draws
STACKS = 12  # pole to pole
FAR = 50.0  # m, half size drawn for an infinite plane that is not the floor


class Geometry(NamedTuple):
    """The visible geoms, then the visible sites, of a model."""

    shapes: Shapes  # their triangles; poses are still zeros
    geoms: NDArray[np.intp]  # ids of the geoms among the shapes
    sites: NDArray[np.intp]  # ids of the sites among the shapes
    floor: int  # id of the geom that is the floor, -1 without one. An endless floor is not among the shapes
    is_endless: bool  # whether there is a floor without end


def extract(model: mujoco.MjModel) -> Geometry:
    """Collect the triangles of every geom and site that MuJoCo shows by default."""
    floor = _floor(model)
    is_endless = floor >= 0 and bool((model.geom_size[floor, :2] <= 0).any())
    geoms = [g for g in range(model.ngeom) if _is_visible(model, g) and not (g == floor and is_endless)]
    sites = [s for s in range(model.nsite) if model.site_group[s] < VISIBLE_GROUPS and model.site_rgba[s, 3] > 0]
    parts, looks = [], []
    meshes: dict[int, Triangles] = {}
    for g in geoms:
        mesh = int(model.geom_dataid[g])
        if model.geom_type[g] != mujoco.mjtGeom.mjGEOM_MESH:
            parts.append(_primitive(model.geom_type[g], model.geom_size[g]))
        else:
            if mesh not in meshes:
                meshes[mesh] = smoothed(*_mesh(model, mesh))
            parts.append(meshes[mesh])
        looks.append(look(model, model.geom_rgba[g], int(model.geom_matid[g])))
    for s in sites:
        parts.append(_primitive(model.site_type[s], model.site_size[s]))
        looks.append(look(model, model.site_rgba[s], int(model.site_matid[s])))
    shapes = _join(parts, looks)
    return Geometry(shapes, np.array(geoms, dtype=np.intp), np.array(sites, dtype=np.intp), floor, is_endless)


def reshape(model: mujoco.MjModel, geometry: Geometry) -> None:
    """Write the model's present colours and sizes into the shapes that were extracted from it."""
    shapes = geometry.shapes
    looked = [(model.geom_rgba[g], int(model.geom_matid[g])) for g in geometry.geoms]
    looked += [(model.site_rgba[s], int(model.site_matid[s])) for s in geometry.sites]
    sized = [(model.geom_type[g], model.geom_size[g]) for g in geometry.geoms]
    sized += [(model.site_type[s], model.site_size[s]) for s in geometry.sites]
    for number, ((rgba, material), (kind, size)) in enumerate(zip(looked, sized, strict=True)):
        shapes.colours[number], shapes.materials[number, :3] = look(model, rgba, material)
        if kind != mujoco.mjtGeom.mjGEOM_MESH:
            points, normals, _ = _primitive(kind, size)
            first, last = shapes.vertex_spans[number]
            if len(points) == last - first:  # a size of 0 has fewer, and the shape stays as it was
                shapes.vertices[:, first:last], shapes.normals[:, first:last] = points.T, normals.T
                *shapes.centres[number], shapes.radii[number] = _bounding_sphere(points)


def _join(parts: list[Triangles], looks: list[tuple[Floats, Material]]) -> Shapes:
    """Lay the triangles and the looks of all shapes one after the other."""
    counts = np.array([len(points) for points, _, _ in parts], dtype=np.int32)
    fill = [((0, -n % LANES), (0, 0)) for n in counts]  # no eight vertices belong to two shapes
    vertex_spans = _spans([n + -n % LANES for n in counts])
    vertex_spans[:, 1] = vertex_spans[:, 0] + counts
    triangle_spans = _spans([len(faces) for _, _, faces in parts])
    triangles = _rows([part[2] + first for part, (first, _) in zip(parts, vertex_spans, strict=True)], np.int32)
    vertices = _rows([np.pad(part[0], wide) for part, wide in zip(parts, fill, strict=True)], np.float32)
    normals = _rows([np.pad(part[1], wide) for part, wide in zip(parts, fill, strict=True)], np.float32)
    shape = np.repeat(np.arange(len(parts), dtype=np.int32), np.diff(triangle_spans, axis=1)[:, 0])
    spheres = np.array([_bounding_sphere(points) for points, _, _ in parts], dtype=np.float32).reshape(-1, 4)
    count = len(parts)
    return Shapes(
        vertices=np.ascontiguousarray(vertices.T),
        normals=np.ascontiguousarray(normals.T),
        triangles=np.pad(triangles, ((0, LANES), (0, 0))),
        faces=np.concatenate([triangles, shape[:, None]], axis=1).astype(np.float32),
        surface=surfaces(triangles, len(vertices)),
        owners=np.repeat(np.arange(len(parts), dtype=np.int32), -(-counts // LANES)),
        vertex_spans=vertex_spans,
        triangle_spans=triangle_spans,
        centres=np.ascontiguousarray(spheres[:, :3]),
        radii=np.ascontiguousarray(spheres[:, 3]),
        colours=np.array([colour for colour, _ in looks], dtype=np.float32).reshape(-1, 4),
        materials=np.array([(*material, 0.0) for _, material in looks], dtype=np.float32).reshape(-1, 4),
        positions=np.zeros((count, 3), dtype=np.float32),
        rotations=np.zeros((count, 9), dtype=np.float32),
    )


def smoothed(points: Points, faces: Ints) -> Triangles:
    """Give every corner of faces (m, 3) a normal averaged over the neighbouring faces within the crease angle.

    A point with several normals becomes several vertices, and faces without area are left out.
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


def _corner_angle(corners: Points, k: int) -> Points:
    one = corners[:, (k + 1) % 3] - corners[:, k]
    two = corners[:, (k + 2) % 3] - corners[:, k]
    across = np.linalg.norm(np.cross(one, two), axis=1)
    return np.arctan2(across, np.einsum("ij,ij->i", one, two))


def _floor(model: mujoco.MjModel) -> int:
    planes = [g for g in range(model.ngeom) if model.geom_type[g] == mujoco.mjtGeom.mjGEOM_PLANE]
    for g in planes:
        if _is_visible(model, g) and look(model, model.geom_rgba[g], int(model.geom_matid[g]))[0][3] >= 1:
            return g
    return -1


def _is_visible(model: mujoco.MjModel, g: int) -> bool:
    kind = int(model.geom_type[g])
    drawable = kind in _PRIMITIVES or (kind == mujoco.mjtGeom.mjGEOM_MESH and model.geom_dataid[g] >= 0)
    shown = bool(model.geom_group[g] < VISIBLE_GROUPS)
    return drawable and shown and look(model, model.geom_rgba[g], int(model.geom_matid[g]))[0][3] > 0


def _primitive(kind: int, size: Points) -> Triangles:
    return smoothed(*_PRIMITIVES[int(kind)](size))


def _mesh(model: mujoco.MjModel, mesh: int) -> tuple[Points, Ints]:
    vertex, face = model.mesh_vertadr[mesh], model.mesh_faceadr[mesh]
    points = model.mesh_vert[vertex : vertex + model.mesh_vertnum[mesh]].astype(np.float64)
    return points, model.mesh_face[face : face + model.mesh_facenum[mesh]]


def look(model: mujoco.MjModel, rgba: Floats, material: int) -> tuple[Floats, Material]:
    """Colour (4,) and material of something with this rgba and this id of a material."""
    own = material < 0 or not np.array_equal(rgba, DEFAULT_RGBA)
    colour = np.array(rgba if own else model.mat_rgba[material], dtype=np.float32)
    if colour[3] < 1:
        colour[3] = 1 - (1 - colour[3]) ** 2  # measured: MuJoCo lays everything translucent on twice
    if material < 0:
        return colour, DEFAULT_MATERIAL
    specular, shininess = float(model.mat_specular[material]), 128.0 * float(model.mat_shininess[material])
    return colour, (specular, shininess, float(model.mat_emission[material]))


def _bounding_sphere(points: Floats) -> Floats:
    """Centre and radius (4,) of a sphere around points (n, 3)."""
    if not len(points):
        return np.zeros(4, dtype=np.float32)
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    return np.append(centre, np.linalg.norm(points - centre, axis=1).max() + 1e-6).astype(np.float32)


def _spans(counts: list[int]) -> Ints:
    """First and last + 1 row (n, 2) of parts that follow each other."""
    ends = np.cumsum([0, *counts]).astype(np.int32)
    return np.stack([ends[:-1], ends[1:]], axis=1)


def _rows(parts: list[Any], dtype: type) -> NDArray[Any]:
    return np.concatenate([np.zeros((0, 3)), *parts]).astype(dtype)


def box(size: Points) -> tuple[Points, Ints]:
    """Box with half sizes `size` (3,)."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float) * size
    sides = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return corners, np.concatenate([sides[:, [0, 1, 2]], sides[:, [0, 2, 3]]]).astype(np.int32)


def lathe(profile: list[tuple[float, float]]) -> tuple[Points, Ints]:
    """Surface of revolution about z, from pairs of radius and height in m; the first and the last radius are 0."""
    angle = np.linspace(0, 2 * np.pi, SLICES, endpoint=False)
    rings = [np.stack([r * np.cos(angle), r * np.sin(angle), np.full(SLICES, h)], axis=1) for r, h in profile[1:-1]]
    bottom, top = len(rings) * SLICES, len(rings) * SLICES + 1
    vertices = np.concatenate([*rings, [[0, 0, profile[0][1]], [0, 0, profile[-1][1]]]])
    here = np.arange(SLICES)
    after = (here + 1) % SLICES
    faces = [np.stack([np.full(SLICES, bottom), after, here], axis=1)]
    for k in range(len(rings) - 1):
        low, high = k * SLICES, (k + 1) * SLICES
        faces.append(np.stack([low + here, low + after, high + after], axis=1))
        faces.append(np.stack([low + here, high + after, high + here], axis=1))
    last = (len(rings) - 1) * SLICES
    faces.append(np.stack([last + here, last + after, np.full(SLICES, top)], axis=1))
    return vertices, np.concatenate(faces).astype(np.int32)


def ellipsoid(size: Points) -> tuple[Points, Ints]:
    """Ellipsoid with half axes `size` (3,)."""
    polar = np.linspace(-np.pi / 2, np.pi / 2, STACKS + 1)
    profile = [(float(np.cos(a)), float(np.sin(a))) for a in polar]
    vertices, faces = lathe(profile)
    return vertices * size, faces


def sphere(size: Points) -> tuple[Points, Ints]:
    """Sphere of radius size[0]."""
    return ellipsoid(np.repeat(size[:1], 3))


def cylinder(size: Points) -> tuple[Points, Ints]:
    """Cylinder about z of radius size[0] and half length size[1]."""
    radius, half = float(size[0]), float(size[1])
    return lathe([(0.0, -half), (radius, -half), (radius, half), (0.0, half)])


def capsule(size: Points) -> tuple[Points, Ints]:
    """Capsule about z of radius size[0]; size[1] is half the length of its cylinder."""
    radius, half = float(size[0]), float(size[1])
    polar = np.linspace(0, np.pi / 2, STACKS // 2 + 1)
    upper = [(radius * float(np.cos(a)), half + radius * float(np.sin(a))) for a in polar]
    return lathe([(r, -h) for r, h in reversed(upper)] + upper)


def plane(size: Points) -> tuple[Points, Ints]:
    """Rectangle in x, y facing z; half sizes size[:2], where 0 stands for no end."""
    x, y = (float(s) if s > 0 else FAR for s in size[:2])
    corners = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]])
    return corners, np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)


_PRIMITIVES = {
    int(mujoco.mjtGeom.mjGEOM_PLANE): plane,
    int(mujoco.mjtGeom.mjGEOM_SPHERE): sphere,
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): capsule,
    int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): ellipsoid,
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): cylinder,
    int(mujoco.mjtGeom.mjGEOM_BOX): box,
}
