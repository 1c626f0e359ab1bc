"""The choice of how to hear keys, and what happens where none can be heard."""

from __future__ import annotations

import os
from collections.abc import Iterator

import gymnasium as gym
import pytest

import gym_hil  # noqa: F401
from gym_hil.errors import ConfigurationError, DeviceError
from gym_hil.teleop import make_device
from gym_hil.teleop.input_state import DIRECTIONS, EVENTS, GRIPPER, Button
from gym_hil.teleop.keyboard import Keyboard
from gym_hil.teleop.keyboard_keys import KEYS, LABELS


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process without display and terminal."""
    monkeypatch.delenv("DISPLAY", raising=False)
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield


def test_environment_says_what_to_do_where_no_keyboard_can_be_heard(nowhere: None) -> None:
    with pytest.raises(DeviceError, match=r"No keyboard can be heard here: .*DISPLAY.*terminal.*gym-hil\[pynput\]"):
        gym.make("gym_hil/PandaPickCubeKeyboard-v0")


def test_registered_name_makes_it(nowhere: None) -> None:
    with pytest.raises(DeviceError, match="not a terminal"):
        make_device("keyboard", backend="terminal")


def test_unknown_way_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match="'telepathy'; expected one of 'auto', 'x11', 'pynput', 'window', 'terminal'"
    ):
        Keyboard(backend="telepathy")


def test_everything_but_turning_and_quitting_has_a_key() -> None:
    buttons = {button for button in DIRECTIONS if "turn" not in button.value}
    assert set(KEYS.values()) == buttons | set(GRIPPER) | (set(EVENTS) - {Button.QUIT}) | {Button.INTERVENE}


def test_every_key_is_in_the_legend_but_the_second_enter() -> None:
    assert set(KEYS) - set(LABELS) == {"keypad_enter"}
