"""A check of what a foreign environment returns, before a policy learns from it or a dataset keeps it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from gym_hil.errors import GymHilError, InvalidStepError
from gym_hil.imports import describe_error


class CheckStepWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Refuses observations and rewards that are not finite numbers, and says where an exception comes from.

    Args:
        env: any environment.
    """

    def __init__(self, env: gym.Env[Any, Any]):
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Raises:
            InvalidStepError: the observation is not finite, or the environment raised.
        """
        observation, info = self._call("reset", self.env.reset, **kwargs)
        self._check(observation, "reset")
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step; its reward is a float.

        Raises:
            InvalidStepError: the observation or the reward is not finite, or the environment raised.
        """
        observation, reward, terminated, truncated, info = self._call("step", self.env.step, action)
        self._check(observation, "step")
        try:
            number = float(reward)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise InvalidStepError(
                f"{self.unwrapped} returned the reward {reward!r} from step; expected a finite number. Correct it in "
                "the environment, or put a gymnasium.RewardWrapper around it."
            )
        return observation, number, bool(terminated), bool(truncated), info

    def _call(self, name: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except GymHilError:
            raise
        except Exception as error:  # any, from a user's environment
            raise InvalidStepError(f"{self.unwrapped} has failed in {name}: {describe_error(error)}.") from error

    def _check(self, value: Any, call: str, name: str = "") -> None:
        if isinstance(value, Mapping):
            for key, part in value.items():
                self._check(part, call, f"{name}.{key}" if name else str(key))
            return
        array = np.asarray(value)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            what = f"the observation {name!r}" if name else "an observation"
            raise InvalidStepError(
                f"{self.unwrapped} returned {what} that is not finite from {call}: {array}. Correct it in the "
                "environment, or put a gymnasium.ObservationWrapper around it."
            )
