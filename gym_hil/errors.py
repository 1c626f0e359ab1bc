"""The exceptions of this package. Each message says what is wrong, with which value, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import gymnasium.error


class GymHilError(Exception):
    """Base of every exception raised by `gym_hil`."""


class ConfigurationError(GymHilError, ValueError):
    """A constructor or `gym.make` argument has a value that cannot work."""


class ControllerConfigError(ConfigurationError):
    """A controller configuration file is missing, unreadable or has a wrong entry."""


class InvalidActionError(GymHilError, ValueError):
    """An action has the wrong shape or is not finite. The environment is left as it was."""


class InvalidStateError(GymHilError, ValueError):
    """A state given to `set_state` was not taken from this kind of environment."""


class ResetNeededError(GymHilError, gymnasium.error.ResetNeeded):
    """`step` or `render` was called before the first `reset`."""


class InvalidStepError(GymHilError, RuntimeError):
    """An environment has raised in `step` or `reset`, or returned what cannot be used."""


class RenderingError(GymHilError, RuntimeError):
    """An image cannot be drawn on this machine."""


class DeviceError(GymHilError, RuntimeError):
    """An input device cannot be used."""


class UnknownDeviceError(DeviceError, ValueError):
    """No input device has the given name."""


class PolicyError(GymHilError, ValueError):
    """A policy cannot be loaded, does not fit the environment, or does not return an action."""


class DatasetError(GymHilError, RuntimeError):
    """A dataset cannot be read, written or continued. What was on disk before is still there."""


class MissingExtraError(GymHilError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


def check(fits: Any, name: str, value: Any, expected: str) -> None:
    """Raise a ConfigurationError about an argument unless its value fits."""
    if not fits:
        raise ConfigurationError(f"{name} is {value!r}; expected {expected}.")


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise a ConfigurationError that lists the choices unless the value is one of them."""
    choices = list(choices)
    check(value in choices, name, value, f"one of {', '.join(map(repr, choices))}")


def require(settings: Any, expected: str, names: tuple[str, ...], fits: Callable[[Any], bool]) -> None:
    """Raise a ConfigurationError unless each of the named settings of a group fits."""
    for name in names:
        check(fits(getattr(settings, name)), name, getattr(settings, name), expected)
