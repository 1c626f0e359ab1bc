"""Play recorded episodes again, and tell whether the same happens."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import gym_hil
from gym_hil.cli.arguments import path_argument
from gym_hil.datasets.reader import Episode, EpisodeDataset
from gym_hil.datasets.replay import PICTURE, Replayed, ReplayVideo, make_recorded_env, replay_episode
from gym_hil.errors import ConfigurationError

SAME_MOTION = 1e-3  # m


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil replay`."""
    parser.add_argument("dataset", type=path_argument, metavar="DATASET", help="the dataset's folder")
    parser.add_argument("--episode", type=int, metavar="I", help="only this one; all if not given")
    parser.add_argument(
        "--video", type=path_argument, metavar="FILE", help="an .mp4 with what was recorded and what happens now"
    )
    parser.add_argument(
        "--check", action="store_true", help="compare states and success; exit with 1 if a success does not repeat"
    )
    parser.add_argument("--task", help="for datasets that do not say where they were recorded: PandaPickCube-v0, ...")
    parser.add_argument("--overwrite", action="store_true", help="replace the video if it is there")


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil replay`."""
    results = replay(
        arguments.dataset,
        episode=arguments.episode,
        video=arguments.video,
        check=arguments.check,
        task=arguments.task,
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
    overwrite: bool = False,
) -> list[Replayed]:
    """Replay a dataset and tell about it.

    Args:
        path: the dataset's folder.
        episode: its number; None for all.
        video: an .mp4 file to write; None for none.
        check: tell about deviations.
        task: to be used instead of the recorded one.
        overwrite: replace the video if it is there.

    Returns:
        What happened, for each episode.

    Raises:
        DatasetError: the dataset cannot be read or replayed.
        ConfigurationError: there is no such task or episode, or the video cannot be written.
    """
    dataset = EpisodeDataset(path)
    if episode is not None and not 0 <= episode < len(dataset):
        raise ConfigurationError(f"There is no episode {episode}; {path} has {len(dataset)}, counted from 0.")
    episodes = list(dataset) if episode is None else [dataset[episode]]
    env = make_recorded_env(dataset, task, size=None if video is None else PICTURE)
    try:
        if check:
            _tell_origin(dataset, task)
        if video is None:
            results = [_replay(env, one, None, check) for one in episodes]
        else:
            with ReplayVideo(Path(video), dataset, env, overwrite=overwrite) as film:
                results = [_replay(env, one, film, check) for one in episodes]
            print(f"video in {video}")
    finally:
        env.close()
    if check:
        _tell_all(results)
    return results


def _replay(env: Any, episode: Episode, film: ReplayVideo | None, check: bool) -> Replayed:
    result = replay_episode(env, episode) if film is None else film.replay(episode)
    told = f"episode {result.episode}: {result.steps} steps, {'success' if result.success else 'no success'}"
    print(f"{told}, {_compared(result)}" if check else told)
    return result


def _compared(result: Replayed) -> str:
    """How the episode compares with the recorded one, in words."""
    if result.recorded_success is None:
        ends = "success was not recorded"
    elif result.repeats:
        ends = "as recorded"
    elif result.recorded_success and result.deviation is not None and result.deviation < SAME_MOTION:
        # What an operator says of an episode cannot come out of the simulation.
        ends = "recorded as a success, by the operator's word as it seems"
    else:
        ends = "recorded as a " + ("success" if result.recorded_success else "failure")
    if result.deviation is None:
        return f"{ends}; the recorded states are of another kind and were not compared"
    first = result.first_difference
    states = "states bit-equal" if first is None else f"states differ from frame {first} on"
    return f"{ends}; TCP deviation {result.deviation:.3g} m, {states}"


def _tell_origin(dataset: EpisodeDataset, task: str | None) -> None:
    version, metadata = dataset.metadata.get("version"), dataset.metadata
    if metadata:
        print(f"recorded in {metadata.get('env_id')} with gym_hil {version}, replayed with {gym_hil.__version__}")
    else:
        print(f"recorded without gym_hil's metadata, replayed in {task}")
    if any(record.seed is None for record in dataset.episodes):
        print("no seed was recorded: only a task that always starts the same way can repeat")


def _tell_all(results: list[Replayed]) -> None:
    count = len(results)
    repeated = sum(result.repeats for result in results)
    deviations = [result.deviation for result in results if result.deviation is not None]
    equal = sum(result.deviation is not None and result.first_difference is None for result in results)
    largest = f"{max(deviations):.3g} m" if deviations else "unknown"
    print(
        f"{repeated} of {count} end as recorded, {sum(result.success for result in results)} in success; largest TCP "
        f"deviation {largest}; states bit-equal in {equal} of {count}"
    )
