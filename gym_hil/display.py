"""Where a human can see an environment here: in a window, or on the web console."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass, fields
from os import PathLike
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from gym_hil.errors import check

CONSOLE_PACKAGES = ("aiohttp", "simplejpeg")  # of the extra `web`

TlsOption: TypeAlias = bool | tuple[str | PathLike[str], str | PathLike[str]]


@dataclass(frozen=True)
class ConsoleOptions:
    """Where the web console listens and who can reach it. None leaves an option at its default.

    Attributes:
        host: address to listen at; by default this machine alone, or every address with `allow_remote`.
        port: to listen at, 0 for any; by default the first free one from 8850.
        allow_remote: let other machines connect; needs `tls`.
        tls: encrypt; True makes a certificate for this user, or (certificate, key), two files.
        public_url: the address under which a reverse proxy serves the console, such as
            `https://lab.example.org/robot/`; without it only the machine's own names are accepted.

    Raises:
        ConfigurationError: an option has a value that makes no sense.
    """

    host: str | None = None
    port: int | None = None
    allow_remote: bool | None = None
    tls: TlsOption | None = None
    public_url: str | None = None

    def __post_init__(self) -> None:
        port: Any = self.port
        fits = port is None or (type(port) is int and 0 <= port < 65536)
        check(fits, "The console's port", port, "a whole number from 0 to 65535")
        fits = self.host is None or (isinstance(self.host, str) and self.host != "")
        check(fits, "The console's host", self.host, "an address such as '127.0.0.1'")
        if self.public_url is not None:
            self._check_public_url(self.public_url)

    def given(self) -> dict[str, Any]:
        """The options that are not None, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def flags(self) -> str:
        """The given options as flags of a command, with commas between: `--host, --port`."""
        return ", ".join("--" + name.replace("_", "-") for name in self.given())

    @staticmethod
    def _check_public_url(url: Any) -> None:
        try:
            parts = urlsplit(url)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
            sound = sound and not (parts.username or parts.query or parts.fragment)
        except (ValueError, TypeError, AttributeError):
            sound = False
        example = "the address in the browser without a query, such as 'https://lab.example.org/robot/'"
        check(sound, "The console's public URL", url, example)


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
