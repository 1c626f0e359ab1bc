"""A penalty for reversing the gripper, so that a policy does not chatter with it."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym

from gym_hil.errors import ConfigurationError

ALMOST = 0.1  # share of the travel: a gripper less closed than this is open, one less open than this is closed
DECIDED = 0.5  # share of the travel: a step that commands more than this opens or closes


class GripperPenaltyWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Writes `discrete_penalty` into info: the penalty on a step that reverses the gripper, else 0.0.

    Such a step closes while the gripper's command is less than 10% closed, or opens while it is more than 90% closed.

    Args:
        env: an environment whose last action number changes the gripper (+1 closes), and whose observation `agent_pos`
            has the gripper's command at index 14, from 0 open to 255 closed.
        penalty: of such a step, 0 or less.
        add_to_reward: whether to add it to the reward too.

    Raises:
        ConfigurationError: the penalty is positive or not finite.
    """

    def __init__(self, env: gym.Env[Any, Any], penalty: float = -0.05, add_to_reward: bool = False):
        gym.utils.RecordConstructorArgs.__init__(self, penalty=penalty, add_to_reward=add_to_reward)
        gym.Wrapper.__init__(self, env)
        if not (math.isfinite(penalty) and penalty <= 0):
            raise ConfigurationError(f"The gripper penalty is {penalty!r}; expected a number of 0 or less.")
        self._penalty, self._add_to_reward = float(penalty), add_to_reward
        # An environment that has its command is asked: an observation is out of date after `set_state`.
        self._base: Any = env.unwrapped if hasattr(env.unwrapped, "gripper_command") else None
        self._closed = 0.0

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode; its first penalty is 0.0."""
        observation, info = self.env.reset(**kwargs)
        self._remember(observation)
        info["discrete_penalty"] = 0.0
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step; its info has the penalty."""
        closed = self._closed if self._base is None else self._base.gripper_command
        observation, reward, terminated, truncated, info = self.env.step(action)
        change = float(action[-1])
        reverses = (change > DECIDED and closed < ALMOST) or (change < -DECIDED and closed > 1 - ALMOST)
        penalty = self._penalty if reverses else 0.0
        info["discrete_penalty"] = penalty
        if self._add_to_reward:
            reward = float(reward) + penalty
        self._remember(observation)
        return observation, reward, terminated, truncated, info

    def _remember(self, observation: Any) -> None:
        if self._base is None:
            self._closed = float(observation["agent_pos"][14]) / 255
