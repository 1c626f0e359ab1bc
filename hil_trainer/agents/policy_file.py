"""Trained policies as one file: weights, and what they need to be used, with where they come from.

The file is in the safetensors format. Its metadata has one entry, `policy`, a JSON object; the same object lies beside
it as a `.json` for people to read. The file holds no code, unless the policy sees through a frozen encoder that came
from a file: then that file's bytes are the tensor `encoder.program`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from gym_hil.errors import ConfigurationError, MissingExtraError
from hil_trainer.agents.frozen_encoder import FrozenEncoder, load_encoder
from hil_trainer.agents.policy import Policy, PolicyShape
from hil_trainer.data.observations import Encoding, ObservationLayout
from hil_trainer.errors import CheckpointError

FORMAT = 1
NAME = "policy.safetensors"
_KEY = "policy"
_PROGRAM = "encoder.program"


class LoadedPolicy:
    """A trained policy, ready to act in an environment.

    Attributes:
        policy: the network.
        description: everything that is known about it: `observation`, `action` and `provenance`.
        encoder: of what it sees, if that is a frozen one.
    """

    def __init__(self, policy: Policy, description: dict[str, Any], encoder: FrozenEncoder | None = None):
        self.policy, self.description, self.encoder = policy, description, encoder
        low, high = (np.array(description["action"][end], np.float32) for end in ("low", "high"))
        self._middle, self._half = (low + high) / 2, (high - low) / 2

    def act(self, observation: Mapping[str, Any], *, greedy: bool = True) -> NDArray[np.float32]:
        """Choose an action.

        Args:
            observation: as the environment returns it.
            greedy: the likeliest action; False draws one.

        Returns:
            (actions,) float32, for `env.step`.

        Raises:
            ConfigurationError: the observation lacks something, or images have a size that does not fit.
        """
        action = self._middle + self._half * self.policy.act_in(observation, greedy=greedy, encoder=self.encoder)
        return action.astype(np.float32, copy=False)


def save_policy(
    path: Path,
    policy: Policy,
    *,
    action_low: ArrayLike,
    action_high: ArrayLike,
    provenance: Mapping[str, Any],
    encoder: FrozenEncoder | None = None,
) -> None:
    """Write a policy; a file that is there is replaced in one go.

    Args:
        path: of the file, `*.safetensors`.
        policy: what to write.
        action_low: (actions,) of the environment's action space.
        action_high: likewise.
        provenance: where it comes from: task, steps, seed, ...; must be JSON.
        encoder: through which the policy sees, if that is a frozen one. One from a file goes into this file.

    Raises:
        MissingExtraError: safetensors is not installed.
    """
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise MissingExtraError("Policies need safetensors: pip install 'gym-hil[train]'.") from error

    shape, origin = policy.shape, dict(provenance)
    if encoder is not None:
        origin["encoder"] = {"source": encoder.source, "sha256": encoder.sha256}
    description = {
        "format": FORMAT,
        "observation": asdict(shape.layout),
        "action": {"low": np.asarray(action_low).tolist(), "high": np.asarray(action_high).tolist()},
        "network": {key: value for key, value in asdict(shape).items() if key != "layout"},
        "normalisation": "features = matrix @ numbers + offset, the tensors features.matrix and features.offset",
        "provenance": {**origin, "versions": _versions()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(description, indent=2)
    tensors = {name: value.detach().cpu().contiguous() for name, value in policy.state_dict().items()}
    if encoder is not None and encoder.program is not None:
        tensors[_PROGRAM] = torch.frombuffer(bytearray(encoder.program), dtype=torch.uint8)
    unfinished = path.with_suffix(".unfinished")
    save_file(tensors, unfinished, metadata={_KEY: text})
    with open(unfinished, "rb+") as file:
        os.fsync(file.fileno())  # a name for what is not on the disk yet would be damage after a loss of power
    os.replace(unfinished, path)
    unfinished.write_text(text + "\n", encoding="utf-8")
    os.replace(unfinished, path.with_suffix(".json"))


def load_policy(path: str | os.PathLike[str], *, device: torch.device | str = "cpu") -> LoadedPolicy:
    """Read a policy that `hil-trainer train` wrote. Needs torch and safetensors, but no simulation.

    With a frozen encoder this runs code: the program in the file, or the function that the file names.

    Args:
        path: the file, or the directory of a run.
        device: to compute on.

    Raises:
        CheckpointError: there is no such file, it is no policy of this format, or its frozen encoder is missing or has
            other weights.
        MissingExtraError: safetensors is not installed.
    """
    with _opened(path, device) as (file, description):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        program = tensors.pop(_PROGRAM, None)
        policy = _policy(description, tensors, device)
        return LoadedPolicy(policy, description, _encoder(path, policy.shape.layout, program))


def read_description(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what is known about a policy, and leave its weights alone.

    Args:
        path: as of `load_policy`.

    Raises:
        CheckpointError: as of `load_policy`.
        MissingExtraError: likewise.
    """
    with _opened(path, "cpu") as (_, description):
        return description


@contextmanager
def _opened(path: str | os.PathLike[str], device: torch.device | str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A policy's file, and its description. What goes wrong meanwhile is an error of the file."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtraError("Policies need safetensors: pip install 'gym-hil[train]'.") from error

    file = Path(path)
    if file.is_dir():
        file = file / NAME
    if not file.is_file():
        raise CheckpointError(f"There is no policy at {file}. A run writes one with its first evaluation.")
    try:
        with safe_open(str(file), framework="pt", device=str(device)) as opened:
            text = (opened.metadata() or {}).get(_KEY)
            if text is None:
                raise CheckpointError(f"{file} holds tensors, but no policy of hil_trainer.")
            description = json.loads(text)
            if description["format"] != FORMAT:
                raise CheckpointError(f"{file} has format {description['format']}, not {FORMAT}; update gym-hil.")
            yield opened, description
    except CheckpointError:
        raise
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read as safetensors: {error}.") from error
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{file} is damaged: {error}.") from error


def _policy(description: dict[str, Any], tensors: dict[str, Tensor], device: torch.device | str) -> Policy:
    layout = description["observation"]
    policy = Policy(
        PolicyShape(
            ObservationLayout(
                numbers=tuple((name, size) for name, size in layout["numbers"]),
                privileged=tuple((name, size) for name, size in layout["privileged"]),
                cameras=tuple(layout["cameras"]),
                image_size=layout["image_size"],
                encoding=_encoding(layout.get("encoding")),  # files from before there were any do not name it
            ),
            **description["network"],
        )
    ).to(device)
    policy.load_state_dict(tensors)
    return policy.eval()


def _encoding(description: dict[str, Any] | None) -> Encoding | None:
    return None if description is None else Encoding(**{**description, "views": tuple(description["views"])})


def _encoder(path: str | os.PathLike[str], layout: ObservationLayout, program: Tensor | None) -> FrozenEncoder | None:
    """The encoder that a policy sees through, if there is one."""
    wanted = layout.encoding
    if wanted is None:
        return None
    held = None if program is None else program.cpu().numpy().tobytes()
    try:
        encoder = load_encoder(wanted.source, wanted.image_size, program=held)
    except ConfigurationError as error:
        raise CheckpointError(f"The policy at {path} cannot see. {error}") from error
    if encoder.sha256 != wanted.sha256:
        raise CheckpointError(
            f"The policy at {path} needs the encoder {wanted.source} as it was, with weights of sha256 "
            f"{wanted.sha256}; those of now have {encoder.sha256}. Bring back the weights that it was trained with."
        )
    return encoder


def _versions() -> dict[str, str]:
    found = {}
    for package in ("gym-hil", "torch", "mujoco", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
