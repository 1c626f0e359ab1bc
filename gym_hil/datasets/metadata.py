"""The `meta` folder of a dataset, checked when it is opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gym_hil.datasets import tables
from gym_hil.datasets.layout import DATA, INFO, OWN, TASKS, VIDEO, image_shape, numbered_files, unreadable
from gym_hil.datasets.statistics import STATISTICS, Statistics
from gym_hil.errors import DatasetError

# Statistics from which success and interventions are known without opening the frames.
OUTCOMES = ("next.success", "next.reward", "complementary_info.is_intervention")
_SUCCESS = tuple(f"stats/{key}/max" for key in OUTCOMES[:2])
_INTERVENTIONS = f"stats/{OUTCOMES[2]}/mean"
LEGACY_VERSIONS = ("v2.0", "v2.1")  # see `legacy`
_COUNTS = {"total_episodes": 0, "total_frames": 0, "chunks_size": 1}  # the smallest that can be


@dataclass(frozen=True)
class EpisodeRecord:
    """What `meta/episodes` says about an episode.

    Attributes:
        index: its number.
        length: frames.
        tasks: instructions given to the robot.
        success: how it ended: as recorded by this package, else whether a frame has `next.success`, else whether one
            has a reward of 1 or more; None if none of these is known.
        seed: of the reset, if this package recorded it.
        options: of the reset, likewise.
        interventions: share of the frames in which an operator acted; None if that was not recorded.
        metadata: what this package recorded about the environment; empty for datasets of others.
        row: of `meta/episodes`, without statistics: where the frames and videos are.
        file: of `meta/episodes` that holds the row.
    """

    index: int
    length: int
    tasks: tuple[str, ...]
    success: bool | None
    seed: int | None
    options: dict[str, Any] | None
    interventions: float | None
    metadata: dict[str, Any]
    row: dict[str, Any]
    file: Path

    @property
    def task(self) -> str:
        """The instruction given to the robot; of several the first."""
        return self.tasks[0] if self.tasks else ""


@dataclass(frozen=True)
class Metadata:
    """The `meta` folder: `meta/info.json`, and the tasks and episodes in the order of their numbers."""

    info: dict[str, Any]
    tasks: tuple[str, ...]
    episodes: tuple[EpisodeRecord, ...]


def read_metadata(root: Path) -> Metadata:
    """Read and check the `meta` folder of a dataset.

    The rows of `meta/episodes` decide which episodes there are: where a recorder was killed, `meta/info.json` may count
    one less. Where the files were being joined, two rows may describe an episode; the first counts.

    Raises:
        DatasetError: the folder is no dataset, one of another version, or not whole.
    """
    info = read_info(root)
    own = info.get(OWN) or {}
    records: dict[int, EpisodeRecord] = {}
    for path in numbered_files(root / "meta/episodes"):
        for record in _read_records(path, own):
            records.setdefault(record.index, record)
    check_episodes(root, info, sorted(records))
    tasks = tables.read_tasks(root / TASKS) if records else ()
    return Metadata(info, tasks, tuple(records[index] for index in sorted(records)))


def read_info(root: Path) -> dict[str, Any]:
    """Read and check `meta/info.json` of a dataset that can be written to, which is one of v3.0."""
    info = load_info(root)
    version = info["codebase_version"]
    if not version.startswith("v3."):
        raise DatasetError(
            f"{root} has version {version} of LeRobot's format; this needs v3.0."
            + (f" Convert it: gym-hil dataset convert {root} --out NEW" if version in LEGACY_VERSIONS else "")
        )
    check_info(root / INFO, info)
    return info


def load_info(root: Path) -> dict[str, Any]:
    """Read `meta/info.json` of any version."""
    path = root / INFO
    if not path.is_file():
        what = "has no meta/info.json" if root.is_dir() else "is a file" if root.exists() else "does not exist"
        raise DatasetError(
            f"{root} is not a LeRobot dataset: it {what}. Name the folder in which `meta` and `data` are."
        )
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        return {**info, "codebase_version": str(info["codebase_version"])}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise unreadable(path, repr(error)) from error


def check_info(path: Path, info: dict[str, Any]) -> None:
    """Make sure that the entries of `meta/info.json` can be true."""
    fps, features = info.get("fps"), info.get("features")
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0 < fps < float("inf"):
        raise DatasetError(f"{path}: fps is {fps!r}; expected frames per second, more than 0.")
    for name, minimum in _COUNTS.items():
        count = info.get(name, minimum)
        if isinstance(count, bool) or not isinstance(count, int) or count < minimum:
            raise DatasetError(f"{path}: {name} is {count!r}; expected a number, {minimum} or more.")
    if not isinstance(features, dict):
        raise DatasetError(f"{path}: features is {features!r}; expected dtype and shape for each feature.")
    for key, feature in features.items():
        _check_feature(path, key, feature)
    for name, template, keys in (("data_path", DATA, {}), ("video_path", VIDEO, {"video_key": "camera"})):
        text = info.get(name) or template
        try:
            text.format(chunk_index=0, file_index=0, **keys)
        except (AttributeError, LookupError, ValueError) as error:
            raise DatasetError(f"{path}: {name} is {text!r}, which cannot be filled in: {error!r}.") from error


def check_episodes(root: Path, info: Mapping[str, Any], listed: list[int]) -> None:
    """Make sure that every episode is listed, by the numbers of the episodes in `meta/episodes`, in order."""
    if listed != list(range(len(listed))):
        raise DatasetError(
            f"{root / 'meta/episodes'} does not list each episode from 0 on. Fetch it again from where the dataset "
            "came from."
        )
    if len(listed) < info.get("total_episodes", 0):
        raise DatasetError(
            f"{root / INFO} counts {info['total_episodes']} episodes, but meta/episodes lists {len(listed)}. Fetch "
            "both again from where the dataset came from."
        )


def row_statistics(row: Mapping[str, Any], key: str) -> Statistics | None:
    """Statistics of a feature of an episode from its row of `meta/episodes`; None if they are not complete."""
    try:
        values = {name: np.array(row[f"stats/{key}/{name}"]) for name in STATISTICS}
        return values if all(np.isfinite(value).all() for value in values.values()) else None
    except (LookupError, TypeError, ValueError):
        return None


def _check_feature(path: Path, key: str, feature: Any) -> None:
    if not isinstance(feature, dict) or not {"dtype", "shape"} <= feature.keys():
        raise DatasetError(f"{path}: the feature {key!r} is {feature!r}; expected dtype and shape.")
    dtype, shape = feature["dtype"], feature["shape"]
    if not isinstance(dtype, str):
        raise DatasetError(f"{path}: the dtype of {key!r} is {dtype!r}; expected text, such as 'float32'.")
    if not isinstance(shape, list) or not all(type(size) is int and size > 0 for size in shape):
        raise DatasetError(f"{path}: the shape of {key!r} is {shape!r}; expected a list of whole numbers above 0.")
    if dtype in ("video", "image"):
        try:
            image_shape(feature)
        except DatasetError as error:
            raise DatasetError(f"{path}: {key}: {error}") from None


def _read_records(path: Path, own: dict[str, Any]) -> list[EpisodeRecord]:
    table = tables.read(path)
    kept = [name for name in table.column_names if not name.startswith("stats/") or name in (*_SUCCESS, _INTERVENTIONS)]
    try:
        return [episode_record(row, own, path) for row in table.select(kept).to_pylist()]
    except (LookupError, TypeError, ValueError) as error:
        raise unreadable(path, f"it does not describe episodes: {error!r}") from error


def episode_record(row: dict[str, Any], own: dict[str, Any], path: Path) -> EpisodeRecord:
    """A row of `meta/episodes` in a file, with what the dataset's `meta/info.json` says about all episodes."""
    success, seed = row.pop(f"{OWN}/success", None), row.pop(f"{OWN}/seed", None)
    options, metadata = (row.pop(f"{OWN}/{name}", None) for name in ("options", "metadata"))
    maxima, share = [row.pop(name, None) for name in _SUCCESS], row.pop(_INTERVENTIONS, None)
    if success is None:
        success = next((bool(values[0] >= 1) for values in maxima if values), None)
    return EpisodeRecord(
        index=int(row["episode_index"]),
        length=int(row["length"]),
        tasks=tuple(row.get("tasks") or ()),
        success=success,
        seed=seed,
        options=None if options is None else json.loads(options),
        interventions=float(share[0]) if share else None,
        metadata={**own, **(json.loads(metadata) if metadata else {})},
        row=row,
        file=path,
    )
