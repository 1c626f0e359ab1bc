"""Imitation of an operator by action chunks: behaviour cloning with flow matching.

The policy plans h actions, as in ACT (Zhao et al. 2023, arXiv:2304.13705) and diffusion policy (Chi et al. 2023,
arXiv:2303.04137), by a flow that is learned with flow matching (Lipman et al. 2023, arXiv:2210.02747). With an operator
who corrects the policy this is HG-DAgger (Kelly et al. 2019, arXiv:1810.02890).
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from hil_trainer.agents.algorithm import Algorithm
from hil_trainer.agents.encoders import prepare, random_shift
from hil_trainer.agents.networks import polyak_update
from hil_trainer.agents.policy import FlowPolicy, FlowPolicyShape
from hil_trainer.config import BCConfig
from hil_trainer.data.observations import Observation, ObservationLayout
from hil_trainer.data.transitions import Chunks, Transitions

_ENCODED_AT_ONCE = 32  # observations, whose images a frozen encoder encodes


def policy_shape(
    layout: ObservationLayout, actions: int, config: BCConfig, encoder: str | None = None
) -> FlowPolicyShape:
    """The shape of the policy that is learned.

    Args:
        layout: of the observations.
        actions: size of an action.
        config: settings of the algorithm.
        encoder: frozen encoder of the images; None for a learned one.
    """
    return FlowPolicyShape(
        layout,
        actions,
        config.width,
        discrete_gripper=config.gripper == "discrete",
        attention_heads=config.attention_heads,
        chunk_size=config.chunk_size,
        n_action_steps=config.n_action_steps,
        flow_steps=config.flow_steps,
        encoder=encoder,
    )


class BC(Algorithm):
    """Network, its moving average, and updates.

    With images and privileged parts in the layout, an auxiliary head predicts these from the images.

    Arguments are those of `Algorithm`, with a shape from `policy_shape`. The learning rate falls over the offline
    steps.

    Attributes:
        policy: the moving average of the network.
    """

    imitates_only = True
    config: BCConfig

    def __init__(self, shape: FlowPolicyShape, config: BCConfig, **options: Any):
        super().__init__(shape, config, **options)
        self.chunk_size, self._offline_updates = config.chunk_size, self.offline_steps * self._updates_per_step
        self._updates, self._started = 0, False
        self.network = shape.make_policy().to(self.device)
        self.policy = copy.deepcopy(self.network).eval().requires_grad_(False)
        if (frozen := self.policy.frozen) is not None:
            frozen.to(self.device)
            self.encoded = (config.encoded_copies, len(shape.layout.cameras), *frozen.shape)
        self._make_auxiliary_head(self.network)
        self._learned = nn.ModuleList(
            [self.network] if self.auxiliary_head is None else [self.network, self.auxiliary_head]
        )
        self.optimizer = torch.optim.AdamW(
            self._learned.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
        )

    def keep(self, transitions: Transitions) -> Transitions:
        """Transitions as they are stored: with a frozen encoder's features of shifted copies instead of images."""
        if self.encoded is None or transitions.images is None:
            return transitions
        copies = [torch.zeros(0, *self.encoded, dtype=torch.float16)]
        for start in range(0, len(transitions), _ENCODED_AT_ONCE):
            images = torch.from_numpy(transitions.images[start : start + _ENCODED_AT_ONCE, 0])
            shifted = [random_shift(images, self.config.shift) for _ in range(self.config.encoded_copies - 1)]
            encoded = [self.policy.prepare(version).half() for version in (images, *shifted)]
            copies.append(torch.stack(encoded, 1))
        return Transitions(transitions.rows, torch.cat(copies).numpy())

    def normalise(self, states: Tensor) -> None:
        """See `Algorithm.normalise`."""
        super().normalise(states)
        self.network.features.normalise(states)

    def update(self, batch: Chunks, *, updates: int = 1) -> dict[str, Tensor]:
        """Update the network and its moving average some times."""
        for number in range(updates):
            with self._precision():
                loss, report = self._loss(batch.minibatch(number, updates))
            self._step(loss)
        return report

    def start_from(self, policy: FlowPolicy) -> None:
        """Start from the weights of a policy of the same shape."""
        for network in (self.network, self.policy):
            network.load_state_dict(policy.state_dict())
        self._started = True

    def _step(self, loss: Tensor) -> None:
        """Make a step of the network, and one of its moving average."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self._updates += 1
        # The initial weights count no more than others, unless they were learned.
        rate = self.config.ema if self._started else max(self.config.ema, 1 / self._updates)
        polyak_update(self.policy, self.network, rate)

    def _loss(self, batch: Chunks) -> tuple[Tensor, dict[str, Tensor]]:
        return self._imitation(self._features(batch.observation, noise=self.config.state_noise), batch)

    def _features(self, obs: Observation, *, noise: float = 0.0) -> Tensor:
        return self.network.encode(obs.state, self._images(obs), noise=noise)

    def _imitation(self, features: Tensor, batch: Chunks) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of the flow, on the operator's steps, and of the auxiliary head."""
        config, samples = self.config, self.config.noise_samples
        action, mask = (part.repeat(samples, *[1] * (part.ndim - 1)) for part in batch[1:3])
        # Conditional flow matching with straight paths: E |v(x_t, t) - (a - z)|^2, x_t = (1 - t) z + t a
        target = action.flatten(1)
        noise, time = torch.randn_like(target), torch.rand_like(target[:, :1])
        velocity = self.network.velocity(features.repeat(samples, 1), torch.lerp(noise, target, time), time)
        error = (velocity - (target - noise)).square().view_as(action).mean(-1)
        loss = imitation = (error * mask).sum() / mask.sum().clamp(min=1)
        report = {"imitation_loss": imitation.detach()}
        if self.auxiliary_head is not None:
            auxiliary = self._auxiliary_loss(self.auxiliary_head, features, batch.observation)
            loss = loss + config.auxiliary * auxiliary
            report["auxiliary_loss"] = auxiliary.detach()
        return loss, report

    @property
    def _updates_per_step(self) -> int:
        """Updates of the network for each step."""
        return self.config.utd_ratio

    def _images(self, obs: Observation) -> Tensor | None:
        if obs.images is None or self.encoded is not None:
            return None if obs.images is None else obs.images.float()
        return prepare(random_shift(obs.images, self.config.shift))

    def _learning_rate(self) -> float:
        config = self.config
        if not self._offline_updates:
            return config.learning_rate
        done = min(1.0, self._updates / self._offline_updates)
        share = (1 + math.cos(math.pi * done)) / 2
        return config.learning_rate * (config.final_learning_rate + (1 - config.final_learning_rate) * share)

    def state_dict(self) -> dict[str, Any]:
        """What is learned, its moving average, the optimizer and the number of updates."""
        return {
            "policy": self.policy.state_dict(),
            "learned": self._learned.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "updates": self._updates,
            "offline_updates": self._offline_updates,
            "started": self._started,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.policy.load_state_dict(state["policy"])
        self._learned.load_state_dict(state["learned"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._updates, self._started = state["updates"], state.get("started", False)
        # An offline part that has ended stays where it was; one that the settings of a resume cut short ends here.
        offline = state.get("offline_updates", self._offline_updates)
        self._offline_updates = offline if offline <= self._updates else max(self._offline_updates, self._updates)
