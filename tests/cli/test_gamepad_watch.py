"""What `gym-hil doctor --gamepad` shows of a gamepad."""

# ruff: noqa: F401, F811 (fixtures of another folder)

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gym_hil.cli.gamepad_watch import introduction, meaning, values, watch_gamepad
from gym_hil.errors import DeviceError
from gym_hil.teleop.controller_config import load_controller_config
from gym_hil.teleop.gamepad import Gamepad
from tests.teleop.conftest import make, pad, plug, sdl
from tests.teleop.virtual_pad import GAME_CONTROLLER, VirtualPad


def entry_of(gamepad):
    assert gamepad.pad is not None
    text = introduction(gamepad.pad)
    return text[text.index("{") : text.rindex("}") + 1]


def test_values_and_what_comes_of_them_are_shown(plug, make):
    pad = plug(buttons=8, axes=6)
    gamepad = make()
    pad.axis(1, -1.0)
    pad.axis(2, 1.0)
    pad.button(5, True)
    pad.button(3, True)
    command = gamepad.poll()
    assert gamepad.pad is not None
    assert values(gamepad.pad) == "axes 0:+0.0 1:-1.0 2:+1.0 3:+0.0 4:+0.0 5:+0.0  buttons 3 5"
    assert meaning(command) == "x:+1.0 y:+0.0 z:+0.0 closes engaged success"


@pytest.mark.parametrize(("name", "kind"), [("PS4 Controller", 0), ("A pad without an entry", GAME_CONTROLLER)])
def test_entry_can_be_used_as_it_is(name, kind, plug, make, tmp_path):
    plug(name, kind=kind)
    gamepad = make()
    path = tmp_path / "pads.json"
    path.write_text(entry_of(gamepad))
    assert gamepad.pad is not None
    before = gamepad.pad.sources
    after = make(controller_config_path=path).pad
    assert after is not None
    assert after.sources == before
    assert load_controller_config(name, path) == json.loads(path.read_text())[name]


def test_watching_shows_the_gamepad_that_is_there(pad):
    out = io.StringIO()
    watch_gamepad(0.2, out=out)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("Xbox 360 Controller, with the mapping of ")
    assert lines[-1].endswith("->  x:+0.0 y:+0.0 z:+0.0")


def test_nothing_to_watch_is_told(sdl):
    with pytest.raises(DeviceError, match="No gamepad was plugged in"):
        watch_gamepad(0.0)
