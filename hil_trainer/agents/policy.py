"""The policy: from an observation to an action. Only this is sent to actors and exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hil_trainer.agents.encoders import Bottleneck, SpatialSoftmaxEncoder, prepare
from hil_trainer.agents.networks import Attention, CriticEnsemble, Features, GaussianPolicy, sample
from hil_trainer.data.observations import ImageEncoder, Observation, ObservationLayout, feature_map, object_features

Weights = dict[str, NDArray[Any]]  # of a policy, as they are sent to actors
_ENCODER = "encoder_sha256"
GRIPPER_CHOICES = 3  # open, stay, close: -1, 0 and 1 in an action


@dataclass(frozen=True)
class PolicyShape:
    """All that is needed to build a policy before its weights are loaded.

    Attributes:
        layout: of its observations; the privileged parts are left out.
        actions: size of an action.
        width: units of each hidden layer.
        discrete_gripper: the last component of the action is one of three choices, made by critics of its own.
        gripper_critics: number of these critics.
        attention_heads: heads of the attention over objects in the state vector; 0 for none. Without objects there is
            no attention.
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
        shape: of the observations, the networks and the action.
    """

    def __init__(self, shape: PolicyShape):
        super().__init__()
        self.shape = shape = replace(shape, layout=replace(shape.layout, privileged=()))
        layout = shape.layout
        self.features = Features(*feature_map(layout.measured))
        self.measured = layout.state_size - layout.encoded_size
        if layout.encoding is not None:
            # What was learned from the features of one encoder is useless with another.
            sha256 = bytes.fromhex(layout.encoding.sha256)
            self.register_buffer(_ENCODER, torch.tensor(list(sha256), dtype=torch.uint8))
        self.encoder: SpatialSoftmaxEncoder | Bottleneck | None = None
        if layout.encoding is not None:
            self.encoder = Bottleneck(layout.encoded_size, len(layout.views))
        elif layout.cameras:
            self.encoder = SpatialSoftmaxEncoder(len(layout.cameras), layout.image_size)
        has_attention = shape.attention_heads and object_features(layout.measured)[1]
        self.attention = Attention(layout.measured, shape.attention_heads) if has_attention else None
        measured = self.features if self.attention is None else self.attention
        self.inputs = measured.size + (0 if self.encoder is None else self.encoder.size)
        self.arm = GaussianPolicy(self.inputs, shape.actions - shape.discrete_gripper, shape.width)
        self.gripper: CriticEnsemble | None = None
        if shape.discrete_gripper:
            self.gripper = CriticEnsemble(shape.gripper_critics, self.inputs, GRIPPER_CHOICES, shape.width)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights, as `torch.nn.Module.load_state_dict` does.

        Raises:
            RuntimeError: they belong to another network, or to another frozen encoder.
        """
        mine, other = getattr(self, _ENCODER, None), state_dict.get(_ENCODER)
        if mine is not None and other is not None and not torch.equal(mine.cpu(), other.cpu()):
            raise RuntimeError("the frozen encoder has other weights than in training")
        return super().load_state_dict(state_dict, strict, assign)

    def encode(self, state: Tensor, images: Tensor | None = None) -> Tensor:
        """Features of observations.

        Args:
            state: (batch, state).
            images: (batch, views, 3, height, width) float32 from `prepare`; None without images.

        Returns:
            (batch, inputs).
        """
        measured, encoded = state.tensor_split((self.measured,), -1)
        features = self.features(measured)
        if self.attention is not None:
            features = self.attention(features)
        views = encoded if self.shape.layout.encoding is not None else images
        return features if self.encoder is None else torch.cat([features, self.encoder(views)], -1)

    def choose(self, features: Tensor, *, greedy: bool = False) -> Tensor:
        """Choose actions.

        Args:
            features: (batch, inputs), from `encode`.
            greedy: take the most likely action instead of sampling.

        Returns:
            (batch, actions) in [-1, 1].
        """
        mean, log_std = self.arm(features)
        action = torch.tanh(mean) if greedy else sample(mean, log_std)[0]
        if self.gripper is None:
            return action
        choice = self.gripper(features).mean(0).argmax(-1, keepdim=True)
        return torch.cat([action, choice.to(action.dtype) - 1], -1)

    @torch.no_grad()
    def act(self, obs: Observation, *, greedy: bool = False) -> NDArray[np.float32]:
        """Choose an action for one observation.

        Args:
            obs: from the layout's `read`.
            greedy: see `choose`.

        Returns:
            (actions,) float32 in [-1, 1].
        """
        device = self.features.matrix.device
        state = torch.from_numpy(obs.state)[None].to(device)
        images = None if obs.images is None else prepare(torch.from_numpy(obs.images)[None].to(device))
        return self.choose(self.encode(state, images), greedy=greedy)[0].cpu().numpy()

    def act_in(
        self, observation: Mapping[str, Any], *, greedy: bool = True, encoder: ImageEncoder | None = None
    ) -> NDArray[np.float32]:
        """Choose an action for an environment's observation.

        Args:
            observation: see the layout's `read`.
            greedy: see `choose`.
            encoder: of the images, if the layout has an encoding.

        Returns:
            (actions,) float32 in [-1, 1].
        """
        return self.act(self.shape.layout.read(observation, encoder=encoder), greedy=greedy)


def load_weights(policy: Policy, weights: Weights) -> None:
    """Load weights that were sent."""
    # Copied, because weights in shared memory must not be written to.
    policy.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
