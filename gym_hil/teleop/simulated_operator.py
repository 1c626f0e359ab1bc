"""What operators that are programs have in common: as slow, shaky and hesitant as wanted."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gym_hil.errors import check, check_choice
from gym_hil.teleop.device import Device

TAKEOVERS = ("always", "no_progress", "probability")


class SimulatedOperator(Device):
    """Takes over in one of three ways.

    It has a random generator of its own, so that the same seed gives the same operator; `env.reset(seed=...)` restarts
    it.

    Args:
        reaction_delay: steps between seeing and acting, and so also by which taking over comes late.
        motion_noise: standard deviation of the tremor, as a fraction of full speed.
        takeover: "always": from the first step. "no_progress": when the policy has made no progress for `patience`
            steps. "probability": on each step with `probability`.
        patience: steps.
        probability: in [0, 1].
        seed: of the random generator.

    Raises:
        ConfigurationError: an argument has a value that cannot work.
    """

    human = False

    def __init__(
        self,
        *,
        reaction_delay: int = 0,
        motion_noise: float = 0.0,
        takeover: Literal["always", "no_progress", "probability"] = "always",
        patience: int = 10,
        probability: float = 0.05,
        seed: int | None = None,
    ):
        check_choice("takeover", takeover, TAKEOVERS)
        for name, steps, minimum in (("reaction_delay", reaction_delay, 0), ("patience", patience, 1)):
            check(steps == int(steps) >= minimum, name, steps, f"a number of steps, {minimum} or more")
        check(0 <= motion_noise < np.inf, "motion_noise", motion_noise, "a fraction of full speed, 0 or more")
        check(0 <= probability <= 1, "probability", probability, "a number in [0, 1]")
        self._delay, self._noise = int(reaction_delay), motion_noise
        self._takeover, self._patience, self._probability = takeover, patience, probability
        self._seed = 0 if seed is None else seed
        self._rng = np.random.default_rng(seed)
        self._engaged = False
        self._minimum_left, self._steps_waited = float(np.inf), 0  # of what is left to do, and steps since

    def seed(self, seed: int) -> None:
        self._rng = np.random.default_rng([self._seed, seed])

    def _takes_over(self, left: float, progress: float) -> bool:
        """Whether to take over on a step.

        Args:
            left: how much is left to do.
            progress: how far below the previous minimum it must be to count as progress.
        """
        if self._takeover == "always":
            return True
        if self._takeover == "probability":
            return bool(self._rng.random() < self._probability)
        if left < self._minimum_left - progress:
            self._minimum_left, self._steps_waited = left, 0
            return False
        self._steps_waited += 1
        return self._steps_waited >= self._patience

    def _hand_back(self) -> None:
        self._engaged = False
        self._minimum_left, self._steps_waited = float(np.inf), 0

    def _when(self) -> str:
        """When it takes over, in words."""
        return {
            "always": "takes over at once",
            "no_progress": f"takes over after {self._patience} steps without progress",
            "probability": f"takes over on each step with probability {self._probability:g}",
        }[self._takeover]
