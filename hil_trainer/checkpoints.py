"""Checkpoints: all or nothing, and the newest two are kept.

`DIR/checkpoints/step_00001500/` has `learner.pt` (networks, optimisers, both buffers, generators) and `run.json`
(counters, the actor's generator, wall time). A directory gets this name only when everything in it is on disk, and
loses it before anything in it is removed. A second one of the same step is called `step_00001500.001`.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch

from hil_trainer.errors import CheckpointError

FOLDER = "checkpoints"
KEPT = 2
_PREFIX, _UNFINISHED = "step_", ".unfinished-"


def save_checkpoint(directory: Path, step: int, learner: dict[str, Any], run: dict[str, Any]) -> Path:
    """Write a checkpoint, then remove the oldest ones.

    Args:
        directory: of the run.
        step: of training.
        learner: the learner's state: tensors, numbers, and lists and dicts of these.
        run: everything else, as JSON.

    Returns:
        The checkpoint.

    Raises:
        CheckpointError: it cannot be written; those from before are kept.
    """
    folder = directory / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left)
        unfinished, final = folder / f"{_UNFINISHED}{step}", _free_name(folder / f"{_PREFIX}{step:08d}")
        unfinished.mkdir()
        with open(unfinished / "learner.pt", "wb") as file:
            torch.save(learner, file)
            _to_disk(file)
        with open(unfinished / "run.json", "w", encoding="utf-8") as file:
            json.dump({"step": step, **run}, file)
            _to_disk(file)
        _folder_to_disk(unfinished)
        os.replace(unfinished, final)
        _folder_to_disk(folder)
        for old in checkpoints(directory)[:-KEPT]:
            os.replace(old, folder / f"{_UNFINISHED}{old.name}")
            shutil.rmtree(folder / f"{_UNFINISHED}{old.name}")
    except OSError as error:
        raise CheckpointError(
            f"No checkpoint can be written to {folder}: {error}. Make room, then go on with --resume."
        ) from error
    return final


def checkpoints(directory: Path) -> list[Path]:
    """The finished checkpoints of a run, oldest first."""
    return sorted((directory / FOLDER).glob(f"{_PREFIX}*"))


def read_run_state(checkpoint: Path) -> dict[str, Any]:
    """Everything but the learner's state.

    Args:
        checkpoint: from `checkpoints`.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        state = json.loads((checkpoint / "run.json").read_text(encoding="utf-8"))
        if not isinstance(state, dict) or "step" not in state:
            raise ValueError("run.json is no object with a step")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{checkpoint} cannot be read: {error}. Remove it to use the one before.") from error
    return state


def read_learner_state(checkpoint: Path) -> dict[str, Any]:
    """The learner's state; its tensors on the CPU.

    Args:
        checkpoint: from `checkpoints`.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        return torch.load(checkpoint / "learner.pt", map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its reader stumbles over
        # What torch advises then is to run code that may be in the file.
        why = "learner.pt is damaged" if isinstance(error, pickle.UnpicklingError) else error
        raise CheckpointError(f"{checkpoint} cannot be read: {why}. Remove it to use the one before.") from error


def _free_name(final: Path) -> Path:
    # What is there is never replaced: were it removed first, a crash could leave nothing.
    there = sorted(final.parent.glob(f"{final.name}*"))
    if not there:
        return final
    return final.with_name(f"{final.name}.{int(there[-1].suffix[1:] or 0) + 1:03d}")


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _folder_to_disk(folder: Path) -> None:
    """Where directories can be opened (not on Windows), make sure that a rename survives a loss of power."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
