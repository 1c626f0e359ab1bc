"""What the learner knows of an algorithm, and what algorithms have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from hil_trainer.agents.networks import Features
from hil_trainer.data.observations import Observation
from hil_trainer.data.transitions import Transitions


class Algorithm(ABC):
    """Networks, optimizers and updates.

    Args:
        shape: a `BaseShape` of the policy, with the privileged parts in its layout.
        config: settings of the algorithm.
        offline_steps: steps of learning before the policy acts.
        device: to learn on.
        mixed_precision: compute hidden layers in bfloat16.

    Attributes:
        policy: acts and is exported.
        chunk_size: steps of the windows that it learns from; 0 if it learns from transitions.
        imitates_only: it learns from the operator's steps alone.
        encoded: shape of what it keeps of the images of a transition; None for the images.
        features: of the state and the privileged parts. The policy's come first.
        auxiliary_head: predicts the features of the privileged parts from images, where there are both.
    """

    policy: Any  # a `BasePolicy`
    chunk_size = 0
    imitates_only = False
    encoded: tuple[int, ...] | None = None
    auxiliary_head: nn.Linear | None = None

    def __init__(
        self,
        shape: Any,
        config: Any,
        *,
        offline_steps: int = 0,
        device: torch.device | str = "cpu",
        mixed_precision: bool = False,
    ):
        self.config, self.offline_steps, layout = config, offline_steps, shape.layout
        self.device, self.mixed_precision = torch.device(device), mixed_precision
        self.features = Features.of([*layout.measured, *layout.privileged]).to(self.device)

    def keep(self, transitions: Transitions) -> Transitions:
        """Transitions as they are stored in the replay buffers."""
        return transitions

    def normalise(self, states: Tensor) -> None:
        """Normalise the features of observations that are of no task of gym_hil.

        Args:
            states: (n, state) that were observed, without encoded images.
        """
        for features in (self.policy.features, self.features):
            features.normalise(states)

    @property
    def utd_ratio(self) -> int:
        """Updates for each step (update-to-data ratio), of the critics if there are any."""
        return int(self.config.utd_ratio)

    @property
    def needs_returns(self) -> bool:
        """Whether windows of the next update need what critics learn from."""
        return False

    @abstractmethod
    def update(self, batch: Any, *, updates: int = 1) -> dict[str, Tensor]:
        """Make updates, of the critics if there are any.

        Args:
            batch: transitions or windows for all updates; see `Batch.minibatch`.
            updates: how many. A policy that learns from critics is updated once.

        Returns:
            The last losses and values, each a scalar.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that learning goes on from: tensors, numbers, and lists and dicts of these."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""

    def _make_auxiliary_head(self, policy: Any) -> None:
        privileged = self.features.size - policy.features.size
        if policy.encoder is not None and privileged:
            self.auxiliary_head = nn.Linear(policy.encoder.size, privileged).to(self.device)

    def _auxiliary_loss(self, head: nn.Linear, features: Tensor, obs: Observation) -> Tensor:
        """Squared error of what the head predicts from the policy's features, of which the images' come last."""
        predicted = head(features[:, -head.in_features :])
        return (predicted - self._privileged_features(obs)[:, -head.out_features :]).square().mean()

    def _privileged_features(self, obs: Observation) -> Tensor:
        """Features of the state, without encoded images, and of the privileged parts."""
        return self.features(torch.cat([obs.state[:, : self.policy.measured], obs.privileged], -1))

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed_precision)
