"""A small price for telling the gripper to change over, so that a policy does not chatter with it."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym

from gym_hil.errors import ConfigurationError

ALMOST = 0.1  # share of the travel: less closed than this is open, less open than this is closed
DECIDED = 0.5  # share of the travel that a step has to command in order to count as opening or closing


class GripperPenaltyWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Writes `discrete_penalty` into info: the penalty on a step that tells the gripper to change over, else 0.0.

    Such a step closes while the gripper's command is less than 10% closed, or opens while it is more than 90% closed.

    Args:
        env: an environment whose last action number changes the gripper (+1 closes), and whose observation `agent_pos`
            tells the gripper's command at index 14, from 0 open to 255 closed.
        penalty: what such a step costs, 0 or less.
        add_to_reward: whether the reward carries the penalty too.

    Raises:
        ConfigurationError: the penalty is positive or not finite.
    """

    def __init__(self, env: gym.Env[Any, Any], penalty: float = -0.05, add_to_reward: bool = False):
        gym.utils.RecordConstructorArgs.__init__(self, penalty=penalty, add_to_reward=add_to_reward)
        gym.Wrapper.__init__(self, env)
        if not (math.isfinite(penalty) and penalty <= 0):
            raise ConfigurationError(f"The gripper penalty is {penalty!r}; expected a number of 0 or less.")
        self._penalty, self._add_to_reward = float(penalty), add_to_reward
        # An environment that tells its command is asked: an observation is out of date after `set_state`.
        self._asks_env = hasattr(env.unwrapped, "gripper_command")
        self._closed = 0.0

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode; its first info carries no penalty."""
        observation, info = self.env.reset(**kwargs)
        self._remember(observation)
        info["discrete_penalty"] = 0.0
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step and say what it cost."""
        closed = self.env.unwrapped.gripper_command if self._asks_env else self._closed  # type: ignore[attr-defined]
        observation, reward, terminated, truncated, info = self.env.step(action)
        change = float(action[-1])
        changes_over = (change > DECIDED and closed < ALMOST) or (change < -DECIDED and closed > 1 - ALMOST)
        penalty = self._penalty if changes_over else 0.0
        info["discrete_penalty"] = penalty
        if self._add_to_reward:
            reward = float(reward) + penalty
        self._remember(observation)
        return observation, reward, terminated, truncated, info

    def _remember(self, observation: Any) -> None:
        if not self._asks_env:
            self._closed = float(observation["agent_pos"][14]) / 255
