"""Time to get ready between two episodes."""

from __future__ import annotations

import math
import time
from typing import Any

import gymnasium as gym
from numpy.typing import ArrayLike

from gym_hil.errors import ConfigurationError


class ResetDelayWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Waits after each reset, so that an operator can put their hands on the device.

    Args:
        env: the environment.
        delay_seconds: s, how long.

    Raises:
        ConfigurationError: the delay is negative or not finite.
    """

    def __init__(self, env: gym.Env[Any, Any], delay_seconds: float = 0.0):
        gym.utils.RecordConstructorArgs.__init__(self, delay_seconds=delay_seconds)
        gym.Wrapper.__init__(self, env)
        if not (math.isfinite(delay_seconds) and delay_seconds >= 0):
            raise ConfigurationError(f"The reset delay is {delay_seconds!r}; expected seconds, 0 or more.")
        self.delay_seconds = float(delay_seconds)

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode, and wait."""
        result = self.env.reset(**kwargs)
        time.sleep(self.delay_seconds)
        return result

    def step(self, action: ArrayLike) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step, and wait if it started the next episode by itself."""
        result = self.env.step(action)
        if "final_info" in result[4]:
            time.sleep(self.delay_seconds)
        return result
