"""The networks: an ensemble of critics, a policy that draws actions from a squashed Gaussian, and their features."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0  # of actions, before they are squashed


class Features(nn.Module):
    """A fixed linear map; see `hil_trainer.data.observations.feature_map`. Saved with the network, never learned."""

    matrix: Tensor
    offset: Tensor

    def __init__(self, matrix: NDArray[np.float32], offset: NDArray[np.float32]):
        super().__init__()
        self.register_buffer("matrix", torch.from_numpy(matrix))
        self.register_buffer("offset", torch.from_numpy(offset))

    @property
    def size(self) -> int:
        """How many features there are."""
        return self.matrix.shape[0]

    def forward(self, numbers: Tensor) -> Tensor:
        """(..., numbers) -> (..., features), in float32: with bfloat16, 0.5 m would be known to 2 mm only."""
        with torch.autocast(numbers.device.type, enabled=False):
            return functional.linear(numbers.float(), self.matrix, self.offset)


class EnsembleLinear(nn.Module):
    """One linear layer for each member of an ensemble, computed together."""

    def __init__(self, members: int, inputs: int, outputs: int):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, inputs: Tensor, chosen: Tensor | None = None) -> Tensor:
        """(members, batch, inputs) -> (members, batch, outputs), of chosen members or of all."""
        if chosen is None:
            return torch.baddbmm(self.bias, inputs, self.weight)
        return torch.baddbmm(self.bias[chosen], inputs, self.weight[chosen])


class CriticEnsemble(nn.Module):
    """Several estimates of the same values, each by its own network.

    Layer normalisation keeps values of actions that the data never showed from growing without bounds (RLPD, Ball et
    al. 2023, arXiv:2302.02948, section 4.2). Its scale and offset are shared by the members.

    Args:
        members: how many networks.
        inputs: size of the input.
        outputs: values for each input: 1, or one for each choice.
        width: of the two hidden layers.
    """

    def __init__(self, members: int, inputs: int, outputs: int = 1, width: int = 256):
        super().__init__()
        self.members = members
        self.layers = nn.ModuleList(
            [
                EnsembleLinear(members, inputs, width),
                EnsembleLinear(members, width, width),
                EnsembleLinear(members, width, outputs),
            ]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])

    def forward(self, inputs: Tensor, chosen: Tensor | None = None) -> Tensor:
        """(batch, inputs) -> (members, batch, outputs), of chosen members or of all."""
        hidden = inputs.expand(self.members if chosen is None else len(chosen), -1, -1)
        for layer, norm in zip(self.layers[:-1], self.norms, strict=True):
            hidden = torch.relu(norm(layer(hidden, chosen)))
        return _precisely(self.layers[-1], hidden, chosen)


class GaussianPolicy(nn.Module):
    """Draws actions from a Gaussian whose samples are squashed by tanh (SAC, Haarnoja et al. 2018, appendix C).

    Args:
        inputs: size of the input.
        actions: numbers of an action, each in [-1, 1].
        width: of the two hidden layers.
    """

    def __init__(self, inputs: int, actions: int, width: int = 256):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(inputs, width),
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.ReLU(),
        )
        self.head = nn.Linear(width, 2 * actions)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, inputs) -> mean and logarithm of the standard deviation, each (batch, actions), not squashed."""
        mean, log_std = _precisely(self.head, self.trunk(inputs)).chunk(2, -1)
        return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)


def sample(mean: Tensor, log_std: Tensor) -> tuple[Tensor, Tensor]:
    """Draw squashed actions.

    Args:
        mean: (batch, actions).
        log_std: (batch, actions).

    Returns:
        Actions (batch, actions) in [-1, 1], and the logarithms of their densities, (batch,).
    """
    noise = torch.randn_like(mean)
    drawn = mean + log_std.exp() * noise
    gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    # log(1 - tanh(x)^2), written so that large x keep their digits.
    squashing = 2 * (math.log(2) - drawn - functional.softplus(-2 * drawn))
    return torch.tanh(drawn), (gaussian - squashing).sum(-1)


def _precisely(layer: nn.Module, inputs: Tensor, *others: Tensor | None) -> Tensor:
    """Values and actions are computed in float32 whatever precision is used before: they differ by little."""
    with torch.autocast(inputs.device.type, enabled=False):
        return layer(inputs.float(), *others)
