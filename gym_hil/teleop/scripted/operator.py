"""A scripted operator, for tests, demonstrations and training: as slow, shaky and hesitant as wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gym_hil.errors import ConfigurationError, check
from gym_hil.rotations import rotation_matrix
from gym_hil.teleop.device import TeleopCommand
from gym_hil.teleop.scripted.pick_place import PickPlaceGoal, PickPlacePlanner, SceneSnapshot, remaining_distance
from gym_hil.teleop.simulated_operator import SimulatedOperator

# Of an environment, in the order of `SceneSnapshot`.
OBSERVED = ("tcp_position", "tcp_target", "tcp_rotation", "tcp_rotation_target", "gripper_command", "gripper_closed")
PROGRESS = 0.005  # m that count as progress


class ScriptedOperator(SimulatedOperator):
    """Takes over, picks objects and places them at their goals, and hands back when that is done.

    It observes the simulation directly: the pose of the tool and its target, `gripper_command` and `gripper_closed` of
    the environment, and the task's goals. A task gives these by a method `pick_place_goals()`, which returns for each
    object the arguments of a `PickPlaceGoal`, as a tuple or by name. Where the action has a rotation, it turns
    the tool too: upright, and along the sides of an object whose yaw is known.

    Args:
        env: the environment, wrapped or not.
        full_speed: m that a step at full speed moves, one number or (3,).
        rotation_speed: rad that a step at full speed turns, about each axis; None if the tool cannot be turned.
        **options: those of `SimulatedOperator`. Progress is an object that has come nearer to its goal.

    Raises:
        ConfigurationError: an argument has a value that cannot work, or the environment lacks what is observed.
    """

    def __init__(self, env: Any, *, full_speed: ArrayLike = 0.025, rotation_speed: float | None = None, **options: Any):
        super().__init__(**options)
        self._speed = np.broadcast_to(np.asarray(full_speed, dtype=np.float64), 3).copy()
        check((self._speed > 0).all(), "full_speed", full_speed, "m a step, more than 0")
        fits = rotation_speed is None or rotation_speed > 0
        check(fits, "rotation_speed", rotation_speed, "rad a step, more than 0")
        self._rotation_speed = rotation_speed
        self._env = getattr(env, "unwrapped", env)
        self._planner = PickPlacePlanner(turns=rotation_speed is not None)
        # The last snapshots, oldest first, and the motion in m and rad that was commanded since the oldest of them.
        self._snapshots: deque[SceneSnapshot] = deque(maxlen=self._delay + 1)
        self._commanded: deque[np.ndarray] = deque(maxlen=self._delay)
        self.reset()

    @classmethod
    def for_env(cls, env: Any, **options: Any) -> ScriptedOperator:
        speeds = () if env is None else ("full_speed", "rotation_speed")
        known = {name: env.get_wrapper_attr(name) for name in speeds if env.has_wrapper_attr(name)}
        return cls(env, **{**known, **options})

    def poll(self) -> TeleopCommand:
        self._snapshots.append(self._observe())
        commanded = sum(self._commanded, np.zeros(6))
        self._commanded.append(np.zeros(6))
        if len(self._snapshots) < self._snapshots.maxlen:  # type: ignore[operator]
            return TeleopCommand()
        seen = self._snapshots[0]
        self._engaged = self._engaged or self._needed(seen)
        if not self._engaged:
            return TeleopCommand()
        # A human knows which motions have followed since the last look.
        scene = seen._replace(
            tcp_target=seen.tcp_target + commanded[:3],
            tool_target=rotation_matrix(commanded[3:]) @ seen.tool_target,
        )
        move = self._planner.plan(scene)
        if move is None:
            self._hand_back()
            return TeleopCommand()
        speed = np.append(self._speed, [self._rotation_speed or 1.0] * 3)
        motion = np.append(move.tcp_target - scene.tcp_target, move.rotation) / speed
        motion[:3] = np.clip(motion[:3], -move.speed, move.speed)
        motion[3:] *= min(1.0, move.speed / max(np.abs(motion[3:]).max(), 1e-12))  # about the same axis
        if self._commanded:
            self._commanded[-1] = motion * speed
        if self._noise:
            numbers = 3 if self._rotation_speed is None else 6
            motion[:numbers] += self._rng.normal(0.0, self._noise * move.speed, numbers)
            motion = np.clip(motion, -1.0, 1.0)
        return TeleopCommand(motion, move.gripper, engaged=True)

    def reset(self) -> None:
        """Start an episode without driving. The random generator goes on: episodes differ, experiments repeat."""
        _check_observable(self._env)
        self._snapshots.clear()
        self._commanded.clear()
        self._planner.reset()
        self._hand_back()

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        return [("scripted operator", self._when())]

    def _observe(self) -> SceneSnapshot:
        env = self._env
        goals = [
            PickPlaceGoal(**goal) if isinstance(goal, dict) else PickPlaceGoal(*goal) for goal in env.pick_place_goals()
        ]
        return SceneSnapshot._make([*(getattr(env, name) for name in OBSERVED), goals])

    def _needed(self, scene: SceneSnapshot) -> bool:
        left = remaining_distance(scene)
        return left > 0.0 and self._takes_over(left, PROGRESS)


def _check_observable(env: Any) -> None:
    kind = type(env).__name__
    for name in OBSERVED:
        if not hasattr(env, name):
            raise ConfigurationError(f"The scripted operator needs an environment with {name}; {kind} has none.")
    if not hasattr(env, "pick_place_goals"):
        raise ConfigurationError(
            f"The scripted operator does not know the goals of {kind}; give it a method pick_place_goals()."
        )
