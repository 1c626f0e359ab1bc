"""SAC with hindsight experience replay (Andrychowicz et al. 2017, arXiv:1707.01495) of Stable-Baselines3 on Fetch.

A program of its own: it runs where gymnasium-robotics does. Its last line is JSON. Hyperparameters are the defaults of
Stable-Baselines3, except for a larger learning rate, a shorter horizon and one more layer, which are common on Fetch.
"""

import argparse
import json
import time
from pathlib import Path

import gymnasium as gym
import gymnasium_robotics
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback

ENV = "FetchPickAndPlace-v4"
EPISODES, FIRST_SEED = 100, 10_000


class Deadline(BaseCallback):
    """Stops the training after some time.

    Args:
        seconds: of training.
    """

    def __init__(self, seconds: float):
        super().__init__()
        self._end = time.monotonic() + seconds

    def _on_step(self) -> bool:
        return time.monotonic() < self._end


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--minutes", type=float, required=True)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--out", type=Path, required=True)
options = parser.parse_args()

gym.register_envs(gymnasium_robotics)
model = SAC(
    "MultiInputPolicy",
    gym.make(ENV),
    learning_rate=1e-3,
    buffer_size=1_000_000,
    learning_starts=1000,
    batch_size=256,
    gamma=0.95,
    replay_buffer_class=HerReplayBuffer,
    replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
    policy_kwargs={"net_arch": [256, 256, 256]},
    seed=options.seed,
)
started = time.monotonic()
model.learn(10**9, callback=Deadline(60 * options.minutes))
seconds = time.monotonic() - started
model.save(options.out / "model")

env = gym.make(ENV)
successes = 0
for episode in range(EPISODES):
    observation, _ = env.reset(seed=FIRST_SEED + episode)
    success = done = False
    while not (done or success):
        action, _ = model.predict(observation, deterministic=True)
        observation, _, terminated, truncated, info = env.step(action)
        done, success = terminated or truncated, bool(info["is_success"])
    successes += success
print(json.dumps({"steps": model.num_timesteps, "seconds": seconds, "successes": successes, "episodes": EPISODES}))
