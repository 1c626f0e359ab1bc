"""Soft actor-critic with an ensemble of critics and prior data.

SAC (Haarnoja et al. 2018, arXiv:1812.05905) as RLPD uses it with prior data (Ball et al. 2023, arXiv:2302.02948) and
HIL-SERL with interventions (Luo et al. 2024, arXiv:2410.21845); targets are the minimum over a random subset of the
ensemble (REDQ, Chen et al. 2021, arXiv:2101.05982).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from hil_trainer.agents.algorithm import Algorithm
from hil_trainer.agents.encoders import prepare, random_shift
from hil_trainer.agents.networks import CriticEnsemble, polyak_update, sample, target_of
from hil_trainer.agents.policy import Policy, PolicyShape
from hil_trainer.config import SACConfig
from hil_trainer.data.observations import Observation, ObservationLayout
from hil_trainer.data.transitions import Batch

_IMAGE_BATCH = 128  # observations with images at once: more do not fit a processor's cache, and take longer


def policy_shape(layout: ObservationLayout, actions: int, config: SACConfig, encoder: str | None = None) -> PolicyShape:
    """The shape of the policy that is learned.

    Args:
        layout: of the observations.
        actions: size of an action.
        config: settings of the algorithm.
        encoder: unused; a frozen encoder's features are in the layout.
    """
    discrete = config.gripper == "discrete"
    return PolicyShape(layout, actions, config.width, discrete_gripper=discrete, attention_heads=config.attention_heads)


class SAC(Algorithm):
    """Networks, optimizers and updates.

    With images there are two ways. If the layout has privileged parts, the critics see these instead of images, and the
    policy's encoder learns from the policy loss (asymmetric actor-critic, Pinto et al. 2017, arXiv:1710.06542) and from
    an auxiliary head that predicts the privileged parts. If not, the critics see images through the policy's encoder
    and train it, and the policy loss does not reach it (DrQ, Kostrikov et al. 2020, arXiv:2004.13649).

    The gripper penalty is part of the reward, except with a discrete gripper, where only the gripper's critics learn
    from it.

    Arguments are those of `Algorithm`; the shape is from `policy_shape`.
    """

    policy: Policy
    config: SACConfig

    def __init__(self, shape: PolicyShape, config: SACConfig, **options: Any):
        super().__init__(shape, config, **options)
        layout = shape.layout
        self.policy = shape.make_policy().to(self.device)
        self._normalised = layout.is_foreign
        self.critics_see_images = bool(layout.views) and not layout.privileged
        self.arm_actions = shape.actions - shape.discrete_gripper
        inputs = self.policy.inputs if self.critics_see_images else self.features.size
        self.critic = CriticEnsemble(config.critics, inputs + self.arm_actions, width=config.width).to(self.device)
        self.critic_target = target_of(self.critic)
        self.gripper_target = None if self.policy.gripper is None else target_of(self.policy.gripper)
        self.log_temperature = torch.full((), math.log(config.temperature), device=self.device, requires_grad=True)
        self._make_auxiliary_head(self.policy)
        self.optimizers = self._make_optimizers()

    @property
    def temperature(self) -> Tensor:
        """The entropy temperature alpha."""
        return self.log_temperature.exp()

    def update(self, batch: Batch, *, updates: int = 1) -> dict[str, Tensor]:
        """Update the critics some times, and the policy and the temperature once."""
        # The targets of all updates are computed at once, which is faster than one by one. They miss the polyak updates
        # in between, of a hundredth at most each.
        with self._precision():
            targets, gripper_targets = self._targets(batch)
        for number in range(updates):
            minibatch, chosen = batch.minibatch(number, updates), slice(number, None, updates)
            gripper_target = None if gripper_targets is None else gripper_targets[chosen]
            # A new block for each update, because autocast keeps weights in low precision until the end of a block.
            with self._precision():
                report = self._update_critics(minibatch, targets[chosen], gripper_target)
        with self._precision():
            return report | self._update_policy(minibatch)

    @torch.no_grad()
    def _targets(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Targets y of the critics, and of the gripper's critics if there are any."""
        config, gripper = self.config, self.policy.gripper
        next_features = self._encode(batch.next_observation, shift=self.critics_see_images)
        next_action, _ = sample(*self.policy.arm(next_features))  # a' ~ pi(s')
        next_obs = next_features if self.critics_see_images else self._critic_obs(batch.next_observation)
        subset = torch.randperm(config.critics, device=self.device)[: config.target_critics]
        next_q = self.critic_target(torch.cat([next_obs, next_action], -1), subset)[..., 0]
        if gripper is None or self.gripper_target is None:
            # y = r + gamma^n min Q'(s', a'), without entropy backup (RLPD, section 4.1)
            return batch.reward + batch.gripper_penalty + batch.discount * next_q.amin(0), None
        # Double Q-learning over the gripper's three choices (van Hasselt et al. 2015, arXiv:1509.06461).
        choice = gripper(next_features).mean(0).argmax(-1)
        next_gripper_q = self.gripper_target(next_features).amin(0).gather(-1, choice[:, None])[:, 0]
        gripper_target = batch.reward + batch.gripper_penalty + batch.discount * next_gripper_q
        return batch.reward + batch.discount * next_q.amin(0), gripper_target

    def _update_critics(self, batch: Batch, target: Tensor, gripper_target: Tensor | None) -> dict[str, Tensor]:
        obs = self._critic_obs(batch.observation)
        q = self.critic(torch.cat([obs, batch.action[:, : self.arm_actions]], -1))[..., 0]
        loss = critic_loss = (q - target).square().mean()  # J_Q = E (Q_i(s, a) - y)^2
        if gripper_target is not None:
            loss = loss + self._gripper_loss(batch, gripper_target)
        self._step("critic", loss)
        polyak_update(self.critic_target, self.critic, self.config.tau)
        if self.gripper_target is not None and self.policy.gripper is not None:
            polyak_update(self.gripper_target, self.policy.gripper, self.config.tau)
        return {"critic_loss": critic_loss.detach(), "q": q.detach().mean()}

    def _gripper_loss(self, batch: Batch, target: Tensor) -> Tensor:
        gripper = self.policy.gripper
        assert gripper is not None
        features = self._encode(batch.observation)
        choice = (batch.action[:, -1].round() + 1).long()
        q = gripper(features).gather(-1, choice.expand(gripper.members, -1)[..., None])[..., 0]
        return (q - target).square().mean()

    def _update_policy(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        with torch.set_grad_enabled(not self.critics_see_images):
            features = self._encode(batch.observation)
        mean, log_std = self.policy.arm(features)
        action, log_prob = sample(mean, log_std)
        obs = features if self.critics_see_images else self._critic_obs(batch.observation)
        self.critic.requires_grad_(False)
        q = self.critic(torch.cat([obs, action], -1)).mean(0)[:, 0]
        self.critic.requires_grad_(True)
        loss = policy_loss = (self.temperature.detach() * log_prob - q).mean()  # J_pi = E (alpha log pi(a|s) - Q(s, a))
        report = {}
        if config.imitation:
            distance = (torch.tanh(mean) - batch.action[:, : self.arm_actions]).square().sum(-1)
            imitation = (distance * batch.is_intervention).mean()
            loss = loss + config.imitation * imitation
            report["imitation_loss"] = imitation.detach()
        if self.auxiliary_head is not None:
            auxiliary = self._auxiliary_loss(self.auxiliary_head, features, batch.observation)
            loss = loss + config.auxiliary * auxiliary
            report["auxiliary_loss"] = auxiliary.detach()
        self._step("policy", loss)
        entropy = -log_prob.detach().mean()
        # J_alpha = alpha (H - H_target), with the target entropy of all action components
        self._step("temperature", self.log_temperature.exp() * (entropy - config.target_entropy * self.arm_actions))
        return report | {
            "actor_loss": policy_loss.detach(),
            "temperature": self.temperature.detach(),
            "entropy": entropy,
        }

    def _encode(self, obs: Observation, *, shift: bool = True) -> Tensor:
        """The policy's features of a batch of observations, of randomly shifted images if there are any."""
        if obs.images is None:
            return self.policy.encode(obs.state)
        images = random_shift(obs.images, self.config.shift) if shift and self.config.shift else obs.images
        parts = zip(obs.state.split(_IMAGE_BATCH), images.split(_IMAGE_BATCH), strict=True)
        return torch.cat([self.policy.encode(state, prepare(part)) for state, part in parts])

    def _critic_obs(self, obs: Observation) -> Tensor:
        if self.critics_see_images:
            return self._encode(obs)
        return self._privileged_features(obs)

    def _step(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def _make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        config, policy = self.config, self.policy
        encoder = [] if policy.encoder is None else list(policy.encoder.parameters())
        critic, actor = list(self.critic.parameters()), list(policy.arm.parameters())
        if policy.attention is not None:
            actor += policy.attention.parameters()
        if policy.gripper is not None:
            critic += policy.gripper.parameters()
        if self.auxiliary_head is not None:
            actor += self.auxiliary_head.parameters()
        (critic if self.critics_see_images else actor).extend(encoder)
        rate = config.learning_rate
        policy_rate = rate if config.policy_learning_rate is None else config.policy_learning_rate
        return {
            "critic": torch.optim.Adam(critic, rate, fused=True),
            "policy": torch.optim.Adam(actor, policy_rate, fused=True),
            "temperature": torch.optim.Adam([self.log_temperature], rate),
        }

    def _modules(self) -> dict[str, nn.Module]:
        modules = {
            "policy": self.policy,
            "features": self.features if self._normalised else None,
            "critic": self.critic,
            "critic_target": self.critic_target,
            "gripper_target": self.gripper_target,
            "auxiliary_head": self.auxiliary_head,
        }
        return {name: module for name, module in modules.items() if module is not None}

    def state_dict(self) -> dict[str, Any]:
        """All networks, optimizers and the temperature."""
        return {
            **{name: module.state_dict() for name, module in self._modules().items()},
            "log_temperature": self.log_temperature.detach(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned, with the learning rates of the configuration."""
        for name, module in self._modules().items():
            module.load_state_dict(state[name])
        with torch.no_grad():
            self.log_temperature.copy_(state["log_temperature"])
        for name, optimizer in self.optimizers.items():
            rates = [group["lr"] for group in optimizer.param_groups]
            optimizer.load_state_dict(state["optimizers"][name])
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
