"""Q-learning with action chunks and a flow policy: imitation, and critics of whole chunks that improve on it.

Q-chunking (Li et al. 2025, arXiv:2507.07969) with flow Q-learning (FQL, Park et al. 2025, arXiv:2502.02538): critics
value chunks of h actions, so that returns are over h steps without the bias of n-step returns. A flow imitates the
operator as in `hil_trainer.agents.bc`. Either a policy of one step is distilled from the flow and climbs the critics'
values, or the critics choose the best of several samples of the flow.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gym_hil.errors import ConfigurationError
from hil_trainer.agents import bc
from hil_trainer.agents.networks import CriticEnsemble, VelocityField, integrate, polyak_update, target_of
from hil_trainer.agents.policy import BestOfNPolicy, BestOfNPolicyShape, FlowPolicy, FlowPolicyShape, OneStepPolicyShape
from hil_trainer.config import ACFQLConfig
from hil_trainer.data.observations import Observation, ObservationLayout
from hil_trainer.data.transitions import ChunkReturns, Chunks


def policy_shape(
    layout: ObservationLayout, actions: int, config: ACFQLConfig, encoder: str | None = None
) -> FlowPolicyShape:
    """The shape of the policy that is learned; arguments as of `hil_trainer.agents.bc.policy_shape`.

    Raises:
        ConfigurationError: critics that choose among samples would see what the policy does not see.
    """
    flow = bc.policy_shape(layout, actions, config, encoder)
    if config.policy == "one_step":
        return OneStepPolicyShape(**{**vars(flow), "flow_steps": 1})
    if layout.privileged:
        raise ConfigurationError(
            "policy is best_of_n, whose critics act, but they would see simulation state; give --no-privileged or "
            "--acfql.policy one_step."
        )
    return BestOfNPolicyShape(**vars(flow), samples=config.samples, critics=config.critics)


class ACFQL(bc.BC):
    """Flow, policy, critics, optimizers and updates.

    The flow and the encoder of images learn from the operator's steps alone. Critics see the policy's features, or, if
    the layout has privileged parts, the state vector and these.

    Arguments are those of `Algorithm`; the shape is from `policy_shape`.

    Attributes:
        flow: imitates the operator.
        critic: values of chunks.
    """

    imitates_only = False
    config: ACFQLConfig

    def __init__(self, shape: FlowPolicyShape, config: ACFQLConfig, **options: Any):
        super().__init__(shape, config, **options)
        network = self.network
        self._is_privileged = bool(shape.layout.privileged)
        if isinstance(network, BestOfNPolicy):
            self.critic = network.critic
        else:
            inputs = self.features.size if self._is_privileged else network.inputs
            size = shape.chunk_size * shape.actions
            self.critic = CriticEnsemble(config.critics, inputs + size, width=config.width).to(self.device)
            self._learned.append(self.flow)
        self.critic_target = target_of(self.critic)
        rate = config.critic_learning_rate
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), rate, fused=True)
        # The critic of a policy that is the best of n is a part of it, but has an optimizer of its own.
        self.critic.requires_grad_(False)
        self.optimizer = self._make_optimizer(self._learned)

    def start_from(self, policy: FlowPolicy) -> None:
        """Start from the flow and the encoder of a policy that imitates.

        The policy of one step starts as one Euler step of the flow.
        """
        for network in (self.network, self.policy):
            network.load_state_dict(policy.state_dict(), strict=False)
        self.flow.load_state_dict(policy.velocity.state_dict())
        self._started = True

    def update(self, batch: Chunks, *, updates: int = 1) -> dict[str, Tensor]:
        """Update the critics some times, and the flow and the policy once."""
        assert batch.returns is not None
        with self._precision():
            target = self._targets(batch.returns)
        for number in range(updates):
            minibatch = batch.minibatch(number, updates)
            with self._precision():
                report = self._update_critic(minibatch, target[number::updates])
        with self._precision():
            loss, losses = self._loss(minibatch)
        self._step(loss)
        return report | losses

    @torch.no_grad()
    def _targets(self, returns: ChunkReturns) -> Tensor:
        """Targets y of the critics."""
        features = self._features(returns.next_observation)
        next_action = self.network.choose(features).flatten(1)  # a' ~ pi(s')
        next_obs = self._critic_obs(returns.next_observation, features)
        values = self.critic_target(torch.cat([next_obs, next_action], -1))[..., 0]
        next_q = values.mean(0) if self.config.q_agg == "mean" else values.amin(0)
        return returns.reward + returns.discount * next_q  # y = sum_k gamma^k r_k + gamma^h Q'(s_h, a')

    def _update_critic(self, batch: Chunks, target: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            obs = self._critic_obs(batch.observation, self._features(batch.observation))
        self.critic.requires_grad_(True)
        q = self.critic(torch.cat([obs, self._executed(batch)], -1))[..., 0]
        weight = self._weight(batch)
        total = weight.sum().clamp(min=1)
        loss = ((q - target).square() * weight).sum() / (total * len(q))
        self.critic_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_optimizer.step()
        self.critic.requires_grad_(False)
        polyak_update(self.critic_target, self.critic, self.config.tau)
        return {"critic_loss": loss.detach(), "q": (q.detach() * weight).sum() / (total * len(q))}

    def _executed(self, batch: Chunks) -> Tensor:
        """Chunks as the critics see them. What would have followed a termination is of no effect: it is drawn."""
        assert batch.returns is not None
        drawn = torch.rand_like(batch.action) * 2 - 1
        return torch.where(batch.returns.is_step[..., None] > 0, batch.action, drawn).flatten(1)

    def _weight(self, batch: Chunks) -> Tensor:
        """1.0 for windows that critics learn from: whole ones that either the policy or the operator made."""
        assert batch.returns is not None
        made, steps = batch.is_intervention.sum(1), batch.returns.is_step.sum(1)
        is_mixed = (made > 0) & (made < steps)
        return batch.returns.is_whole * (1.0 if self.config.mixed_windows else (~is_mixed).float())

    def _loss(self, batch: Chunks) -> tuple[Tensor, dict[str, Tensor]]:
        """The flow's loss; and of a policy of one step its distance to the flow, and the critics' value."""
        config, obs = self.config, batch.observation
        features = self._features(obs, noise=config.state_noise)
        loss, report = self._imitation(features, batch)
        if self.flow is self.network.velocity:
            return loss, report
        features = features.detach()
        noise = torch.randn_like(batch.action.flatten(1))
        with torch.no_grad():
            flowed = integrate(self.flow, features, noise, config.flow_steps).clamp(-1, 1)
        action = integrate(self.network.velocity, features, noise, 1)
        distillation = (action - flowed).square().mean()
        chunk = self.network.executable(action).flatten(1)
        q = self.critic(torch.cat([self._critic_obs(obs, features), chunk], -1)).mean(0)[:, 0]
        q_loss = -q.mean()
        if config.normalize_q_loss:
            q_loss = q_loss / q.detach().abs().mean().clamp(min=1e-6)
        report |= {"distillation_loss": distillation.detach(), "actor_loss": q_loss.detach()}
        alpha = config.alpha if self._updates < self._offline_updates else config.online_alpha
        return loss + alpha * distillation + q_loss, report  # FQL, eq. 8

    def _critic_obs(self, obs: Observation, features: Tensor) -> Tensor:
        return self._privileged_features(obs) if self._is_privileged else features

    @property
    def _updates_per_step(self) -> int:
        return 1  # `utd_ratio` is the critics'

    def _make_flow(self) -> VelocityField:
        network = self.network
        if isinstance(network, BestOfNPolicy):
            return network.velocity
        shape = network.shape
        return VelocityField(network.inputs, shape.chunk_size * shape.actions, shape.width)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {name: part.state_dict() for name, part in self._critic_parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for name, part in self._critic_parts().items():
            part.load_state_dict(state[name])

    def _critic_parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {
            "critic": self.critic,
            "critic_target": self.critic_target,
            "critic_optimizer": self.critic_optimizer,
        }
