"""A scripted operator who helps in most episodes at first and in few later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gym_hil.teleop import Device, TeleopCommand
from gym_hil.teleop.scripted.operator import ScriptedOperator
from hil_trainer.config import OperatorConfig


class ScheduledOperator(Device):
    """Helps in some episodes: takes over where the policy makes no progress, until the task is done.

    The probability of help falls with each episode; see `OperatorConfig`. Give the device to `gym.make`, then the
    environment to `attach`.

    Args:
        config: how often the operator helps, and how patient it is.

    Attributes:
        episodes: that have ended; the actor sets it.
        demonstrates: drive from the first step on, in every episode.
    """

    human = False

    def __init__(self, config: OperatorConfig):
        self.config = config
        self.episodes = 0
        self.demonstrates = False
        self._helper: ScriptedOperator | None = None
        self._demonstrator: ScriptedOperator | None = None
        self._driver: ScriptedOperator | None = None
        self._rng = np.random.default_rng()

    def attach(self, env: Any) -> None:
        """Observe an environment from now on: the one that polls this device."""
        options = {"reaction_delay": self.config.reaction_delay, "motion_noise": self.config.motion_noise}
        self._demonstrator = ScriptedOperator.for_env(env, **options)
        self._helper = ScriptedOperator.for_env(env, takeover="no_progress", patience=self.config.patience, **options)

    @property
    def help_probability(self) -> float:
        """Probability of help in the next episode."""
        config = self.config
        remaining = 1 - self.episodes / config.help_decay_episodes
        return config.help_probability * max(config.min_help_fraction, remaining)

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """What the console shows as this device's controls."""
        return [("scripted operator", f"helps in {self.help_probability:.0%} of the episodes")]

    def poll(self) -> TeleopCommand:
        """The command of the scripted operator, if it helps in this episode."""
        return TeleopCommand() if self._driver is None else self._driver.poll()

    def reset(self) -> None:
        """Decide whether to help in the episode that begins."""
        helps = self._rng.random() < self.help_probability
        self._driver = self._demonstrator if self.demonstrates else self._helper if helps else None
        if self._driver is not None:
            self._driver.reset()

    def seed(self, seed: int) -> None:
        """Seed all random decisions."""
        self._rng = np.random.default_rng(seed)
        for operator in (self._demonstrator, self._helper):
            if operator is not None:
                operator.seed(seed)
