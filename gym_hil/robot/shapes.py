"""Closed triangle meshes from cross sections: the loft, and the lathe and slab that are special lofts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

RING_POINTS = 16  # points of a cross section; 16 gives the whole arm about 7k triangles

Vector = Sequence[float] | NDArray[np.float64]  # of three numbers

_AXES = {"x": 0, "y": 1, "z": 2}


class Mesh(NamedTuple):
    """A closed surface."""

    vertices: NDArray[np.float64]  # (V, 3) m
    faces: NDArray[np.intp]  # (F, 3) vertex indices, counter-clockwise seen from outside


class Section(NamedTuple):
    """A cross section of a slab: a superellipse in the plane at `height` on the slab's axis."""

    height: float  # m, along the slab's axis
    u: tuple[float, float]  # lower and upper extent in m along the first of the other two axes
    v: tuple[float, float]  # lower and upper extent in m along the second one
    exponent: float  # 2 is an ellipse, larger is boxier


def superellipse(
    center: Vector, half_a: Vector, half_b: Vector, exponent: float = 2.0, points: int = RING_POINTS
) -> NDArray[np.float64]:
    """Points (n, 3) in m of the curve |s|^exponent + |t|^exponent = 1, where s and t run along two half axes."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    s, t = (np.sign(wave) * np.abs(wave) ** (2 / exponent) for wave in (np.cos(angle), np.sin(angle)))
    return np.asarray(center, float) + np.outer(s, half_a) + np.outer(t, half_b)


def loft(rings: Sequence[NDArray[np.float64]]) -> Mesh:
    """Skin a stack of rings, each (N, 3) m, to a closed mesh, oriented outwards.

    The end caps have vertices of their own, so that the rim stays a crisp edge.
    """
    count = len(rings[0])
    here = np.arange(count)
    after = (here + 1) % count
    faces = []
    for k in range(len(rings) - 1):
        low, high = k * count, (k + 1) * count
        faces.append(np.column_stack([low + here, low + after, high + after]))
        faces.append(np.column_stack([low + here, high + after, high + here]))
    vertices = list(rings)
    size = len(rings) * count
    for ring, inward in ((rings[0], True), (rings[-1], False)):
        vertices += [ring, ring.mean(0, keepdims=True)]
        fan = np.column_stack([np.full(count, size + count), size + here, size + after])
        faces.append(fan[:, [0, 2, 1]] if inward else fan)
        size += count + 1
    return _oriented(np.concatenate(vertices), np.concatenate(faces))


def lathe(
    profile: Sequence[tuple[float, float]], axis: str = "z", center: Vector = (0, 0, 0), points: int = RING_POINTS
) -> Mesh:
    """Turn a profile, pairs of radius and height in m, around an axis; `center` is where height 0 is."""
    up = np.eye(3)[_AXES[axis]]
    u, v = (np.eye(3)[(_AXES[axis] + k) % 3] for k in (1, 2))
    return loft([superellipse(np.add(center, up * h), u * r, v * r, 2, points) for r, h in profile])


def slab(sections: Sequence[Section], axis: str = "z", points: int = RING_POINTS) -> Mesh:
    """Loft through cross sections that stand square on an axis."""
    along = np.eye(3)[_AXES[axis]]
    u_axis, v_axis = (np.eye(3)[k] for k in range(3) if k != _AXES[axis])
    rings = []
    for height, u, v, exponent in sections:
        center = along * height + u_axis * (sum(u) / 2) + v_axis * (sum(v) / 2)
        rings.append(superellipse(center, u_axis * (u[1] - u[0]) / 2, v_axis * (v[1] - v[0]) / 2, exponent, points))
    return loft(rings)


def box(half_size: Vector) -> Mesh:
    """A box with its own four vertices on each side, so that its edges shade crisply."""
    vertices: list[NDArray[np.float64]] = []
    faces: list[tuple[int, int, int]] = []
    for axis in range(3):
        for sign in (1, -1):
            corner = len(vertices)
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                point = np.zeros(3)
                point[axis], point[(axis + 1) % 3], point[(axis + 2) % 3] = sign, a * sign, b
                vertices.append(point * np.asarray(half_size))
            faces += [(corner, corner + 1, corner + 2), (corner, corner + 2, corner + 3)]
    return Mesh(np.array(vertices), np.array(faces))


def beam(start: Vector, end: Vector, half_width: float, half_depth: float) -> Mesh:
    """A straight bar, so wide square to x and so deep along x, between the middles of its ends in m, not along x."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = (end - start) / np.linalg.norm(end - start)
    wide = np.cross(along, [1.0, 0.0, 0.0])
    turn = np.column_stack([[1.0, 0.0, 0.0], wide / np.linalg.norm(wide), along])
    straight = box([half_depth, half_width, float(np.linalg.norm(end - start)) / 2])
    return Mesh(straight.vertices @ turn.T + (start + end) / 2, straight.faces)


def add_mesh(spec: mujoco.MjSpec, name: str, mesh: Mesh) -> None:
    """Add a mesh asset to a model under a name."""
    asset = spec.add_mesh(name=name)
    asset.uservert = mesh.vertices.ravel()
    asset.userface = mesh.faces.ravel()
    # The meshes are visual and have no mass; surface inertia compiles for any of them, however thin.
    asset.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL


def _oriented(vertices: NDArray[np.float64], faces: NDArray[np.intp]) -> Mesh:
    """Turn the faces over if they enclose a negative volume."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    volume = np.einsum("ij,ij->", a, np.cross(b, c))
    return Mesh(vertices, faces if volume > 0 else faces[:, ::-1])
