"""Train SAC of TorchRL on PickCube, with its collector and its replay buffer.

python examples/torchrl_sac.py [--steps N]

Needs `pip install torchrl`. It learns from the dense reward of the task; no operator helps.
"""

import argparse

import torch
from tensordict.nn import InteractionType, TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer, Unbounded
from torchrl.envs import CatTensors, GymEnv, TransformedEnv, set_exploration_type
from torchrl.envs.gym_like import BaseInfoDictReader
from torchrl.modules import MLP, NormalParamExtractor, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import SACLoss, SoftUpdate

import gym_hil  # noqa: F401  # registers the ids

VECTORS = ("agent_pos", "environment_state")


class ReadSuccess(BaseInfoDictReader):
    """Success of a step. TorchRL's own reader takes arrays alone, and info has Python's bool."""

    info_spec = {"success": Unbounded((1,), dtype=torch.bool)}  # noqa: RUF012  # as TorchRL has it

    def __call__(self, info, tensordict):
        return tensordict.set("success", torch.tensor([info["is_success"]]))


def make_env():
    env = GymEnv("gym_hil/PandaPickCube-v1", reward_type="dense").set_info_dict_reader(ReadSuccess())
    return TransformedEnv(env, CatTensors(VECTORS, "observation", del_keys=False))


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--steps", type=int, default=200_000)
parser.add_argument("--learning-starts", type=int, default=1000)
options = parser.parse_args()
torch.manual_seed(0)

env = make_env()
env.set_seed(0)
space, observations = env.action_spec_unbatched, env.observation_spec["observation"].shape[-1]
actions = space.shape[-1]
body = nn.Sequential(MLP(observations, 2 * actions, num_cells=[256, 256]), NormalParamExtractor())
actor = ProbabilisticActor(
    TensorDictModule(body, in_keys=["observation"], out_keys=["loc", "scale"]),
    spec=space,
    in_keys=["loc", "scale"],
    distribution_class=TanhNormal,
    distribution_kwargs={"low": space.space.low, "high": space.space.high},
    default_interaction_type=InteractionType.RANDOM,
)
critic = ValueOperator(MLP(observations + actions, 1, num_cells=[256, 256]), in_keys=["observation", "action"])
loss = SACLoss(actor, critic, num_qvalue_nets=2, action_spec=space)
loss.make_value_estimator(gamma=0.97)
target = SoftUpdate(loss, tau=0.005)
optimizer = torch.optim.Adam(loss.parameters(), 3e-4)
buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(200_000), batch_size=256)

frames = 50
collector = Collector(
    env,
    actor,
    frames_per_batch=frames,
    total_frames=options.steps,
    init_random_frames=options.learning_starts,
    auto_register_policy_transforms=True,
)
collected = episodes = successes = 0
for data in collector:
    buffer.extend(data)
    collected += data.numel()
    done = data["next", "done"]
    episodes, successes = episodes + int(done.sum()), successes + int((done & data["next", "success"]).sum())
    if collected < options.learning_starts:
        continue
    for _ in range(frames):
        losses = loss(buffer.sample())
        total = sum(value for name, value in losses.items() if name.startswith("loss_"))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        target.step()
    if collected % 10_000 == 0:
        print(f"step {collected}: reward {data['next', 'reward'].mean():.3f}, {successes} of {episodes}", flush=True)
collector.shutdown()

env = make_env()
env.set_seed(1000)
with set_exploration_type(InteractionType.DETERMINISTIC), torch.no_grad():
    won = [bool(env.rollout(150, actor)["next", "success"][-1]) for _ in range(10)]
env.close()
print(f"successes: {sum(won)}/{len(won)}")
