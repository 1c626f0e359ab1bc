"""Run a trained policy without help, and count successes."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from gym_hil.errors import ConfigurationError
from hil_trainer.agents.policy_file import LoadedPolicy, load_policy
from hil_trainer.config import defaults
from hil_trainer.logging.videos import write_grid_video
from hil_trainer.rollout.env import RolloutEnv
from hil_trainer.rollout.evaluation import Greedy, evaluate, evaluation_env

FILMED = 9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hil-trainer eval`."""
    parser.add_argument("policy", metavar="DIR_OR_FILE", help="a run's directory, or a policy.safetensors")
    parser.add_argument("--episodes", type=int, default=100, metavar="N", help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode; the others count on (%(default)s)")
    parser.add_argument("--task", help="another task than the one that was trained")
    parser.add_argument("--video", metavar="FILE", help=f"film the first {FILMED} episodes, as .mp4")


def run(arguments: argparse.Namespace) -> int:
    """Run `hil-trainer eval`."""
    if arguments.episodes < 1 or arguments.seed < 0:
        raise ConfigurationError(
            f"--episodes is {arguments.episodes} and --seed {arguments.seed}; expected 1 or more, and 0 or more."
        )
    torch.set_num_threads(1)  # as in training; one observation at a time gains nothing by more
    loaded = load_policy(arguments.policy)
    provenance, layout = loaded.description["provenance"], loaded.policy.shape.layout
    config = defaults(arguments.task or provenance["task"], provenance["obs"])
    config = dataclasses.replace(
        config, env=dataclasses.replace(config.env, image_size=layout.image_size or config.env.image_size)
    )
    env = evaluation_env(config, encoder=loaded.encoder)
    try:
        _check(loaded, env)
        evaluation = evaluate(
            env,
            Greedy(loaded.policy),
            episodes=arguments.episodes,
            seed=arguments.seed,
            filmed=FILMED if arguments.video else 0,
        )
        fps = round(1 / env.control_dt)
    finally:
        env.close()
    if arguments.video:
        path = write_grid_video(Path(arguments.video), evaluation.frames, fps, evaluation.outcomes[:FILMED])
        print(f"video in {path}")
    print(f"{evaluation.mean_length:.1f} steps an episode")
    print(f"successes: {evaluation.successes}/{evaluation.episodes}")
    return 0


def _check(loaded: LoadedPolicy, env: RolloutEnv) -> None:
    shape = loaded.policy.shape
    needed = (shape.layout.numbers, shape.layout.views, shape.actions)
    given = (env.layout.numbers, env.layout.views, env.actions)
    if needed != given:
        raise ConfigurationError(
            f"The policy was trained for {needed[0]}, the views {needed[1]} and actions of {needed[2]} numbers, but "
            f"the task has {given[0]}, {given[1]} and {given[2]}. Choose a --task like the one that was trained."
        )
