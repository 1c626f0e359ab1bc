"""Train Stable-Baselines3's SAC on PickCube; with --goal, SAC with hindsight experience replay on a goal view of it.

python examples/stable_baselines3_sac.py [--goal | --pixels] [--steps N] [--out FOLDER]

Needs `pip install stable-baselines3`. It learns from the dense reward of the task, or from goals; no operator helps.
"""

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv, VecNormalize

import gym_hil  # noqa: F401  # registers the ids

ENV = "gym_hil/PandaPickCube-v1"
REACHED = 0.03  # m, from the cube to its goal at most
LIFT = 0.05  # m, of the highest goal; the task itself ends at 0.1 m


class GoalView(gym.Wrapper):
    """PickCube with goals: the cube's position is the achieved one, the desired one lies beside or above its start.

    Observes the dict that HER asks for. The reward is 0 where the goal is reached, which ends the episode, and else -1.
    """

    def __init__(self, env: gym.Env):
        super().__init__(env)
        state, cube = env.observation_space["agent_pos"], env.observation_space["environment_state"]
        self.observation_space = gym.spaces.Dict({"observation": state, "achieved_goal": cube, "desired_goal": cube})

    def reset(self, *, seed=None, options=None):
        observation, info = self.env.reset(seed=seed, options=options)
        offset = self.env.unwrapped.np_random.uniform([-0.05, -0.05, 0], [0.05, 0.05, LIFT])
        self.goal = (observation["environment_state"] + offset).astype(np.float32)
        return self.observe(observation), info

    def step(self, action):
        observation, _, terminated, truncated, info = self.env.step(action)
        observation = self.observe(observation)
        reward = self.compute_reward(observation["achieved_goal"], self.goal, info)
        info["is_success"] = bool(reward == 0)
        return observation, float(reward), terminated or info["is_success"], truncated, info

    def compute_reward(self, achieved_goal, desired_goal, info):
        """Of one pair of goals or of many, each (..., 3) m; HER calls it with goals that were reached later."""
        return -(np.linalg.norm(achieved_goal - desired_goal, axis=-1) > REACHED).astype(np.float32)

    def observe(self, observation):
        state, cube = observation["agent_pos"], observation["environment_state"]
        return {"observation": state, "achieved_goal": cube, "desired_goal": self.goal.copy()}


class FlatDict(gym.ObservationWrapper):
    """Images (3, height, width) beside the vectors: Stable-Baselines3 takes a Dict, but no Dict inside of it."""

    def __init__(self, env: gym.Env):
        super().__init__(env)
        images = {
            name: gym.spaces.Box(0, 255, (3, *space.shape[:2]), np.uint8)
            for name, space in env.observation_space["pixels"].items()
        }
        self.observation_space = gym.spaces.Dict({"agent_pos": env.observation_space["agent_pos"], **images})

    def observation(self, observation):
        # Its own transposition comes after VecNormalize, whose replay buffer then does not fit.
        images = {name: np.moveaxis(image, -1, 0) for name, image in observation["pixels"].items()}
        return {"agent_pos": observation["agent_pos"], **images}


def make_env(wrapper=None, **kwargs):
    # Instead of make_vec_env's wrapper_class, which goes around its Monitor and leaves the task's rewards in the log.
    env = gym.make(ENV, **kwargs)
    return env if wrapper is None else wrapper(env)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--goal", action="store_true", help="learn to bring the cube to goals, with HER")
    which.add_argument("--pixels", action="store_true", help="learn from images")
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--learning-starts", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("outputs/stable_baselines3"))
    options = parser.parse_args()

    wrapper = GoalView if options.goal else FlatDict if options.pixels else None
    kwargs = {"wrapper": wrapper, "reward_type": "dense", "image_obs": options.pixels}
    processes = {"vec_env_cls": SubprocVecEnv, "vec_env_kwargs": {"start_method": "spawn"}}
    envs = make_vec_env(make_env, options.processes, seed=0, env_kwargs=kwargs, **processes)
    vectors = [key for key, space in envs.observation_space.items() if space.dtype == np.float32]
    # HER computes rewards by itself, which VecNormalize must not scale.
    envs = VecNormalize(envs, norm_obs_keys=vectors, norm_reward=False)
    settings = {"learning_starts": options.learning_starts, "seed": 0, "verbose": 1}
    if options.goal:
        settings |= {
            "replay_buffer_class": HerReplayBuffer,
            "replay_buffer_kwargs": {"n_sampled_goal": 4},
            "gamma": 0.95,
        }
    model = SAC("MultiInputPolicy", envs, buffer_size=5000 if options.pixels else 300_000, **settings)
    model.learn(options.steps)

    options.out.mkdir(parents=True, exist_ok=True)
    model.save(options.out / "model")
    envs.save(str(options.out / "normalisation.pkl"))
    envs.close()

    # As in another program: what was saved is enough.
    test = VecNormalize.load(str(options.out / "normalisation.pkl"), make_vec_env(make_env, 1, env_kwargs=kwargs))
    test.training = False
    model = SAC.load(options.out / "model", env=test)
    test.seed(1000)
    observation, successes, episodes = test.reset(), 0, 0
    while episodes < 20:
        action, _ = model.predict(observation, deterministic=True)
        observation, _, done, (info,) = test.step(action)
        episodes, successes = episodes + done[0], successes + (done[0] and info["is_success"])
    test.close()
    print(f"successes: {successes}/{episodes}")


if __name__ == "__main__":  # the processes of SubprocVecEnv import this file
    main()
