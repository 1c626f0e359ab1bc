"""A dataset on the disk, and how an episode is added to it.

The order in which files appear makes a dataset readable at every moment, whatever happens to the recorder. Everything
about an episode is first written, whole, into a folder of its own (`.recording`) and synced to the disk. Renames then
bring it to its place:

1. its videos, its frames, and the list of tasks if there is a new one. Nothing refers to them yet;
2. `meta/episodes/...`, with a row for the episode. From here on the episode is part of the dataset;
3. `meta/stats.json` and `meta/info.json`, which say how many episodes there are.

Killed before 2, the dataset is as it was, with a few files that nothing refers to: LeRobot 0.6.1 goes by the count in
`info.json` and never asks for frames beyond it. Killed between 2 and 3, the same is true for readers that go by the
count, while those that go by the rows see the new episode, which is complete. To resume is to make the three agree:
the rows decide, counts and statistics are computed from them, and files that the journal in `.recording` names and no
row refers to are deleted. Other files that lie in the folder are never touched.

While recording, an episode has files of its own, one for its frames and one for each camera, so that none is ever
opened to be added to; `compact` joins them afterwards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets import folder, layout, tables
from gym_hil.datasets.layout import DATA, EPISODES, INDICES, INFO, OWN, STAGING, STATS, TASKS, VIDEO, location
from gym_hil.datasets.metadata import check_episodes, read_info, row_statistics
from gym_hil.datasets.statistics import Statistics, describe, merge
from gym_hil.errors import DatasetError
from gym_hil.files import writing

# A file of `meta/episodes` is written anew for each episode until it has this many rows. LeRobot takes 20 ms to open
# a file, however short it is; writing one takes about as long.
ROWS_PER_FILE = 100


@dataclass(frozen=True)
class EpisodeData:
    """A recorded episode, ready to be added."""

    columns: dict[
        str, NDArray[Any]
    ]  # feature -> (frames, size); with `timestamp` and `frame_index` only of the indices
    videos: dict[str, Path]  # feature -> finished file in the staging folder
    statistics: dict[str, Statistics]  # as far as they are known; those of the other columns are computed
    tasks: list[str]  # the instruction in each frame
    own: dict[str, Any]  # this package's columns of `meta/episodes`


@dataclass(frozen=True)
class State:
    """What a dataset holds."""

    episodes: int = 0
    frames: int = 0
    tasks: tuple[str, ...] = ()
    rows: tuple[dict[str, Any], ...] = ()  # of the file of `meta/episodes` that is being filled
    statistics: dict[str, Statistics] = field(default_factory=dict)  # of all episodes
    files: dict[str, int] = field(default_factory=dict)  # path template or video feature -> number of the next file


class DatasetStore:
    """The dataset in a folder, as far as it has to be known to add to it. Made by `create` or `resume`.

    Its subfolder `.recording` is there; `info` is `meta/info.json`, `features` are those without `layout.INDICES`.
    """

    def __init__(self, root: Path, info: dict[str, Any], features: dict[str, dict[str, Any]], state: State):
        self.info, self.state = info, state
        self._root, self._staging, self._features = root, root / STAGING, features
        # The state before each episode that was added here, and the episode's own files.
        self._added: list[tuple[State, list[Path]]] = []

    @classmethod
    def create(cls, root: Path, info: dict[str, Any], features: dict[str, dict[str, Any]]) -> DatasetStore:
        """Begin a dataset; one that is there is deleted, and nothing else."""
        try:
            present = {**features, **read_info(root)["features"]}
        except DatasetError:
            present = features
        old = [
            path for path in (*layout.dataset_files(root, present), *folder.read_journal(root)) if path != root / INFO
        ]
        store = cls(root, info, features, State(files=dict.fromkeys([EPISODES, *_kinds(features)], 0)))
        folder.write_journal(root, old)
        # The rows go first: without them the rest counts for nothing, whatever happens now.
        folder.remove(root, [path for path in old if path.is_relative_to(root / "meta/episodes")])
        store._write_summary(store.state)
        folder.remove(root, old)
        return store

    @classmethod
    def resume(cls, root: Path, info: dict[str, Any], features: dict[str, dict[str, Any]]) -> DatasetStore:
        """Go on with a dataset, in whatever state its recorder left it; after a DatasetError nothing was changed."""
        rows, next_rows_file, _ = _read_rows(root)
        check_episodes(root, info, [row.get("episode_index", -1) for row in rows])
        try:
            files = _files_of(root, rows, features)
            for path in (path for of_kind in files.values() for path in of_kind.values() if not path.is_file()):
                raise layout.unreadable(path, "")
            state = State(
                episodes=len(rows),
                frames=sum(row["length"] for row in rows),
                tasks=tables.read_tasks(root / TASKS) if rows else (),
                statistics=_statistics_of(root, rows, features),
                files={
                    EPISODES: next_rows_file,
                    **{kind: max(of_kind, default=-1) + 1 for kind, of_kind in files.items()},
                },
            )
        except (KeyError, TypeError) as error:
            raise DatasetError(
                f"{root / 'meta/episodes'} lacks {error}, which LeRobot 0.6.1 and this package write. Record into "
                "another folder."
            ) from error
        store = cls(root, info, features, state)
        remove_leftovers(root, features)
        store._write_summary(store.state)
        return store

    def add(self, episode: EpisodeData) -> int:
        """Add an episode and return its number; after an OSError the dataset is as it was."""
        state = self.state
        files = {kind: number if kind == EPISODES else self._free(kind, number) for kind, number in state.files.items()}
        tasks = tuple(dict.fromkeys([*state.tasks, *episode.tasks]))
        columns = self._complete(episode, tasks)
        statistics = {key: describe(values) for key, values in columns.items() if key not in episode.statistics}
        statistics.update(episode.statistics)
        rows = (*state.rows, self._row(episode, statistics, files))
        staged = {name: self._staging / f"{name}.parquet" for name in ("data", "tasks", "episodes")}
        tables.write(staged["data"], tables.frames_table(columns))
        tables.write(staged["episodes"], tables.episodes_table(rows, self._features))
        new = [(episode.videos[key], _path(self._root, key, files[key])) for key in episode.videos]
        new.append((staged["data"], _path(self._root, DATA, files[DATA])))
        folder.write_journal(self._root, [destination for _, destination in new])
        if tasks != state.tasks:
            tables.write(staged["tasks"], tables.tasks_table(tasks))
            new.append((staged["tasks"], self._root / TASKS))
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
            files={kind: number + (kind != EPISODES or is_full) for kind, number in files.items()},
        )
        folder.move(new)
        folder.move([(staged["episodes"], _path(self._root, EPISODES, files[EPISODES]))])
        self._write_summary(after)
        self.state = after
        self._added.append((state, [destination for _, destination in new if destination != self._root / TASKS]))
        return state.episodes

    def delete_last(self) -> None:
        """Delete the episode that was added here last (else a DatasetError); after an OSError it is there as before.

        As in `add`, the row decides: until it is gone the episode counts, and the next `resume` removes what is left.
        """
        if not self._added:
            raise DatasetError(
                f"No episode was recorded into {self._root} since it was opened. Older ones are removed by "
                "`gym-hil dataset filter`."
            )
        before, files = self._added[-1]
        folder.write_journal(self._root, files)
        rows, staged = _path(self._root, EPISODES, before.files[EPISODES]), self._staging / "episodes.parquet"
        if before.rows:
            tables.write(staged, tables.episodes_table(before.rows, self._features))
        # First, because readers refuse a count above that of the rows.
        self._write_summary(before)
        if before.rows:
            folder.move([(staged, rows)])
        else:
            folder.remove(self._root, [rows])
        tasks, self.state = self.state.tasks, before
        self._added.pop()
        with contextlib.suppress(OSError):  # the row is gone: nothing refers to what stays, such as an open file
            if before.tasks not in ((), tasks):
                staged = self._staging / "tasks.parquet"
                tables.write(staged, tables.tasks_table(before.tasks))
                folder.move([(staged, self._root / TASKS)])
            folder.remove(self._root, [*files, *([] if before.episodes else [self._root / TASKS, self._root / STATS])])

    def _complete(self, episode: EpisodeData, tasks: tuple[str, ...]) -> dict[str, NDArray[Any]]:
        """The columns with all indices, in the order in which the features are listed."""
        length, first = len(episode.tasks), self.state.frames
        columns = {
            **episode.columns,
            "episode_index": np.full((length, 1), self.state.episodes, dtype=np.int64),
            "index": np.arange(first, first + length, dtype=np.int64)[:, None],
            "task_index": np.array([[tasks.index(task)] for task in episode.tasks], dtype=np.int64),
        }
        return {key: columns[key] for key in (*self._features, *INDICES) if key in columns}

    def _row(self, episode: EpisodeData, statistics: dict[str, Statistics], files: dict[str, int]) -> dict[str, Any]:
        """The row of `meta/episodes` for the episode."""
        state, length = self.state, len(episode.tasks)
        row: dict[str, Any] = {
            "episode_index": state.episodes,
            "tasks": list(dict.fromkeys(episode.tasks)),
            "length": length,
            "dataset_from_index": state.frames,
            "dataset_to_index": state.frames + length,
        }
        row.update(_prefixed("data/", location(files[DATA])))
        row.update(_prefixed("meta/episodes/", location(files[EPISODES])))
        for key in episode.videos:
            span = {"from_timestamp": 0.0, "to_timestamp": length / self.info["fps"]}
            row.update(_prefixed(f"videos/{key}/", {**location(files[key]), **span}))
        for key, numbers in statistics.items():
            row.update(_prefixed(f"stats/{key}/", {name: value.tolist() for name, value in numbers.items()}))
        return {**row, **episode.own}

    def _free(self, kind: str, number: int) -> int:
        """The first number from one on whose file is not there: what is there is not ours."""
        while _path(self._root, kind, number).exists():
            number += 1
        return number

    def _write_summary(self, state: State) -> None:
        """Write what follows from the rows."""
        info = {
            **self.info,
            "total_episodes": state.episodes,
            "total_frames": state.frames,
            "total_tasks": len(state.tasks),
            "splits": {"train": f"0:{state.episodes}"} if state.episodes else {},
        }
        if state.statistics:
            listed = {
                key: {name: value.tolist() for name, value in part.items()} for key, part in state.statistics.items()
            }
            folder.write_json(self._root / STATS, listed, self._staging)
        folder.write_json(self._root / INFO, info, self._staging)


def open_store(
    root: Path, info: dict[str, Any], features: dict[str, dict[str, Any]], *, resume: bool, overwrite: bool
) -> tuple[DatasetStore, folder.FolderLock]:
    """Open a folder for recording: everything about it that can fail is tried here, before the robot moves.

    The folder is made if it is missing. If there is a dataset in it, `resume` goes on with it and `overwrite` deletes
    it; `info` is `meta/info.json` of a new one, `features` are those without `layout.INDICES`.

    Returns:
        The dataset, and the lock that keeps others out of it.

    Raises:
        DatasetError: the folder cannot be used; nothing was changed.
    """
    with writing(root, DatasetError):
        _check_folder(root, resume or overwrite)
        lock = folder.FolderLock(root / STAGING / "lock")
        try:
            # Again, now that no other recorder can change it.
            present = _check_folder(root, resume or overwrite)
            folder.check_room(root)
            if present and resume:
                store = DatasetStore.resume(root, _continued(root, info, features), features)
            else:
                store = DatasetStore.create(root, info, features)
            # What a killed recorder has left there is of no use any more.
            folder.clear_staging(root)
        except BaseException:
            lock.release()
            raise
    return store, lock


def remove_leftovers(root: Path, features: dict[str, dict[str, Any]]) -> None:
    """Delete the files that a killed recorder had begun to add or to replace, and that no row refers to."""
    journal = folder.read_journal(root)
    if not journal:
        return
    rows, _, superseded = _read_rows(root)
    known = {path for of_kind in _files_of(root, rows, features).values() for path in of_kind.values()}
    known |= set(layout.numbered_files(root / "meta/episodes")) - superseded
    folder.remove(root, [path for path in journal if path not in known])


def _check_folder(root: Path, dataset_allowed: bool) -> bool:
    """Whether there is a dataset in the folder; one of this package without episodes counts as none."""
    if root.exists() and not root.is_dir():
        raise DatasetError(f"{root} is a file; choose a folder to record into.")
    if not (root / INFO).is_file():
        for path in root.rglob("*"):
            # What a recorder has left that was killed before it came to write `info.json` is nothing.
            if path.is_file() and path.parent != root / STAGING:
                if (root / INFO).is_file():
                    break  # another recorder has just begun
                raise DatasetError(f"{root} is not empty and not a dataset ({path} is in it); choose another folder.")
        return False
    try:
        info = read_info(root)
        if OWN in info and not info.get("total_episodes") and not layout.numbered_files(root / "meta/episodes"):
            return False
    except DatasetError:
        pass  # it cannot be continued, but it is one
    if not dataset_allowed:
        raise DatasetError(
            f"{root} already holds a dataset. Add to it with resume=True, delete it with overwrite=True, or choose "
            "another folder."
        )
    return True


def _continued(root: Path, info: dict[str, Any], features: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """`meta/info.json` of the dataset that is there, if what is recorded now fits into it; else a DatasetError."""
    there = read_info(root)
    if there["codebase_version"] != layout.FORMAT:
        raise DatasetError(f"{root} has the format {there['codebase_version']}; only {layout.FORMAT} can be continued.")
    if there["fps"] != info["fps"]:
        raise DatasetError(
            f"{root} was recorded at {there['fps']} frames per second, not {info['fps']}; record with the same "
            "control_dt, or into another folder."
        )
    differences = layout.feature_differences(there["features"], features)
    if differences:
        listed = "; ".join(f"{key}: {old} there, {new} now" for key, old, new in differences)
        raise DatasetError(f"{root} holds other features: {listed}. Record into another folder.")
    old_name, name = (there.get(OWN) or {}).get("repo_id"), info[OWN]["repo_id"]
    if old_name not in (None, name):
        raise DatasetError(
            f"{root} is the dataset {old_name}, not {name}. Give its name, or record into another folder; "
            "`gym-hil dataset merge` makes a copy with another name."
        )
    # LeRobot drops what it does not know when it adds to a dataset.
    return {OWN: info[OWN], **there}


def _read_rows(root: Path) -> tuple[list[dict[str, Any]], int, set[Path]]:
    """The rows of `meta/episodes`, the number of the next file there, and the files that only repeat others."""
    rows: dict[int, dict[str, Any]] = {}
    superseded: set[Path] = set()
    number = 0
    for path in layout.numbered_files(root / "meta/episodes"):
        found = tables.read(path).to_pylist()
        if all(row.get("episode_index", -1) in rows for row in found):
            superseded.add(path)
            continue
        number = _number(found[-1], "meta/episodes") + 1
        for row in found:
            rows.setdefault(row.get("episode_index", -1), row)
    return [rows[index] for index in sorted(rows)], number, superseded


def _files_of(
    root: Path, rows: Sequence[dict[str, Any]], features: dict[str, dict[str, Any]]
) -> dict[str, dict[int, Path]]:
    """Kind of file -> number -> path, of the files that the rows refer to."""
    return {
        kind: {number: _path(root, kind, number) for number in (_number(row, prefix) for row in rows)}
        for kind, prefix in _kinds(features).items()
    }


def _statistics_of(
    root: Path, rows: Sequence[dict[str, Any]], features: dict[str, dict[str, Any]]
) -> dict[str, Statistics]:
    parts: dict[str, list[Statistics]] = {key: [] for key in (*features, *INDICES)} if rows else {}
    for row in rows:
        for key in parts:
            part = row_statistics(row, key)
            if part is None:
                raise DatasetError(
                    f"{root / 'meta/episodes'} has no complete statistics of {key} in episode {row['episode_index']}. "
                    "See what is wrong with `gym-hil dataset info DIR --check`, or record into another folder."
                )
            parts[key].append(part)
    return {key: merge(of_key) for key, of_key in parts.items()}


def _kinds(features: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Path template or video feature -> prefix of the columns of `meta/episodes` that say which file."""
    return {DATA: "data", **{key: f"videos/{key}" for key in layout.video_keys(features)}}


def _path(root: Path, kind: str, number: int) -> Path:
    return root / (kind if kind in (DATA, EPISODES) else VIDEO).format(video_key=kind, **location(number))


def _number(row: dict[str, Any], prefix: str) -> int:
    return int(row[f"{prefix}/chunk_index"] * layout.FILES_PER_CHUNK + row[f"{prefix}/file_index"])


def _prefixed(prefix: str, entries: dict[str, Any]) -> dict[str, Any]:
    return {prefix + key: value for key, value in entries.items()}
