"""Trained policies as one file: weights, what they need to be used, and where they come from.

The file is in the safetensors format. Its metadata has one entry, `policy`, a JSON object; the same object is beside
it as a `.json` for people to read. The file holds no code; a frozen encoder is stored by name and sha256.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gym_hil.errors import ConfigurationError
from gym_hil.files import expand_path
from hil_trainer.agents.agent import Plans, help_after
from hil_trainer.agents.frozen_encoder import FrozenEncoder, load_encoder
from hil_trainer.agents.policy import (
    ENCODER_SHA256,
    BasePolicy,
    BaseShape,
    FlowPolicyShape,
    PolicyShape,
    ResidualPolicyShape,
)
from hil_trainer.agents.weights_file import as_damage, read_weights, versions, write_weights
from hil_trainer.agents.weights_file import read_description as _read_description
from hil_trainer.data.actions import ActionScale
from hil_trainer.data.observations import Encoding, ObservationLayout
from hil_trainer.errors import CheckpointError
from hil_trainer.pretrained import find_pretrained, pretrained_policies

FORMAT = 2
_READABLE = (1, 2)  # 1 has no `algorithm`: all policies are SAC's
_SHAPES: dict[str, type[BaseShape]] = {
    "sac": PolicyShape,
    "bc": FlowPolicyShape,
    "acfql": ResidualPolicyShape,
}
NAME = "policy.safetensors"
_KIND = "policy"


class LoadedPolicy:
    """A trained policy, ready to act in an environment.

    Attributes:
        policy: the network.
        description: `observation`, `action` and `provenance`, as in the JSON beside the file.
        encoder: of its images, if that is a frozen one that is no part of the network.
    """

    def __init__(self, policy: BasePolicy, description: dict[str, Any], encoder: FrozenEncoder | None = None):
        self.policy, self.description, self.encoder = policy, description, encoder
        self._action_scale, self._plans = ActionScale(**description["action"]), Plans(1)

    @property
    def trained_in(self) -> tuple[str, dict[str, Any]] | None:
        """The task of gym_hil that it was trained in, and the keyword arguments with which that observes what it needs.

        None of a policy that was trained in another environment.
        """
        provenance, layout = self.description["provenance"], self.policy.shape.layout
        if layout.is_foreign or "task" not in provenance:
            return None
        options = provenance.get("env", {})
        kwargs: dict[str, Any] = {}
        if layout.views:
            from gym_hil import GymRenderingSpec  # loads MuJoCo

            size = layout.image_size if layout.encoding is None else layout.encoding.image_size
            kwargs |= {"image_obs": True, "render_spec": GymRenderingSpec(height=size, width=size)}
        if options.get("force_torque"):
            kwargs["force_torque_obs"] = True
        if options.get("orientation") is not None:
            kwargs["orientation"] = options["orientation"]
        return provenance["task"], kwargs

    def act(self, observation: Any, *, greedy: bool = True) -> NDArray[np.float32]:
        """Choose an action.

        Args:
            observation: as the environment returns it.
            greedy: the likeliest action; False draws one.

        Returns:
            (actions,) float32, for `env.step`.

        Raises:
            ConfigurationError: the observation lacks something, or images have a size that does not fit.
        """
        obs = self.policy.shape.layout.read(observation, encoder=self.encoder)
        return self._action_scale.to_env(self._plans.act(partial(self.policy.plans, greedy=greedy), {0: obs})[0])

    __call__ = act

    @property
    def help_after(self) -> float | None:
        """Steps of an episode after which it asks for help, by its evaluation; None if none of it succeeded."""
        evaluation = self.description["provenance"].get("evaluation") or {}
        outcomes, lengths = evaluation.get("outcomes", []), evaluation.get("lengths", [])
        succeeded = [length for success, length in zip(outcomes, lengths, strict=False) if success]
        return help_after(succeeded) if succeeded else None

    def reset(self) -> None:
        """Drop what is left of a plan: call it when an episode begins, and when the operator has acted."""
        self._plans.drop(0)


def save_policy(
    path: Path,
    policy: BasePolicy,
    *,
    action_scale: ActionScale,
    provenance: Mapping[str, Any],
    encoder: FrozenEncoder | None = None,
) -> None:
    """Write a policy; a file that exists is replaced atomically.

    Args:
        path: of the file, `*.safetensors`.
        policy: to write.
        action_scale: between the policy's and the environment's.
        provenance: where it comes from: task, steps, seed, ...; must be JSON.
        encoder: of its images, if that is a frozen one.

    Raises:
        CheckpointError: the file cannot be written.
        MissingExtraError: safetensors is not installed.
    """
    shape, origin, layout = policy.shape, dict(provenance), asdict(policy.shape.layout)
    layout["numbers"] = layout.pop("state")  # its name in files of this format
    encoder = policy.frozen if encoder is None else encoder
    if encoder is not None:
        origin["encoder"] = {"source": encoder.source, "sha256": encoder.sha256}
    description = {
        "format": FORMAT,
        "algorithm": next(name for name, kind in _SHAPES.items() if type(shape) is kind),
        "observation": layout,
        "action": action_scale.description(),
        "network": {key: value for key, value in asdict(shape).items() if key != "layout"},
        "normalisation": "features = matrix @ numbers + offset, the tensors features.matrix and features.offset",
        "provenance": {**origin, "versions": versions()},
    }
    write_weights(path, policy.state_dict(), description, kind=_KIND)


def load_policy(path: str | os.PathLike[str], *, device: torch.device | str = "cpu") -> LoadedPolicy:
    """Read a policy that `hil-trainer train` wrote. Needs torch and safetensors, but no simulation.

    With a frozen encoder this imports the module that the file names.

    Args:
        path: the file, the directory of a run, or the name of a policy of `hil_trainer.pretrained`.
        device: to compute on.

    Raises:
        CheckpointError: there is no such file, it is no policy of this format, or its frozen encoder is missing or has
            other weights.
        MissingExtraError: safetensors is not installed.
    """
    file = _file(path)
    weights, description = read_weights(file, kind=_KIND, device=device)
    _check_format(file, description)
    if "encoder.program" in weights:
        raise CheckpointError(
            f"{file} sees through a program of torch.export, which policies no longer contain. Train again with "
            "--encoder module:function."
        )
    if description.get("algorithm", "").startswith("acfql") and "residual.head.weight" not in weights:
        raise CheckpointError(
            f"{file} has a policy of one step or of the best of n plans, which ACFQL no longer learns. Train it again; "
            "gym-hil before 0.1.25 reads it."
        )
    with as_damage(file):
        shape = _shape(description)
    encoder = _encoder(file, shape, weights)
    with as_damage(file):
        policy = shape.make_policy().to(device)
        policy.load_state_dict(weights)
    return LoadedPolicy(policy.eval(), description, None if shape.layout.encoding is None else encoder)


def read_description(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the description of a policy without its weights; arguments and errors as of `load_policy`."""
    file = _file(path)
    description = _read_description(file, kind=_KIND)
    _check_format(file, description)
    return description


def _file(path: str | os.PathLike[str]) -> Path:
    file = expand_path(path)
    if not file.exists():
        file = find_pretrained(os.fspath(path)) or file
    if file.is_dir():
        file = file / NAME
    if not file.is_file():
        raise CheckpointError(
            f"There is no policy at {file}. A run writes one at its first evaluation and at its end; policies of the "
            f"package are {', '.join(pretrained_policies())}."
        )
    return file


def _check_format(file: Path, description: dict[str, Any]) -> None:
    if description.get("format") not in _READABLE:
        raise CheckpointError(f"{file} has format {description.get('format')}, not {FORMAT}; update gym-hil.")


def _shape(description: dict[str, Any]) -> BaseShape:
    layout = description["observation"]
    encoding = layout.get("encoding")  # older files do not have it
    return _SHAPES[description.get("algorithm", "sac")](
        ObservationLayout(
            state=tuple((name, size) for name, size in layout["numbers"]),
            privileged=tuple((name, size) for name, size in layout["privileged"]),
            cameras=tuple(layout["cameras"]),
            image_size=layout["image_size"],
            encoding=encoding and Encoding(**{**encoding, "views": tuple(encoding["views"])}),
        ),
        **description["network"],
    )


def _encoder(file: Path, shape: BaseShape, weights: Mapping[str, Tensor]) -> FrozenEncoder | None:
    """The frozen encoder of a policy, if it has one."""
    encoding = shape.layout.encoding
    if encoding is not None:
        source, size, sha256 = encoding.source, encoding.image_size, encoding.sha256
    elif isinstance(shape, FlowPolicyShape) and shape.encoder is not None:
        with as_damage(file):
            sha256 = bytes(weights[ENCODER_SHA256].tolist()).hex()
        source, size = shape.encoder, shape.layout.image_size
    else:
        return None
    try:
        encoder = load_encoder(source, size)
    except ConfigurationError as error:
        raise CheckpointError(f"The encoder of the policy at {file} is missing. {error}") from error
    if encoder.sha256 != sha256:
        raise CheckpointError(
            f"The policy at {file} needs the encoder {source} with weights of sha256 {sha256}; now its weights have "
            f"{encoder.sha256}. Restore those that it was trained with."
        )
    return encoder
