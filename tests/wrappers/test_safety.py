"""Real robots get no action beyond the limits, and are held when no step comes."""

from __future__ import annotations

import threading
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_hil
from gym_hil import SafetyWrapper
from gym_hil.errors import ConfigurationError, InvalidActionError, InvalidStepError
from gym_hil.teleop.sequence import SequenceDevice
from tests.teleop.waiting import PATIENCE


class Robot(gym.Env[Any, Any]):
    """Moves by 0.1 m for an action of 1, or to where the action says."""

    observation_space = gym.spaces.Box(-9, 9, (3,), np.float64)
    action_space = gym.spaces.Box(-1, 1, (4,), np.float32)

    def __init__(self, absolute: bool = False):
        self.absolute = absolute
        self.held = threading.Semaphore(0)

    def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
        self.position = np.zeros(3)
        return self.position.copy(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.position = action[:3].astype(float) if self.absolute else self.position + 0.1 * action[:3]
        return self.position.copy(), 0.0, False, False, {}

    def hold(self) -> None:
        self.held.release()


BOX = [[-0.15, -1, -1], [0.15, 1, 1]]


def test_robot_stays_in_the_workspace_and_finds_back_into_it() -> None:
    robot = Robot()
    env = SafetyWrapper(robot, workspace=BOX, position=lambda observation: observation, unit=0.1)
    env.reset()
    steps = [env.step([1, 0.3, 0, 1])[4] for _ in range(3)]
    assert robot.position == pytest.approx([0.15, 0.09, 0])
    assert [step["safety"] for step in steps] == [(), ("workspace",), ("workspace",)]
    assert steps[1]["executed_action"] == pytest.approx([0.5, 0.3, 0, 1])
    robot.position[0] = env._observation[0] = 0.5
    assert env.step([1, 0, 0, 0])[4]["executed_action"][0] == 0
    assert env.step([-1, 0, 0, 0])[4]["safety"] == ()
    env.close()


def test_absolute_action_changes_by_the_largest_step_at_most() -> None:
    limits: dict[str, Any] = {"max_step": 0.2, "workspace": BOX, "position": lambda observation: observation}
    env = SafetyWrapper(Robot(True), absolute=True, **limits)
    env.reset()
    infos = [env.step([1, 0, 0, 0])[4] for _ in range(2)]
    assert [info["executed_action"][0] for info in infos] == pytest.approx([0.15, 0.15])
    assert env.step([-1, 0, 0.3, 0])[4]["executed_action"] == pytest.approx([-0.05, 0, 0.2, 0])
    assert env.step([0, 0, 0.3, 0])[4]["safety"] == ()
    env.close()


def test_largest_step_is_from_the_neutral_action_where_actions_are_relative() -> None:
    env = SafetyWrapper(Robot(), max_step=[0.5, 0.5, 0.5, 1])
    env.reset()
    info = env.step([1, -1, 0.2, 1])[4]
    assert (info["executed_action"].tolist(), info["safety"]) == (pytest.approx([0.5, -0.5, 0.2, 1]), ("step",))
    env.close()


def test_info_of_the_operators_wrapper_tells_what_was_sent() -> None:
    env = gym_hil.wrap(SafetyWrapper(Robot(), max_step=0.5), SequenceDevice([[1, 0, 0, 0]]))
    env.reset()
    for _ in range(2):  # the operator's action, then the policy's
        assert env.step([1, 0, 0, 0])[4]["action_intervention"].tolist() == [0.5, 0, 0, 0]
    env.close()


def test_robot_is_held_when_no_step_comes_and_at_the_end() -> None:
    robot, before = Robot(), set(threading.enumerate())
    env = SafetyWrapper(gym.wrappers.TimeLimit(robot, 3), watchdog=0.01)
    env.reset()
    assert env.step(np.zeros(4))[4]["safety"] == ()
    assert robot.held.acquire(timeout=PATIENCE)
    assert "watchdog" in env.step(np.zeros(4))[4]["safety"]
    env._seconds = 3600
    env.step(np.zeros(4))  # the last step of the episode
    assert robot.held.acquire(timeout=PATIENCE)
    env.close()
    assert robot.held.acquire(timeout=PATIENCE)
    assert set(threading.enumerate()) <= before


def test_robot_that_cannot_be_held_is_reported_by_the_next_step() -> None:
    asked = threading.Event()

    def hold() -> None:
        asked.set()
        raise OSError("no answer")

    env = SafetyWrapper(Robot(), watchdog=0.01, hold=hold)
    env.reset()
    env.step(np.zeros(4))
    assert asked.wait(PATIENCE)
    with pytest.raises(InvalidStepError, match="could not be held still: OSError: no answer"):
        env.step(np.zeros(4))


def test_action_that_is_not_finite_reaches_no_robot() -> None:
    robot = Robot()
    env = SafetyWrapper(robot, max_step=1)
    env.reset()
    with pytest.raises(InvalidActionError):
        env.step([np.nan, 0, 0, 0])
    assert robot.position.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workspace": BOX}, "position="),
        ({"workspace": [[0, 0], [1, 1]], "absolute": True}, "each of 3 numbers"),
        ({"workspace": BOX[::-1], "absolute": True}, "lower and the upper corner"),
        ({"max_step": -1}, "max_step"),
        ({"watchdog": 0}, "watchdog"),
        ({"numbers": (1, 2, 4), "workspace": BOX, "absolute": True}, "numbers"),
        ({"unit": 0}, "unit"),
    ],
)
def test_limit_that_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SafetyWrapper(Robot(), **options)


def test_watchdog_needs_something_that_holds() -> None:
    with pytest.raises(ConfigurationError, match="hold="):
        SafetyWrapper(gym.make("Pendulum-v1"))
