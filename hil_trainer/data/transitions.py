"""From steps to transitions: what a step returns, transitions in arrays, and batches of them in tensors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hil_trainer.data.observations import Observation, ObservationLayout

DISCOUNT, GRIPPER_PENALTY, IS_INTERVENTION, NUMBER = -4, -3, -2, -1  # columns of a row
_NUMBERS = 2**24  # that float32 distinguishes


class Step(NamedTuple):
    """One step of an environment."""

    action: NDArray[np.float32]  # (action,) float32 that was executed, each component in [-1, 1]
    reward: float  # of the environment
    gripper_penalty: float  # for opening or closing the gripper, 0.0 or less
    obs: Observation  # the observation after the step
    terminated: bool  # the episode has ended; no reward can follow
    truncated: bool  # the episode was cut off
    is_intervention: bool  # an operator acted
    success: bool  # the task is done
    rerecord: bool = False  # the operator wants the episode discarded
    quit: bool = False  # the operator wants to stop
    simulator_success: bool | None = None  # success as the simulation sees it, where a classifier decides; else None


class EpisodeSummary(NamedTuple):
    """Summary of one episode."""

    success: bool  # whether the task was done
    length: int  # steps
    operator_steps: int  # steps in which the operator acted
    total: float  # sum of the rewards
    demonstration: bool  # whether it was a demonstration
    # Final success as the simulation sees it, where a classifier decides; else None.
    simulator_success: bool | None = None
    misjudged: int | None = None  # steps in which classifier and simulation differed; None where no classifier decides


class Batch(NamedTuple):
    """Transitions drawn for learning, in tensors with a leading batch axis."""

    observation: Observation  # before the step
    action: Tensor  # (batch, action), each component in [-1, 1]
    reward: Tensor  # (batch,) sum of discounted rewards over n steps
    next_observation: Observation  # after the n steps
    discount: Tensor  # (batch,) factor of the next observation's value: 0.0 after a termination, never after a time-out
    gripper_penalty: Tensor  # (batch,) sum of discounted gripper penalties, 0.0 or less
    is_intervention: Tensor  # (batch,) 1.0 where an operator acted

    def minibatch(self, number: int, count: int) -> Batch:
        """Every `count`-th transition, from `number` on: an equal share of all that was drawn together."""
        return _map(lambda part: part[number::count], self)


class ChunkReturns(NamedTuple):
    """What follows from the actions of windows of h steps."""

    reward: Tensor  # (batch,) sum of rewards and gripper penalties over the window, discounted by step
    discount: Tensor  # (batch,) factor of the next observation's value: 0.0 after a termination, never after a time-out
    next_observation: Observation  # after the last step of the window
    is_step: Tensor  # (batch, h) 1.0 for steps of the episode, 0.0 behind its end, or behind what is stored of it
    is_whole: Tensor  # (batch,) 1.0 where the window has h steps, or the episode terminated before


class Chunks(NamedTuple):
    """Windows of h steps, in tensors with a leading batch axis."""

    observation: Observation  # before the first step
    action: Tensor  # (batch, h, action) that was executed, each component in [-1, 1]; 0.0 behind the end of the episode
    is_intervention: Tensor  # (batch, h) 1.0 where an operator acted, 0.0 elsewhere and behind the end of the episode
    returns: ChunkReturns | None = None  # for critics; None if there are none

    def minibatch(self, number: int, count: int) -> Chunks:
        """Every `count`-th window, from `number` on."""
        return _map(lambda part: part[number::count], self)


def concatenate(one: Any, other: Any) -> Any:
    """Two batches as one."""
    return _map(lambda *parts: torch.cat(parts), one, other)


def _map(function: Callable[..., Tensor], *batches: Any) -> Any:
    """Apply a function to all tensors of batches of the same kind."""
    first = batches[0]
    if isinstance(first, tuple):
        return type(first)(*(_map(function, *parts) for parts in zip(*batches, strict=True)))  # type: ignore[call-arg]
    return None if first is None else function(*batches)


@dataclass(frozen=True)
class RowFormat:
    """How one transition is stored in a row of float32: the fields of `Batch` in order, without images.

    The last column is the number of the step. Only steps that follow each other in an episode have numbers that do.
    """

    layout: ObservationLayout  # of the observations
    actions: int  # size of an action

    @property
    def width(self) -> int:
        """Length of a row."""
        return 2 * self._observation + self.actions + 5

    @property
    def _observation(self) -> int:
        return self.layout.state_size + self.layout.privileged_size

    @property
    def action_columns(self) -> slice:
        """The columns of the action."""
        return slice(self._observation, self._observation + self.actions)

    @property
    def reward_column(self) -> int:
        """The column of the reward."""
        return self._observation + self.actions

    def transitions(self, rows: Sequence[NDArray[np.float32]], images: Sequence[tuple[Any, Any]]) -> Transitions:
        """Rows, each (width,), and their images as arrays."""
        shape = self.layout.image_shape
        joined = np.stack(rows) if rows else np.zeros((0, self.width), np.float32)
        return Transitions(
            joined, None if shape is None else np.array(images, np.uint8).reshape(len(joined), 2, *shape)
        )

    def join(self, parts: Sequence[Transitions], number: int) -> tuple[Transitions, int]:
        """Put transitions of several environments behind each other, numbered so that none follows one of another.

        Args:
            parts: each of one environment.
            number: of the first step.

        Returns:
            The transitions, and the number for those that come next.
        """
        parts = [self.transitions([], []), *(part for part in parts if len(part))]
        rows = np.concatenate([part.rows for part in parts])
        start = 0
        for part in parts[1:]:
            own = (part.rows[:, NUMBER] - part.rows[0, NUMBER]).astype(np.int64) % _NUMBERS
            rows[start : start + len(part), NUMBER] = (number + own) % _NUMBERS
            start, number = start + len(part), number + int(own[-1]) + 2
        images = None if parts[0].images is None else np.concatenate([part.images for part in parts])  # type: ignore[misc]
        return Transitions(rows, images), number

    def batch(self, rows: Any, images: Any | None) -> Batch:
        """Rows (n, width) and their images (n, 2, ...) as the fields of a batch, without copying."""
        size, state = self._observation, self.layout.state_size
        end = size + self.actions
        before = Observation(rows[:, :state], rows[:, state:size], None if images is None else images[:, 0])
        following, rest = rows[:, end + 1 : end + 1 + size], rows[:, end + 1 + size :]
        after = Observation(following[:, :state], following[:, state:], None if images is None else images[:, 1])
        return Batch(before, rows[:, size:end], rows[:, end], after, rest[:, 0], rest[:, 1], rest[:, 2])


@dataclass(frozen=True)
class Transitions:
    """Transitions in arrays, oldest first."""

    rows: NDArray[np.float32]  # (n, width) float32, see `RowFormat`
    # (n, 2, views, height, width, 3) uint8, before and after, or what an algorithm keeps of them; None if there are
    # none.
    images: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def interventions(self) -> Transitions:
        """Those in which an operator acted."""
        chosen = self.rows[:, IS_INTERVENTION] > 0
        return Transitions(self.rows[chosen], None if self.images is None else self.images[chosen])


class Rollout(NamedTuple):
    """The result of some steps."""

    transitions: Transitions  # in order
    episodes: list[EpisodeSummary]  # that ended
    steps: int  # number of steps
    operator_steps: int  # steps in which the operator acted
    demonstration: bool = False  # whether it is a demonstration
    offline: bool = False  # no steps were made: those counted are of learning from the demonstrations alone
    quit: bool = False  # whether the operator wants to stop


class NStepReturns:
    """Turns the steps of an episode into transitions over n steps.

    From Sutton 1988; used in deep Q-learning by Rainbow (Hessel et al. 2017, arXiv:1710.02298).

    Args:
        format: of the rows.
        discount: discount factor of one step.
        n_step: steps over which rewards are summed; fewer at the end of an episode.
    """

    def __init__(self, format: RowFormat, discount: float, n_step: int):
        self.format, self._discount, self._n_step = format, discount, n_step
        self._pending: deque[tuple[Observation, Step, int]] = deque()
        self._number = 0
        self._rows: list[NDArray[np.float32]] = []
        self._images: list[tuple[Any, Any]] = []
        self._kept = 0  # transitions of episodes that have ended

    def add(self, obs: Observation, step: Step) -> None:
        """Add a step of the running episode, and the observation before it."""
        ended = step.terminated or step.truncated
        self._pending.append((obs, step, self._number))
        self._number += 1 + ended  # no step of another episode has the next number
        while self._pending and (ended or len(self._pending) == self._n_step):
            self._complete_oldest(step)
        if ended:
            self._kept = len(self._rows)

    def discard_episode(self) -> None:
        """Discard the running episode, as far as its transitions have not been taken."""
        self._pending.clear()
        self._number += 1
        del self._rows[self._kept :], self._images[self._kept :]

    def take(self) -> Transitions:
        """The transitions that were completed since the previous call."""
        taken = self.format.transitions(self._rows, self._images)
        self._rows, self._images, self._kept = [], [], 0
        return taken

    def _complete_oldest(self, last: Step) -> None:
        reward = sum(self._discount**k * step.reward for k, (_, step, _) in enumerate(self._pending))
        penalty = sum(self._discount**k * step.gripper_penalty for k, (_, step, _) in enumerate(self._pending))
        discount = 0.0 if last.terminated else self._discount ** len(self._pending)
        obs, first, number = self._pending.popleft()
        rest = [discount, penalty, float(first.is_intervention), number % _NUMBERS]
        parts: Sequence[Any] = [obs.state, obs.privileged, first.action, [reward], last.obs.state, last.obs.privileged]
        self._rows.append(np.concatenate([*parts, rest], dtype=np.float32))
        if obs.images is not None:
            self._images.append((obs.images, last.obs.images))
