"""Where a human can see an environment here: in a window, or on the web console."""

from __future__ import annotations

import importlib.util
import os
import sys

CONSOLE_PACKAGES = ("aiohttp", "simplejpeg")  # of the extra `web`


def missing_display() -> str | None:
    """Why no window can open here, or None if one should."""
    if sys.platform == "darwin" and "MJPYTHON_BIN" not in os.environ:
        return "On macOS a window needs MuJoCo's launcher: start Python as `mjpython`."
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "There is no display: neither DISPLAY nor WAYLAND_DISPLAY is set."
    return None


def console_installed() -> bool:
    """Whether the extra `web` is installed."""
    return all(map(importlib.util.find_spec, CONSOLE_PACKAGES))


def uses_console() -> bool:
    """Whether environments are shown on the web console: there is no display, and the extra `web` is installed."""
    return missing_display() is not None and console_installed()
