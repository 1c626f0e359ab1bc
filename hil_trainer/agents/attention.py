"""Looking at several things with the same eyes, and at one of them more closely."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hil_trainer.data.observations import AGENT_FEATURES, THING_FEATURES, Part, feature_map, things_of

WIDTH = 64  # of what is made of each thing
# Wavelengths of a thing's place, in its feature's unit of a third of a metre: 0.6, 0.3 and 0.15 m. The shortest tells
# 2 cm apart, which is what being in its place depends on.
_WAVES = (1.8, 0.9, 0.45)
_NEARER = 4.0  # by which a distance from the tool is magnified before it is cut off: full scale at 2.5 cm


class Attention(nn.Module):
    """Makes of every thing the same number of values by one network, and weighs things against each other.

    With several things of a kind, what to do with one is learned from all of them, and which one it is about is a
    choice that a network without this has to learn for each arrangement. A thing's place is given by sines, too, so
    that small differences of large numbers can be told (Fourier features, Tancik et al. 2020, arXiv:2006.10739).
    Weights are a softmax over things of scores that a linear layer gives (attention pooling, Ilse et al. 2018,
    arXiv:1802.04712), one set for each head.

    Args:
        parts: what is obs; see `hil_trainer.data.observations.feature_map`, whose features are the input.
        heads: how many things can be looked at at once.
    """

    which: Tensor

    def __init__(self, parts: Sequence[Part], heads: int):
        super().__init__()
        self._first, self._things = things_of(parts)
        self._end = self._first + self._things * THING_FEATURES
        inputs = THING_FEATURES + 3 + 6 * len(_WAVES) + self._things + AGENT_FEATURES
        self.look = nn.Sequential(
            nn.Linear(inputs, WIDTH), nn.LayerNorm(WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()
        )
        self.score = nn.Linear(WIDTH, heads)
        self.size = feature_map(parts)[0].shape[0] - self._things * THING_FEATURES + heads * WIDTH
        self.register_buffer("which", torch.eye(self._things), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, features) -> (batch, size): the features without those of things, and what was obs of things."""
        count = self._things
        before, things, behind = features.tensor_split((self._first, self._end), -1)
        things = things.unflatten(-1, (count, THING_FEATURES))
        near, place = things.split(3, -1)
        turns = [place * (2 * math.pi / wave) for wave in _WAVES]
        waves = [function(turn) for turn in turns for function in (torch.sin, torch.cos)]
        agent = features[:, None, :AGENT_FEATURES].expand(-1, count, -1)
        which = self.which.expand(len(features), -1, -1)
        obs = self.look(torch.cat([things, torch.tanh(_NEARER * near), *waves, which, agent], -1))
        weights = torch.softmax(self.score(obs), 1)
        return torch.cat([before, behind, (weights.transpose(1, 2) @ obs).flatten(1)], -1)
