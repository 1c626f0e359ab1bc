"""Weights in one safetensors file, with a description as JSON in its metadata and beside it for people to read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gym_hil.errors import ConfigurationError, MissingExtraError
from gym_hil.files import atomic_write, expand_path
from hil_trainer.errors import CheckpointError

_PACKAGES = ("gym-hil", "torch", "mujoco", "numpy")


def write_weights(
    path: str | os.PathLike[str], weights: Mapping[str, Tensor], description: Mapping[str, Any], *, kind: str
) -> Path:
    """Write weights; a file that exists is replaced atomically.

    Args:
        path: `*.safetensors`; its folder is created if missing.
        weights: name -> tensor.
        description: everything else, as JSON can hold it.
        kind: name of the description in the metadata; a file is read as the same kind only.

    Returns:
        The path.

    Raises:
        CheckpointError: the folder cannot be written to.
        MissingExtraError: safetensors is not installed.
    """
    try:
        from safetensors.torch import save
    except ImportError as error:
        raise _missing() from error
    path, text = expand_path(path), json.dumps(description, indent=2)
    content = save({name: value.detach().cpu().contiguous() for name, value in weights.items()}, metadata={kind: text})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
        atomic_write(path.with_suffix(".json"), f"{text}\n")
    except OSError as error:
        raise CheckpointError(f"{path.parent} cannot be written: {error}. Choose another folder.") from error
    return path


def read_weights(
    path: str | os.PathLike[str], *, kind: str, device: torch.device | str = "cpu"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights and their description; `path` and `kind` as of `write_weights`.

    Raises:
        CheckpointError: there is no such file, it is damaged or of another kind.
        MissingExtraError: safetensors is not installed.
    """
    with _opened(path, kind, device) as (file, description):
        return {name: file.get_tensor(name) for name in file.keys()}, description  # noqa: SIM118  # it is no mapping


def read_description(path: str | os.PathLike[str], *, kind: str) -> dict[str, Any]:
    """Read the description without the weights; arguments and errors as of `read_weights`."""
    with _opened(path, kind, "cpu") as (_, description):
        return description


@contextmanager
def as_damage(path: str | os.PathLike[str]) -> Iterator[None]:
    """Report what goes wrong inside, when a file's content is used, as damage of the file.

    Raises:
        CheckpointError: something was missing, or of another type or shape.
    """
    try:
        yield
    except (ConfigurationError, LookupError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is damaged: {error}. Copy or train it again.") from error


def versions() -> dict[str, str]:
    """Version of each package that matters for weights and is installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # used from its sources
    return found


@contextmanager
def _opened(
    path: str | os.PathLike[str], kind: str, device: torch.device | str
) -> Iterator[tuple[Any, dict[str, Any]]]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise _missing() from error
    file = expand_path(path)
    if not file.is_file():
        raise CheckpointError(f"There is no file {file}.")
    try:
        with safe_open(str(file), framework="pt", device=str(device)) as opened:
            text = (opened.metadata() or {}).get(kind)
            if text is None:
                raise CheckpointError(f"{file} holds tensors, but no {kind.replace('_', ' ')} of hil_trainer.")
            description = json.loads(text)
            if not isinstance(description, dict):
                raise CheckpointError(f"{file} is damaged: its description is no JSON object.")
            yield opened, description
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read as safetensors: {error}.") from error
    except ValueError as error:
        raise CheckpointError(f"{file} is damaged: {error}.") from error


def _missing() -> MissingExtraError:
    return MissingExtraError("Files of weights need safetensors: pip install 'gym-hil[train]'.")
