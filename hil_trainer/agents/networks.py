"""Networks: features of the state vector, attention over objects, critics, a Gaussian policy, a velocity field."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hil_trainer.data.observations import AGENT_POS, OBJECT_FEATURES, ROBOT_FEATURES, Part, feature_map, object_features

ModuleT = TypeVar("ModuleT", bound=nn.Module)

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0  # of actions, before they are squashed
FEATURE_LIMIT = 10.0  # standard deviations
SMALLEST_STD = 1e-6  # of what varies
NEAR_ZERO = 5.0  # a typical value is so far beyond where a feature saturates that shows small values
ATTENTION_WIDTH = 64  # features of each object
# Wavelengths of an object's position, in its feature's unit of a third of a metre: 0.6, 0.3 and 0.15 m. The shortest
# resolves 2 cm, which decides whether an object is in its place.
_WAVELENGTHS = (1.8, 0.9, 0.45)
_NEAR_SCALE = 4.0  # a distance from the tool is magnified before it saturates: full scale at 2.5 cm


class Features(nn.Module):
    """A linear map; see `hil_trainer.data.observations.feature_map`. Saved with the network, never learned.

    Args:
        matrix: (features, state).
        offset: (features,).
        normalised: see `normalise`; the second half of the features saturates.
    """

    matrix: Tensor
    offset: Tensor
    raw: Tensor

    def __init__(self, matrix: NDArray[np.float32], offset: NDArray[np.float32], *, normalised: bool = False):
        super().__init__()
        self.normalised = normalised
        self.register_buffer("matrix", torch.from_numpy(matrix))
        self.register_buffer("offset", torch.from_numpy(offset))
        self.register_buffer("raw", self.matrix.clone(), persistent=False)

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Features:
        """Features of the parts of a state vector."""
        return cls(*feature_map(parts), normalised=AGENT_POS not in dict(parts))

    @torch.no_grad()
    def normalise(self, states: Tensor) -> None:
        """Give the first half of the features mean 0 and standard deviation 1, the second half zero where it was.

        The second half shows the sign and small values of what has a zero that means something: distances, speeds.

        Args:
            states: (n, state) that were observed.
        """
        half = len(self.raw) // 2
        features = states.double() @ self.raw.double().T
        mean = features.mean(0)
        mean[half:] = 0.0
        scale = (features - mean).square().mean(0).sqrt()
        scale = torch.where(scale > SMALLEST_STD, 1 / scale, 1.0)
        scale[half:] *= NEAR_ZERO
        self.matrix.copy_(self.raw * scale[:, None])
        self.offset.copy_(-mean * scale)

    @property
    def size(self) -> int:
        """How many features there are."""
        return self.matrix.shape[0]

    def forward(self, state: Tensor) -> Tensor:
        """(..., state) -> (..., features), in float32: bfloat16 would resolve 0.5 m to 2 mm only."""
        with torch.autocast(state.device.type, enabled=False):
            features = functional.linear(state.float(), self.matrix, self.offset)
            if not self.normalised:
                return features
            features, near = features.chunk(2, -1)
            return torch.cat([features.clamp(-FEATURE_LIMIT, FEATURE_LIMIT), torch.tanh(near)], -1)


class Attention(nn.Module):
    """Attention over objects: one network encodes each of them, and a softmax weighs them against each other.

    With several objects of a kind, what to do with one is learned from all of them, and which one is next is a choice
    that a network without attention has to learn for each arrangement. An object's position is also encoded by sines,
    so that small differences of large numbers count (Fourier features, Tancik et al. 2020, arXiv:2006.10739). The
    weights are a softmax over objects of scores from a linear layer (attention pooling, Ilse et al. 2018,
    arXiv:1802.04712), one set for each head.

    Args:
        parts: of the state vector; see `hil_trainer.data.observations.feature_map`, whose features are the input.
        heads: number of objects that can be attended to at once.
        fourier: encode positions by sines, too.
    """

    which: Tensor

    def __init__(self, parts: Sequence[Part], heads: int, *, fourier: bool = True):
        super().__init__()
        self._wavelengths = _WAVELENGTHS if fourier else ()
        self._first, self._objects = object_features(parts)
        self._end = self._first + self._objects * OBJECT_FEATURES
        inputs = OBJECT_FEATURES + 3 + 6 * len(self._wavelengths) + self._objects + ROBOT_FEATURES
        self.look = nn.Sequential(
            nn.Linear(inputs, ATTENTION_WIDTH),
            nn.LayerNorm(ATTENTION_WIDTH),
            nn.ReLU(),
            nn.Linear(ATTENTION_WIDTH, ATTENTION_WIDTH),
            nn.ReLU(),
        )
        self.score = nn.Linear(ATTENTION_WIDTH, heads)
        self.size = feature_map(parts)[0].shape[0] - self._objects * OBJECT_FEATURES + heads * ATTENTION_WIDTH
        self.register_buffer("which", torch.eye(self._objects), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, features) -> (batch, size): the features without the objects', and what the heads attend to."""
        count = self._objects
        before, objects, behind = features.tensor_split((self._first, self._end), -1)
        objects = objects.unflatten(-1, (count, OBJECT_FEATURES))
        near, position = objects.split(3, -1)
        phases = [position * (2 * math.pi / wavelength) for wavelength in self._wavelengths]
        waves = [function(phase) for phase in phases for function in (torch.sin, torch.cos)]
        robot = features[:, None, :ROBOT_FEATURES].expand(-1, count, -1)
        which = self.which.expand(len(features), -1, -1)
        encoded = self.look(torch.cat([objects, torch.tanh(_NEAR_SCALE * near), *waves, which, robot], -1))
        weights = torch.softmax(self.score(encoded), 1)
        return torch.cat([before, behind, (weights.transpose(1, 2) @ encoded).flatten(1)], -1)


class EnsembleLinear(nn.Module):
    """One linear layer for each member of an ensemble, computed together."""

    def __init__(self, members: int, inputs: int, outputs: int):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, inputs: Tensor, chosen: Tensor | None = None) -> Tensor:
        """(members, batch, inputs) -> (members, batch, outputs), of the chosen members or of all."""
        if chosen is None:
            return torch.baddbmm(self.bias, inputs, self.weight)
        return torch.baddbmm(self.bias[chosen], inputs, self.weight[chosen])


class CriticEnsemble(nn.Module):
    """Ensemble of critics, each with its own network.

    Layer normalisation bounds the values of actions that are not in the data (RLPD, Ball et al. 2023,
    arXiv:2302.02948, section 4.2). Its scale and offset are shared by the members.

    Args:
        members: number of critics.
        inputs: size of the input.
        outputs: values for each input: 1, or one for each discrete action.
        width: units of each of the two hidden layers.
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
        """(batch, inputs) -> (members, batch, outputs), of the chosen members or of all."""
        hidden = inputs.expand(self.members if chosen is None else len(chosen), -1, -1)
        for layer, norm in zip(self.layers[:-1], self.norms, strict=True):
            hidden = torch.relu(norm(layer(hidden, chosen)))
        return _in_float32(self.layers[-1], hidden, chosen)


class GaussianPolicy(nn.Module):
    """Gaussian policy whose samples are squashed by tanh (SAC, Haarnoja et al. 2018, appendix C).

    Args:
        inputs: size of the input.
        actions: size of an action, each component in [-1, 1].
        width: units of each of the two hidden layers.
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
        """(batch, inputs) -> mean and log standard deviation before squashing, each (batch, actions)."""
        mean, log_std = _in_float32(self.head, self.trunk(inputs)).chunk(2, -1)
        return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)


class VelocityField(nn.Module):
    """Velocity of a flow from noise to actions.

    Args:
        inputs: size of the input.
        outputs: size of what flows.
        width: units of each of the three hidden layers.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 256):
        super().__init__()
        sizes = [inputs + outputs + 1, width, width, width]
        layers = [
            layer
            for size, following in pairwise(sizes)
            for layer in (nn.Linear(size, following), nn.LayerNorm(following), nn.GELU())
        ]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(width, outputs)

    def forward(self, inputs: Tensor, point: Tensor, time: Tensor) -> Tensor:
        """(batch, inputs), (batch, outputs) and (batch, 1) in [0, 1] -> (batch, outputs)."""
        return _in_float32(self.head, self.trunk(torch.cat([inputs, point, time], -1)))


def integrate(field: VelocityField, inputs: Tensor, noise: Tensor, steps: int) -> Tensor:
    """What flows from noise, by Euler's method.

    Args:
        field: velocity.
        inputs: (batch, inputs).
        noise: (batch, outputs).
        steps: number of steps.

    Returns:
        (batch, outputs).
    """
    point = noise
    for step in range(steps):
        point = point + field(inputs, point, torch.full_like(point[:, :1], step / steps)) / steps
    return point


def target_of(network: ModuleT) -> ModuleT:
    """A target network: a copy that is not learned."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def polyak_update(target: nn.Module, network: nn.Module, rate: float) -> None:
    """Move all parameters of a target network some way, in (0, 1], towards those of the network."""
    torch._foreach_lerp_(list(target.parameters()), list(network.parameters()), rate)


def sample(mean: Tensor, log_std: Tensor) -> tuple[Tensor, Tensor]:
    """Draw squashed actions.

    Args:
        mean: (batch, actions).
        log_std: (batch, actions).

    Returns:
        Actions (batch, actions) in [-1, 1], and their log probabilities, (batch,).
    """
    noise = torch.randn_like(mean)
    sampled = mean + log_std.exp() * noise
    gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    # log(1 - tanh(x)^2), written so that large x keep their digits.
    squashing = 2 * (math.log(2) - sampled - functional.softplus(-2 * sampled))
    return torch.tanh(sampled), (gaussian - squashing).sum(-1)


def _in_float32(layer: nn.Module, inputs: Tensor, *others: Tensor | None) -> Tensor:
    """Compute in float32 whatever the precision before: values and actions differ by little."""
    with torch.autocast(inputs.device.type, enabled=False):
        return layer(inputs.float(), *others)
