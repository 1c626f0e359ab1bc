"""What the learner knows of an algorithm."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from hil_trainer.agents.policy import BasePolicy
from hil_trainer.data.transitions import Transitions


class Algorithm(Protocol):
    """Networks, optimizers and updates.

    Attributes:
        policy: acts and is exported.
        chunk_size: steps of the windows that it learns from; 0 if it learns from transitions.
        imitates_only: it learns from the operator's steps alone.
        encoded: shape of what it keeps of the images of a transition; None for the images.
    """

    @property
    def policy(self) -> BasePolicy: ...
    @property
    def chunk_size(self) -> int: ...
    @property
    def imitates_only(self) -> bool: ...
    @property
    def encoded(self) -> tuple[int, ...] | None: ...

    def keep(self, transitions: Transitions) -> Transitions:
        """Transitions as they are stored in the replay buffers."""

    def normalise(self, states: Tensor) -> None:
        """Normalise the features of observations that are of no task of gym_hil.

        Args:
            states: (n, state) that were observed, without encoded images.
        """

    def update(self, batch: Any, *, updates: int = 1) -> dict[str, Tensor]:
        """Make updates from one batch for all of them. Returns the last losses and values."""

    def state_dict(self) -> dict[str, Any]:
        """All that learning goes on from: tensors, numbers, and lists and dicts of these."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
