"""A scripted operator, for tests, demonstrations and training: as slow, shaky and hesitant as wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from gym_hil.errors import ConfigurationError
from gym_hil.teleop.device import Device, TeleopCommand
from gym_hil.teleop.scripted.pick_place import PickPlaceGoal, PickPlacePlanner, SceneSnapshot, remaining_distance

TAKEOVERS = ("always", "no_progress", "probability")
OBSERVED = ("tcp_position", "tcp_target", "gripper_command", "gripper_closed")
LIFT = 0.12  # m, how high an object is lifted that only has to be picked up
PROGRESS = 0.005  # m that count as progress


class ScriptedOperator(Device):
    """Takes over, picks objects and places them at their goals, and hands back when that is done.

    It observes the simulation directly: `tcp_position`, `tcp_target`, `gripper_command` and `gripper_closed` of the
    environment, and the task's goals. A task gives these by a method `pick_place_goals()`, which returns for each
    object its position and its goal (both (3,) m, of its centre) and whether to put it down there. Without that method,
    an environment with `cube_position` has its cube lifted, and one with `box_positions` and `target_positions` has its
    boxes placed on the targets.

    It has a random generator of its own, so that the same seed gives the same operator; `env.reset(seed=...)` restarts
    it.

    Args:
        env: the environment, wrapped or not.
        reaction_delay: steps between seeing and acting, and so also by which taking over comes late.
        motion_noise: standard deviation of the tremor, as a fraction of full speed.
        takeover: "always": from the first step. "no_progress": when the policy has brought no object nearer to its goal
            for `patience` steps. "probability": on each step with `probability`.
        patience: steps.
        probability: in [0, 1].
        full_speed: m that a step at full speed moves, one number or (3,).
        seed: of the random generator.

    Raises:
        ConfigurationError: an argument has a value that cannot work, or the environment lacks what is observed.
    """

    human = False

    def __init__(
        self,
        env: Any,
        *,
        reaction_delay: int = 0,
        motion_noise: float = 0.0,
        takeover: Literal["always", "no_progress", "probability"] = "always",
        patience: int = 10,
        probability: float = 0.05,
        full_speed: ArrayLike = 0.025,
        seed: int | None = None,
    ):
        if takeover not in TAKEOVERS:
            raise ConfigurationError(f"takeover is {takeover!r}; expected one of {', '.join(map(repr, TAKEOVERS))}.")
        if reaction_delay != int(reaction_delay) or reaction_delay < 0:
            raise ConfigurationError(f"reaction_delay is {reaction_delay!r}; expected a number of steps, 0 or more.")
        if patience != int(patience) or patience < 1:
            raise ConfigurationError(f"patience is {patience!r}; expected a number of steps, 1 or more.")
        if not 0 <= motion_noise < np.inf:
            raise ConfigurationError(f"motion_noise is {motion_noise!r}; expected a fraction of full speed, 0 or more.")
        if not 0 <= probability <= 1:
            raise ConfigurationError(f"probability is {probability!r}; expected a number in [0, 1].")
        self._speed = np.broadcast_to(np.asarray(full_speed, dtype=np.float64), 3).copy()
        if not (self._speed > 0).all():
            raise ConfigurationError(f"full_speed is {full_speed!r}; expected m a step, more than 0.")
        self._env = getattr(env, "unwrapped", env)
        self._noise, self._takeover = motion_noise, takeover
        self._patience, self._probability = patience, probability
        self._seed = 0 if seed is None else seed
        self._rng = np.random.default_rng(seed)
        self._planner = PickPlacePlanner()
        # The last snapshots, oldest first, and the motion in m that was commanded since the oldest of them.
        self._snapshots: deque[SceneSnapshot] = deque(maxlen=int(reaction_delay) + 1)
        self._commanded: deque[np.ndarray] = deque(maxlen=int(reaction_delay))
        self._engaged = False
        self._least_left, self._steps_waited = float(np.inf), 0  # m, and steps since then
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
        self._engaged = self._engaged or self._takes_over(seen)
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

    def seed(self, seed: int) -> None:
        self._rng = np.random.default_rng([self._seed, seed])

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        when = {
            "always": "takes over at once",
            "no_progress": f"takes over after {self._patience} steps without progress",
            "probability": f"takes over on each step with probability {self._probability:g}",
        }
        return [("scripted operator", when[self._takeover])]

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

    def _takes_over(self, scene: SceneSnapshot) -> bool:
        left = remaining_distance(scene)
        if left == 0.0:
            return False
        if self._takeover == "always":
            return True
        if self._takeover == "probability":
            return bool(self._rng.random() < self._probability)
        if left < self._least_left - PROGRESS:
            self._least_left, self._steps_waited = left, 0
            return False
        self._steps_waited += 1
        return self._steps_waited >= self._patience

    def _hand_back(self) -> None:
        self._engaged = False
        self._least_left, self._steps_waited = np.inf, 0


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
