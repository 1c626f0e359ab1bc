"""The legends in docs/devices.md are those that the devices print."""

import contextlib
import re
from pathlib import Path

from gym_hil.teleop.gamepad import Gamepad
from gym_hil.teleop.input_state import Button
from gym_hil.teleop.keyboard import key_legend
from gym_hil.teleop.spacemouse import CONNEXION, MULTI_AXIS_CONTROLLER, SpaceMouse
from tests.teleop.fake_hid import FakeHid

PAGE = (Path(__file__).parents[2] / "docs" / "devices.md").read_text(encoding="utf-8")
LEGENDS = [text.rstrip() for kind, text in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", PAGE) if not kind]


def test_legend_of_the_gamepad_is_the_printed_one():
    with contextlib.closing(Gamepad()) as gamepad:
        assert gamepad.describe() in LEGENDS


def test_legend_of_the_keyboard_is_the_printed_one():
    rows = key_legend(lambda button: "take over / hand back" if button is Button.INTERVENE else button.value)
    width = max(len(keys) for keys, _ in rows)
    assert "\n".join(f"{keys:<{width}}  {action}" for keys, action in rows) in LEGENDS


def test_legend_of_a_big_spacemouse_is_the_printed_one(monkeypatch):
    FakeHid().install(monkeypatch).plug(CONNEXION, 0xC633, "SpaceMouse Enterprise", MULTI_AXIS_CONTROLLER)
    with contextlib.closing(SpaceMouse()) as mouse:
        assert mouse.describe() in LEGENDS
