"""Insert a peg: put a square peg at least 20 mm deep into a square socket."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.envs.panda_env import FrankaGymEnv
from gym_hil.errors import ConfigurationError, check
from gym_hil.robot.controller import POSITION_ACTUATORS, ROTATION_ACTUATORS

PEG_HALF_SIZE = (0.01, 0.01, 0.03)  # m
PEG_MASS = 0.05  # kg
SOCKET_DEPTH = 0.025  # m, and height of its walls
WALL = 0.024  # m, their thickness
WALL_SOFTNESS = 0.05  # s, time constant of contacts: a finger that is driven against the fixed walls presses less hard
# Of the controller along and about each axis, lower than where nothing is fixed to the table: a tilted hand that wedges
# itself against the socket presses with the torque over a short lever.
FORCE_LIMIT, TORQUE_LIMIT = 60.0, 8.0  # N, N m
INSERTED = 0.02  # m, depth that counts as inserted
GRIP_HEIGHT = 0.016  # m above the peg's centre, where the fingers reach it with the socket's walls below them
PEG_START = ((0.35, -0.15), (0.45, -0.06))  # m, opposite corners of the rectangle of its x and y
SOCKET_START = ((0.35, 0.06), (0.45, 0.15))  # m, likewise
YAW = math.pi / 4  # rad, largest yaw of either to both sides; a square looks the same every quarter of a turn
UPRIGHT = 0.95  # cosine of the tilt, up to which a peg counts as standing


class PandaInsertPegGymEnv(FrankaGymEnv):
    """A square peg (20 x 20 x 60 mm, 50 g) stands on the floor, a square socket of 25 mm depth is fixed to it.

    Success: the peg stands in the socket, at least 20 mm deep. `environment_state`, (14,), is the position (3,) m and
    the orientation (4,), a quaternion, of the peg and then of the socket. With an `estimate_error`, the socket is
    observed where a calibrated camera might see it: off by an error that is drawn at each reset, so that the hole has
    to be felt for.

    `reset(options=...)` takes `peg_pose` and `socket_pose`, each (x, y, yaw) in m and rad.

    Args:
        clearance: m, between the peg and each wall of the socket.
        estimate_error: m and rad, the largest error of the observed socket's position and yaw.
        **kwargs: see `FrankaGymEnv`.
    """

    HOME = (0.0, 0.195, 0.0, -2.43, 0.0, 2.62, 0.785)
    RESET_OPTIONS = ("peg_pose", "socket_pose")
    SCALED_TOGETHER = ("peg", "socket")

    def __init__(
        self, *args: Any, clearance: float = 0.001, estimate_error: tuple[float, float] = (0.0, 0.0), **kwargs: Any
    ):
        check(0 < clearance < 0.02, "clearance", clearance, "m between 0 and 0.02")
        fits = len(estimate_error) == 2 and np.isfinite(estimate_error).all() and min(estimate_error) >= 0
        check(fits, "estimate_error", estimate_error, "m and rad, 0 or more")
        self._clearance, self._estimate_error = float(clearance), tuple(map(float, estimate_error))
        super().__init__(*args, **kwargs)
        gym.utils.EzPickle.__init__(self, *args, clearance=clearance, estimate_error=estimate_error, **kwargs)

    def add_objects(self, spec: mujoco.MjSpec) -> None:
        """Add the peg, the socket of four walls, and the place where the socket is observed; limit the controller."""
        for names, limit in ((POSITION_ACTUATORS, FORCE_LIMIT), (ROTATION_ACTUATORS, TORQUE_LIMIT)):
            for name in names:
                spec.actuator(name).forcerange = (-limit, limit)
        peg = spec.worldbody.add_body(name="peg", pos=(0.4, -0.1, PEG_HALF_SIZE[2]))
        peg.add_freejoint(name="peg")
        geom = peg.add_geom(name="peg_geom", type=mujoco.mjtGeom.mjGEOM_BOX, size=PEG_HALF_SIZE)
        geom.mass, geom.rgba, geom.friction = PEG_MASS, (0.9, 0.5, 0.1, 1.0), (1.0, 0.01, 0.001)
        socket = spec.worldbody.add_body(name="socket", pos=(0.4, 0.1, 0.0), mocap=True)
        inner, half = PEG_HALF_SIZE[0] + self._clearance, WALL / 2
        for x, y, size_x, size_y in (
            (inner + half, 0, half, inner + WALL),
            (-inner - half, 0, half, inner + WALL),
            (0, inner + half, inner, half),
            (0, -inner - half, inner, half),
        ):
            size = (size_x, size_y, SOCKET_DEPTH / 2)
            wall = socket.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=size, pos=(x, y, SOCKET_DEPTH / 2))
            wall.rgba = (0.8, 0.78, 0.7, 1.0)
            wall.priority, wall.solref = 2, (WALL_SOFTNESS, 1.0)
        spec.worldbody.add_body(name="socket_estimate", pos=(0.4, 0.1, 0.0), mocap=True)

    def reset_objects(self, options: dict[str, Any]) -> None:
        """Put peg and socket where the options say, else at random, and draw the error of the socket's estimate."""
        peg, socket = (
            _pose(name, options[name]) if name in options else self.np_random.uniform((*low, -YAW), (*high, YAW))
            for name, (low, high) in (("peg_pose", PEG_START), ("socket_pose", SOCKET_START))
        )
        if np.linalg.norm(peg[:2] - socket[:2]) < 0.08:
            raise ConfigurationError(f"peg_pose {peg} and socket_pose {socket} are less than 0.08 m apart.")
        qpos = self.data.joint("peg").qpos
        qpos[:2], qpos[3:] = peg[:2], _turn(peg[2])
        distance, yaw = self._estimate_error
        angle = self.np_random.uniform(0, 2 * math.pi)
        off = self.np_random.uniform(0, distance) * np.array([math.cos(angle), math.sin(angle)])
        estimate = socket + np.array([*off, self.np_random.uniform(-yaw, yaw)])
        for name, pose in (("socket", socket), ("socket_estimate", estimate)):
            mocap = self.model.body(name).mocapid[0]
            self.data.mocap_pos[mocap, :2], self.data.mocap_quat[mocap] = pose[:2], _turn(pose[2])

    @functools.cached_property
    def _peg(self) -> _Pose:
        return _Pose.of(self.data.body("peg"))

    @functools.cached_property
    def _socket(self) -> _Pose:
        return _Pose.of(self.data.body("socket"))

    @functools.cached_property
    def _estimate(self) -> _Pose:
        return _Pose.of(self.data.body("socket_estimate"))

    def is_success(self) -> bool:
        """True when the peg stands in the socket, at least 20 mm deep."""
        return self._depth() >= INSERTED

    def is_failure(self) -> bool:
        """True when the peg has left the workspace."""
        return self._has_left(self._peg.xpos[None])

    def environment_state(self) -> NDArray[np.float64]:
        """Position (m) and orientation of the peg, then of the socket as it is observed, (14,)."""
        peg, socket = self._peg, self._estimate
        return np.concatenate([peg.xpos, _positive(peg.xquat), socket.xpos, _positive(socket.xquat)])

    def dense_reward(self) -> float:
        """0.2 for the tool at the peg, 0.3 for the peg's place, 0.2 for its yaw, 0.3 for its depth; 1 on success."""
        depth = self._depth()
        if depth >= INSERTED:
            return 1.0
        peg, socket = self._peg, self._socket
        reach = float(np.linalg.norm(self._tcp_pos - peg.xpos))
        beside = float(np.linalg.norm(peg.xpos[:2] - socket.xpos[:2]))
        turn = 4 * (_yaw(peg.xmat) - _yaw(socket.xmat))
        aligned = (1 + math.cos(turn)) / 2
        return 0.2 * math.exp(-20 * reach) + (0.3 + 0.2 * aligned) * math.exp(-20 * beside) + 0.3 * depth / INSERTED

    def pick_place_goals(self) -> list[dict[str, Any]]:
        """What the scripted operator does: the peg goes into the socket, which it sees where it is."""
        peg, socket = self._peg, self._socket
        return [
            {
                "object": peg.xpos.copy(),
                "goal": socket.xpos + np.array([0.0, 0.0, PEG_HALF_SIZE[2]]),
                "put_down": True,
                "object_yaw": _yaw(peg.xmat),
                "goal_yaw": _yaw(socket.xmat),
                "grip_height": GRIP_HEIGHT,
                "socket_depth": SOCKET_DEPTH,
            }
        ]

    def _depth(self) -> float:
        """How deep the peg is in the socket, in m; 0 where it is beside it, leans too much, or stands on its walls."""
        # plain numbers: several times faster than numpy's
        _, _, lean_x, _, _, lean_y, _, _, upright = self._peg.xmat.tolist()
        if abs(upright) < UPRIGHT:
            return 0.0
        half = math.copysign(PEG_HALF_SIZE[2], upright)
        (x, y, z), (socket_x, socket_y, socket_z) = self._peg.xpos.tolist(), self._socket.xpos.tolist()
        bottom = z - half * upright
        if bottom >= SOCKET_DEPTH:
            return 0.0
        off_x, off_y, off_z = x - half * lean_x - socket_x, y - half * lean_y - socket_y, bottom - socket_z
        m = self._socket.xmat.tolist()
        beside = max(abs(m[0] * off_x + m[3] * off_y + m[6] * off_z), abs(m[1] * off_x + m[4] * off_y + m[7] * off_z))
        if beside > 2 * self._clearance + 0.001:  # contacts give way a little
            return 0.0
        return SOCKET_DEPTH - bottom


class _Pose(NamedTuple):
    """The pose of a body, in arrays that follow the simulation."""

    xpos: NDArray[np.float64]  # (3,) m
    xquat: NDArray[np.float64]  # (4,)
    xmat: NDArray[np.float64]  # (9,)

    @classmethod
    def of(cls, body: Any) -> _Pose:
        return cls(body.xpos, body.xquat, body.xmat)


def _pose(name: str, values: object) -> NDArray[np.float64]:
    pose = np.asarray(values, dtype=np.float64)
    low, high = np.array(FrankaGymEnv.BOUNDS)[:, :2] + np.array([[0.05], [-0.05]])
    fits = pose.shape == (3,) and np.isfinite(pose).all() and ((low <= pose[:2]) & (pose[:2] <= high)).all()
    check(fits, name, values, f"x and y in m between {low.tolist()} and {high.tolist()}, and a yaw in rad")
    return pose


def _turn(yaw: float) -> NDArray[np.float64]:
    """The quaternion of a turn about the vertical."""
    return np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)])


def _yaw(xmat: NDArray[np.float64]) -> float:
    """The yaw of a body's rotation matrix, (9,), in rad."""
    return math.atan2(xmat[3], xmat[0])


def _positive(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the two quaternions of an orientation the one with a positive first number."""
    return quaternion if quaternion[0] >= 0 else -quaternion
