"""Triangles of MuJoCo's primitive shapes. Each function returns vertices (n, 3) in m and faces (m, 3), outward."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vertices = NDArray[np.float64]
Faces = NDArray[np.int32]

SLICES = 24  # around the axis; 15 degrees a step is smooth at the sizes a camera of this package draws
STACKS = 12  # pole to pole
FAR = 50.0  # m, half size drawn for an infinite plane that is not the floor


def box(size: NDArray[np.float64]) -> tuple[Vertices, Faces]:
    """Box with half sizes `size` (3,)."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float) * size
    sides = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return corners, np.concatenate([sides[:, [0, 1, 2]], sides[:, [0, 2, 3]]]).astype(np.int32)


def lathe(profile: list[tuple[float, float]]) -> tuple[Vertices, Faces]:
    """Surface of revolution about z.

    Args:
        profile: (radius, height) pairs in m from bottom to top; first and last radius are 0.
    """
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


def ellipsoid(size: NDArray[np.float64]) -> tuple[Vertices, Faces]:
    """Ellipsoid with half axes `size` (3,)."""
    polar = np.linspace(-np.pi / 2, np.pi / 2, STACKS + 1)
    profile = [(float(np.cos(a)), float(np.sin(a))) for a in polar]
    vertices, faces = lathe(profile)
    return vertices * size, faces


def sphere(size: NDArray[np.float64]) -> tuple[Vertices, Faces]:
    """Sphere of radius size[0]."""
    return ellipsoid(np.repeat(size[:1], 3))


def cylinder(size: NDArray[np.float64]) -> tuple[Vertices, Faces]:
    """Cylinder about z of radius size[0] and half length size[1]."""
    radius, half = float(size[0]), float(size[1])
    return lathe([(0.0, -half), (radius, -half), (radius, half), (0.0, half)])


def capsule(size: NDArray[np.float64]) -> tuple[Vertices, Faces]:
    """Capsule about z of radius size[0]; size[1] is half the length of its cylinder."""
    radius, half = float(size[0]), float(size[1])
    polar = np.linspace(0, np.pi / 2, STACKS // 2 + 1)
    upper = [(radius * float(np.cos(a)), half + radius * float(np.sin(a))) for a in polar]
    return lathe([(r, -h) for r, h in reversed(upper)] + upper)


def plane(size: NDArray[np.float64]) -> tuple[Vertices, Faces]:
    """Rectangle in x, y facing z; half sizes size[:2], where 0 stands for no end."""
    x, y = (float(s) if s > 0 else FAR for s in size[:2])
    corners = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]])
    return corners, np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
