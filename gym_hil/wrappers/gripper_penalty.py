"""A penalty for reversing the gripper, so that a policy does not chatter with it."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym

from gym_hil.errors import ConfigurationError, check
from gym_hil.wrappers.action_map import ActionMap, ActionMapLike, check_action_space, fit_action_map
from gym_hil.wrappers.base import record_arguments, unshare

ALMOST = 0.1  # share of the travel: a gripper less closed than this is open, one less open than this is closed
DECIDED = 0.25  # share from opening to closing: a command closer to one of them than this is meant as that


class GripperPenaltyWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Writes `discrete_penalty` into info: the penalty on a step that reverses the gripper, else 0.0.

    Such a step closes while the gripper's command is less than 10% closed, or opens while it is more than 90% closed.
    The command is `gripper_command` of the environment, from 0 open to 1 closed. Where there is none, it is the last
    action that opened or closed; an episode starts open.

    Args:
        env: an environment whose action has a number for the gripper.
        penalty: of such a step, 0 or less.
        add_to_reward: whether to add it to the reward too.
        action_map: says which number that is, and which value opens; see `fit_action_map`. None for the last number,
            whose smallest value opens.

    Raises:
        ConfigurationError: the penalty is positive or not finite, or the map has no gripper.
    """

    @record_arguments("action_map")
    def __init__(
        self,
        env: gym.Env[Any, Any],
        penalty: float = -0.05,
        add_to_reward: bool = False,
        action_map: ActionMapLike | None = None,
    ):
        super().__init__(env)
        check(-math.inf < penalty <= 0, "The gripper penalty", penalty, "a number of 0 or less")
        self._penalty, self._add_to_reward = float(penalty), add_to_reward
        action_map = unshare(action_map)
        if action_map is None:
            action_map = ActionMap({"gripper": check_action_space(env).shape[0] - 1})
        gripper = fit_action_map(action_map, env).gripper
        if gripper is None:
            raise ConfigurationError(
                f"A gripper penalty needs a gripper, but {action_map} has none: add gripper=INDEX."
            )
        self._index, self._open, closed = gripper
        self._travel = closed - self._open
        self._base: Any = env.unwrapped if hasattr(env.unwrapped, "gripper_command") else None
        self._closed = 0.0

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode; its first penalty is 0.0."""
        observation, info = self.env.reset(**kwargs)
        self._closed = 0.0
        info["discrete_penalty"] = 0.0
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step; its info has the penalty."""
        closed = self._closed if self._base is None else self._base.gripper_command
        observation, reward, terminated, truncated, info = self.env.step(action)
        closing = (float(action[self._index]) - self._open) / self._travel
        closes, opens = closing > 1 - DECIDED, closing < DECIDED
        reverses = (closes and closed < ALMOST) or (opens and closed > 1 - ALMOST)
        if closes or opens:
            self._closed = float(closes)
        penalty = self._penalty if reverses else 0.0
        info["discrete_penalty"] = penalty
        if self._add_to_reward:
            reward = float(reward) + penalty
        return observation, reward, terminated, truncated, info
