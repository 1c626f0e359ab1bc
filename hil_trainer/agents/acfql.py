"""Q-learning with action chunks and a flow policy: imitation, and critics of whole chunks that improve on it.

Q-chunking (Li et al. 2025, arXiv:2507.07969) with flow Q-learning (FQL, Park et al. 2025, arXiv:2502.02538): critics
value chunks of h actions, so that returns are over h steps without the bias of n-step returns. A flow imitates the
operator as in `hil_trainer.agents.bc`. Where FQL distils a policy of one step from the flow, here a residual climbs the
critics' values; its square is what FQL's distillation measures.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hil_trainer.agents import bc
from hil_trainer.agents.networks import CriticEnsemble, polyak_update, target_of
from hil_trainer.agents.policy import FlowPolicy, ResidualPolicy, ResidualPolicyShape
from hil_trainer.config import ACFQLConfig
from hil_trainer.data.observations import Observation, ObservationLayout
from hil_trainer.data.transitions import ChunkReturns, Chunks

_ALPHA_UPDATES = 1000  # over which alpha becomes online_alpha


def policy_shape(
    layout: ObservationLayout, actions: int, config: ACFQLConfig, encoder: str | None = None
) -> ResidualPolicyShape:
    """The shape of the policy that is learned; arguments as of `hil_trainer.agents.bc.policy_shape`."""
    flow = bc.policy_shape(layout, actions, config, encoder)
    return ResidualPolicyShape(**vars(flow))


class ACFQL(bc.BC):
    """Policy, critics, optimizers and updates.

    The policy's flow and the encoder of images learn from the operator's steps alone. Critics see the policy's
    features, or, if the layout has privileged parts, the state vector and these.

    Arguments are those of `Algorithm`; the shape is from `policy_shape`.

    Attributes:
        critic: values of chunks.
    """

    imitates_only = False
    config: ACFQLConfig
    network: ResidualPolicy

    def __init__(self, shape: ResidualPolicyShape, config: ACFQLConfig, **options: Any):
        super().__init__(shape, config, **options)
        self._is_privileged = bool(shape.layout.privileged)
        inputs = self.features.size if self._is_privileged else self.network.inputs
        size = shape.chunk_size * shape.actions
        self.critic = CriticEnsemble(config.critics, inputs + size, width=config.width).to(self.device)
        self.critic.requires_grad_(False)
        self.critic_target = target_of(self.critic)
        rate = config.critic_learning_rate
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), rate, fused=True)

    def start_from(self, policy: FlowPolicy) -> None:
        """Start from the weights of a policy that imitates, with no residual."""
        for network in (self.network, self.policy):
            network.load_state_dict(policy.state_dict(), strict=False)
        self._started = True

    def update(self, batch: Chunks, *, updates: int = 1) -> dict[str, Tensor]:
        """Update the flow once, and, when it has been learned, the critics some times and the residual once."""
        if not self.needs_returns:
            return super().update(batch)
        assert batch.returns is not None
        with self._precision():
            target = self._targets(batch.returns)
        for number in range(updates):
            minibatch = batch.minibatch(number, updates)
            with self._precision():
                report = self._update_critic(minibatch, target[number::updates])
        with self._precision():
            loss, losses = self._residual_loss(minibatch)
        self._step(loss)
        return report | losses

    @torch.no_grad()
    def _targets(self, returns: ChunkReturns) -> Tensor:
        """Targets y of the critics."""
        features = self._features(returns.next_observation)
        next_action = self.network.choose(features).flatten(1)  # a' ~ pi(s')
        next_obs = self._critic_obs(returns.next_observation, features)
        values = self.critic_target(torch.cat([next_obs, next_action], -1))[..., 0]
        # y = sum_k gamma^k r_k + gamma^h Q'(s_h, a')
        return returns.reward + returns.discount * self._aggregate(values)

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

    def _residual_loss(self, batch: Chunks) -> tuple[Tensor, dict[str, Tensor]]:
        """The flow's loss, the size of the residual and the critics' value of the policy's plans."""
        config, obs, network = self.config, batch.observation, self.network
        features = self._features(obs, noise=config.state_noise)
        loss, report = self._imitation(features, batch)
        features = features.detach()
        with torch.no_grad():
            imitated = network.imitated(features, torch.randn_like(batch.action.flatten(1)))
        plan = network.corrected(features, imitated)
        residual = (plan - imitated).square().mean()
        chunk = network.executable(plan).flatten(1)
        q = self._aggregate(self.critic(torch.cat([self._critic_obs(obs, features), chunk], -1))[..., 0])
        q_loss = -q.mean()
        if config.normalize_q_loss:
            q_loss = q_loss / q.detach().abs().mean().clamp(min=1e-6)
        report |= {"residual": residual.detach(), "actor_loss": q_loss.detach()}
        return loss + self._alpha * residual + q_loss, report  # FQL, eq. 8

    @property
    def _alpha(self) -> float:
        """Weight of the residual. Once the policy acts it changes little by little, as the critics see more."""
        online = min(1.0, max(0, self._updates - self._offline_updates) / _ALPHA_UPDATES)
        return self.config.alpha ** (1 - online) * self.config.online_alpha**online

    def _aggregate(self, values: Tensor) -> Tensor:
        """Values of the critics, (critics, batch) -> (batch,)."""
        return values.mean(0) if self.config.q_agg == "mean" else values.amin(0)

    def _critic_obs(self, obs: Observation, features: Tensor) -> Tensor:
        return self._privileged_features(obs) if self._is_privileged else features

    @property
    def utd_ratio(self) -> int:
        return self.config.utd_ratio if self.needs_returns else 1

    @property
    def needs_returns(self) -> bool:
        """False while only the flow learns: in all offline steps but the last."""
        return self._updates >= self._offline_updates - self.config.offline_critic_steps

    @property
    def _updates_per_step(self) -> int:
        return 1  # `utd_ratio` is the critics'

    def _learning_rate(self) -> float:
        """That after the offline steps for weights that were imitated before, or they would be lost at once."""
        if self._started:
            return self.config.learning_rate * self.config.final_learning_rate
        return super()._learning_rate()

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
