"""Checks of settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gym_hil.errors import ConfigurationError


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
