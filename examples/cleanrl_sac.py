"""SAC in a single file, in the style of CleanRL, on PickCube.

python examples/cleanrl_sac.py [--steps N] [--out FILE]

Needs `pip install torch`. The algorithm is that of Haarnoja et al. 2018 (arXiv:1812.05905), with the dense reward of
the task and without an operator.
"""

import argparse
import copy
import random

import gymnasium as gym
import numpy as np
import torch
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics, RescaleAction
from torch import nn
from torch.nn import functional

import gym_hil  # noqa: F401  # registers the ids

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--env", default="gym_hil/PandaPickCube-v1")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--num-envs", type=int, default=4)
parser.add_argument("--steps", type=int, default=200_000, help="of all environments together")
parser.add_argument("--learning-starts", type=int, default=1000)
parser.add_argument("--buffer-size", type=int, default=200_000)
parser.add_argument("--batch-size", type=int, default=256)
parser.add_argument("--gamma", type=float, default=0.97)
parser.add_argument("--tau", type=float, default=0.005)
parser.add_argument("--learning-rate", type=float, default=3e-4)
parser.add_argument("--out", help="file for the actor's weights")
args = parser.parse_args()
if args.steps <= args.learning_starts:
    parser.error(f"--steps {args.steps} end before learning starts; give more than {args.learning_starts}")


def make_env() -> gym.Env:
    env = gym.make(args.env, reward_type="dense")
    return RecordEpisodeStatistics(RescaleAction(FlattenObservation(env), np.float32(-1), np.float32(1)))


def network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 256), nn.LayerNorm(256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, outputs)
    )


class Actor(nn.Module):
    def __init__(self, observations: int, actions: int):
        super().__init__()
        self.body = network(observations, 2 * actions)

    def forward(self, observation):
        mean, log_std = self.body(observation).chunk(2, -1)
        return mean, log_std.clamp(-5, 2)

    def sample(self, observation):
        mean, log_std = self(observation)
        normal = torch.distributions.Normal(mean, log_std.exp())
        raw = normal.rsample()
        # log pi(a) = log N(u) - log (1 - tanh(u)^2), in its stable form
        log_prob = normal.log_prob(raw) - 2 * (np.log(2) - raw - functional.softplus(-2 * raw))
        return torch.tanh(raw), log_prob.sum(-1)


def minimise(loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


random.seed(args.seed)
np.random.seed(args.seed)  # noqa: NPY002  # as CleanRL does
torch.manual_seed(args.seed)
mode = gym.vector.AutoresetMode.SAME_STEP
envs = gym.vector.SyncVectorEnv([make_env] * args.num_envs, autoreset_mode=mode)
observations, actions = envs.single_observation_space.shape[0], envs.single_action_space.shape[0]
actor, q = Actor(observations, actions), nn.ModuleList(network(observations + actions, 1) for _ in range(2))
q_target = copy.deepcopy(q).requires_grad_(False)
log_alpha = torch.zeros(1, requires_grad=True)
q_optimizer, actor_optimizer, alpha_optimizer = (
    torch.optim.Adam(part, args.learning_rate) for part in (q.parameters(), actor.parameters(), [log_alpha])
)
size = args.buffer_size
buffer = {
    "observation": np.zeros((size, observations), np.float32),
    "action": np.zeros((size, actions), np.float32),
    "reward": np.zeros(size, np.float32),
    "next_observation": np.zeros((size, observations), np.float32),
    "terminated": np.zeros(size, np.float32),
}

stored, successes, returns = 0, [], []
observation, _ = envs.reset(seed=args.seed)
envs.action_space.seed(args.seed)
for step in range(0, args.steps, args.num_envs):
    if step < args.learning_starts:
        action = envs.action_space.sample()
    else:
        with torch.no_grad():
            action = actor.sample(torch.from_numpy(observation))[0].numpy()
    following, reward, terminated, truncated, info = envs.step(action)
    next_observation = following.copy()
    for index in np.flatnonzero(terminated | truncated):
        next_observation[index] = info["final_obs"][index]  # not the first of the next episode
        successes.append(info["final_info"]["is_success"][index])
        returns.append(info["final_info"]["episode"]["r"][index])
    values = (observation, action, reward, next_observation, terminated)
    rows = np.arange(stored, stored + args.num_envs) % size
    for name, value in zip(buffer, values, strict=True):
        buffer[name][rows] = value
    stored, observation = stored + args.num_envs, following

    if step < args.learning_starts:
        continue
    chosen = np.random.randint(min(stored, size), size=args.batch_size)  # noqa: NPY002
    batch = {name: torch.from_numpy(value[chosen]) for name, value in buffer.items()}
    with torch.no_grad():
        next_action, next_log_prob = actor.sample(batch["next_observation"])
        together = torch.cat([batch["next_observation"], next_action], -1)
        next_q = torch.min(*(critic(together)[:, 0] for critic in q_target)) - log_alpha.exp() * next_log_prob
        target = batch["reward"] + args.gamma * (1 - batch["terminated"]) * next_q
    together = torch.cat([batch["observation"], batch["action"]], -1)
    q_loss = sum(functional.mse_loss(critic(together)[:, 0], target) for critic in q)
    minimise(q_loss, q_optimizer)
    new_action, log_prob = actor.sample(batch["observation"])
    q.requires_grad_(False)
    together = torch.cat([batch["observation"], new_action], -1)
    actor_loss = (log_alpha.exp().detach() * log_prob - torch.min(*(critic(together)[:, 0] for critic in q))).mean()
    minimise(actor_loss, actor_optimizer)
    q.requires_grad_(True)
    alpha_loss = -(log_alpha.exp() * (log_prob.detach() - actions)).mean()  # target entropy: -actions
    minimise(alpha_loss, alpha_optimizer)
    with torch.no_grad():
        torch._foreach_lerp_(list(q_target.parameters()), list(q.parameters()), args.tau)
    if step % 10_000 < args.num_envs and returns:
        print(f"step {step}: return {np.mean(returns[-20:]):.2f}, success {np.mean(successes[-20:]):.2f}", flush=True)

envs.close()
if args.out:
    torch.save(actor.state_dict(), args.out)
print(f"{len(returns)} episodes, success {np.mean(successes[-20:]):.2f}, critic loss {q_loss.item():.4f}")
