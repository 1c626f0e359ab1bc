"""A scripted operator, for tests, demonstrations and training: as slow, shaky and hesitant as wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gym_hil.errors import ConfigurationError
from gym_hil.teleop.device import TeleopCommand
from gym_hil.teleop.scripted.pick_place import PickPlaceGoal, PickPlacePlanner, SceneSnapshot, remaining_distance
from gym_hil.teleop.simulated_operator import SimulatedOperator

OBSERVED = ("tcp_position", "tcp_target", "gripper_command", "gripper_closed")
LIFT = 0.12  # m, how high an object is lifted that only has to be picked up
PROGRESS = 0.005  # m that count as progress


class ScriptedOperator(SimulatedOperator):
    """Takes over, picks objects and places them at their goals, and hands back when that is done.

    It observes the simulation directly: `tcp_position`, `tcp_target`, `gripper_command` and `gripper_closed` of the
    environment, and the task's goals. A task gives these by a method `pick_place_goals()`, which returns for each
    object its position and its goal (both (3,) m, of its centre) and whether to put it down there. Without that method,
    an environment with `cube_position` has its cube lifted, and one with `box_positions` and `target_positions` has its
    boxes placed on the targets.

    Args:
        env: the environment, wrapped or not.
        full_speed: m that a step at full speed moves, one number or (3,).
        **options: those of `SimulatedOperator`. Progress is an object that has come nearer to its goal.

    Raises:
        ConfigurationError: an argument has a value that cannot work, or the environment lacks what is observed.
    """

    def __init__(self, env: Any, *, full_speed: ArrayLike = 0.025, **options: Any):
        super().__init__(**options)
        self._speed = np.broadcast_to(np.asarray(full_speed, dtype=np.float64), 3).copy()
        if not (self._speed > 0).all():
            raise ConfigurationError(f"full_speed is {full_speed!r}; expected m a step, more than 0.")
        self._env = getattr(env, "unwrapped", env)
        self._planner = PickPlacePlanner()
        # The last snapshots, oldest first, and the motion in m that was commanded since the oldest of them.
        self._snapshots: deque[SceneSnapshot] = deque(maxlen=self._delay + 1)
        self._commanded: deque[np.ndarray] = deque(maxlen=self._delay)
        self.reset()

    @classmethod
    def for_env(cls, env: Any, **options: Any) -> ScriptedOperator:
        if env is not None and "full_speed" not in options and env.has_wrapper_attr("full_speed"):
            options["full_speed"] = env.get_wrapper_attr("full_speed")
        return cls(env, **options)

    def poll(self) -> TeleopCommand:
        self._snapshots.append(self._observe())
        commanded = sum(self._commanded, np.zeros(3))
        self._commanded.append(np.zeros(3))
        if len(self._snapshots) < self._snapshots.maxlen:  # type: ignore[operator]
            return TeleopCommand()
        seen = self._snapshots[0]
        self._engaged = self._engaged or self._needed(seen)
        if not self._engaged:
            return TeleopCommand()
        # A human knows which motions have followed since the last look.
        scene = seen._replace(tcp_target=seen.tcp_target + commanded)
        move = self._planner.plan(scene)
        if move is None:
            self._hand_back()
            return TeleopCommand()
        motion = np.zeros(6)
        motion[:3] = np.minimum(np.maximum((move.tcp_target - scene.tcp_target) / self._speed, -1.0), 1.0)
        if self._commanded:
            self._commanded[-1] = motion[:3] * self._speed
        if self._noise:
            motion[:3] = np.clip(motion[:3] + self._rng.normal(0.0, self._noise, 3), -1.0, 1.0)
        return TeleopCommand(motion, move.gripper, engaged=True)

    def reset(self) -> None:
        """Start an episode without driving. The random generator goes on: episodes differ, experiments repeat."""
        _check_observable(self._env)
        self._ground = float(self._env.cube_position[2]) if hasattr(self._env, "cube_position") else 0.0
        self._snapshots.clear()
        self._commanded.clear()
        self._planner.reset()
        self._hand_back()

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        return [("scripted operator", self._when())]

    def _observe(self) -> SceneSnapshot:
        env = self._env
        return SceneSnapshot(env.tcp_position, env.tcp_target, env.gripper_command, env.gripper_closed, self._goals())

    def _goals(self) -> list[PickPlaceGoal]:
        env = self._env
        if hasattr(env, "pick_place_goals"):
            return [PickPlaceGoal(*goal) for goal in env.pick_place_goals()]
        if hasattr(env, "box_positions"):
            # A target lies on the floor; the lowest box shows how high a box's centre is when it stands there.
            boxes, targets = env.box_positions, env.target_positions.copy()
            targets[:, 2] = boxes[:, 2].min()
            return [PickPlaceGoal(box, target, put_down=True) for box, target in zip(boxes, targets, strict=True)]
        cube = env.cube_position
        return [PickPlaceGoal(cube, np.array([cube[0], cube[1], self._ground + LIFT]), put_down=False)]

    def _needed(self, scene: SceneSnapshot) -> bool:
        left = remaining_distance(scene)
        return left > 0.0 and self._takes_over(left, PROGRESS)


def _check_observable(env: Any) -> None:
    for name in OBSERVED:
        if not hasattr(env, name):
            raise ConfigurationError(
                f"The scripted operator needs an environment with {name}; {type(env).__name__} has none."
            )
    known = hasattr(env, "box_positions") and hasattr(env, "target_positions")
    if not (known or hasattr(env, "pick_place_goals") or hasattr(env, "cube_position")):
        raise ConfigurationError(
            f"The scripted operator does not know the goals of {type(env).__name__}; give it a method "
            "pick_place_goals()."
        )
