"""A check of what a foreign environment returns, before a policy learns from it or a dataset keeps it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

import gymnasium as gym
import numpy as np

from gym_hil.errors import GymHilError, InvalidStepError
from gym_hil.imports import describe_error
from gym_hil.wrappers.base import record_arguments

_STEP = ("observation", "reward", "terminated", "truncated", "info")


class CheckStepWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Refuses observations and rewards that are not finite numbers, and says where an exception comes from."""

    @record_arguments()
    def __init__(self, env: gym.Env[Any, Any]):
        super().__init__(env)

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode; an InvalidStepError if the observation is not finite, or the environment raised."""
        observation, info = self._call("reset", ("observation", "info"), self.env.reset, **kwargs)
        self._check(observation, "reset")
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step, whose reward is a float; an InvalidStepError if it or the observation is not finite."""
        observation, reward, terminated, truncated, info = self._call("step", _STEP, self.env.step, action)
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

    def _call(
        self, name: str, expected: tuple[str, ...], function: Callable[..., Any], *arguments: Any, **options: Any
    ) -> Any:
        try:
            returned = function(*arguments, **options)
        except GymHilError:
            raise
        except Exception as error:  # any, from a user's environment
            raise InvalidStepError(f"{self.unwrapped} has failed in {name}: {describe_error(error)}.") from error
        values = returned if isinstance(returned, tuple) else (returned,)
        if len(values) != len(expected) or not isinstance(values[-1], dict):
            types = ", ".join(type(value).__name__ for value in values)
            raise InvalidStepError(
                f"{self.unwrapped} returned ({types}) from {name}; expected ({', '.join(expected)}) with a dict as "
                "info, as in Gymnasium. Correct it in the environment, or put a gymnasium.Wrapper around it."
            )
        return returned

    def _check(self, value: Any, call: str, name: str = "") -> None:
        if isinstance(value, Mapping):
            for key, part in value.items():
                self._check(part, call, f"{name}.{key}" if name else str(key))
            return
        if isinstance(value, tuple):
            for index, part in enumerate(value):
                self._check(part, call, f"{name}[{index}]")
            return
        try:
            array = np.asarray(value)
        except ValueError:  # rows of different lengths
            self._refuse("no array", value, call, name)
        if array.dtype == object:
            with suppress(TypeError, ValueError):  # what is no number has a space of its own
                array = array.astype(np.float64)  # None becomes nan
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            self._refuse("not finite", value, call, name)

    def _refuse(self, problem: str, value: Any, call: str, name: str) -> NoReturn:
        what = f"the observation {name!r}" if name else "an observation"
        raise InvalidStepError(
            f"{self.unwrapped} returned {what} that is {problem} from {call}: {value}. Correct it in the environment, "
            "or put a gymnasium.ObservationWrapper around it."
        )
