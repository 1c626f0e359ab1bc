"""Where transitions are kept, and drawn from for learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hil_trainer.data.observations import Observation, ObservationLayout


class Transition(NamedTuple):
    """What happened in one step, or in several when returns are taken over several.

    Attributes:
        obs: the observation before.
        action: (actions,) float32 that was executed, each number in [-1, 1].
        reward: the sum of discounted rewards.
        discount: by which the value of `following` counts: 0.0 after a termination, never 0.0 after a time-out.
        penalty: the sum of discounted penalties for what the gripper was told; 0.0 or less.
        following: the observation after.
        is_intervention: whether an operator acted.
    """

    obs: Observation
    action: NDArray[np.float32]
    reward: float
    discount: float
    penalty: float
    following: Observation
    is_intervention: bool


class Batch(NamedTuple):
    """Transitions drawn for learning; each attribute of `Transition` with a leading axis, as tensors."""

    numbers: Tensor
    privileged: Tensor
    images: Tensor | None
    action: Tensor
    reward: Tensor
    discount: Tensor
    penalty: Tensor
    next_numbers: Tensor
    next_privileged: Tensor
    next_images: Tensor | None
    is_intervention: Tensor

    def every(self, step: int, first: int) -> Batch:
        """Every `step`-th transition, from `first` on."""
        return Batch(*(None if values is None else values[first::step] for values in self))  # type: ignore[arg-type]


class ReplayBuffer:
    """Keeps the newest transitions, on the device that learns.

    Args:
        layout: of the observations.
        actions: numbers of an action.
        capacity: transitions; the oldest make room.
        device: of the tensors.
        seed: of the generator that draws.
    """

    def __init__(
        self,
        layout: ObservationLayout,
        actions: int,
        capacity: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
    ):
        self.capacity, self.device = capacity, torch.device(device)
        self._widths = [layout.numbers_size, layout.privileged_size] * 2 + [actions, 1, 1, 1, 1]
        self._rows = torch.zeros(capacity, sum(self._widths), device=self.device)
        shape = layout.image_shape
        # Not zeros: memory that is never written is never taken from the system.
        self._images = (
            None if shape is None else torch.empty(capacity, 2, *shape, dtype=torch.uint8, device=self.device)
        )
        self._added = 0
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return min(self._added, self.capacity)

    def add(self, transitions: Sequence[Transition]) -> None:
        """Add transitions, in order."""
        if not transitions:
            return
        transitions = transitions[-self.capacity :]
        rows = np.stack([_row(transition) for transition in transitions])
        places = (self._added + torch.arange(len(transitions))) % self.capacity
        self._rows[places.to(self.device)] = torch.from_numpy(rows).to(self.device)
        if self._images is not None:
            images = np.stack([np.stack([t.obs.images, t.following.images]) for t in transitions])  # type: ignore[list-item, arg-type]
            self._images[places.to(self.device)] = torch.from_numpy(images).to(self.device)
        self._added += len(transitions)

    def sample(self, number: int) -> Batch:
        """Draw transitions, each with the same chance, with replacement."""
        places = torch.randint(0, len(self), (number,), generator=self._generator).to(self.device)
        return self._batch(self._rows[places], None if self._images is None else self._images[places])

    def state_dict(self) -> dict[str, Any]:
        """Everything that is kept, and the generator. What is added later may show in it."""
        state: dict[str, Any] = {
            "rows": self._filled(self._rows),
            "added": self._added,
            "generator": self._generator.get_state(),
        }
        if self._images is not None:
            state["images"] = self._filled(self._images)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, from a buffer of the same layout; a smaller one keeps the newest."""
        number, added = len(state["rows"]), state["added"]
        order = torch.arange(number)
        if number != min(added, self.capacity):
            # The capacity was another one, and so what is oldest has another place.
            order = ((added + order) % number)[-self.capacity :]
            added = len(order)
        self._rows[: len(order)] = state["rows"][order].to(self.device)
        if self._images is not None:
            self._images[: len(order)] = state["images"][order].to(self.device)
        self._added = added
        self._generator.set_state(state["generator"].cpu())

    def _filled(self, values: Tensor) -> Tensor:
        # A part of a tensor is a copy here, because it would be saved with all that it is a part of.
        return values if len(self) == self.capacity else values[: len(self)].clone()

    def _batch(self, rows: Tensor, images: Tensor | None) -> Batch:
        numbers, privileged, next_numbers, next_privileged, action, *others = rows.split(self._widths, -1)
        reward, discount, penalty, is_intervention = (column[:, 0] for column in others)
        return Batch(
            numbers,
            privileged,
            None if images is None else images[:, 0],
            action,
            reward,
            discount,
            penalty,
            next_numbers,
            next_privileged,
            None if images is None else images[:, 1],
            is_intervention,
        )


def joined(one: Batch, other: Batch) -> Batch:
    """Two batches as one."""
    return Batch(*(None if a is None or b is None else torch.cat([a, b]) for a, b in zip(one, other, strict=True)))  # type: ignore[arg-type]


def _row(transition: Transition) -> NDArray[np.float32]:
    obs, following = transition.obs, transition.following
    rest = [transition.reward, transition.discount, transition.penalty, float(transition.is_intervention)]
    return np.concatenate(
        [
            obs.numbers,
            obs.privileged,
            following.numbers,
            following.privileged,
            transition.action,
            np.array(rest, np.float32),
        ]
    )
