"""Soft actor-critic with an ensemble of critics, for batches of which half is an operator's.

The method is SAC (Haarnoja et al. 2018, arXiv:1812.05905) as RLPD uses it with prior data (Ball et al. 2023,
arXiv:2302.02948) and HIL-SERL with interventions (Luo et al. 2024, arXiv:2410.21845); targets take the least of a
random part of the ensemble (REDQ, Chen et al. 2021, arXiv:2101.05982).
"""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hil_trainer.agents.encoders import prepare, random_shift
from hil_trainer.agents.networks import CriticEnsemble, Features, sample
from hil_trainer.agents.policy import Policy, PolicyShape
from hil_trainer.config import SACConfig
from hil_trainer.data.observations import ObservationLayout, feature_map
from hil_trainer.data.replay_buffer import Batch

_AT_ONCE = 128  # observations with images: more do not fit a processor's cache, and take longer


def policy_shape(layout: ObservationLayout, actions: int, config: SACConfig) -> PolicyShape:
    """The shape of the policy that is learned.

    Args:
        layout: of the observations.
        actions: numbers of an action.
        config: how to learn.
    """
    discrete = config.gripper == "discrete"
    return PolicyShape(layout, actions, config.width, discrete_gripper=discrete, attention_heads=config.attention_heads)


class _Targets(NamedTuple):
    """What critics should say of each transition, and what the gripper's should."""

    arm: Tensor
    gripper: Tensor | None

    def every(self, step: int, first: int) -> _Targets:
        return _Targets(self.arm[first::step], None if self.gripper is None else self.gripper[first::step])


class SAC:
    """The learner's networks, their optimisers, and how they are updated.

    With views there are two ways. If the layout has privileged parts, critics see these instead of views, and the
    policy's encoder learns from the policy's loss (asymmetric actor-critic, Pinto et al. 2017, arXiv:1710.06542) and
    from predicting the privileged parts. If not, critics see through the policy's encoder and train it, and the
    policy's loss does not reach it (DrQ, arXiv:2004.13649).

    Args:
        layout: of the observations.
        actions: numbers of an action.
        config: how to learn.
        device: to learn on.
        mixed_precision: compute hidden layers in bfloat16.
    """

    def __init__(
        self,
        layout: ObservationLayout,
        actions: int,
        config: SACConfig,
        *,
        device: torch.device | str = "cpu",
        mixed_precision: bool = False,
    ):
        self.config, self.device, self.mixed_precision = config, torch.device(device), mixed_precision
        self.policy = Policy(policy_shape(layout, actions, config)).to(self.device)
        # What the policy sees comes first, so that the features behind it are what only the critics know.
        self.features = Features(*feature_map([*layout.measured, *layout.privileged])).to(self.device)
        self.sees_views = bool(layout.views) and not layout.privileged
        self.arm_actions = actions - self.policy.shape.discrete_gripper
        inputs = self.policy.inputs if self.sees_views else self.features.size
        self.critic = CriticEnsemble(config.critics, inputs + self.arm_actions, width=config.width).to(self.device)
        self.critic_target = _frozen(self.critic)
        self.gripper_target = None if self.policy.gripper is None else _frozen(self.policy.gripper)
        self.log_temperature = torch.tensor(math.log(config.temperature), device=self.device, requires_grad=True)
        hidden = self.features.size - self.policy.features.size
        self.guess = (
            nn.Linear(self.policy.encoder.size, hidden).to(self.device)
            if self.policy.encoder is not None and hidden
            else None
        )
        self.optimisers = self._optimisers()

    def update(self, batch: Batch, *, updates: int = 1) -> dict[str, Tensor]:
        """Improve the critics some times, and the policy and the temperature once.

        Args:
            batch: transitions for all updates. Each takes every `updates`-th row, and so its share of all that was put
                together.
            updates: of the critics.

        Returns:
            The last losses and values, each one number.
        """
        # Targets of all updates come at once, which takes less time than one by one. They know nothing of the updates
        # that they are for, by each of which the target critics would have followed by a hundredth at most.
        with self._precision():
            targets = self._targets(batch)
        for number in range(updates):
            part = batch.every(updates, number)
            # Each time anew, because weights in low precision are kept until the end of such a block.
            with self._precision():
                numbers = self._critic_update(part, targets.every(updates, number))
        with self._precision():
            return numbers | self._policy_update(part)

    @property
    def temperature(self) -> Tensor:
        """What entropy is worth."""
        return self.log_temperature.exp()

    def state_dict(self) -> dict[str, Any]:
        """All networks, optimisers and the temperature."""
        return {
            "policy": self.policy.state_dict(),
            "critic": self.critic.state_dict(),
            "critic_target": self.critic_target.state_dict(),
            "gripper_target": None if self.gripper_target is None else self.gripper_target.state_dict(),
            "guess": None if self.guess is None else self.guess.state_dict(),
            "log_temperature": self.log_temperature.detach(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.policy.load_state_dict(state["policy"])
        self.critic.load_state_dict(state["critic"])
        self.critic_target.load_state_dict(state["critic_target"])
        if self.gripper_target is not None:
            self.gripper_target.load_state_dict(state["gripper_target"])
        if self.guess is not None:
            self.guess.load_state_dict(state["guess"])
        with torch.no_grad():
            self.log_temperature.copy_(state["log_temperature"])
        for name, optimiser in self.optimisers.items():
            # The learning rates are those of the configuration, which may have been changed since.
            rates = [group["lr"] for group in optimiser.param_groups]
            optimiser.load_state_dict(state["optimisers"][name])
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed_precision)

    @torch.no_grad()
    def _targets(self, batch: Batch) -> _Targets:
        """What the critics should say."""
        config, gripper = self.config, self.policy.gripper
        following = self._policy_sees(batch.next_numbers, batch.next_images, shifted=self.sees_views)
        next_action, _ = sample(*self.policy.arm(following))
        critic_following = (
            following if self.sees_views else self._critic_sees(batch.next_numbers, batch.next_privileged, None)
        )
        chosen = torch.randperm(config.critics, device=self.device)[: config.target_critics]
        values = self.critic_target(torch.cat([critic_following, next_action], -1), chosen)[..., 0].amin(0)
        # As in RLPD's sparse tasks, entropy is no part of what critics estimate.
        arm = batch.reward + batch.discount * values
        if gripper is None or self.gripper_target is None:
            return _Targets(arm, None)
        # Double Q-learning (van Hasselt et al. 2015, arXiv:1509.06461) over the gripper's three choices.
        choice = gripper(following).mean(0).argmax(-1)
        values = self.gripper_target(following).amin(0).gather(-1, choice[:, None])[:, 0]
        return _Targets(arm, batch.reward + batch.penalty + batch.discount * values)

    def _critic_update(self, batch: Batch, targets: _Targets) -> dict[str, Tensor]:
        obs = self._critic_sees(batch.numbers, batch.privileged, batch.images)
        estimates = self.critic(torch.cat([obs, batch.action[:, : self.arm_actions]], -1))[..., 0]
        loss = critic_loss = (estimates - targets.arm).square().mean()
        if targets.gripper is not None:
            loss = loss + self._gripper_loss(batch, targets.gripper)
        self._step("critic", loss)
        self._follow(self.critic_target, self.critic)
        if self.gripper_target is not None and self.policy.gripper is not None:
            self._follow(self.gripper_target, self.policy.gripper)
        return {"critic_loss": critic_loss.detach(), "q": estimates.detach().mean()}

    def _gripper_loss(self, batch: Batch, targets: Tensor) -> Tensor:
        gripper = self.policy.gripper
        assert gripper is not None
        obs = self._policy_sees(batch.numbers, batch.images)
        done = (batch.action[:, -1].round() + 1).long()
        estimates = gripper(obs).gather(-1, done.expand(gripper.members, -1)[..., None])[..., 0]
        return (estimates - targets).square().mean()

    def _policy_update(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        with torch.set_grad_enabled(not self.sees_views):
            encoded = self._policy_sees(batch.numbers, batch.images)
        mean, log_std = self.policy.arm(encoded)
        action, log_probability = sample(mean, log_std)
        obs = encoded if self.sees_views else self._critic_sees(batch.numbers, batch.privileged, None)
        self.critic.requires_grad_(False)
        value = self.critic(torch.cat([obs, action], -1)).mean(0)[:, 0]
        self.critic.requires_grad_(True)
        loss = actor_loss = (self.temperature.detach() * log_probability - value).mean()
        report = {}
        if config.imitation:
            distance = (torch.tanh(mean) - batch.action[:, : self.arm_actions]).square().sum(-1)
            imitation = (distance * batch.is_intervention).mean()
            loss = loss + config.imitation * imitation
            report["imitation_loss"] = imitation.detach()
        if self.guess is not None and self.policy.encoder is not None:
            guessed = self.guess(encoded[:, -self.policy.encoder.size :])
            truth = self._critic_sees(batch.numbers, batch.privileged, None)[:, self.policy.features.size :]
            auxiliary = (guessed - truth).square().mean()
            loss = loss + config.auxiliary * auxiliary
            report["auxiliary_loss"] = auxiliary.detach()
        self._step("policy", loss)
        missing = log_probability.detach().mean() + config.target_entropy * self.arm_actions
        self._step("temperature", -self.log_temperature.exp() * missing)
        return report | {
            "actor_loss": actor_loss.detach(),
            "temperature": self.temperature.detach(),
            "entropy": -log_probability.detach().mean(),
        }

    def _policy_sees(self, numbers: Tensor, images: Tensor | None, *, shifted: bool = True) -> Tensor:
        if images is None:
            return self.policy.see(numbers)
        if shifted and self.config.shift:
            images = random_shift(images, self.config.shift)
        parts = zip(numbers.split(_AT_ONCE), images.split(_AT_ONCE), strict=True)
        return torch.cat([self.policy.see(some, prepare(images)) for some, images in parts])

    def _critic_sees(self, numbers: Tensor, privileged: Tensor, images: Tensor | None) -> Tensor:
        if self.sees_views:
            return self._policy_sees(numbers, images)
        return self.features(torch.cat([numbers[:, : self.policy.measured], privileged], -1))

    def _step(self, name: str, loss: Tensor) -> None:
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def _follow(self, target: nn.Module, network: nn.Module) -> None:
        with torch.no_grad():
            torch._foreach_lerp_(list(target.parameters()), list(network.parameters()), self.config.tau)

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        config, policy = self.config, self.policy
        encoder = [] if policy.encoder is None else list(policy.encoder.parameters())
        critic, actor = list(self.critic.parameters()), list(policy.arm.parameters())
        if policy.attention is not None:
            actor += policy.attention.parameters()
        if policy.gripper is not None:
            critic += policy.gripper.parameters()
        if self.guess is not None:
            actor += self.guess.parameters()
        (critic if self.sees_views else actor).extend(encoder)
        rate = config.learning_rate
        policy_rate = rate if config.policy_learning_rate is None else config.policy_learning_rate
        return {
            "critic": torch.optim.Adam(critic, rate, fused=True),
            "policy": torch.optim.Adam(actor, policy_rate, fused=True),
            "temperature": torch.optim.Adam([self.log_temperature], rate),
        }


def _frozen(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).requires_grad_(False)
