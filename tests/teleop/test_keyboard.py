"""The choice of how to read keys, and what happens where none can be read."""

import os
import re

import gymnasium as gym
import pytest

import gym_hil  # noqa: F401
from gym_hil.errors import ConfigurationError, DeviceError
from gym_hil.teleop import make_device
from gym_hil.teleop.input_state import Button
from gym_hil.teleop.keyboard import KEYS, Keyboard


@pytest.fixture
def nowhere(monkeypatch):
    """A process without display and terminal."""
    monkeypatch.delenv("DISPLAY", raising=False)
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield


def test_environment_goes_on_where_no_keyboard_can_be_read(nowhere, caplog):
    env = gym.make("gym_hil/PandaPickCubeKeyboard-v0", use_viewer=False, reset_delay_seconds=0)
    env.reset(seed=0)
    assert not env.step(env.action_space.sample())[4]["is_intervention"]
    env.close()
    assert len(caplog.records) == 1
    assert re.search(r"No keyboard can be read here: .*DISPLAY.*terminal.*gym-hil\[pynput\]", caplog.text)


@pytest.mark.parametrize("is_open", [True, False])
def test_input_that_is_no_terminal_is_named(nowhere, monkeypatch, is_open):
    if not is_open:
        monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(DeviceError, match="not a terminal"):
        make_device("keyboard", backend="terminal")


def test_unknown_backend_is_refused():
    with pytest.raises(ConfigurationError, match="'telepathy'; expected one of 'auto', 'pynput', 'terminal'"):
        Keyboard(backend="telepathy")


def test_everything_but_turning_with_sticks_has_a_key():
    assert set(KEYS.values()) == set(Button) - {Button.TURN}
