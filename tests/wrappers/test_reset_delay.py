"""Time to get ready after each reset, however it came about."""

import time

import numpy as np
import pytest

from gym_hil import PandaPickCubeGymEnv
from gym_hil.errors import ConfigurationError
from gym_hil.teleop import Event, TeleopCommand
from gym_hil.teleop.sequence import SequenceDevice
from gym_hil.wrappers.hil_wrappers import InputsControlWrapper, ResetDelayWrapper


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def test_waits_after_each_reset(base: PandaPickCubeGymEnv, sleeps: list[float]) -> None:
    env = ResetDelayWrapper(base, 1.5)
    assert sleeps == []
    env.reset(seed=3)
    env.step(np.zeros(7))
    env.reset()
    assert sleeps == [1.5, 1.5]


def test_waits_after_a_reset_inside_a_step(base: PandaPickCubeGymEnv, sleeps: list[float]) -> None:
    device = SequenceDevice([TeleopCommand(), TeleopCommand(events=(Event.FAILURE,))])
    env = ResetDelayWrapper(InputsControlWrapper(base, auto_reset=True, device=device), 2)
    env.reset()
    for _ in range(2):
        env.step(np.zeros(7))
    assert sleeps == [2, 2]


@pytest.mark.parametrize("delay", [-1, np.nan, np.inf])
def test_delay_that_cannot_be_waited_is_refused(base: PandaPickCubeGymEnv, delay: float) -> None:
    with pytest.raises(ConfigurationError, match="reset delay"):
        ResetDelayWrapper(base, delay)
