"""The exceptions of this package. Each message says what is wrong, with which value, and what to do."""

from __future__ import annotations

from collections.abc import Callable
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


def require(settings: Any, expected: str, names: tuple[str, ...], fits: Callable[[Any], bool]) -> None:
    """Check some settings.

    Args:
        settings: a group of settings.
        expected: what is possible, for the message.
        names: of the settings that are checked.
        fits: whether a value is possible.

    Raises:
        ConfigurationError: a value is not possible.
    """
    for name in names:
        value = getattr(settings, name)
        if not fits(value):
            raise ConfigurationError(f"{name} is {value!r}; expected {expected}.")
