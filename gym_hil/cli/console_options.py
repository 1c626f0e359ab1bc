"""How a page in the browser is reached, as commands ask for it: the same options wherever there is one."""

from __future__ import annotations

import argparse
from typing import Any

_NAMES = ("host", "port", "allow_remote", "tls", "public_url")


def add_console_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options about the page's address."""
    console = parser.add_argument_group("web console")
    console.add_argument("--host", help="address to listen at (127.0.0.1)")
    console.add_argument("--port", type=int, help="port to listen at (the first free one from 8850)")
    console.add_argument("--allow-remote", action="store_true", default=None, help="let other machines in; needs --tls")
    console.add_argument("--tls", action="store_true", default=None, help="encrypt, with a certificate made here")
    console.add_argument("--public-url", metavar="URL", help="address in the browser, behind a reverse proxy")


def console_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options that an operator has given, as arguments for a `Site`.

    Args:
        arguments: of a parser that was given to `add_console_arguments`.
    """
    return {name: getattr(arguments, name) for name in _NAMES if getattr(arguments, name) is not None}


def words_of(options: dict[str, Any]) -> str:
    """The options as an operator types them, with commas between."""
    return ", ".join("--" + name.replace("_", "-") for name in options)
