"""Rewards added up over several steps, so that news of a success travels faster.

From Sutton 1988; as deep Q-learning uses it in Rainbow (Hessel et al. 2017, arXiv:1710.02298).
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hil_trainer.data.observations import Observation
from hil_trainer.data.replay_buffer import Transition


class _Pending(NamedTuple):
    obs: Observation
    action: NDArray[np.float32]
    reward: float
    penalty: float
    is_intervention: bool


class NStepReturns:
    """Turns the steps of an episode into transitions.

    Args:
        discount: of a reward one step later.
        steps: over how many rewards are added up; fewer at the end of an episode.
    """

    def __init__(self, discount: float, steps: int):
        self._discount, self._steps = discount, steps
        self._pending: deque[_Pending] = deque()

    def add(
        self,
        obs: Observation,
        action: NDArray[np.float32],
        reward: float,
        following: Observation,
        *,
        penalty: float,
        terminated: bool,
        truncated: bool,
        is_intervention: bool,
    ) -> list[Transition]:
        """Take in a step.

        Args:
            obs: the observation before.
            action: (actions,) in [-1, 1] that was executed.
            reward: that followed.
            following: the observation after.
            penalty: for what the gripper was told.
            terminated: nothing can follow; the value of `following` is 0.
            truncated: the episode was cut off; `following` has its value.
            is_intervention: whether an operator acted.

        Returns:
            The transitions that this step completes, oldest first.
        """
        self._pending.append(_Pending(obs, action, reward, penalty, is_intervention))
        complete = []
        while self._pending and (terminated or truncated or len(self._pending) == self._steps):
            complete.append(self._oldest(following, terminated))
        return complete

    def clear(self) -> None:
        """Forget the episode."""
        self._pending.clear()

    def _oldest(self, following: Observation, terminated: bool) -> Transition:
        reward = sum(self._discount**k * pending.reward for k, pending in enumerate(self._pending))
        penalty = sum(self._discount**k * pending.penalty for k, pending in enumerate(self._pending))
        discount = 0.0 if terminated else self._discount ** len(self._pending)
        first = self._pending.popleft()
        return Transition(first.obs, first.action, reward, discount, penalty, following, first.is_intervention)
