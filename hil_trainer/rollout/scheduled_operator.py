"""An operator that is a program and helps in most episodes at first and in few later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gym_hil.teleop import Device, TeleopCommand
from gym_hil.teleop.registry import make_device
from gym_hil.teleop.scripted.operator import ScriptedOperator
from hil_trainer.config import SCRIPTED, OperatorConfig


class ScheduledOperator(Device):
    """Helps in some episodes: takes over where the policy makes no progress, until the task is done.

    Where the operator is a program of the user's, which may not know progress, it takes over at a random step, up to
    twice the patience. The probability of help falls with each episode; see `OperatorConfig`. Give the device to
    `gym.make`, then the environment to `attach`.

    Where the policy asks for help, the operator helps then and only then, in any episode.

    Attributes:
        episodes: that have ended; the actor sets it.
        demonstrates: drive from the first step on, in every episode.
    """

    human = False

    def __init__(self, config: OperatorConfig):
        self.config = config
        self.episodes = 0
        self.demonstrates = False
        self._helper: Device | None = None
        self._demonstrator: Device | None = None
        self._driver: Device | None = None
        self._wait = 0  # steps until the driver may take over
        self._asked = False  # in this episode
        self._rng = np.random.default_rng()

    def attach(self, env: Any) -> None:
        """Observe an environment from now on: the one that polls this device."""
        if self.config.device != SCRIPTED:
            self._demonstrator = self._helper = make_device(self.config.device, env=env)
            return
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
        if self.config.ask:
            return [(f"{self.config.device} operator", "helps when the policy asks")]
        return [(f"{self.config.device} operator", f"helps in {self.help_probability:.0%} of the episodes")]

    def poll(self) -> TeleopCommand:
        """The command of the operator, if it helps in this episode."""
        if self._driver is None or (self.config.ask and not (self._asked or self.demonstrates)):
            return TeleopCommand()
        command = self._driver.poll()
        if self._wait:
            self._wait -= 1
            return TeleopCommand()
        return command

    def reset(self) -> None:
        """Decide whether to help in the episode that begins."""
        helps = self._rng.random() < self.help_probability
        drives_at_once = self.demonstrates or self.config.ask
        self._driver = self._demonstrator if drives_at_once else self._helper if helps else None
        is_own = self._helper is self._demonstrator is not None
        self._wait, self._asked = 0, False
        if is_own and not drives_at_once:
            self._wait = int(self._rng.integers(2 * self.config.patience + 1))
        if self._driver is not None:
            self._driver.reset()

    def ask_for_help(self, on: bool) -> None:
        """Help from now on, until the task is done."""
        self._asked = self._asked or on

    def observe(self, observation: Any, reward: float) -> None:
        """Show the operator what the environment returned."""
        if self._driver is not None:
            self._driver.observe(observation, reward)

    def seed(self, seed: int) -> None:
        """Seed all random decisions."""
        self._rng = np.random.default_rng(seed)
        for operator in (self._demonstrator, self._helper):
            if operator is not None:
                operator.seed(seed)
