"""Rotation vectors, quaternions and rotation matrices."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray


def rotation_matrix(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation, (3, 3), of a rotation vector, (3,) rad."""
    quaternion, matrix, angle = np.empty(4), np.empty(9), float(np.linalg.norm(vector))
    mujoco.mju_axisAngle2Quat(quaternion, vector / max(angle, 1e-12), angle)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def quaternion_matrix(quaternion: ArrayLike) -> NDArray[np.float64]:
    """The rotation, (3, 3), of a quaternion, (4,), w first, of any length but 0."""
    unit, matrix = np.array(quaternion, dtype=float), np.empty(9)
    mujoco.mju_normalize4(unit)
    mujoco.mju_quat2Mat(matrix, unit)
    return matrix.reshape(3, 3)


def rotation_vector(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation vector, (3,) rad, of a rotation, (3, 3); its norm is at most pi."""
    quaternion, vector = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quaternion, matrix.flatten())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector
