"""Joins the files of single episodes up to the sizes that `meta/info.json` names, without encoding anything again.

Crash-safe, one group of files at a time: the joined file takes the place of the group's first one, which it begins
with; then the rows of `meta/episodes` are changed, in one file; then the others, which nothing refers to any more, are
deleted. Killed in between, every row still refers to a file that holds its episode, and the journal in `.recording`
names the files to delete. The last group comes first, so that what LeRobot counts from the front stays in place.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gym_hil.datasets import layout, tables
from gym_hil.datasets.folder import ROOM, FolderLock, clear_staging, move, remove, write_journal
from gym_hil.datasets.metadata import read_metadata
from gym_hil.datasets.store import remove_leftovers
from gym_hil.datasets.tables import for_pyarrow, pa, pc, pq
from gym_hil.datasets.video import Span, images_kind, join_videos
from gym_hil.errors import DatasetError
from gym_hil.files import expand_path, writing


class _File(NamedTuple):
    """A file of frames or of images."""

    path: Path
    rows: range  # numbers of the rows of `meta/episodes` that refer to it
    kind: Any  # only files of the same kind can be joined
    size: float  # bytes, of what the rows refer to
    has_more: bool  # whether it also holds what no row refers to


def compact_dataset(path: str | PathLike[str]) -> tuple[int, int]:
    """Join the files of a dataset as far as its `meta/info.json` allows; returns how many it had, and how many it has.

    A DatasetError if it cannot be read or written, or another process writes to it.
    """
    root = expand_path(path)
    metadata = read_metadata(root)
    features = metadata.info["features"]
    with writing(root, DatasetError, "It is as it was."):
        lock = FolderLock(root / layout.STAGING / "lock")
        try:
            remove_leftovers(root, features)
            before = len(list(layout.dataset_files(root, features)))
            after = before - join_files(root, metadata.info)
            clear_staging(root)
            return before, after
        finally:
            lock.release()


def join_files(root: Path, info: dict[str, Any]) -> int:
    """Join the files of a dataset whose folder is locked, and whose info is checked; returns how many files fewer.

    Raises:
        DatasetError: a file cannot be read. The dataset is whole, some of it joined.
        OSError: a file cannot be written. Likewise.
    """
    rows = _Rows(root)
    count = len(rows.files)
    if not count:
        return 0
    removed = 0
    for prefix in ("data", *(f"videos/{key}" for key in layout.video_keys(info["features"]))):
        files = _files(root, info, rows, prefix)
        limit = info.get("data_files_size_in_mb", 100) if prefix == "data" else info.get("video_files_size_in_mb", 200)
        for group in reversed(list(_groups(files, limit * 1e6))):
            removed += _join(root, info, rows, prefix, group)
    if len(rows.files) > 1:
        rows.replace([], [])
    return removed + count - len(rows.files)


class _Rows:
    """The rows of `meta/episodes`, in one table."""

    def __init__(self, root: Path):
        self._root = root
        self.files = layout.numbered_files(root / "meta/episodes")
        parts = [tables.read(path) for path in self.files]
        table = pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({"episode_index": []})
        # Where a row is there twice, because joining was interrupted, the first counts.
        first: dict[int, int] = {}
        for number, index in enumerate(table["episode_index"].to_pylist()):
            first.setdefault(index, number)
        self._table = table.take([first[index] for index in sorted(first)])

    def __getitem__(self, column: str) -> list[Any]:
        return self._table[column].to_pylist()  # type: ignore[no-any-return]

    def set(self, column: str, values: dict[int, Any]) -> None:
        """Change the values of a column in some rows."""
        number = self._table.schema.get_field_index(column)
        if number >= 0:
            field = self._table.schema.field(number)
            changed = [values.get(row, value) for row, value in enumerate(self[column])]
            self._table = self._table.set_column(number, field, pa.array(changed, field.type))

    def replace(self, moves: list[tuple[Path, Path]], old: list[Path]) -> None:
        """Bring joined files to their place, then the rows, into one file, and delete what nothing refers to."""
        head, *others = self.files
        number = int(head.parent.name.partition("-")[2]) * layout.FILES_PER_CHUNK + int(head.stem.partition("-")[2])
        for name, value in layout.location(number).items():
            self.set(f"meta/episodes/{name}", dict.fromkeys(range(len(self._table)), value))
        staged = self._root / layout.STAGING / "episodes.parquet"
        tables.write(staged, self._table)
        write_journal(self._root, [*old, *others])
        move(moves)
        move([(staged, head)])
        remove(self._root, [*old, *others])
        self.files = [head]


def _files(root: Path, info: dict[str, Any], rows: _Rows, prefix: str) -> list[_File]:
    """The files of one kind in the order of their episodes; none if an episode's file comes twice in that order."""
    lengths, names = rows["length"], [f"{prefix}/{name}" for name in ("chunk_index", "file_index")]
    spans: list[tuple[Path, range]] = []
    for row, at in enumerate(zip(*(rows[name] for name in names), strict=True)):
        path = layout.file_of(root, info, dict(zip(names, at, strict=True)), prefix.partition("/")[2] or None)
        if spans and spans[-1][0] == path:
            spans[-1] = path, range(spans[-1][1].start, row + 1)
        else:
            spans.append((path, range(row, row + 1)))
    if len({path for path, _ in spans}) < len(spans):
        return []
    files = []
    for path, of_file in spans:
        try:
            kind, frames = _frames_kind(path) if prefix == "data" else images_kind(path)
            size = path.stat().st_size
        except (DatasetError, OSError):
            kind, frames, size = object(), 0, 0  # broken: left alone
        used = sum(lengths[row] for row in of_file)
        files.append(_File(path, of_file, kind, size * min(used / max(frames, 1), 1), frames > used))
    return files


def _groups(files: Sequence[_File], limit: float) -> Iterator[list[_File]]:
    """Neighbours that become one file, and files that hold more than they should."""
    group: list[_File] = []
    for file in files:
        if group and (file.kind != group[0].kind or sum(one.size for one in group) + file.size > limit):
            yield group
            group = []
        group.append(file)
    yield group


def _join(root: Path, info: dict[str, Any], rows: _Rows, prefix: str, group: list[_File]) -> int:
    """Join a group; how many files fewer there are."""
    if len(group) < 2 and not any(file.has_more for file in group):
        return 0
    size = sum(file.size for file in group)
    if shutil.disk_usage(root).free < size + ROOM:
        raise OSError(errno.ENOSPC, f"{size / 1e6:.0f} MB have to be free to join files")
    head, *others = [file.path for file in group]
    staged = root / layout.STAGING / f"joined{head.suffix}"
    numbers = [row for file in group for row in file.rows]
    lengths, fps = rows["length"], info["fps"]
    if prefix == "data":
        _join_frames(group, rows["episode_index"], staged)
    else:
        starts = rows[f"{prefix}/from_timestamp"]
        new = dict(zip(numbers, np.cumsum([0, *(lengths[row] for row in numbers)]) / fps, strict=False))
        # What refers to the first file has to be true of the joined one, too.
        keeps = all(abs(starts[row] - new[row]) < 0.5 / fps for row in group[0].rows)
        spans = [Span(file.path, starts[row], lengths[row]) for file in group for row in file.rows]
        if not keeps or not join_videos(spans, fps, staged):
            staged.unlink(missing_ok=True)
            return 0
        rows.set(f"{prefix}/from_timestamp", new)
        rows.set(f"{prefix}/to_timestamp", {row: new[row] + lengths[row] / fps for row in numbers})
    for name in ("chunk_index", "file_index"):
        column = f"{prefix}/{name}"
        rows.set(column, dict.fromkeys(numbers, rows[column][numbers[0]]))
    rows.replace([(staged, head)], others)
    return len(others)


def _join_frames(group: Sequence[_File], indices: Sequence[int], staged: Path) -> None:
    """Write the frames of the episodes of some files into one, a row group an episode."""
    with for_pyarrow(staged, "wb") as target, contextlib.ExitStack() as stack:
        writer: Any = None
        for file in group:
            table = tables.read(file.path)
            for row in file.rows:
                part = table.filter(pc.equal(table["episode_index"], indices[row]))
                if writer is None:
                    writer = stack.enter_context(pq.ParquetWriter(target, part.schema))
                writer.write_table(part.cast(writer.schema))


def _frames_kind(path: Path) -> tuple[Any, int]:
    """The columns of a file of frames with their types, and how many frames it has."""
    try:
        with for_pyarrow(path, "rb") as file, pq.ParquetFile(file) as parquet:
            return [(field.name, field.type) for field in parquet.schema_arrow], parquet.metadata.num_rows
    except pa.ArrowException as error:
        raise DatasetError(f"{path}: {error}") from error
