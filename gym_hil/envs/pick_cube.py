"""Pick up a cube: grip it and lift it by 0.1 m."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.envs.panda_env import FrankaGymEnv
from gym_hil.errors import check
from gym_hil.scene import add_box

CUBE_HALF_SIZE = 0.02  # m
FIXED_START = (0.5, 0.0)  # m, x and y of the cube
RANDOM_START = ((0.3, -0.15), (0.5, 0.15))  # m, opposite corners of the rectangle it is drawn from
TABLE = ((0.25, -0.2), (0.55, 0.2))  # m, opposite corners; a cube outside of it is lost
LIFT = 0.1  # m


class PandaPickCubeGymEnv(FrankaGymEnv):
    """A violet cube of 4 cm lies on the floor; the arm starts above it with the gripper open.

    Success: both fingers grip the cube, 0.1 m above where it lay. `environment_state` is the cube's position, (3,) m.
    `reset(options={"cube_xy": (x, y)})` chooses where it starts.

    Args:
        random_block_position: draw the cube's position from `RANDOM_START` at each reset.
        **kwargs: see `FrankaGymEnv`.
    """

    HOME = (0.0, 0.195, 0.0, -2.43, 0.0, 2.62, 0.785)
    RESET_OPTIONS = ("cube_xy",)

    def __init__(self, *args: Any, random_block_position: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        gym.utils.EzPickle.__init__(self, *args, random_block_position=random_block_position, **kwargs)
        self.random_block_position = random_block_position
        self._cube = self.data.body("cube")
        self._cube_address = self.model.joint("cube").qposadr[0]
        self._cube_size = self.model.geom("cube_geom").size

    def add_objects(self, spec: mujoco.MjSpec) -> None:
        add_box(spec, "cube", (*FIXED_START, CUBE_HALF_SIZE), CUBE_HALF_SIZE, (0.6, 0.3, 0.6, 1.0))

    def reset_objects(self, options: dict[str, Any]) -> None:
        if "cube_xy" in options:
            xy = _on_table(options["cube_xy"])
        elif self.random_block_position:
            xy = self.np_random.uniform(*RANDOM_START)
        else:
            xy = np.array(FIXED_START)
        self.data.qpos[self._cube_address : self._cube_address + 2] = xy

    @functools.cached_property
    def _cube_pos(self) -> NDArray[np.float64]:
        return self.data.body("cube").xpos

    def is_success(self) -> bool:
        return bool(self._height() >= LIFT and self._is_gripped())

    def is_failure(self) -> bool:
        """True when the cube has left the table."""
        (x_min, y_min), (x_max, y_max) = TABLE
        x, y, _ = self._cube_pos.tolist()
        return not (x_min <= x <= x_max and y_min <= y <= y_max)

    @property
    def cube_position(self) -> NDArray[np.float64]:
        """(3,) m, the cube's centre."""
        return self._cube_pos.copy()

    def environment_state(self) -> NDArray[np.float64]:
        return self.cube_position

    def pick_place_goals(self) -> list[dict[str, Any]]:
        """What the scripted operator does: grip the cube along its sides and lift it."""
        x, y, _ = self.cube_position
        goal = np.array([x, y, self._cube_size[2] + LIFT + 0.02])
        yaw = float(np.arctan2(self._cube.xmat[3], self._cube.xmat[0]))
        return [{"object": self.cube_position, "goal": goal, "put_down": False, "object_yaw": yaw}]

    def dense_reward(self) -> float:
        """0.3 for the tool at the cube and 0.7 for the height, 1 on success."""
        if self.is_success():
            return 1.0
        distance = float(np.linalg.norm(self._tcp_pos - self._cube.xpos))
        return 0.3 * float(np.exp(-20 * distance)) + 0.7 * min(max(self._height() / LIFT, 0.0), 1.0)

    def _height(self) -> float:
        return self._cube_pos.item(2) - self._cube_size.item(2)

    def _is_gripped(self) -> bool:
        return self.fingers_touching("cube_geom") == {"left_finger", "right_finger"}


def _on_table(values: object) -> NDArray[np.float64]:
    xy = np.asarray(values, dtype=np.float64)
    fits = xy.shape == (2,) and ((TABLE[0] <= xy) & (xy <= TABLE[1])).all()
    check(fits, "cube_xy", values, f"x and y in m between {TABLE[0]} and {TABLE[1]}")
    return xy
