"""The operator's web page: see the robot and drive it from any browser. Needs the extra `web`."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from gym_hil.errors import MissingExtraError

if TYPE_CHECKING:
    from gym_hil.console.channel import Channel
    from gym_hil.console.server import Console, get_console

__all__ = ["Channel", "Console", "close_console", "get_console"]


def __getattr__(name: str) -> Any:
    # Imported when it is used: the device "web" has to be known where the extra is missing.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "channel" if name == "Channel" else "server"
    try:
        return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"The web console needs {error.name}: pip install 'gym-hil[web]'") from error


def close_console() -> None:
    """Close the console that the environments of this process share; does nothing where none is running."""
    server = sys.modules.get(f"{__name__}.server")  # without the extra `web` it was never imported
    if server is not None:
        server.close_console()
