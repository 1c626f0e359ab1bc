"""Run a trained policy without an operator, and count successes."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from tyro.conf import Positional

from gym_hil.errors import ConfigurationError
from hil_trainer.agents.policy_file import LoadedPolicy, load_policy
from hil_trainer.config.defaults import defaults
from hil_trainer.logging.videos import write_grid_video
from hil_trainer.rollout.env import RolloutEnv
from hil_trainer.rollout.evaluation import evaluate, evaluation_envs, greedy
from hil_trainer.rollout.run_evaluations import FILMED


def run_words(words: Sequence[str]) -> int:
    """Run `hil-trainer eval`."""
    tyro.cli(evaluate_policy, args=words, prog="hil-trainer eval", description=__doc__)
    return 0


def evaluate_policy(
    policy: Annotated[Positional[Path], tyro.conf.arg(metavar="DIR_OR_FILE")],
    *,
    episodes: int = 100,
    seed: int = 0,
    task: Annotated[str | None, tyro.conf.arg(aliases=("--env",))] = None,
    randomize: tuple[str, ...] | None = None,
    video: Path | None = None,
    num_envs: int = 1,
) -> None:
    """Run a trained policy.

    Args:
        policy: directory of a run, a policy.safetensors, or a name that `hil-trainer policies` lists.
        episodes: number of episodes.
        seed: seed of the first episode; the others count up from it.
        task: another task or environment than the one that the policy was trained for.
        randomize: what varies between episodes, see docs/randomization.md; `none` for nothing; if not given, what
            varied in training.
        video: .mp4 file to film the first 9 episodes to.
        num_envs: episodes that run at a time.
    """
    if episodes < 1 or seed < 0 or num_envs < 1:
        raise ConfigurationError(
            f"--episodes is {episodes}, --num-envs {num_envs} and --seed {seed}; expected 1 or more episodes and "
            "environments, and a seed of 0 or more."
        )
    torch.set_num_threads(1)  # as in training; more threads do not speed up one observation at a time
    loaded = load_policy(policy)
    provenance, layout = loaded.description["provenance"], loaded.policy.shape.layout
    config = defaults(task or provenance["task"], provenance["obs"])
    options = dict(provenance.get("env", {})) if task is None else {}
    options.update({name: tuple(options[name]) for name in ("env_kwargs", "randomize") if name in options})
    if randomize is not None:
        options["randomize"] = () if randomize == ("none",) else randomize
    env_config = dataclasses.replace(config.env, image_size=layout.image_size or config.env.image_size, **options)
    gripper: Any = "discrete" if loaded.policy.shape.discrete_gripper else "continuous"  # as in training
    agent = dataclasses.replace(config.agent, gripper=gripper)
    config = dataclasses.replace(config, env=env_config, agent=agent)
    envs = evaluation_envs(config, min(num_envs, episodes), encoder=loaded.encoder, filmed=video is not None)
    with contextlib.closing(envs):
        env = envs[0]
        _check_fit(loaded, env, provenance["task"], config.env.task)
        filmed = FILMED if video is not None else 0
        evaluation = evaluate(envs, greedy(loaded.policy), episodes=episodes, seed=seed, filmed=filmed)
        fps = round(1 / env.control_dt)
    if video is not None:
        if not evaluation.frames:
            raise ConfigurationError(f"{env.render_problem}; leave --video out.")
        print(f"video in {write_grid_video(video, evaluation.frames, fps, evaluation.outcomes[:FILMED])}")
    print(f"{evaluation.mean_length:.1f} steps an episode")
    print(f"successes: {evaluation.successes}/{evaluation.episodes}")


def _check_fit(loaded: LoadedPolicy, env: RolloutEnv, trained: str, task: str) -> None:
    """Make sure that a task has what a policy sees and does.

    Raises:
        ConfigurationError: it does not; the message names the differences.
    """
    shape = loaded.policy.shape
    problems = env.layout.differences(shape.layout)
    if shape.actions != env.actions:
        problems.append(f"an action has {env.actions} instead of {shape.actions} numbers")
    if problems:
        raise ConfigurationError(
            f"The policy was trained for {trained} and does not fit {task}: {'; '.join(problems)}. Give a --task with "
            "the same observations and actions, or none."
        )
