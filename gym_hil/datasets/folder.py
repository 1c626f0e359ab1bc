"""Whether a folder can be recorded into, found out before anything in it is changed and before the robot moves."""

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


def clear_staging(root: Path, but: str | None = None) -> None:
    """Remove what is unfinished, as far as that can be done; nobody looks at it.

    Args:
        root: the dataset's folder.
        but: name of a file to keep, and with it the staging folder.
    """
    staging = root / STAGING
    for path in [*staging.glob("*"), staging]:
        if but is None or path not in (staging, staging / but):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()


def check_room(root: Path) -> None:
    """Make sure that there is room for an episode.

    Raises:
        DatasetError: the disk is nearly full.
        OSError: the folder is gone.
    """
    free = shutil.disk_usage(root).free
    if free < ROOM:
        raise DatasetError(
            f"The disk of {root} has {free / 2**20:.0f} MiB left; recording needs at least {ROOM / 2**20:.0f} MiB. "
            "Make room, or record onto another disk."
        )


# Room that has to be free before an episode begins: half an hour of it at 10 Hz, with two cameras of 128 x 128 pixels.
ROOM = 64 << 20  # bytes


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file and wait until it is on the disk."""
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")
    sync(path)


def sync(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def move(pairs: Iterable[tuple[Path, Path]]) -> None:
    """Bring finished files to their places, in order, and wait until the disk knows.

    Args:
        pairs: from and to; what is at the destination is replaced. Both are on the same file system.
    """
    folders = []
    for source, destination in pairs:
        if not destination.parent.is_dir():
            destination.parent.mkdir(parents=True)
            folders.append(destination.parent.parent)
        os.replace(source, destination)
        folders.append(destination.parent)
    for folder in dict.fromkeys(folders):
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows opens no folders; it keeps renames in its journal
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class FolderLock:
    """Keeps a second recorder out of a folder for as long as the process lives, however it ends.

    Args:
        path: of a file to lock; made if it is missing.

    Raises:
        DatasetError: another recorder has it.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path):
        self._file: IO[bytes] = path.open("ab")
        try:
            _lock(self._file)
        except OSError:
            self._file.close()
            raise DatasetError(
                f"{path.parent.parent} is being recorded into by another process; end that first."
            ) from None

    def release(self) -> None:
        """Let others in."""
        self._file.close()


def _lock(file: IO[bytes]) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
