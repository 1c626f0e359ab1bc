"""Whether a folder can be recorded into, found out before anything in it is changed and before the robot moves."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from gym_hil.datasets.layout import FORMAT, INFO, OWN, STAGING, feature_differences
from gym_hil.datasets.storage import ROOM, FolderLock
from gym_hil.datasets.store import Catalogue
from gym_hil.errors import DatasetError


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
