"""Policies of any origin as a function of the observation."""

from __future__ import annotations

import importlib.metadata
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.errors import GymHilError, PolicyError
from gym_hil.files import expand_path
from gym_hil.imports import describe_error, import_function, is_function_name, running_user_code
from gym_hil.policies.lerobot import LeRobotPolicy, find_lerobot_policy

# Entry points of this group are functions (path, env) -> a policy, or None if the path is not one of theirs. Like every
# policy, what they return is called with the observation, and may have a method `reset()`; and it may have
# `trained_in`, the name of a task and its keyword arguments. A function that knows policies by name has a function
# `names`.
ENTRY_POINTS = "gym_hil.policies"

# An observation -> an action. May have a method `reset()`, called when an episode begins and when a plan is dropped.
Policy = Callable[[Any], ArrayLike]


class LoadedPolicy:
    """A policy whose every action is checked.

    Args:
        policy: called with the observation.
        source: where it comes from, for messages.
        env: that it acts in; None to check only that actions are vectors of finite numbers.

    Attributes:
        help_after: steps of an episode after which it asks for help.
    """

    def __init__(self, policy: Policy, source: str, env: gym.Env[Any, Any] | None = None):
        if not callable(policy):
            raise PolicyError(
                f"The policy {source} is a {type(policy).__name__}; expected a function of the observation."
            )
        self._policy, self.source, self.help_after = policy, source, math.inf
        self._shape = None if env is None else env.action_space.shape

    def __call__(self, observation: Any) -> NDArray[np.float32]:
        """The action for an observation.

        Args:
            observation: as the environment returns it.

        Returns:
            (actions,) float32, finite; not clipped.

        Raises:
            PolicyError: the policy fails, or does not return an action of this environment.
        """
        try:
            returned = self._policy(observation)
        except GymHilError as error:
            raise PolicyError(f"The policy {self.source} does not fit the environment: {error}") from error
        except Exception as error:  # any, from a user's function
            parts = ", ".join(observation) if isinstance(observation, dict) else f"shape {np.shape(observation)}"
            raise PolicyError(
                f"The policy {self.source} fails: {describe_error(error)}. The observation has {parts}."
            ) from error
        try:
            action = np.asarray(returned, dtype=np.float32)
        except (TypeError, ValueError, RuntimeError):
            action = np.empty((0, 0), np.float32)
        if action.ndim != 1:
            raise PolicyError(
                f"The policy {self.source} returns {type(returned).__name__} {str(returned)[:60]!r}; expected an "
                "action, a vector of numbers."
            )
        if self._shape is not None and action.shape != self._shape:
            raise PolicyError(
                f"The policy {self.source} returns {action.size} numbers, but an action of this environment has "
                f"{self._shape[0]}: it was made for another one."
            )
        if not np.isfinite(action).all():
            raise PolicyError(f"The policy {self.source} returns {action}, which is not finite. Nothing has moved.")
        return action

    def let_ask(self) -> None:
        """Let it ask for help once an episode lasts long.

        Raises:
            PolicyError: the policy has no attribute `help_after`, so it is not known when.
        """
        after = getattr(self._policy, "help_after", None)
        if after is None:
            raise PolicyError(
                f"The policy {self.source} does not know when to ask for help: hil-trainer has not evaluated it, and "
                "it has no attribute help_after. Leave out --ask."
            )
        self.help_after = float(after)

    @property
    def trained_in(self) -> tuple[str, dict[str, Any]] | None:
        """The task that it was trained in, and the keyword arguments of that; None if the policy does not say it."""
        return getattr(self._policy, "trained_in", None)

    def reset(self) -> None:
        """Forget the episode, and what is left of a plan."""
        if hasattr(self._policy, "reset"):
            self._policy.reset()


def load_policy(
    what: str | os.PathLike[str] | Policy, env: gym.Env[Any, Any] | None = None, *, state_key: str | None = None
) -> LoadedPolicy:
    """Load a policy.

    Args:
        what: a folder that LeRobot has saved (`pretrained_model`, or that of the training), which LeRobot runs; the
            folder of a run, the policy file or the name of a policy of `hil-trainer`, or of another package with an
            entry point in the group `gym_hil.policies`; `module:function`, which is called with the environment and
            returns the policy, a function of the observation; or such a function itself.
        env: that the policy will act in; None for a policy that is not called with it.
        state_key: the part of the observation that a policy of LeRobot calls `observation.state`, as it was recorded;
            None to choose it as `RecordEpisodes` does.

    Returns:
        The policy: call it with the environment's observation, and `reset()` it when an episode begins.

    Raises:
        PolicyError: there is no policy, or it does not fit the environment.
        MissingExtraError: what runs it is not installed.
    """
    if callable(what):
        return LoadedPolicy(what, getattr(what, "__name__", type(what).__name__), env)
    source = os.fspath(what)
    path = expand_path(source)
    if path.exists():
        return LoadedPolicy(_from_path(path, env, state_key), source, env)
    if not is_function_name(source):
        return LoadedPolicy(_from_name(path, env), source, env)
    make = import_function(source, role="policy")
    advice = "It is called with the environment, and returns a function of the observation."
    with running_user_code(f"The policy {source} cannot be made", advice, PolicyError):
        policy = make(env)
    return LoadedPolicy(policy, source, env)


def _from_path(path: Path, env: gym.Env[Any, Any] | None, state_key: str | None) -> Policy:
    """The policy in a file or folder."""
    folder = find_lerobot_policy(path)
    if folder is not None:
        return LeRobotPolicy(folder, env, state_key)
    policy = _from_entry_points(path, env)
    if policy is None:
        raise PolicyError(
            f"{path} is no policy: neither a folder that LeRobot has saved (config.json and model.safetensors) nor a "
            "run or a policy file of hil-trainer (policy.safetensors)."
        )
    return policy


def _from_name(name: Path, env: gym.Env[Any, Any] | None) -> Policy:
    """The policy of a name that an installed package knows."""
    policy = _from_entry_points(name, env)
    if policy is None:
        names = ", ".join(sorted(name for entry in _entry_points() for name in getattr(entry, "names", list)()))
        raise PolicyError(
            f"There is no policy {str(name)!r}: expected a folder that LeRobot has saved, a run or a policy file of "
            f"hil-trainer, MODULE:FUNCTION, or one of these names: {names or 'none is installed'}."
        )
    return policy


def _from_entry_points(path: Path, env: gym.Env[Any, Any] | None) -> Policy | None:
    return next((policy for load in _entry_points() if (policy := load(path, env)) is not None), None)


def _entry_points() -> list[Any]:
    return [entry.load() for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)]
