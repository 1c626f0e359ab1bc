"""A policy that plays the operator."""

from __future__ import annotations

import copy
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil.policies.loading import Policy, load_policy
from gym_hil.teleop.device import TeleopCommand
from gym_hil.teleop.operator import is_limit
from gym_hil.teleop.simulated_operator import SimulatedOperator


class PolicyOperator(SimulatedOperator):
    """Takes over from the policy that acts, and drives by another policy until the episode ends.

    Progress is a reward that is higher than any before, or what the function `progress` says. Where neither changes,
    "no_progress" takes over after `patience` steps.

    Args:
        env: the environment that it drives in.
        policy: what `gym_hil.load_policy` takes: a folder or file, `module:function`, or a function of the observation.
        progress: observation -> a number that rises as the task gets done; None for the reward.
        **options: those of `SimulatedOperator`. Full speed is half the range of a number of the action, 1 where it has
            no limits; the gripper has no tremor.

    Raises:
        ConfigurationError: an argument has a value that cannot work.
        PolicyError: there is no policy, or it does not fit the environment.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        *,
        policy: str | os.PathLike[str] | Policy,
        progress: Callable[[Any], float] | None = None,
        **options: Any,
    ):
        super().__init__(**options)
        self._policy = load_policy(policy, env)
        self._progress = progress
        space: Any = env.action_space
        is_bounded = is_limit(space.low) & is_limit(space.high)
        self._tremor = self._noise * np.where(is_bounded, (space.high - space.low) / 2, 1.0)
        gripper = env.get_wrapper_attr("gripper_index") if env.has_wrapper_attr("gripper_index") else None
        if gripper is not None:
            self._tremor[gripper] = 0.0
        self._seen: deque[tuple[Any, float]] = deque(maxlen=self._delay + 1)  # observation, and what is left to do

    @classmethod
    def for_env(cls, env: Any, **options: Any) -> PolicyOperator:
        return cls(env, **options)

    def observe(self, observation: Any, reward: float) -> None:
        left = -reward if self._progress is None else -float(self._progress(observation))
        self._seen.append((copy.deepcopy(observation) if self._delay else observation, left))

    def poll(self) -> TeleopCommand:
        if len(self._seen) < self._delay + 1:
            return TeleopCommand()
        observation, left = self._seen[0]
        if not self._engaged:
            if not self._takes_over(left, 0.0):
                return TeleopCommand()
            self._engaged = True
            self._policy.reset()
        action: NDArray[Any] = self._policy(observation)
        if self._noise:
            action = action + self._rng.normal(0.0, 1.0, action.shape) * self._tremor
        return TeleopCommand(engaged=True, action=action)

    def reset(self) -> None:
        """Start an episode without driving. The random generator goes on: episodes differ, experiments repeat."""
        self._seen.clear()
        self._policy.reset()
        self._hand_back()

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        return [(f"policy {self._policy.source}", self._when())]
