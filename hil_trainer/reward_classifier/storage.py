"""A classifier on the disk: weights in `classifier.safetensors`, and what they are in `classifier.json` beside."""

from __future__ import annotations

import hashlib
import json
import os
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from hil_trainer.errors import CheckpointError, HilTrainerError
from hil_trainer.reward_classifier.model import ClassifierShape, RewardClassifier

WEIGHTS, DESCRIPTION = "classifier.safetensors", "classifier.json"
_KIND, _VERSION = "hil_trainer reward classifier", 1


def save_classifier(classifier: RewardClassifier, folder: str | PathLike[str]) -> Path:
    """Write a classifier; one that is there is replaced.

    Args:
        classifier: with its threshold and provenance.
        folder: made if it is missing.

    Returns:
        The file of weights.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    folder = Path(folder)
    weights = save({name: tensor.cpu().contiguous() for name, tensor in classifier.state_dict().items()})
    description = {
        "kind": _KIND,
        "version": _VERSION,
        "sha256": hashlib.sha256(weights).hexdigest(),
        **classifier.describe(),
        "provenance": classifier.provenance,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / WEIGHTS, weights)
        _write(folder / DESCRIPTION, (json.dumps(description, indent=2) + "\n").encode())
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error}. Choose another folder.") from error
    return folder / WEIGHTS


def load_classifier(path: str | PathLike[str], *, device: str | torch.device = "cpu") -> RewardClassifier:
    """Read a classifier. Needs torch, safetensors and numpy, nothing else.

    Args:
        path: the folder that `hil-trainer classifier train` wrote, or one of the two files in it.
        device: where it runs.

    Returns:
        The classifier, ready to judge.

    Raises:
        CheckpointError: there is none, it is damaged, or one of another version.
    """
    path = Path(path)
    folder = path.parent if path.suffix in (".json", ".safetensors") else path
    try:
        text, weights = (folder / DESCRIPTION).read_text(encoding="utf-8"), (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"There is no classifier in {folder}: {error}. Train one by hil-trainer classifier train."
        ) from error
    try:
        description: dict[str, Any] = json.loads(text)
        kind, version = description["kind"], description["version"]
        if (kind, version) != (_KIND, _VERSION):
            raise CheckpointError(
                f"{folder / DESCRIPTION} describes {kind!r} of version {version!r}; expected {_KIND!r} of version "
                f"{_VERSION}. Train it again with this version."
            )
        shape = ClassifierShape(tuple(description["cameras"]), description["image_size"], description["state_size"])
        threshold, provenance = float(description["threshold"]), description["provenance"]
        if hashlib.sha256(weights).hexdigest() != description["sha256"]:
            raise CheckpointError(f"{folder / WEIGHTS} and {DESCRIPTION} do not belong together. Copy both again.")
        classifier = RewardClassifier(shape, members=description["members"], threshold=threshold, provenance=provenance)
        classifier.load_state_dict(load(weights))
    except CheckpointError:
        raise
    except (HilTrainerError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"The classifier in {folder} is damaged: {error!r}. Copy or train it again.") from error
    return classifier.to(device).eval().requires_grad_(False)


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all."""
    beside = path.with_name(path.name + ".unfinished")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
