"""A scripted operator for `FetchPickAndPlace-v4` of gymnasium-robotics 1.4.2, which needs a MuJoCo before 4.0.

Train with it, from this folder:

    hil-trainer train --env gymnasium_robotics:FetchPickAndPlace-v4 --operator fetch_operator:FetchOperator \\
        --evaluation.target 0.95 --out outputs/fetch
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil import TeleopCommand
from gym_hil.teleop.simulated_operator import SimulatedOperator

GAIN = 12.0  # speed for each metre of distance, as a fraction of full speed
OPEN, CLOSE = 1.0, -1.0
NEAR = 0.02  # m, beside the block at most, before the gripper goes down
LEVEL = 0.012  # m, above or below the block at most, before the gripper closes
ABOVE = 0.08  # m over the block to come from
CLOSED_ON_BLOCK = 0.06  # m, opening of the gripper around the block at most
STEPS_TO_GRIP = 2


class FetchOperator(SimulatedOperator):
    """Picks the block and moves it to the goal, by what the environment observes.

    Args:
        env: the environment that it drives in.
        **options: those of `SimulatedOperator`.
    """

    def __init__(self, env: Any, *, motion_noise: float = 0.1, **options: Any):
        super().__init__(motion_noise=motion_noise, **options)
        self._observation: dict[str, NDArray[np.float64]] | None = None
        self._steps_held = 0

    @classmethod
    def for_env(cls, env: Any, **options: Any) -> FetchOperator:
        return cls(env, **options)

    def reset(self) -> None:
        self._steps_held = 0

    def observe(self, observation: Any, reward: float) -> None:
        self._observation = observation

    def poll(self) -> TeleopCommand:
        assert self._observation is not None
        motion, gripper = self._plan(self._observation)
        motion = motion + self._rng.normal(0.0, self._noise, 3)
        return TeleopCommand(engaged=True, action=np.clip([*motion, gripper], -1, 1).astype(np.float32))

    def _plan(self, observation: dict[str, NDArray[np.float64]]) -> tuple[NDArray[np.float64], float]:
        state = observation["observation"]
        block, opening = state[3:6], state[9] + state[10]
        to_block = block - state[:3]
        if np.linalg.norm(to_block) < 0.03 and opening < CLOSED_ON_BLOCK:
            self._steps_held += 1
            to_goal = observation["desired_goal"] - block
            return (to_goal * GAIN if self._steps_held > STEPS_TO_GRIP else np.zeros(3)), CLOSE
        self._steps_held = 0
        if np.linalg.norm(to_block[:2]) > NEAR:
            return (to_block + np.array([0, 0, ABOVE])) * GAIN, OPEN
        if abs(to_block[2]) > LEVEL:
            return to_block * GAIN, OPEN
        return to_block * 5.0, CLOSE
