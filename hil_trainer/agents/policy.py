"""Policies: from an observation to an action. Only these are sent to actors and exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hil_trainer.agents.agent import Action
from hil_trainer.agents.encoders import Bottleneck, CellEncoder, Encoder, SpatialSoftmaxEncoder, prepare
from hil_trainer.agents.frozen_encoder import FrozenEncoder, load_cell_encoder
from hil_trainer.agents.networks import (
    Attention,
    CriticEnsemble,
    Features,
    GaussianPolicy,
    VelocityField,
    integrate,
    sample,
)
from hil_trainer.data.observations import Observation, ObservationLayout, object_features

Weights = dict[str, NDArray[Any]]  # of a policy, as they are sent to actors
ENCODER_SHA256 = "encoder_sha256"
GRIPPER_CHOICES = 3  # open, stay, close: -1, 0 and 1 in an action


@dataclass(frozen=True)
class BaseShape:
    """All that is needed to build a policy before its weights are loaded."""

    layout: ObservationLayout  # of its observations; the privileged parts are left out
    actions: int  # size of an action
    width: int = 256  # units of each hidden layer
    discrete_gripper: bool = False  # the last component of the action is one of three choices
    # Heads of the attention over objects in the state vector; 0 for none. Without objects there is no attention.
    attention_heads: int = 0

    def make_policy(self) -> BasePolicy:
        """A policy of this shape, with initial weights."""
        raise NotImplementedError


@dataclass(frozen=True)
class PolicyShape(BaseShape):
    """Shape of the policy of SAC."""

    gripper_critics: int = 2  # number of critics that choose a discrete gripper's action

    def make_policy(self) -> Policy:
        """A policy of this shape, with initial weights."""
        return Policy(self)


class BasePolicy(nn.Module):
    """Encodes observations; subclasses choose actions by the features.

    Attributes:
        shape: see above, without the privileged parts.
        inputs: number of features.
        frozen: encoder of the images that is no part of the weights; None if there is none here.
    """

    frozen: FrozenEncoder | None = None
    fourier = True  # see `Attention`

    def __init__(self, shape: BaseShape):
        super().__init__()
        self.shape = shape = replace(shape, layout=replace(shape.layout, privileged=()))
        layout = shape.layout
        self.features = Features.of(layout.measured)
        self.measured = layout.state_size - layout.encoded_size
        if layout.encoding is not None:
            self._note_encoder(layout.encoding.sha256)
        self.encoder = self._make_encoder()
        has_attention = shape.attention_heads and object_features(layout.measured)[1]
        heads = shape.attention_heads
        self.attention = Attention(layout.measured, heads, fourier=self.fourier) if has_attention else None
        measured = self.features if self.attention is None else self.attention
        self.inputs = measured.size + (0 if self.encoder is None else self.encoder.size)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights, as `torch.nn.Module.load_state_dict` does.

        Raises:
            RuntimeError: they belong to another network, or to another frozen encoder.
        """
        mine, other = getattr(self, ENCODER_SHA256, None), state_dict.get(ENCODER_SHA256)
        if mine is not None and other is not None and not torch.equal(mine.cpu(), other.cpu()):
            raise RuntimeError("the frozen encoder has other weights than in training")
        return super().load_state_dict(state_dict, strict, assign)

    def prepare(self, images: Tensor) -> Tensor:
        """Images of observations, (batch, views, height, width, 3) uint8, as `encode` takes them."""
        return prepare(images)

    def encode(self, state: Tensor, images: Tensor | None = None, *, noise: float = 0.0) -> Tensor:
        """Features of observations.

        Args:
            state: (batch, state).
            images: from `prepare`; None without images.
            noise: standard deviation of noise that is added to the features of the state.

        Returns:
            (batch, inputs).
        """
        measured, encoded = state.tensor_split((self.measured,), -1)
        features = self.features(measured)
        if noise:
            features = features + noise * torch.randn_like(features)
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
            (batch, actions) in [-1, 1], or (batch, steps, actions) of a policy that plans.
        """
        raise NotImplementedError

    @torch.no_grad()
    def plans(self, observations: Sequence[Observation], *, greedy: bool = False) -> list[list[Action]]:
        """Choose for observations from the layout's `read`, all at once; an `Agent`. For `greedy` see `choose`.

        Returns:
            For each observation the actions until the next choice, each (actions,) float32 in [-1, 1].
        """
        device = self.features.matrix.device
        state = torch.from_numpy(np.stack([obs.state for obs in observations])).to(device)
        views = [obs.images for obs in observations if obs.images is not None]
        images = self.prepare(torch.from_numpy(np.stack(views)).to(device)) if views else None
        return self.executed(self.choose(self.encode(state, images), greedy=greedy).cpu().numpy())

    def executed(self, chosen: NDArray[np.float32]) -> list[list[Action]]:
        """What is executed of what `choose` returned, for each observation."""
        return [[action] for action in chosen]

    def _note_encoder(self, sha256: str) -> None:
        """Note the frozen encoder's weights: what was learned from the features of one is useless with another."""
        self.register_buffer(ENCODER_SHA256, torch.tensor(list(bytes.fromhex(sha256)), dtype=torch.uint8))

    def _make_encoder(self) -> Encoder | None:
        """The learned encoder of images, or of a frozen encoder's features."""
        layout = self.shape.layout
        if layout.encoding is not None:
            return Bottleneck(layout.encoded_size, len(layout.views))
        return SpatialSoftmaxEncoder(len(layout.cameras), layout.image_size) if layout.cameras else None


class Policy(BasePolicy):
    """Gaussian policy of SAC, with critics that choose a discrete gripper's action."""

    shape: PolicyShape

    def __init__(self, shape: PolicyShape):
        super().__init__(shape)
        self.arm = GaussianPolicy(self.inputs, shape.actions - shape.discrete_gripper, shape.width)
        self.gripper: CriticEnsemble | None = None
        if shape.discrete_gripper:
            self.gripper = CriticEnsemble(shape.gripper_critics, self.inputs, GRIPPER_CHOICES, shape.width)

    def choose(self, features: Tensor, *, greedy: bool = False) -> Tensor:
        """See `BasePolicy.choose`."""
        mean, log_std = self.arm(features)
        action = torch.tanh(mean) if greedy else sample(mean, log_std)[0]
        if self.gripper is None:
            return action
        choice = self.gripper(features).mean(0).argmax(-1, keepdim=True)
        return torch.cat([action, choice.to(action.dtype) - 1], -1)


@dataclass(frozen=True)
class FlowPolicyShape(BaseShape):
    """Shape of a flow policy."""

    chunk_size: int = 8  # actions of a plan, h
    n_action_steps: int = 4  # actions that are executed before the next plan
    flow_steps: int = 10  # Euler steps from noise to a plan
    encoder: str | None = None  # frozen encoder of the images, as of `load_encoder`; None for a learned one

    def make_policy(self) -> FlowPolicy:
        """A policy of this shape, with initial weights."""
        return FlowPolicy(self)


class FlowPolicy(BasePolicy):
    """Plans h actions by integrating a velocity field from noise (flow matching, Lipman et al. 2023, arXiv:2210.02747).

    Greedy plans begin at zero, the mean of the noise.

    Raises:
        ConfigurationError: there is no such encoder, or its features have no height and width.
    """

    shape: FlowPolicyShape
    fourier = False  # few demonstrations are enough without: 59 of 60 ArrangeBoxes from 41 of them, 58 with

    def __init__(self, shape: FlowPolicyShape):
        super().__init__(shape)
        self.velocity = VelocityField(self.inputs, shape.chunk_size * shape.actions, shape.width)

    def executed(self, chosen: NDArray[np.float32]) -> list[list[Action]]:
        """The first actions of each plan."""
        return [list(plan[: self.shape.n_action_steps]) for plan in chosen]

    def choose(self, features: Tensor, *, greedy: bool = False) -> Tensor:
        """(batch, inputs) -> (batch, chunk_size, actions) in [-1, 1]."""
        noise = torch.zeros(len(features), self.shape.chunk_size * self.shape.actions, device=features.device)
        return self.plan(features, noise if greedy else torch.randn_like(noise))

    def plan(self, features: Tensor, noise: Tensor) -> Tensor:
        """(batch, inputs), (batch, chunk_size * actions) -> (batch, chunk_size, actions) in [-1, 1]."""
        return self.executable(integrate(self.velocity, features, noise, self.shape.flow_steps))

    def executable(self, flowed: Tensor) -> Tensor:
        """(batch, chunk_size * actions) -> (batch, chunk_size, actions) as they are executed.

        The gradient passes the rounding of a discrete gripper unchanged (straight-through estimator, Bengio et al.
        2013, arXiv:1308.3432).
        """
        shape = self.shape
        actions = flowed.clamp(-1, 1).unflatten(-1, (shape.chunk_size, shape.actions))
        if not shape.discrete_gripper:
            return actions
        arm, gripper = actions[..., :-1], actions[..., -1:]
        return torch.cat([arm, gripper + (gripper.round() - gripper).detach()], -1)

    def prepare(self, images: Tensor) -> Tensor:
        """(batch, views, height, width, 3) uint8 -> images for a learned encoder, or a frozen encoder's features."""
        if self.frozen is None:
            return prepare(images)
        encoded = self.frozen.encode(images.flatten(0, 1).cpu().numpy())
        return torch.from_numpy(encoded).view(*images.shape[:2], *self.frozen.shape).to(images.device)

    def _make_encoder(self) -> Encoder | None:
        layout, source = self.shape.layout, self.shape.encoder
        if source is None:
            return super()._make_encoder()
        self.frozen = load_cell_encoder(source, layout.image_size)
        self._note_encoder(self.frozen.sha256)
        return CellEncoder(len(layout.cameras), self.frozen.shape)


@dataclass(frozen=True)
class ResidualPolicyShape(FlowPolicyShape):
    """Shape of a flow policy with a residual."""

    def make_policy(self) -> ResidualPolicy:
        """A policy of this shape, with initial weights."""
        return ResidualPolicy(self)


class ResidualPolicy(FlowPolicy):
    """Plans by a flow that imitates, and adds a residual, which is zero at first, to each plan.

    So what was imitated is not lost when critics begin to correct it, as with ResFiT (Ankile et al. 2025,
    arXiv:2509.19301) and the edits of EXPO (Dong et al. 2025, arXiv:2507.07986).
    """

    def __init__(self, shape: ResidualPolicyShape):
        super().__init__(shape)
        self.residual = VelocityField(self.inputs, shape.chunk_size * shape.actions, shape.width)
        nn.init.zeros_(self.residual.head.weight)
        nn.init.zeros_(self.residual.head.bias)

    def plan(self, features: Tensor, noise: Tensor) -> Tensor:
        """See `FlowPolicy.plan`."""
        return self.executable(self.corrected(features, self.imitated(features, noise)))

    def imitated(self, features: Tensor, noise: Tensor) -> Tensor:
        """A plan of the flow alone: (batch, inputs), (batch, chunk_size * actions) -> (batch, chunk_size * actions)."""
        return integrate(self.velocity, features, noise, self.shape.flow_steps).clamp(-1, 1)

    def corrected(self, features: Tensor, imitated: Tensor) -> Tensor:
        """A plan of the flow, with the residual."""
        return imitated + self.residual(features, imitated, torch.ones_like(imitated[:, :1]))


def load_weights(policy: BasePolicy, weights: Weights) -> None:
    """Load weights that were sent."""
    # Copied, because weights in shared memory must not be written to.
    policy.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
