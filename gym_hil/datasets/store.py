"""What a dataset on the disk holds, and how the next episode is added to it.

The order in which files appear makes a dataset readable at every moment, also for a reader that was never told of the
recorder's death. Everything about an episode is first written, whole, into a folder of its own (`.recording`) and
waited for until it is on the disk. Renames then bring it to its place:

1. its videos, its frames, and the list of tasks if there is a new one. Nothing refers to them yet;
2. `meta/episodes/...`, with a row for the episode. From here on the episode is part of the dataset;
3. `meta/stats.json` and `meta/info.json`, which say how many episodes there are.

Killed before 2, the dataset is as it was, with a few files that nothing refers to: LeRobot 0.6.1 goes by the count in
`info.json` and never asks for frames beyond it. Killed between 2 and 3, the same is true for readers that go by the
count, while those that go by the rows see the new episode, which is complete. To resume is to make the three agree:
the rows decide, counts and statistics are computed from them, and what no row refers to is deleted.

An episode has files of its own, one for its frames and one for each camera, so that none is ever opened to be added to.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets import tables
from gym_hil.datasets.folder import FolderLock, check_room, clear_staging, move, write_json
from gym_hil.datasets.layout import (
    DATA,
    EPISODES,
    FILES_PER_CHUNK,
    FORMAT,
    INDICES,
    INFO,
    OWN,
    STAGING,
    STATS,
    TASKS,
    VIDEO,
    feature_differences,
    place,
    video_keys,
)
from gym_hil.datasets.statistics import Statistics, describe, merge
from gym_hil.errors import DatasetError

# A file of `meta/episodes` is written anew for each episode until it has this many rows. LeRobot takes 20 ms to open
# a file, however short it is; writing one takes about as long.
ROWS_PER_FILE = 100


@dataclass(frozen=True)
class Episode:
    """A recorded episode, ready to be added.

    Attributes:
        columns: feature -> (frames, size); with `timestamp` and `frame_index`, without the other indices.
        videos: feature -> finished file in the staging folder.
        statistics: of the videos.
        tasks: for each frame, what the robot was told to do.
        own: this package's columns of `meta/episodes`.
    """

    columns: dict[str, NDArray[Any]]
    videos: dict[str, Path]
    statistics: dict[str, Statistics]
    tasks: list[str]
    own: dict[str, Any]


@dataclass(frozen=True)
class State:
    """What a dataset holds.

    Attributes:
        episodes: how many.
        frames: how many.
        tasks: in the order of their numbers.
        rows: of the file of `meta/episodes` that is being filled.
        statistics: of all episodes.
        files: path template or video feature -> number of the next file; of `meta/episodes`, of the one being filled.
    """

    episodes: int = 0
    frames: int = 0
    tasks: tuple[str, ...] = ()
    rows: tuple[dict[str, Any], ...] = ()
    statistics: dict[str, Statistics] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)


class Catalogue:
    """The dataset in a folder, as far as it has to be known to add to it. Made by `create` or `resume`.

    Args:
        root: the folder; its subfolder `.recording` is there.
        info: what `meta/info.json` says; the numbers of episodes, frames and tasks in it do not matter.
        features: without those in `layout.INDICES`.
        state: what is there.
    """

    def __init__(self, root: Path, info: dict[str, Any], features: dict[str, dict[str, Any]], state: State):
        self.state = state
        self._root, self._staging, self._info, self._features = root, root / STAGING, info, features

    @classmethod
    def create(cls, root: Path, info: dict[str, Any], features: dict[str, dict[str, Any]]) -> Catalogue:
        """Begin a dataset; one that is there is deleted.

        Raises:
            OSError: the folder cannot be written.
        """
        catalogue = cls(root, info, features, State(files=dict.fromkeys([EPISODES, DATA, *video_keys(features)], 0)))
        # The rows go first: without them the rest counts for nothing, whatever happens now.
        _remove(root / "meta/episodes")
        catalogue._summarise(catalogue.state)
        for name in ("data", "videos", STATS, TASKS):
            _remove(root / name)
        return catalogue

    @classmethod
    def resume(cls, root: Path, info: dict[str, Any], features: dict[str, dict[str, Any]]) -> Catalogue:
        """Go on with a dataset, in whatever state its recorder left it.

        Raises:
            DatasetError: a file is missing or damaged; nothing was changed.
            OSError: the folder cannot be written.
        """
        rows, filling, full = _read_rows(root, features)
        if len(rows) < info.get("total_episodes", 0):
            raise DatasetError(
                f"{root / INFO} counts {info['total_episodes']} episodes, but meta/episodes lists {len(rows)}. Restore "
                "it, or record into another folder."
            )
        try:
            files, known = _files_of(root, rows, features)
            state = State(
                episodes=len(rows),
                frames=sum(row["length"] for row in rows),
                tasks=tuple(tables.read_tasks(root / TASKS)) if rows else (),
                rows=filling,
                statistics=_statistics_of(rows, features),
                files={EPISODES: full, **files},
            )
        except (KeyError, TypeError) as error:
            raise DatasetError(
                f"{root / 'meta/episodes'} lacks {error}, which LeRobot 0.6.1 and this package write. Record into "
                "another folder."
            ) from error
        catalogue = cls(root, info, features, state)
        for folder in ("data", "videos"):
            for path in sorted((root / folder).rglob("*")):
                if path.is_file() and path not in known:
                    path.unlink()
        catalogue._summarise(catalogue.state)
        return catalogue

    def add(self, episode: Episode) -> int:
        """Add an episode.

        Returns:
            Its number.

        Raises:
            OSError: it cannot be written; the dataset is as it was.
        """
        state = self.state
        tasks = tuple(dict.fromkeys([*state.tasks, *episode.tasks]))
        columns = self._complete(episode, tasks)
        videos = [
            (path, self._root / VIDEO.format(video_key=key, **place(state.files[key])))
            for key, path in episode.videos.items()
        ]
        statistics = {**{key: describe(values) for key, values in columns.items()}, **episode.statistics}
        rows = (*state.rows, self._row(episode, statistics))
        frames_file, tasks_file, rows_file = (
            self._staging / f"{name}.parquet" for name in ("data", "tasks", "episodes")
        )
        tables.write_frames(frames_file, columns)
        tables.write_episodes(rows_file, rows, self._features)
        listed = []
        if tasks != state.tasks:
            tables.write_tasks(tasks_file, tasks)
            listed = [(tasks_file, self._root / TASKS)]

        is_full = len(rows) == ROWS_PER_FILE
        after = State(
            episodes=state.episodes + 1,
            frames=state.frames + len(episode.tasks),
            tasks=tasks,
            rows=() if is_full else rows,
            statistics={
                key: merge([state.statistics[key], numbers]) if state.episodes else numbers
                for key, numbers in statistics.items()
            },
            files={key: number + (key != EPISODES or is_full) for key, number in state.files.items()},
        )
        data = self._root / DATA.format(**place(state.files[DATA]))
        move([*videos, *listed, (frames_file, data)])
        move([(rows_file, self._root / EPISODES.format(**place(state.files[EPISODES])))])
        self._summarise(after)
        self.state = after
        return state.episodes

    def _complete(self, episode: Episode, tasks: tuple[str, ...]) -> dict[str, NDArray[Any]]:
        """The columns with all indices, in the order in which the features are listed."""
        length = len(episode.tasks)
        first = self.state.frames
        columns = {
            **episode.columns,
            "episode_index": np.full((length, 1), self.state.episodes, dtype=np.int64),
            "index": np.arange(first, first + length, dtype=np.int64)[:, None],
            "task_index": np.array([[tasks.index(task)] for task in episode.tasks], dtype=np.int64),
        }
        return {key: columns[key] for key in (*self._features, *INDICES) if key in columns}

    def _row(self, episode: Episode, statistics: dict[str, Statistics]) -> dict[str, Any]:
        """What `meta/episodes` says about the episode."""
        state, length = self.state, len(episode.tasks)
        row: dict[str, Any] = {
            "episode_index": state.episodes,
            "tasks": list(dict.fromkeys(episode.tasks)),
            "length": length,
            "dataset_from_index": state.frames,
            "dataset_to_index": state.frames + length,
        }
        row.update(_prefixed("data/", place(state.files[DATA])))
        row.update(_prefixed("meta/episodes/", place(state.files[EPISODES])))
        for key in episode.videos:
            span = {"from_timestamp": 0.0, "to_timestamp": length / self._info["fps"]}
            row.update(_prefixed(f"videos/{key}/", {**place(state.files[key]), **span}))
        for key, numbers in statistics.items():
            row.update(_prefixed(f"stats/{key}/", {name: value.tolist() for name, value in numbers.items()}))
        return {**row, **episode.own}

    def _summarise(self, state: State) -> None:
        """Write what follows from the rows."""
        info = {
            **self._info,
            "total_episodes": state.episodes,
            "total_frames": state.frames,
            "total_tasks": len(state.tasks),
            "splits": {"train": f"0:{state.episodes}"} if state.episodes else {},
        }
        moves = []
        for name, content in ((STATS, _listed(state.statistics)), (INFO, info)):
            if content:
                staged = self._staging / Path(name).name
                write_json(staged, content)
                moves.append((staged, self._root / name))
        move(moves)


def _read_rows(
    root: Path, features: dict[str, dict[str, Any]]
) -> tuple[list[dict[str, Any]], tuple[dict[str, Any], ...], int]:
    """All rows of `meta/episodes`, those of the file that can be filled further, and the number of that file."""
    rows: list[dict[str, Any]] = []
    last: list[dict[str, Any]] = []
    is_own = False
    for path in sorted(root.glob("meta/episodes/*/*.parquet")):
        table = tables.read(path)
        last, is_own = table.to_pylist(), table.schema.equals(tables.episode_schema(features))
        rows += last
    if [row.get("episode_index") for row in rows] != list(range(len(rows))):
        raise DatasetError(f"{root / 'meta/episodes'} does not list the episodes in order; record into another folder.")
    number = _number(rows[-1], "meta/episodes") if rows else -1
    if is_own and len(last) < ROWS_PER_FILE:
        return rows, tuple(last), number
    return rows, (), number + 1


def _files_of(
    root: Path, rows: list[dict[str, Any]], features: dict[str, dict[str, Any]]
) -> tuple[dict[str, int], set[Path]]:
    """The number of the next file of each kind, and the files that the rows refer to.

    Raises:
        DatasetError: one of those is missing.
    """
    kinds = {DATA: "data", **{key: f"videos/{key}" for key in video_keys(features)}}
    numbers = {kind: [_number(row, prefix) for row in rows] for kind, prefix in kinds.items()}
    known = {
        root / (DATA if kind == DATA else VIDEO).format(video_key=kind, **place(number))
        for kind, of_rows in numbers.items()
        for number in of_rows
    }
    for path in sorted(known):
        if not path.is_file():
            raise DatasetError(f"{path} is missing. Restore it, or record into another folder.")
    return {kind: max(of_rows, default=-1) + 1 for kind, of_rows in numbers.items()}, known


def _statistics_of(rows: list[dict[str, Any]], features: dict[str, dict[str, Any]]) -> dict[str, Statistics]:
    names = tables.STATISTICS
    return {
        key: merge([{name: np.array(row[f"stats/{key}/{name}"]) for name in names} for row in rows])
        for key in (*features, *INDICES)
        if rows
    }


def _number(row: dict[str, Any], prefix: str) -> int:
    return int(row[f"{prefix}/chunk_index"] * FILES_PER_CHUNK + row[f"{prefix}/file_index"])


def _prefixed(prefix: str, entries: dict[str, Any]) -> dict[str, Any]:
    return {prefix + key: value for key, value in entries.items()}


def _listed(statistics: dict[str, Statistics]) -> dict[str, Any]:
    return {key: {name: value.tolist() for name, value in part.items()} for key, part in statistics.items()}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def open_folder(
    root: Path, info: dict[str, Any], features: dict[str, dict[str, Any]], *, resume: bool, overwrite: bool
) -> tuple[Catalogue, FolderLock]:
    """Open a folder for recording.

    Args:
        root: made if it is missing.
        info: `meta/info.json` of a new dataset.
        features: without those in `layout.INDICES`.
        resume: go on with the dataset in the folder, if there is one.
        overwrite: delete the dataset in the folder, if there is one.

    Returns:
        The dataset, and what keeps others out of it.

    Raises:
        DatasetError: the folder holds a dataset or something else that must not be touched, the dataset in it is of
            another kind or damaged, the disk is full, or the folder cannot be written. Nothing was changed.
    """
    if root.exists() and not root.is_dir():
        raise DatasetError(f"{root} is a file; choose a folder to record into.")
    present = _present(root)
    if present and not (resume or overwrite):
        raise DatasetError(
            f"{root} already holds a dataset. Go on with it by resume=True (--resume), delete it by overwrite=True "
            "(--overwrite), or choose another folder."
        )
    is_resumed = present and resume
    if is_resumed:
        info = _continued(root, info, features)
    staging = root / STAGING
    try:
        staging.mkdir(parents=True, exist_ok=True)
        check_room(root)
        lock = FolderLock(staging / "lock")
        try:
            # What a recorder has left that was killed is of no use to anybody.
            clear_staging(root, but="lock")
            catalogue = (Catalogue.resume if is_resumed else Catalogue.create)(root, info, features)
        except BaseException:
            lock.release()
            clear_staging(root)
            raise
    except OSError as error:
        raise DatasetError(f"{root} cannot be written: {error}. Choose another folder.") from error
    return catalogue, lock


def _present(root: Path) -> bool:
    """Whether there is a dataset in the folder.

    Raises:
        DatasetError: there is something else.
    """
    if (root / INFO).is_file():
        return True
    for path in root.rglob("*") if root.is_dir() else ():
        # What a recorder has left that was killed before it came to write `info.json` is nothing.
        if path.is_file() and path.parent != root / STAGING:
            raise DatasetError(f"{root} is not empty and not a dataset ({path} is in it); choose another folder.")
    return False


def _continued(root: Path, info: dict[str, Any], features: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """`meta/info.json` of the dataset that is there, if what is recorded now fits into it.

    Raises:
        DatasetError: it does not.
    """
    path = root / INFO
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        version, fps, features_there = there["codebase_version"], there["fps"], dict(there["features"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} cannot be read: {error!r}. Restore it, or record into another folder.") from error
    if version != FORMAT:
        raise DatasetError(f"{root} is a dataset of format {version}; only {FORMAT} can be continued.")
    if fps != info["fps"]:
        raise DatasetError(
            f"{root} was recorded at {fps} frames per second, not {info['fps']}; record with the same control_dt, or "
            "into another folder."
        )
    differences = [f"{key}: {old} there, {new} now" for key, old, new in feature_differences(features_there, features)]
    if differences:
        raise DatasetError(f"{root} holds other features: {'; '.join(differences)}. Record into another folder.")
    # LeRobot drops what it does not know when it adds to a dataset.
    return {OWN: info[OWN], **there}
