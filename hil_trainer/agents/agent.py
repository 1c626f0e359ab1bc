"""What chooses actions, and the plans of one agent that acts in several environments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hil_trainer.data.observations import Observation

HELP_QUANTILE = 0.95  # of the lengths of successful episodes

Action = NDArray[np.float32]  # (actions,), each component in [-1, 1]
# For each of several environments the actions until the next choice, at least one; `BasePolicy.plans` is one.
Agent = Callable[[Sequence[Observation]], Sequence[Sequence[Action]]]


def help_after(lengths: Sequence[int]) -> float:
    """Steps of an episode after which a policy asks for help: longer than most successful episodes last.

    Args:
        lengths: steps of episodes that succeeded; without any it never asks.
    """
    return float(np.quantile(lengths, HELP_QUANTILE, method="higher")) if len(lengths) else math.inf


class Plans:
    """The actions that one agent has planned, in each of some environments."""

    def __init__(self, count: int):
        self._plans: list[list[Action]] = [[] for _ in range(count)]

    def drop(self, index: int) -> None:
        """Drop what is planned in one environment: an episode begins, or the operator has acted."""
        self._plans[index] = []

    def act(self, agent: Agent, observations: Mapping[int, Observation]) -> dict[int, Action]:
        """The next action in each environment, chosen for all at once where nothing is planned."""
        if empty := [index for index in observations if not self._plans[index]]:
            for index, plan in zip(empty, agent([observations[index] for index in empty]), strict=True):
                self._plans[index] = list(plan)
        return {index: self._plans[index].pop(0) for index in observations}
