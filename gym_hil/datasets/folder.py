"""The folder that is recorded into: its lock, the unfinished files in it, and room on its disk."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from gym_hil.datasets.layout import STAGING
from gym_hil.errors import DatasetError
from gym_hil.files import atomic_write, sync_dir

# Room that has to be free before an episode begins: half an hour of it at 10 Hz, with two cameras of 128 x 128 pixels.
ROOM = 64 << 20  # bytes
JOURNAL = "journal.json"


class FolderLock:
    """Keeps other processes out for as long as this process lives, however it ends.

    The file that is locked and its folder are made if they are missing. A DatasetError if another process has it.
    """

    def __init__(self, path: Path):
        self._path = path
        while True:
            with contextlib.suppress(FileExistsError):  # another recorder has just removed the folder
                path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._file: IO[bytes] = path.open("ab")
            except FileNotFoundError:
                continue  # likewise
            try:
                _lock(self._file)
                # A lock file that its owner removed while it was opened here locks nothing.
                if os.path.samestat(os.fstat(self._file.fileno()), path.stat()):
                    return
            except FileNotFoundError:
                pass
            except OSError:
                self._file.close()
                folder = path.parent.parent if path.parent.name == STAGING else path.parent
                raise DatasetError(
                    f"{folder} is being written to by another process; end that process first."
                ) from None
            self._file.close()

    def release(self) -> None:
        """Remove the file and let others in, in this order: what they make must not be removed."""
        if os.name == "nt":
            self._file.close()  # an open file cannot be removed there
        with contextlib.suppress(OSError):
            self._path.unlink()
        if self._path.parent.name == STAGING:
            with contextlib.suppress(OSError):
                self._path.parent.rmdir()
        self._file.close()


def clear_staging(root: Path, *, keep_journal: bool = False) -> None:
    """Remove what is unfinished, as far as that can be done; the lock stays."""
    for path in (root / STAGING).glob("*"):
        if path.name != "lock" and not (keep_journal and path.name == JOURNAL):
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def check_room(root: Path) -> None:
    """Make sure that there is room for an episode; else a DatasetError."""
    free = shutil.disk_usage(root).free
    if free < ROOM:
        raise DatasetError(
            f"The disk of {root} has {free / 2**20:.0f} MiB left; recording needs at least {ROOM / 2**20:.0f} MiB. "
            "Make room, or record onto another disk."
        )


def move(pairs: Iterable[tuple[Path, Path]]) -> None:
    """Bring finished files (from, to) to their places, in order, replacing others, and wait until the disk knows."""
    folders = []
    for source, destination in pairs:
        with source.open("rb+") as file:
            os.fsync(file.fileno())
        if not destination.parent.is_dir():
            destination.parent.mkdir(parents=True)
            folders.append(destination.parent.parent)
        os.replace(source, destination)
        folders.append(destination.parent)
    for folder in dict.fromkeys(folders):
        sync_dir(folder)


def remove(root: Path, paths: Iterable[Path]) -> None:
    """Delete files of a dataset, and the folders inside `root` that are empty then."""
    for path in paths:
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == root:
                break
            try:
                folder.rmdir()
            except OSError:
                break


def write_json(path: Path, content: Any, staging: Path) -> None:
    """Write a JSON file, atomically; a ValueError if a number is not finite, which JSON cannot say."""
    path.parent.mkdir(exist_ok=True)
    atomic_write(path, json.dumps(content, indent=4, allow_nan=False), staging=staging)


def write_journal(root: Path, paths: Iterable[Path]) -> None:
    """Note which files are about to be made or deleted: after a crash, those that no row refers to are removed."""
    staging = root / STAGING
    write_json(staging / JOURNAL, [path.relative_to(root).as_posix() for path in paths], staging)


def read_journal(root: Path) -> list[Path]:
    """The files that a recorder was about to make or delete when it was killed."""
    try:
        return [root / name for name in json.loads((root / STAGING / JOURNAL).read_text(encoding="utf-8"))]
    except (OSError, ValueError):
        return []


def _lock(file: IO[bytes]) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
