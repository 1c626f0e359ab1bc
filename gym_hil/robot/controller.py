"""The end-effector controller: six native MuJoCo actuators that pull the tool centre point to a pose.

Nothing here runs during a step. The actuators are part of the model, so the exported MJCF moves the same way in any
MuJoCo engine, and an environment only writes six numbers into `data.ctrl`.
"""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import ArrayLike

POSITION_ACTUATORS = ("tcp_x", "tcp_y", "tcp_z")
ROTATION_ACTUATORS = ("tcp_rx", "tcp_ry", "tcp_rz")
TOOL_DOWN = (0.0, 1.0, 0.0, 0.0)  # quaternion of a tool that points straight down; rotation commands start from here
ROTATION_LIMIT = 2.6  # rad, of the rotation command's length; short of pi, where a rotation vector is ambiguous

POSITION_STIFFNESS = 1500.0  # N/m
POSITION_DAMPING = 160.0  # N s/m
ROTATION_STIFFNESS = 60.0  # N m/rad
ROTATION_DAMPING = 6.0  # N m s/rad
POSTURE_STIFFNESS = 0.5  # N m/rad, of the joint springs that keep the elbow where it started
FORCE_LIMIT = 100.0  # N along each axis, so that leaning on the table stays under 120 N
TORQUE_LIMIT = 20.0  # N m about each axis


def add_controller(spec: mujoco.MjSpec, site: str, bounds: ArrayLike) -> None:
    """Add the six actuators that drive a site; `bounds` (2, 3) m are the range of the position commands.

    `tcp_x`, `tcp_y`, `tcp_z` take a position in metres in the base frame; `tcp_rx`, `tcp_ry`, `tcp_rz` a rotation
    vector in radians, from a tool that points straight down, in that tool's axes.
    """
    spec.worldbody.add_site(name="base", group=4)
    spec.worldbody.add_site(name="tool_down", quat=TOOL_DOWN, group=4)
    low, high = np.asarray(bounds, float)
    for axis, name in enumerate(POSITION_ACTUATORS):
        actuator = _servo(spec, name, site, "base", POSITION_STIFFNESS, POSITION_DAMPING, FORCE_LIMIT)
        actuator.gear[axis] = 1
        actuator.ctrlrange = (low[axis], high[axis])
    for axis, name in enumerate(ROTATION_ACTUATORS):
        actuator = _servo(spec, name, site, "tool_down", ROTATION_STIFFNESS, ROTATION_DAMPING, TORQUE_LIMIT)
        actuator.gear[3 + axis] = 1
        actuator.ctrlrange = (-ROTATION_LIMIT, ROTATION_LIMIT)


def _servo(
    spec: mujoco.MjSpec, name: str, site: str, reference: str, stiffness: float, damping: float, limit: float
) -> mujoco.MjsActuator:
    actuator = spec.add_actuator(name=name, trntype=mujoco.mjtTrn.mjTRN_SITE, target=site, refsite=reference)
    actuator.gaintype, actuator.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
    actuator.gainprm[0] = stiffness
    actuator.biasprm[1:3] = (-stiffness, -damping)
    actuator.gear = [0.0] * 6
    actuator.ctrllimited = True
    actuator.forcelimited, actuator.forcerange = True, (-limit, limit)
    return actuator
