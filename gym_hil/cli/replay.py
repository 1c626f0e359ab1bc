"""Replay recorded episodes, and compare them with the recording."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gym_hil
from gym_hil.cli.arguments import add_env_kwargs_argument, path_argument
from gym_hil.datasets.reader import Episode, EpisodeDataset
from gym_hil.datasets.replay import VIDEO_SIZE, Replayed, ReplayVideo, make_recorded_env, replay_episode
from gym_hil.env_options import parse_kwargs
from gym_hil.errors import ConfigurationError
from gym_hil.registration import find_task

SAME_MOTION = 1e-3  # m


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil replay`."""
    parser.add_argument("dataset", type=path_argument, metavar="DIR", help="folder of the dataset")
    parser.add_argument("--episode", type=int, metavar="I", help="number of the only episode to replay (default: all)")
    parser.add_argument(
        "--video", type=path_argument, metavar="FILE", help="write an .mp4 of the recorded and the replayed images"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare states and success with the recording; exit with 1 if an episode ends differently",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--task", help="task to replay in, such as PandaPickCube-v0 (default: the one that the dataset names)"
    )
    which.add_argument(
        "--env", metavar="ID", help="id of any Gymnasium environment in place of a task, or MODULE:ID, to replay in"
    )
    add_env_kwargs_argument(parser, "arguments of the environment in place of the recorded ones")
    parser.add_argument(
        "--force-torque",
        action="store_true",
        help="measure force and torque at the wrist of a task's robot, and print the largest of each episode",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing video")


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil replay`."""
    if arguments.task is not None:
        find_task(arguments.task)
    env_kwargs = parse_kwargs(arguments.env_kwargs) | ({"force_torque_obs": True} if arguments.force_torque else {})
    results = replay(
        arguments.dataset,
        episode=arguments.episode,
        video=arguments.video,
        check=arguments.check,
        task=arguments.task or arguments.env,
        env_kwargs=env_kwargs,
        overwrite=arguments.overwrite,
    )
    return 1 if arguments.check and not all(result.repeats for result in results) else 0


def replay(
    path: str | Path,
    *,
    episode: int | None = None,
    video: str | Path | None = None,
    check: bool = False,
    task: str | None = None,
    env_kwargs: Mapping[str, Any] = MappingProxyType({}),
    overwrite: bool = False,
) -> list[Replayed]:
    """Replay a dataset, or one episode, and print the outcome of each; returns the outcomes.

    `video` is an .mp4 file to write, `check` prints deviations, `task` and `env_kwargs` replace the recorded ones.

    Raises:
        DatasetError: the dataset cannot be read or replayed.
        ConfigurationError: there is no such task or episode, or the video cannot be written.
    """
    dataset = EpisodeDataset(path)
    if episode is not None and not 0 <= episode < len(dataset):
        raise ConfigurationError(f"There is no episode {episode}; {path} has {len(dataset)}, counted from 0.")
    episodes = list(dataset) if episode is None else [dataset[episode]]
    results: list[Replayed] = []
    with contextlib.ExitStack() as stack:
        # Everything that can fail comes before the first step.
        envs = _make_envs(episodes, task, None if video is None else VIDEO_SIZE, env_kwargs, stack)
        film = None if video is None else stack.enter_context(ReplayVideo(video, dataset, overwrite=overwrite))
        if check:
            _print_origin(dataset, task)
        for one, env in zip(episodes, envs, strict=True):
            result = replay_episode(env, one) if film is None else film.replay(env, one)
            text = f"episode {result.episode}: {result.steps} steps, {'success' if result.success else 'no success'}"
            if result.largest_force is not None:
                text += f", at most {result.largest_force:.1f} N and {result.largest_torque:.2f} N m"
            print(f"{text}, {_compared(result)}" if check else text)
            results.append(result)
    if video is not None:
        print(f"video in {video}")
    if check:
        _print_summary(results)
    return results


def _make_envs(
    episodes: list[Episode],
    task: str | None,
    size: int | None,
    env_kwargs: Mapping[str, Any],
    stack: contextlib.ExitStack,
) -> list[Any]:
    """The environment of each episode; those with the same metadata share one."""
    made: dict[str, Any] = {}
    keys = [json.dumps(episode.record.metadata, sort_keys=True) for episode in episodes]
    for key, episode in zip(keys, episodes, strict=True):
        if key not in made:
            made[key] = make_recorded_env(episode, task, size, env_kwargs)
            stack.callback(made[key].close)
    return [made[key] for key in keys]


def _compared(result: Replayed) -> str:
    """How the replay compares with the recording, as text."""
    if result.recorded_success is None:
        ends = "success was not recorded"
    elif result.repeats:
        ends = "as recorded"
    elif result.recorded_success and _moved_alike(result):
        # The simulation cannot repeat a success that the operator declared.
        ends = "recorded as a success, probably declared by the operator"
    else:
        ends = "recorded as a " + ("success" if result.recorded_success else "failure")
    if not result.compared:
        return f"{ends}; states not compared, no recorded vector is observed here"
    first, motion = result.first_difference, result.deviation
    states = "states bit-equal" if first is None else f"states differ from frame {first} on"
    return f"{ends}; {'' if motion is None else f'TCP deviation {motion:.3g} m, '}{states}"


def _moved_alike(result: Replayed) -> bool:
    if result.deviation is not None:
        return result.deviation < SAME_MOTION
    return bool(result.compared) and result.first_difference is None


def _print_origin(dataset: EpisodeDataset, task: str | None) -> None:
    origins = dict.fromkeys((one.metadata.get("env_id"), one.metadata.get("version")) for one in dataset.episodes)
    for name, version in origins:
        if task is None:
            print(f"recorded in {name} with gym_hil {version}, replayed with {gym_hil.__version__}")
        else:
            print(f"recorded in {name or 'an unknown environment'}, replayed in {task}")
    if any(record.seed is None for record in dataset.episodes):
        print("no seed was recorded: only a task with a fixed start can repeat")


def _print_summary(results: list[Replayed]) -> None:
    count = len(results)
    repeated = sum(result.repeats for result in results)
    deviations = [result.deviation for result in results if result.deviation is not None]
    compared = [result for result in results if result.compared]
    equal = sum(result.first_difference is None for result in compared)
    largest = f"largest TCP deviation {max(deviations):.3g} m; " if deviations else ""
    print(
        f"{repeated} of {count} end as recorded, {sum(result.success for result in results)} in success; {largest}"
        + (f"states bit-equal in {equal} of {len(compared)}" if compared else "states not compared")
    )
