"""Rotation vectors, quaternions and rotation matrices."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray


def rotation_quaternion(vector: NDArray[Any]) -> NDArray[np.float64]:
    """The unit quaternion, (4,), w first, of a rotation vector, (3,) rad."""
    quaternion, angle = np.empty(4), float(np.sqrt(vector.dot(vector)))
    mujoco.mju_axisAngle2Quat(quaternion, vector / max(angle, 1e-12), angle)
    return quaternion


def rotation_matrix(vector: NDArray[Any]) -> NDArray[np.float64]:
    """The rotation, (3, 3), of a rotation vector, (3,) rad."""
    return quaternion_matrix(rotation_quaternion(vector), is_unit=True)


def quaternion_matrix(quaternion: ArrayLike, *, is_unit: bool = False) -> NDArray[np.float64]:
    """The rotation, (3, 3), of a quaternion, (4,), w first, of length 1 or else of any length but 0."""
    unit, matrix = np.array(quaternion, dtype=float), np.empty(9)
    if not is_unit:
        mujoco.mju_normalize4(unit)
    mujoco.mju_quat2Mat(matrix, unit)
    return matrix.reshape(3, 3)


def rotation_vector(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation vector, (3,) rad, of a rotation, (3, 3); its norm is at most pi."""
    quaternion, vector = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quaternion, matrix.flatten())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector
