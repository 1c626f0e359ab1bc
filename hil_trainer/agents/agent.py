"""What chooses actions, and the plans of one agent that acts in several environments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hil_trainer.data.observations import Observation

HELP_QUANTILE = 0.95  # of the lengths of successful episodes


def help_after(lengths: Sequence[int]) -> float:
    """Steps of an episode after which a policy asks for help: longer than most successful episodes last.

    Args:
        lengths: steps of episodes that succeeded; without any it never asks.
    """
    return float(np.quantile(lengths, HELP_QUANTILE, method="higher")) if len(lengths) else math.inf


class Agent(Protocol):
    """Chooses actions: a policy."""

    def act(self, obs: Observation) -> NDArray[np.float32]:
        """(actions,) float32 in [-1, 1]."""

    def plans(self, observations: Sequence[Observation]) -> list[list[NDArray[np.float32]]]:
        """For each of several environments the actions until the next choice, at least one."""

    def reset(self) -> None:
        """Forget what was planned: an episode begins, or the operator has acted."""


class Plans:
    """The actions that one agent has planned, in each of several environments.

    In a single one the agent keeps its plan itself.

    Args:
        count: number of environments.
    """

    def __init__(self, count: int):
        self._plans: list[list[NDArray[np.float32]]] = [[] for _ in range(count)]

    def drop(self, agent: Agent, index: int) -> None:
        """Drop what is planned in one environment: an episode begins, or the operator has acted."""
        self._plans[index] = []
        if len(self._plans) == 1:
            agent.reset()

    def act(self, agent: Agent, observations: Mapping[int, Observation]) -> dict[int, NDArray[np.float32]]:
        """The next action in each environment, chosen for all at once where nothing is planned."""
        if len(self._plans) == 1:
            return {index: agent.act(obs) for index, obs in observations.items()}
        empty = [index for index in observations if not self._plans[index]]
        if empty:
            plans = agent.plans([observations[index] for index in empty])
            for index, plan in zip(empty, plans, strict=True):
                self._plans[index] = list(plan)
        return {index: self._plans[index].pop(0) for index in observations}
