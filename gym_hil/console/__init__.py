"""The operator's web page: see the robot and drive it from any browser. Needs the extra `web`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gym_hil.console.channel import Channel
    from gym_hil.console.server import Console, close_console, get_console

__all__ = ["Channel", "Console", "close_console", "get_console"]


def __getattr__(name: str) -> Any:
    # Imported when it is used: the device "web" has to be known where the extra is missing.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "channel" if name == "Channel" else "server"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
