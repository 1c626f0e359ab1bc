"""The legends in docs/devices.md are those that the devices print."""

import contextlib
import re
from pathlib import Path

from gym_hil.teleop.gamepad import Gamepad
from gym_hil.teleop.keyboard import Keyboard
from gym_hil.teleop.keyboard_keys import KeySource

PAGE = (Path(__file__).parents[2] / "docs" / "devices.md").read_text(encoding="utf-8")
LEGENDS = [text.rstrip() for kind, text in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", PAGE) if not kind]


class Silence(KeySource):
    """Hears nothing, but could hear every key."""

    title = "nowhere"

    def __init__(self, keys):
        pass

    def alive(self):
        return True

    def close(self):
        pass


def test_legend_of_the_gamepad_is_the_printed_one():
    with contextlib.closing(Gamepad()) as gamepad:
        assert gamepad.describe() in LEGENDS


def test_legend_of_the_keyboard_is_the_printed_one(monkeypatch):
    monkeypatch.setattr("gym_hil.teleop.keyboard.BACKENDS", {"x11": Silence})
    with contextlib.closing(Keyboard(backend="x11")) as keyboard:
        assert keyboard.describe().split("\n", 1)[1] in LEGENDS
