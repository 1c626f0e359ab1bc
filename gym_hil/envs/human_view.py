"""What `render_mode="human"` shows: MuJoCo's viewer where there is a display, else the web console."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any, Protocol

from gym_hil.errors import GymHilError
from gym_hil.rendering import window

CONSOLE_PACKAGES = ("aiohttp", "simplejpeg")  # of the extra `web`


class HumanView(Protocol):
    """Something that shows an environment to a person."""

    def sync(self) -> None:
        """Show the present state."""

    def close(self) -> None:
        """Stop to show."""


class ConsoleView:
    """An environment on the web console, without what only a wrapper knows: who acts, and how the episode goes.

    Raises:
        MissingExtraError: the extra `web` is not installed.
        DeviceError: the console cannot start.
    """

    def __init__(self, env: Any):
        from gym_hil.console import get_console

        self._stage = get_console().stage_of(env)

    def sync(self) -> None:
        """See `HumanView`."""
        self._stage.publish({})

    def close(self) -> None:
        """See `HumanView`."""
        self._stage.close()


def open_human_view(env: Any) -> HumanView:
    """The view that works here.

    Args:
        env: unwrapped, with `model`, `data` and `window_keys`.

    Returns:
        The viewer where a window can open. Otherwise the console if it is installed, or the viewer after all, which
        then warns once and shows nothing.
    """
    if uses_console():
        try:
            return ConsoleView(env)
        except GymHilError as error:
            warnings.warn(f"The console does not start: {error}", stacklevel=4)
    return window.ViewerWindow(env.model, env.data, keys=env.window_keys)


def uses_console() -> bool:
    """Whether a person sees environments on the console, because there is no display and the extra is installed."""
    return window.missing_display() is not None and console_installed()


def console_installed() -> bool:
    """Whether the extra `web` is installed."""
    return all(map(importlib.util.find_spec, CONSOLE_PACKAGES))
