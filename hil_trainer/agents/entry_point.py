"""What the entry point `gym_hil.policies` offers: the policies of runs, and those of the package by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from gym_hil.errors import MissingExtraError
from hil_trainer.errors import CheckpointError
from hil_trainer.pretrained import find_pretrained, pretrained_policies

if TYPE_CHECKING:
    from hil_trainer.agents.policy_file import LoadedPolicy

_RUN_FILE, _SUFFIX = "policy.safetensors", ".safetensors"


def load_for_env(path: Path, env: gym.Env[Any, Any] | None) -> LoadedPolicy | None:
    """The policy of a run, for an environment.

    Args:
        path: the folder of a run, a policy file, or the name of a policy of `hil_trainer.pretrained`.
        env: that it will act in; None to check nothing.

    Returns:
        The policy; None if the path is none of these.

    Raises:
        CheckpointError: the file is damaged, or its actions are others than those of the environment.
        MissingExtraError: torch is not installed.
    """
    file = path if path.exists() else find_pretrained(str(path)) or path
    file = file / _RUN_FILE if file.is_dir() else file
    if file.suffix != _SUFFIX or not file.is_file():
        return None
    try:
        from hil_trainer.agents.policy_file import load_policy
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{file} needs {error.name}: pip install 'gym-hil[train]'") from error
    loaded = load_policy(file)
    if env is not None:
        given: Any = env.action_space
        limits = loaded.description["action"]["low"], loaded.description["action"]["high"]
        if not all(np.array_equal(own, limit) for own, limit in zip(limits, (given.low, given.high), strict=True)):
            raise CheckpointError(
                f"The policy {file} was trained for {loaded.description['provenance'].get('task', 'another task')}, "
                f"where actions lie between {limits[0]} and {limits[1]}; here they lie between {given.low} and "
                f"{given.high}."
            )
    return loaded


load_for_env.names = lambda: [*pretrained_policies()]  # type: ignore[attr-defined]
