"""Arguments that commands share."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_hil.cli import COMMANDS
from gym_hil.cli.arguments import (
    add_console_arguments,
    add_env_arguments,
    check_output,
    console_options,
    env_options,
    path_argument,
    write_output,
)
from gym_hil.display import ConsoleOptions
from gym_hil.env_options import EnvOptions
from gym_hil.errors import ConfigurationError

PATHS = {"FILE", "DIR", "DATASET", "NEW", "IMAGE"}


def actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from actions(inner)
        else:
            yield action


@pytest.mark.parametrize("name", COMMANDS)
def test_home_is_expanded_in_every_path_and_every_argument_is_explained(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", os.path.abspath("/users/me"))
    monkeypatch.setenv("USERPROFILE", os.path.abspath("/users/me"))
    parser = argparse.ArgumentParser()
    importlib.import_module(f"gym_hil.cli.{name.replace('-', '_')}").add_arguments(parser)
    for action in actions(parser):
        assert action.help, f"{name} {action.dest} has no help"
        if action.metavar in PATHS:
            assert action.type is not None, f"{name} {action.dest} is a path that is not expanded"
            assert action.type("~/data") == Path(os.path.abspath("/users/me/data"))


def test_a_home_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no_such_user"):
        path_argument("~no_such_user/data")


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], ConsoleOptions()),
        (["--port", "0"], ConsoleOptions(port=0)),
        (["--host", "::", "--allow-remote", "--tls"], ConsoleOptions(host="::", allow_remote=True, tls=True)),
        (["--public-url", "https://lab.org/r/"], ConsoleOptions(public_url="https://lab.org/r/")),
    ],
)
def test_console_options_are_those_that_were_given(words: list[str], options: ConsoleOptions) -> None:
    parser = argparse.ArgumentParser()
    add_console_arguments(parser)
    assert console_options(parser.parse_args(words)) == options


def test_environment_is_the_one_that_was_named() -> None:
    parser = argparse.ArgumentParser()
    add_env_arguments(parser)
    assert env_options(parser.parse_args([])) == EnvOptions("PandaPickCube")
    words = "--env Pendulum-v1 --action-map x=0 --env-kwargs g=9.8 render_mode=rgb_array size=(2,3) --success info"
    assert env_options(parser.parse_args([*words.split(), "--max-episode-steps", "-1"])) == EnvOptions(
        "Pendulum-v1", {"g": 9.8, "render_mode": "rgb_array", "size": (2, 3)}, "x=0", -1, "info"
    )
    with pytest.raises(ConfigurationError, match="'g'; expected KEY=VALUE"):
        env_options(parser.parse_args(["--env-kwargs", "g"]))


def test_a_file_that_exists_is_refused_before_the_work_begins(tmp_path: Path) -> None:
    path = tmp_path / "limits.json"
    path.write_text("mine")
    with pytest.raises(ConfigurationError, match="--overwrite"):
        check_output(path, overwrite=False)
    check_output(path, overwrite=True)
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_created_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for call in (lambda path: check_output(path, overwrite=False), lambda path: write_output(path, "")):
        with pytest.raises(ConfigurationError, match=r"limits.json cannot be written.*Choose another folder"):
            call(tmp_path / "file" / "limits.json")


def test_text_that_cannot_be_encoded_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_output(tmp_path / "limits.json", "\ud800")
