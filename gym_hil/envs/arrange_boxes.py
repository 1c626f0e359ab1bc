"""Arrange five boxes: put each on the pad of its own colour."""

from __future__ import annotations

import functools
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.envs.panda_env import FrankaGymEnv
from gym_hil.errors import check
from gym_hil.scene import add_box, add_marker

COLOURS = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.1, 0.3, 0.1), (0.2, 0.66, 0.32), (0.6, 0.3, 0.6))  # rgb
BOXES = tuple(f"box{k}" for k in range(1, 6))
TARGETS = tuple(f"target{k}" for k in range(1, 6))
BOX_HALF_SIZE = 0.02  # m
BOX_X, TARGET_X = 0.3, 0.5  # m
ROWS = (-0.3, -0.15, 0.0, 0.15, 0.3)  # m, y of the pads in this order, and of the boxes in random order
TOLERANCE = 0.03  # m, in x and in y


class PandaArrangeBoxesGymEnv(FrankaGymEnv):
    """Five boxes of 4 cm stand in a row in random order; five pads of the same colours lie in a row behind.

    Success: each box is within 3 cm of its pad's centre, in x and in y. `environment_state` is the position of each
    box, in the order of `COLOURS`, flattened to (15,) m. `reset(options={"box_y": (y1, .., y5)})` chooses where the
    boxes start.
    """

    BOUNDS = ((0.2, -0.5, 0.0), (0.6, 0.5, 0.5))
    RESET_OPTIONS = ("box_y",)

    def add_objects(self, spec: mujoco.MjSpec) -> None:
        for box, target, colour, y in zip(BOXES, TARGETS, COLOURS, ROWS, strict=True):
            add_box(spec, box, (BOX_X, y, BOX_HALF_SIZE), BOX_HALF_SIZE, (*colour, 1.0))
            add_marker(spec, target, (TARGET_X, y, 0.0), (0.05, 0.05, 0.005), (*colour, 0.35))

    def reset_objects(self, options: dict[str, Any]) -> None:
        ys = _checked_row(options["box_y"]) if "box_y" in options else self.np_random.permutation(ROWS)
        for box, y in zip(BOXES, ys, strict=True):
            self.data.joint(box).qpos[1] = y

    def is_success(self) -> bool:
        pairs = zip(self.box_positions.tolist(), self.target_positions.tolist(), strict=True)
        return all(
            abs(x - goal_x) <= TOLERANCE and abs(y - goal_y) <= TOLERANCE for (x, y, _), (goal_x, goal_y, _) in pairs
        )

    def is_failure(self) -> bool:
        """True when a box has left the workspace."""
        return self._has_left(self.box_positions)

    @property
    def box_positions(self) -> NDArray[np.float64]:
        """(5, 3) m, centres of the boxes in the order of `COLOURS`."""
        return self._xpos[self._boxes]

    @property
    def target_positions(self) -> NDArray[np.float64]:
        """(5, 3) m, centres of the pads in the order of `COLOURS`."""
        return self._xpos[self._targets]

    def environment_state(self) -> NDArray[np.float64]:
        return self.box_positions.ravel()

    def pick_place_goals(self) -> list[dict[str, Any]]:
        """What the scripted operator does: grip each box along its sides and put it down on its pad."""
        goals = self.target_positions.copy()
        goals[:, 2] += [self.model.geom(f"{box}_geom").size[2] for box in BOXES]
        turns = self.data.xmat[self._boxes]
        return [
            {"object": box, "goal": goal, "put_down": True, "object_yaw": float(np.arctan2(turn[3], turn[0]))}
            for box, goal, turn in zip(self.box_positions, goals, turns, strict=True)
        ]

    def dense_reward(self) -> float:
        """Mean over the boxes of exp(-5 d), d the distance in m between a box and the edge of success; 1 on success."""
        return float(np.exp(-5 * np.maximum(self._offsets() - TOLERANCE, 0).max(axis=1)).mean())

    def _offsets(self) -> NDArray[np.float64]:
        """(5, 2) m, how far each box is off its pad in x and y."""
        return np.abs(self.box_positions - self.target_positions)[:, :2]

    @functools.cached_property
    def _xpos(self) -> NDArray[np.float64]:
        return self.data.xpos

    @functools.cached_property
    def _boxes(self) -> NDArray[np.intp]:
        return np.array([self.model.body(name).id for name in BOXES])

    @functools.cached_property
    def _targets(self) -> NDArray[np.intp]:
        return np.array([self.model.body(name).id for name in TARGETS])


def _checked_row(values: object) -> NDArray[np.float64]:
    ys = np.asarray(values, dtype=np.float64)
    fits = ys.shape == (5,) and (np.abs(ys) <= 0.45).all() and np.diff(np.sort(ys)).min() >= 3 * BOX_HALF_SIZE
    check(fits, "box_y", values, "five y in m within +-0.45, at least 0.06 m apart")
    return ys
