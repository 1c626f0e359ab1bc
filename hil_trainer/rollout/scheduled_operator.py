"""A scripted operator who helps much at first and little later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gym_hil.teleop import Device, TeleopCommand
from gym_hil.teleop.scripted.operator import ScriptedOperator
from hil_trainer.config import OperatorConfig


class ScheduledOperator(Device):
    """Watches some episodes, and takes over where the policy gets no further, until the task is done.

    The chance of being watched falls with each episode; see `OperatorConfig`. Give the device to `gym.make`,
    then the environment to `attach`.

    Args:
        config: how often the operator watches, and how patiently.

    Attributes:
        episodes: that are over; who trains counts them up.
        demonstrates: whether to drive from the first step, whatever the chance.
    """

    human = False

    def __init__(self, config: OperatorConfig):
        self.config = config
        self.episodes = 0
        self.demonstrates = False
        self._helper: ScriptedOperator | None = None
        self._demonstrator: ScriptedOperator | None = None
        self._drives: ScriptedOperator | None = None
        self._rng = np.random.default_rng()

    def attach(self, env: Any) -> None:
        """Look at an environment from now on: the one that asks this device."""
        options = {"reaction_delay": self.config.reaction_delay, "motion_noise": self.config.motion_noise}
        self._demonstrator = ScriptedOperator.for_env(env, **options)
        self._helper = ScriptedOperator.for_env(env, takeover="no_progress", patience=self.config.patience, **options)

    @property
    def chance(self) -> float:
        """Of watching the next episode."""
        config = self.config
        return config.help_probability * max(config.min_help_fraction, 1 - self.episodes / config.help_decay_episodes)

    def poll(self) -> TeleopCommand:
        """See `Device.poll`."""
        return TeleopCommand() if self._drives is None else self._drives.poll()

    def reset(self) -> None:
        """Decide whether to watch the episode that begins."""
        watches = self._rng.random() < self.chance
        self._drives = self._demonstrator if self.demonstrates else self._helper if watches else None
        if self._drives is not None:
            self._drives.reset()

    def seed(self, seed: int) -> None:
        """See `Device.seed`."""
        self._rng = np.random.default_rng(seed)
        for operator in (self._demonstrator, self._helper):
            if operator is not None:
                operator.seed(seed)

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """See `Device.legend`."""
        return [("scripted operator", f"watches {self.chance:.0%} of the episodes, and helps")]
