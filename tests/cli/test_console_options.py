"""The options about a page's address."""

from __future__ import annotations

import argparse

import pytest

from gym_hil.cli.console_options import add_console_arguments, console_options, words_of


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {}),
        (["--port", "0"], {"port": 0}),
        (["--host", "::", "--allow-remote", "--tls"], {"host": "::", "allow_remote": True, "tls": True}),
    ],
)
def test_only_what_is_given_is_told(words: list[str], options: dict[str, object]) -> None:
    parser = argparse.ArgumentParser()
    add_console_arguments(parser)
    assert console_options(parser.parse_args(words)) == options


def test_options_are_named_as_they_are_typed() -> None:
    assert words_of({"port": 1, "allow_remote": True}) == "--port, --allow-remote"
