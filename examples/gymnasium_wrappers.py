"""Gymnasium's own wrappers around PickCube: one environment that ends in time and is filmed, and several in a vector.

python examples/gymnasium_wrappers.py [--video FOLDER]

Films need `pip install moviepy`.
"""

import argparse

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import (
    FlattenObservation,
    FrameStackObservation,
    RecordEpisodeStatistics,
    RecordVideo,
    TimeLimit,
)

import gym_hil  # noqa: F401  # registers the ids

ENV, STEPS = "gym_hil/PandaPickCube-v1", 10


def one_environment(video: str | None) -> None:
    # "Scripted" ids have an operator who solves the task, whatever the policy's actions are.
    env = gym.make("gym_hil/PandaPickCubeScripted-v1", render_mode="rgb_array")
    if video is not None:
        env = RecordVideo(env, video, episode_trigger=lambda episode: True)
    env = RecordEpisodeStatistics(FrameStackObservation(FlattenObservation(TimeLimit(env, 50)), 4))
    print("stacked vectors:", env.observation_space.shape)
    env.reset(seed=0)
    done = False
    while not done:
        observation, _, terminated, truncated, info = env.step(env.get_wrapper_attr("idle_action"))
        assert env.observation_space.contains(observation)
        done = terminated or truncated
    episode, control_dt = info["episode"], env.get_wrapper_attr("control_dt")
    print(f"return {episode['r']:g} after {episode['l']} steps of {control_dt} s")
    env.close()


def vector(mode: AutoresetMode) -> None:
    envs = gym.make_vec(
        ENV,
        num_envs=2,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        max_episode_steps=STEPS,
    )
    envs.reset(seed=0)
    ended = np.zeros(2, dtype=bool)
    steps = 0
    for _ in range(2 * STEPS):
        if mode is AutoresetMode.DISABLED and ended.any():
            envs.reset(options={"reset_mask": ended})
        *_, terminated, truncated, info = envs.step(envs.action_space.sample())
        # With "next step", the step after the end of an episode resets, and its action and reward are of no use.
        steps += 2 if mode is not AutoresetMode.NEXT_STEP else int((~ended).sum())
        if mode is AutoresetMode.SAME_STEP and (terminated | truncated).any():
            assert info["final_obs"][0]["agent_pos"].shape == (18,)
        ended = terminated | truncated
    print(f"autoreset {mode.value}: {steps} steps, operator drove: {info['is_intervention'].any()}")
    envs.close()


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--video", metavar="FOLDER", help="film the episode into this folder")
options = parser.parse_args()
one_environment(options.video)
for mode in AutoresetMode:
    vector(mode)
