"""The policy: from what it sees to an action. This much is sent to actors and exported; the rest only learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hil_trainer.agents.attention import Attention
from hil_trainer.agents.encoders import Bottleneck, SpatialSoftmaxEncoder, prepare
from hil_trainer.agents.networks import CriticEnsemble, Features, GaussianPolicy, sample
from hil_trainer.data.observations import Observation, ObservationLayout, ViewEncoder, feature_map, things_of

_ENCODER = "encoder_sha256"
GRIPPER_CHOICES = 3  # opens, stays, closes: -1, 0 and 1 in an action


@dataclass(frozen=True)
class PolicyShape:
    """All that has to be known to build a policy before its weights are loaded.

    Attributes:
        layout: of what it sees. A policy leaves the privileged parts out.
        actions: numbers of an action.
        width: of hidden layers.
        discrete_gripper: whether the last number of an action is chosen from three by values of its own.
        gripper_critics: how many estimates of these values there are.
        attention_heads: of the attention over things that are obs as numbers; 0 is none. Without things, it is left
            out.
    """

    layout: ObservationLayout
    actions: int
    width: int = 256
    discrete_gripper: bool = False
    gripper_critics: int = 2
    attention_heads: int = 0


class Policy(nn.Module):
    """Chooses actions.

    Args:
        shape: what it sees and what it moves.
    """

    def __init__(self, shape: PolicyShape):
        super().__init__()
        self.shape = shape = replace(shape, layout=replace(shape.layout, privileged=()))
        self.features = Features(*feature_map(shape.layout.measured))
        self.measured = shape.layout.numbers_size - shape.layout.encoded_size
        if shape.layout.encoding is not None:
            # What was learned from one encoder's numbers means nothing with another's.
            sha256 = bytes.fromhex(shape.layout.encoding.sha256)
            self.register_buffer(_ENCODER, torch.tensor(list(sha256), dtype=torch.uint8))
        self.encoder = _encoder(shape.layout)
        attends = shape.attention_heads and things_of(shape.layout.measured)[1]
        self.attention = Attention(shape.layout.measured, shape.attention_heads) if attends else None
        measured = self.features if self.attention is None else self.attention
        self.inputs = measured.size + (0 if self.encoder is None else self.encoder.size)
        self.arm = GaussianPolicy(self.inputs, shape.actions - shape.discrete_gripper, shape.width)
        self.gripper = (
            CriticEnsemble(shape.gripper_critics, self.inputs, GRIPPER_CHOICES, shape.width)
            if shape.discrete_gripper
            else None
        )

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take over weights; see `torch.nn.Module.load_state_dict`.

        Raises:
            RuntimeError: they belong to another network, or to another frozen encoder.
        """
        mine, other = getattr(self, _ENCODER, None), state_dict.get(_ENCODER)
        if mine is not None and other is not None and not torch.equal(mine.cpu(), other.cpu()):
            raise RuntimeError("the frozen encoder has other weights than then")
        return super().load_state_dict(state_dict, strict, assign)

    def see(self, numbers: Tensor, images: Tensor | None = None) -> Tensor:
        """Bring together what is obs.

        Args:
            numbers: (batch, numbers).
            images: (batch, views, 3, height, width) float32, prepared; None without cameras.

        Returns:
            (batch, inputs).
        """
        measured, encoded = numbers.tensor_split((self.measured,), -1)
        features = self.features(measured)
        if self.attention is not None:
            features = self.attention(features)
        views = encoded if self.shape.layout.encoding is not None else images
        return features if self.encoder is None else torch.cat([features, self.encoder(views)], -1)

    def decide(self, inputs: Tensor, *, greedy: bool = False) -> Tensor:
        """Choose actions.

        Args:
            inputs: (batch, inputs), from `see`.
            greedy: take the middle of the distribution instead of drawing from it.

        Returns:
            (batch, actions) in [-1, 1].
        """
        mean, log_std = self.arm(inputs)
        action = torch.tanh(mean) if greedy else sample(mean, log_std)[0]
        if self.gripper is None:
            return action
        choice = self.gripper(inputs).mean(0).argmax(-1, keepdim=True)
        return torch.cat([action, choice.to(action.dtype) - 1], -1)

    @torch.no_grad()
    def act(self, obs: Observation, *, greedy: bool = False) -> NDArray[np.float32]:
        """Choose an action for one observation.

        Args:
            obs: from the layout's `read`.
            greedy: see `decide`.

        Returns:
            (actions,) float32 in [-1, 1].
        """
        device = self.features.matrix.device
        numbers = torch.from_numpy(obs.numbers)[None].to(device)
        images = None if obs.images is None else prepare(torch.from_numpy(obs.images)[None].to(device))
        return self.decide(self.see(numbers, images), greedy=greedy)[0].cpu().numpy()

    def act_in(
        self, observation: Mapping[str, Any], *, greedy: bool = True, encoder: ViewEncoder | None = None
    ) -> NDArray[np.float32]:
        """Choose an action for an environment's observation; see `act`.

        Args:
            observation: see the layout's `read`.
            greedy: see `decide`.
            encoder: of the views, where they are encoded.
        """
        return self.act(self.shape.layout.read(observation, encoder=encoder), greedy=greedy)


def _encoder(layout: ObservationLayout) -> SpatialSoftmaxEncoder | Bottleneck | None:
    """What is learned about views, if there are any."""
    if layout.encoding is not None:
        return Bottleneck(layout.encoded_size, len(layout.views))
    return SpatialSoftmaxEncoder(len(layout.cameras), layout.image_size) if layout.cameras else None
