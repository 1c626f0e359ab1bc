"""Replay buffer: the newest transitions, from which batches are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from hil_trainer.data.observations import ObservationLayout
from hil_trainer.data.transitions import Batch, RowFormat, Transitions


class ReplayBuffer:
    """Ring buffer of transitions on the learner's device.

    Transitions are numbered from 0 in the order in which they were added.

    Args:
        layout: of the observations.
        actions: size of an action.
        capacity: in transitions; the oldest are overwritten.
        device: of the tensors.
        seed: of the generator that draws batches.
        encoded: shape of what is stored of a transition's images, as float16; None for the images before and after.

    Attributes:
        added: number of transitions that were ever added.
        format: of the rows.
        rows: (capacity, width) float32, of which as many are filled as there are transitions.
        images: (capacity, ...) uint8 or float16; None without images.
        generator: draws batches.
    """

    def __init__(
        self,
        layout: ObservationLayout,
        actions: int,
        capacity: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        encoded: tuple[int, ...] | None = None,
    ):
        self.capacity, self.device, self.added = capacity, torch.device(device), 0
        self._offset = 0  # number of the transition that was stored at place 0 first
        self.format = RowFormat(layout, actions)
        self.rows = torch.zeros(capacity, self.format.width, device=self.device)
        self.images: torch.Tensor | None = None
        if layout.image_shape is not None:
            shape, kind = (encoded, torch.float16) if encoded else ((2, *layout.image_shape), torch.uint8)
            # Not zeros: memory that is never written is never taken from the system.
            self.images = torch.empty(capacity, *shape, dtype=kind, device=self.device)
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return min(self.added - self._offset, self.capacity)

    def add(self, transitions: Transitions) -> None:
        """Add transitions, in order."""
        images = None if transitions.images is None else torch.from_numpy(transitions.images)
        self._write(self.added, torch.from_numpy(transitions.rows), images)

    def sample(self, count: int) -> Batch:
        """Draw transitions uniformly, with replacement."""
        places = torch.randint(0, len(self), (count,), generator=self.generator).to(self.device)
        return self.format.batch(self.rows[places], None if self.images is None else self.images[places])

    def state_dict(self) -> dict[str, Any]:
        """Everything but the transitions, which are read with `segment`."""
        return {
            "added": self.added,
            "offset": self._offset,
            "capacity": self.capacity,
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Restore a buffer of the same layout. With another capacity, the newest transitions that fit are kept.

        Args:
            state: from `state_dict`.
            segments: from `segment`; together all that was stored, oldest first.

        Raises:
            RuntimeError: they are of another layout.
        """
        same = state["capacity"] == self.capacity
        for number, segment in enumerate(segments):
            if number == 0:
                self._offset = state["offset"] if same else segment["first"]
            self._write(segment["first"], segment["rows"], segment["images"])
        self.added = state["added"]
        self.generator.set_state(state["generator"].cpu())

    def segment(self, first: int) -> dict[str, Any]:
        """Copy to the CPU what is still stored from number `first` on: its first number, rows and images."""
        first = max(first, self.added - len(self))
        places = self._places(first, self.added)
        images = None if self.images is None else self.images[places].cpu()
        return {"first": first, "rows": self.rows[places].cpu(), "images": images}

    def _write(self, first: int, rows: torch.Tensor, images: torch.Tensor | None) -> None:
        if (images is None) != (self.images is None):
            raise RuntimeError("the transitions have images and the buffer has none, or the other way round")
        self.added = first + len(rows)
        places = self._places(first, self.added)[-self.capacity :]
        self.rows[places] = rows[-self.capacity :].to(self.device)
        if self.images is not None and images is not None:
            self.images[places] = images[-self.capacity :].to(self.device)

    def _places(self, first: int, end: int) -> torch.Tensor:
        return ((torch.arange(first, end) - self._offset) % self.capacity).to(self.device)
