"""Uploads a dataset to the Hugging Face Hub, where LeRobot finds it by its name."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from gym_hil.datasets.layout import DATA, EPISODES, FORMAT, INFO, STATS, TASKS, VIDEO, dataset_files
from gym_hil.datasets.metadata import EpisodeRecord, read_metadata
from gym_hil.datasets.tables import read
from gym_hil.errors import DatasetError, MissingExtraError, check
from gym_hil.files import expand_path

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# The files of any dataset in this format, as patterns.
_DATASET_FILES = [INFO, STATS, TASKS, *(re.sub(r"\{.*?\}", "*", name) for name in (DATA, VIDEO, EPISODES))]
# What the Hub's pages and LeRobot's search go by.
_CARD = """---
tags:
- LeRobot
task_categories:
- robotics
configs:
- config_name: default
  data_files: data/*/*.parquet
---

# {name}

Demonstrations recorded with gym_hil, as LeRobotDataset {format}. The environment is in `meta/info.json`.
"""


def check_repo_id(repo_id: str) -> None:
    """Make sure that a dataset can have this name, of the form `user/name`; else a ConfigurationError."""
    check(_NAME.fullmatch(repo_id), "repo_id", repo_id, "user/name, such as me/pick_cube")


def check_login() -> None:
    """Make sure that this user is logged in to the Hub, before anything is recorded; else a DatasetError."""
    if _hub().get_token() is None:
        raise DatasetError("You are not logged in to the Hugging Face Hub: run `hf auth login`, or do not push.")


def check_upload(root: str | PathLike[str] | None, repo_id: str) -> None:
    """Make sure that an upload deletes no data: the repository is empty, or the dataset continues what is in it.

    `root` is the dataset's folder, None for a new dataset. Else, or if the Hub cannot be asked, a DatasetError.
    """
    hub = _hub()
    where: dict[str, Any] = {"repo_id": repo_id, "repo_type": "dataset"}
    try:
        api = hub.HfApi()
        names = api.list_repo_files(**where) if api.repo_exists(**where) else []
        if not any(name.startswith(("data/", "videos/", "meta/")) for name in names):
            return
        with tempfile.TemporaryDirectory() as folder:
            api.snapshot_download(**where, allow_patterns=["meta/**"], local_dir=folder)
            if root is not None and _continues(expand_path(root), Path(folder)):
                return
    except Exception as error:  # the hub's client raises its own, its transport's and the system's errors
        raise DatasetError(f"It cannot be seen whether {repo_id} is on the Hugging Face Hub: {error}.") from error
    raise DatasetError(
        f"{repo_id} on the Hugging Face Hub already holds a dataset, and this one does not continue it. Choose "
        "another repo_id, or replace it with overwrite_on_hub=True."
    )


def push_to_hub(root: str | PathLike[str], repo_id: str, *, overwrite_on_hub: bool = False) -> str:
    """Upload a dataset. A repository that holds the beginning of it becomes like it.

    Args:
        root: the dataset's folder.
        repo_id: `user/name`.
        overwrite_on_hub: replace what the repository holds, also if it is another dataset.

    Returns:
        The address of its page.

    Raises:
        DatasetError: it was not uploaded; the folder is as it was.
        MissingExtraError: huggingface_hub is not installed.
    """
    check_repo_id(repo_id)
    root = expand_path(root)
    if not overwrite_on_hub:
        check_upload(root, repo_id)
    where: dict[str, Any] = {"repo_id": repo_id, "repo_type": "dataset"}
    files = [path.relative_to(root).as_posix() for path in dataset_files(root, read_metadata(root).info["features"])]
    try:
        api = _hub().HfApi()
        api.create_repo(**where, exist_ok=True)
        card = _CARD.format(name=repo_id, format=FORMAT).encode()
        if not (root / "README.md").exists() and not api.file_exists(**where, filename="README.md"):
            api.upload_file(path_or_fileobj=card, path_in_repo="README.md", **where)
        # Deleting what is not here any more, in the same commit: orphans would be read as frames.
        api.upload_folder(
            folder_path=root, allow_patterns=[*files, "README.md"], delete_patterns=_DATASET_FILES, **where
        )
        # LeRobot asks for the version of the format by its tag.
        if any(tag.name == FORMAT for tag in api.list_repo_refs(**where).tags):
            api.delete_tag(tag=FORMAT, **where)
        api.create_tag(tag=FORMAT, **where)
    except Exception as error:  # as above
        raise DatasetError(
            f"{root} was not uploaded as {repo_id}: {error}. It is whole on this disk; `hf upload {repo_id} {root} "
            "--repo-type dataset` tries again."
        ) from error
    return f"https://huggingface.co/datasets/{repo_id}"


def _continues(root: Path, there: Path) -> bool:
    """Whether the first episodes of a dataset are those of another one."""
    try:
        ours, theirs = (read_metadata(folder).episodes for folder in (root, there))
    except DatasetError:
        return False
    return len(ours) >= len(theirs) and _contents(ours[: len(theirs)]) == _contents(theirs)


def _contents(records: Sequence[EpisodeRecord]) -> list[Any]:
    """What distinguishes episodes from others: all columns of `meta/episodes` except those that say where they are."""
    rows: dict[Path, dict[int, dict[str, Any]]] = {}
    for path in {record.file for record in records}:
        rows[path] = {row["episode_index"]: row for row in read(path).to_pylist()}
    return [
        {
            name: np.asarray(value).tolist()
            for name, value in rows[record.file][record.index].items()
            if name in ("length", "tasks") or name.startswith("stats/")
        }
        for record in records
    ]


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError("Uploading needs huggingface_hub: pip install 'gym-hil[data]'") from error
    return huggingface_hub
