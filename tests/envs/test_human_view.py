"""Where there is no display an operator still sees what happens, in the browser."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest

import gym_hil
from gym_hil.console import Console
from gym_hil.errors import DeviceError


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_hil.display.missing_display", lambda: "There is no display.")


def test_console_shows_every_step_of_a_task_without_wrappers(console: Console) -> None:
    env = gym_hil.PandaPickCubeGymEnv(render_mode="human")
    env.reset(seed=0)
    [channel] = console.channels
    before = channel.sequence
    env.step(np.zeros(7))
    assert channel.sequence == before + 1
    env.render()
    assert channel.sequence == before + 2
    env.close()
    assert console.channels == []


def test_wrapper_that_knows_more_shows_it_instead(console: Console) -> None:
    env = gym.make("gym_hil/PandaPickCube-v0", render_mode="human")
    env.reset(seed=0)
    [channel] = console.channels
    before = channel.sequence
    env.step(np.zeros(4, np.float32))
    assert channel.sequence == before + 1
    assert channel._snapshot.status["driver"] == "policy"
    env.close()


def test_console_that_does_not_start_is_a_warning(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise DeviceError("No port is free.")

    monkeypatch.setattr("gym_hil.console.get_console", fail)
    env = gym_hil.PandaPickCubeGymEnv(render_mode="human")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        env.reset()
    said = [str(warning.message) for warning in caught]
    assert len(said) == 2
    assert "does not start: No port is free." in said[0]
    assert "There is no display." in said[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.step(np.zeros(7))
    env.close()
