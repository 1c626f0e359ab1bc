"""What `render_mode="human"` shows: MuJoCo's viewer where there is a display, else the web console."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

from gym_hil import display
from gym_hil.errors import GymHilError
from gym_hil.rendering import window


class HumanView(Protocol):
    """Something that shows an environment to an operator."""

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

        self._channel = get_console().channel_for(env)

    def sync(self) -> None:
        """See `HumanView`."""
        self._channel.publish({})

    def close(self) -> None:
        """See `HumanView`."""
        self._channel.close()


def open_human_view(env: Any) -> HumanView:
    """The view that works here.

    Args:
        env: unwrapped, with `model` and `data`.

    Returns:
        The viewer where a window can open. Otherwise the console if it is installed, or the viewer after all, which
        then warns once and shows nothing.
    """
    if display.uses_console():
        try:
            return ConsoleView(env)
        except GymHilError as error:
            warnings.warn(f"The console does not start: {error}", stacklevel=4)
    return window.ViewerWindow(env.model, env.data)
