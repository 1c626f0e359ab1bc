"""Inspect datasets, and make new ones of them: merged, filtered, relabelled, converted, with fewer files."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import Any

import numpy as np

from gym_hil.cli.arguments import path_argument
from gym_hil.datasets.compact import compact_dataset
from gym_hil.datasets.layout import dataset_files, is_depth
from gym_hil.datasets.metadata import EpisodeRecord
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.transform import convert_dataset, filter_dataset, merge_datasets, relabel_dataset
from gym_hil.imports import import_function


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil dataset`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def add(name: str, text: str, *, several: bool = False) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        name, count = ("datasets", "+") if several else ("dataset", None)
        action.add_argument(name, type=path_argument, nargs=count, metavar="DIR", help=f"folder of the {name}")
        return action

    info = add("info", "show what a dataset holds")
    info.add_argument("--episodes", action="store_true", help="show a line for each episode")
    info.add_argument(
        "--check", action="store_true", help="read every file, and list what is missing, damaged or not as it should be"
    )
    merge = add("merge", "merge datasets that have the same features into a new one", several=True)
    merge.add_argument("--force", action="store_true", help="merge although the names of a feature's numbers differ")
    keep = add("filter", "copy some episodes of a dataset into a new one")
    keep.add_argument(
        "--success", action=argparse.BooleanOptionalAction, help="keep episodes that ended in success, or the others"
    )
    keep.add_argument(
        "--interventions",
        action=argparse.BooleanOptionalAction,
        help="keep episodes in which the operator intervened, or the others",
    )
    keep.add_argument("--drop", type=int, nargs="+", default=[], metavar="I", help="numbers of episodes to leave out")
    relabel = add("relabel", "copy a dataset into a new one with other rewards")
    relabel.add_argument(
        "--reward",
        required=True,
        metavar="MODULE:FUNCTION",
        help="function that is called with each Episode and returns a reward for each of its frames; modules in the "
        "current folder are found, too",
    )
    convert = add("convert", "make a dataset of LeRobot's format v3.0 from one of v2.0 or v2.1")
    add("compact", "join the files of single episodes into larger ones, in place")
    for action in (merge, keep, relabel, convert):
        add_out_arguments(action)


def add_out_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments about the new dataset."""
    parser.add_argument("--out", type=path_argument, required=True, metavar="NEW", help="folder of the new dataset")
    parser.add_argument(
        "--repo-id", metavar="USER/NAME", help="name of the new dataset on the Hub (default: that of the first one)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the dataset in the folder")


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil dataset`."""
    if arguments.action == "info":
        return _info(arguments)
    if arguments.action == "compact":
        before, after = compact_dataset(arguments.dataset)
        print(f"{arguments.dataset}: {after} files" + (f", {before} before" if before != after else ""))
        return 0
    new: dict[str, Any] = {"repo_id": arguments.repo_id, "overwrite": arguments.overwrite}
    if arguments.action == "merge":
        made = merge_datasets(arguments.datasets, arguments.out, force=arguments.force, **new)
    elif arguments.action == "filter":
        made = filter_dataset(
            arguments.dataset,
            arguments.out,
            success=arguments.success,
            interventions=arguments.interventions,
            drop=arguments.drop,
            **new,
        )
    elif arguments.action == "convert":
        made = convert_dataset(arguments.dataset, arguments.out, **new)
    else:
        reward = import_function(arguments.reward, role="reward")
        made = relabel_dataset(arguments.dataset, arguments.out, reward, **new)
    print(f"{made.path}: {len(made)} episodes, {made.total_frames} frames, {_successes(made)}")
    return 0


def _info(arguments: argparse.Namespace) -> int:
    dataset = EpisodeDataset(arguments.dataset)
    print(describe(dataset, episodes=arguments.episodes))
    problems = dataset.problems() if arguments.check else []
    for problem in problems:
        print(problem, file=sys.stderr)
    if arguments.check and not problems:
        print("every file is there, whole, and as meta/info.json says")
    return 1 if problems else 0


def describe(dataset: EpisodeDataset, *, episodes: bool = False) -> str:
    """What a dataset holds, in lines of text, with a line for each episode if `episodes`."""
    metadata = dataset.metadata
    size = sum(path.stat().st_size for path in dataset_files(dataset.path, dataset.features))
    lines = [
        f"{dataset.path}: {metadata.get('repo_id', 'no repo_id')}, LeRobotDataset {dataset.info['codebase_version']}",
        f"{len(dataset)} episodes, {dataset.total_frames} frames, {dataset.fps:g} fps, "
        f"{dataset.total_frames / dataset.fps:.1f} s, {size / 1e6:.1f} MB",
        f"{_successes(dataset)}, {_interventions(dataset)}",
        f"tasks: {', '.join(map(repr, dataset.tasks)) or 'none'}",
    ]
    origins = Counter(_origin(record.metadata) for record in dataset.episodes)
    for origin, count in origins.items():
        if origin is not None:
            lines.append(f"recorded in {origin}" + (f": {count} episodes" if len(origins) > 1 else ""))
    if "derived" in metadata:
        lines.append(f"made by {metadata['derived']['by']} from {', '.join(metadata['derived']['from'])}")
    lines.append("features:")
    width = max(map(len, dataset.features), default=0)
    for key, feature in dataset.features.items():
        unit = f" of depth in {dataset.depth_unit(key) or 'an unknown unit'}" if is_depth(feature) else ""
        lines.append(f"  {key:<{width}}  {feature['dtype']} {list(feature['shape'])}{unit}")
    if episodes:
        lines.append("episodes:")
        lines += [f"  {_describe_episode(record)}" for record in dataset.episodes]
    return "\n".join(lines)


def _origin(metadata: dict[str, Any]) -> str | None:
    if not metadata.get("env_id"):
        return None
    return f"{metadata['env_id']} with gym_hil {metadata.get('version')}, images by {metadata.get('renderer')}"


def _successes(dataset: EpisodeDataset) -> str:
    known = [record.success for record in dataset.episodes if record.success is not None]
    unknown = len(dataset) - len(known)
    return f"{sum(known)} of {len(known)} end in success" + (f", {unknown} unknown" if unknown else "")


def _interventions(dataset: EpisodeDataset) -> str:
    shares = [(record.interventions, record.length) for record in dataset.episodes if record.interventions is not None]
    if not shares:
        return "interventions were not recorded"
    acted, frames = np.array(shares).T
    return (
        f"the operator acted in {int((acted > 0).sum())} of them, {np.average(acted, weights=frames):.0%} of all frames"
    )


def _describe_episode(record: EpisodeRecord) -> str:
    ends = {True: "success", False: "no success", None: "success unknown"}[record.success]
    parts = [f"{record.index:>4}", f"{record.length:>5} frames", f"{ends:<15}"]
    parts.append("seed unknown" if record.seed is None else f"seed {record.seed}")
    if record.interventions is not None:
        parts.append(f"operator {record.interventions:.0%}")
    return "  ".join([*parts, repr(record.task)])
