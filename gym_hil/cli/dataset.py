"""Look into datasets, put them together, pick episodes out, give them other rewards; never in place."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gym_hil.cli.arguments import path_argument
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.transform import filter_dataset, merge_datasets, relabel_dataset
from gym_hil.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil dataset`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    info = actions.add_parser("info", help="what is in a dataset", description="What is in a dataset.")
    info.add_argument("dataset", type=path_argument, metavar="DIR", help="folder of the dataset")
    info.add_argument("--episodes", action="store_true", help="a line for each episode")
    info.add_argument("--check", action="store_true", help="make sure that every file is there and whole")

    merge = actions.add_parser(
        "merge", help="put datasets one behind the other", description="Put datasets one behind the other."
    )
    merge.add_argument("datasets", type=path_argument, nargs="+", metavar="DIR", help="folders of the datasets")

    keep = actions.add_parser("filter", help="keep some episodes", description="Keep some episodes.")
    keep.add_argument("dataset", type=path_argument, metavar="DIR", help="folder of the dataset")
    keep.add_argument("--success", action=argparse.BooleanOptionalAction, help="those that ended in success, or not")
    keep.add_argument(
        "--interventions", action=argparse.BooleanOptionalAction, help="those in which an operator acted, or nobody did"
    )
    keep.add_argument("--drop", type=int, nargs="+", default=[], metavar="I", help="without these; they are not read")

    relabel = actions.add_parser("relabel", help="give other rewards", description="Give every frame another reward.")
    relabel.add_argument("dataset", type=path_argument, metavar="DIR", help="folder of the dataset")
    relabel.add_argument(
        "--reward",
        required=True,
        metavar="MODULE:FUNCTION",
        help="called with each Episode, returns a reward for each frame; looked for in this folder too",
    )
    for action in (merge, keep, relabel):
        add_out_arguments(action)


def add_out_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where a new dataset goes."""
    parser.add_argument("--out", type=path_argument, required=True, metavar="NEW", help="folder of the new dataset")
    parser.add_argument("--repo-id", metavar="USER/NAME", help="its name on the Hub; that of the old one if not given")
    parser.add_argument("--overwrite", action="store_true", help="replace a dataset that is there")


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil dataset`."""
    if arguments.action == "info":
        print(describe(arguments.dataset, episodes=arguments.episodes, check=arguments.check))
        return 0
    new: dict[str, Any] = {"repo_id": arguments.repo_id, "overwrite": arguments.overwrite}
    if arguments.action == "merge":
        made = merge_datasets(arguments.datasets, arguments.out, **new)
    elif arguments.action == "filter":
        made = filter_dataset(
            arguments.dataset,
            arguments.out,
            success=arguments.success,
            interventions=arguments.interventions,
            drop=arguments.drop,
            **new,
        )
    else:
        made = relabel_dataset(arguments.dataset, arguments.out, find_function(arguments.reward), **new)
    print(f"{made.path}: {len(made)} episodes, {made.total_frames} frames, {_successes(made)}")
    return 0


def describe(path: str | Path, *, episodes: bool = False, check: bool = False) -> str:
    """What is in a dataset, in words.

    Args:
        path: its folder.
        episodes: tell about each episode.
        check: read every file first.

    Raises:
        DatasetError: it cannot be read.
    """
    dataset = EpisodeDataset(path)
    if check:
        dataset.check()
    metadata = dataset.metadata
    size = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    lines = [
        f"{path}: {metadata.get('repo_id', 'no repo_id')}, LeRobotDataset {dataset.info['codebase_version']}",
        f"{len(dataset)} episodes, {dataset.total_frames} frames, {dataset.fps:g} fps, "
        f"{dataset.total_frames / dataset.fps:.1f} s, {size / 1e6:.1f} MB",
        f"{_successes(dataset)}, {_interventions(dataset)}",
        f"tasks: {', '.join(map(repr, dataset.tasks)) or 'none'}",
    ]
    if "env_id" in metadata:
        lines.append(
            f"recorded in {metadata['env_id']} with gym_hil {metadata.get('version')}, "
            f"images by {metadata.get('renderer')}"
        )
    if "derived" in metadata:
        lines.append(f"made by {metadata['derived']['by']} from {', '.join(metadata['derived']['from'])}")
    lines.append("features:")
    width = max(map(len, dataset.features), default=0)
    for key, feature in dataset.features.items():
        lines.append(f"  {key:<{width}}  {feature['dtype']} {list(feature['shape'])}")
    if episodes:
        lines.append("episodes:")
        lines += [f"  {_tell(record)}" for record in dataset.episodes]
    if check:
        lines.append("every file is there and whole")
    return "\n".join(lines)


def find_function(name: str) -> Callable[..., Any]:
    """The function that `module:function` names.

    Raises:
        ConfigurationError: there is none.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise ConfigurationError(f"--reward is {name!r}; expected MODULE:FUNCTION, for example my_rewards:distance.")
    # The command lies elsewhere; a module beside the operator who calls it is meant all the same.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"--reward {name}: {error}.") from error
    if not callable(found):
        raise ConfigurationError(f"--reward {name}: {function} is {found!r}, which cannot be called.")
    return found  # type: ignore[no-any-return]


def _successes(dataset: EpisodeDataset) -> str:
    known = [record.success for record in dataset.episodes if record.success is not None]
    unknown = len(dataset) - len(known)
    told = f"{sum(known)} of {len(known)} end in success"
    return f"{told}, of {unknown} it is not known" if unknown else told


def _interventions(dataset: EpisodeDataset) -> str:
    shares = [(record.interventions, record.length) for record in dataset.episodes if record.interventions is not None]
    if not shares:
        return "interventions were not recorded"
    acted, frames = np.array(shares).T
    return (
        f"the operator acted in {int((acted > 0).sum())} of them, {np.average(acted, weights=frames):.0%} of all frames"
    )


def _tell(record: Any) -> str:
    """An episode in a line."""
    ends = {True: "success", False: "no success", None: "success unknown"}[record.success]
    parts = [f"{record.index:>4}", f"{record.length:>5} frames", f"{ends:<15}"]
    parts.append("seed unknown" if record.seed is None else f"seed {record.seed}")
    if record.interventions is not None:
        parts.append(f"operator {record.interventions:.0%}")
    return "  ".join([*parts, repr(record.task)])
