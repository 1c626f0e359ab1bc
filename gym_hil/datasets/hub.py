"""Uploads a dataset to the Hugging Face Hub, where LeRobot finds it by its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gym_hil.datasets.layout import FORMAT, STAGING
from gym_hil.errors import ConfigurationError, DatasetError, MissingExtraError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
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

Demonstrations recorded with gym_hil, as LeRobotDataset {format}. `meta/info.json` tells with which environment.
"""


def check_repo_id(repo_id: str) -> None:
    """Make sure that a dataset can have this name.

    Raises:
        ConfigurationError: it is not of the form `user/name`.
    """
    if not _NAME.fullmatch(repo_id):
        raise ConfigurationError(f"repo_id is {repo_id!r}; expected user/name, such as me/pick_cube.")


def check_login() -> None:
    """Make sure that somebody is logged in to the Hub, before anything is recorded.

    Raises:
        DatasetError: nobody is.
        MissingExtraError: huggingface_hub is not installed.
    """
    if _hub().get_token() is None:
        raise DatasetError("Nobody is logged in to the Hugging Face Hub; run `hf auth login`, or leave the push out.")


def push_to_hub(root: Path, repo_id: str) -> str:
    """Upload a dataset; one that has the name already becomes like this one.

    Args:
        root: the dataset's folder.
        repo_id: `user/name`.

    Returns:
        The address of its page.

    Raises:
        DatasetError: it was not uploaded; the folder is as it was.
        MissingExtraError: huggingface_hub is not installed.
    """
    check_repo_id(repo_id)
    hub = _hub()
    api = hub.HfApi()
    where: dict[str, Any] = {"repo_id": repo_id, "repo_type": "dataset"}
    try:
        api.create_repo(**where, exist_ok=True)
        card = _CARD.format(name=repo_id, format=FORMAT).encode()
        if not (root / "README.md").exists() and not api.file_exists(**where, filename="README.md"):
            api.upload_file(path_or_fileobj=card, path_in_repo="README.md", **where)
        # Deleting what is not here any more, in the same commit: orphans would be read as frames.
        api.upload_folder(
            folder_path=root,
            ignore_patterns=[f"{STAGING}/**"],
            delete_patterns=["data/**", "videos/**", "meta/**"],
            **where,
        )
        # LeRobot asks for the version of the format by its tag.
        if any(tag.name == FORMAT for tag in api.list_repo_refs(**where).tags):
            api.delete_tag(tag=FORMAT, **where)
        api.create_tag(tag=FORMAT, **where)
    except Exception as error:  # the hub's client raises its own, its transport's and the system's errors
        raise DatasetError(
            f"{root} was not uploaded as {repo_id}: {error}. It is whole on this disk; `hf upload {repo_id} {root} "
            "--repo-type dataset` tries again."
        ) from error
    return f"https://huggingface.co/datasets/{repo_id}"


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError("Uploading needs huggingface_hub: pip install 'gym-hil[data]'") from error
    return huggingface_hub
