"""A scripted person who helps much at first and little later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gym_hil.teleop import Device, TeleopCommand
from gym_hil.teleop.scripted import ScriptedPerson
from hil_trainer.config import PersonConfig


class ScheduledPerson(Device):
    """Drives in some episodes, from some step on, until the task is done.

    The chance of an episode falls with each one; see `PersonConfig`. When its moment has come, the person first has to
    see what is going on: the reaction delay passes before the first command. Give the device to `gym.make`, then the
    environment to `attach`.

    Args:
        config: how often, and when.

    Attributes:
        episodes: that are over; who trains counts them up.
        demonstrates: whether to drive from the first step, whatever the chance.
    """

    human = False

    def __init__(self, config: PersonConfig):
        self.config = config
        self.episodes = 0
        self.demonstrates = False
        self._person: ScriptedPerson | None = None
        self._rng = np.random.default_rng()
        self._begins: int | None = None
        self._polls = 0

    def attach(self, env: Any) -> None:
        """Look at an environment from now on: the one that asks this device."""
        self._person = ScriptedPerson.for_env(
            env, reaction_delay=self.config.reaction_delay, motion_noise=self.config.motion_noise
        )

    @property
    def chance(self) -> float:
        """Of driving in the next episode."""
        config = self.config
        return config.takeover * max(config.takeover_least, 1 - self.episodes / config.takeover_episodes)

    def poll(self) -> TeleopCommand:
        """See `Device.poll`."""
        self._polls += 1
        if self._person is None or self._begins is None or self._polls <= self._begins:
            return TeleopCommand()
        return self._person.poll()

    def reset(self) -> None:
        """Decide whether and when to take over in the episode that begins."""
        self._polls = 0
        drives, begins = self._rng.random() < self.chance, int(self._rng.integers(self.config.latest))
        self._begins = 0 if self.demonstrates else begins if drives else None
        if self._person is not None:
            self._person.reset()

    def seed(self, seed: int) -> None:
        """See `Device.seed`."""
        self._rng = np.random.default_rng(seed)
        if self._person is not None:
            self._person.seed(seed)

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """See `Device.legend`."""
        return [("scripted person", f"takes over in {self.chance:.0%} of the episodes")]
