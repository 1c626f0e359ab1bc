"""A robot that lags, loses frames and refuses actions is driven within its limits."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_hil
from gym_hil.errors import InvalidStepError
from gym_hil.teleop.sequence import SequenceDevice

EXAMPLE = Path(__file__).parents[2] / "examples" / "real_robot.py"


@pytest.fixture
def example(own_registry: Path) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLE))


def test_arm_is_driven_to_the_edge_of_its_workspace(example: dict[str, Any]) -> None:
    device = SequenceDevice([[1, 0, 0, 1]] * 20)
    env = gym_hil.wrap(gym.make("RealRobot-v0"), device, action_map=example["ACTION_MAP"])
    before, _ = env.reset()
    infos = []
    for _ in range(20):
        observation, *_, info = env.step(env.get_wrapper_attr("idle_action"))
        infos.append(info)
    executed = np.array([info["action_intervention"] for info in infos])
    assert executed[-1] == pytest.approx([0.4, 0, before["state"][2], 1])
    assert np.abs(np.diff(executed[:, :3], axis=0)).max() <= 0.02 + 1e-6
    assert observation["state"][0] == pytest.approx(0.4, abs=0.005)
    assert any(info["faults"] for info in infos)
    assert any("workspace" in info["safety"] for info in infos)
    robot = env.unwrapped.robot  # type: ignore[attr-defined]
    env.close()
    assert not robot.is_connected


def test_arm_that_no_longer_answers_ends_it_with_one_clear_error(example: dict[str, Any]) -> None:
    env = gym_hil.wrap(gym.make("RealRobot-v0"), action_map=example["ACTION_MAP"])
    env.reset()

    def refuse(*_: Any) -> None:
        raise ConnectionError("unplugged")

    robot = env.unwrapped.robot  # type: ignore[attr-defined]
    robot.get_observation = robot.send_action = refuse
    env.step(env.get_wrapper_attr("idle_action"))
    env.step(env.get_wrapper_attr("idle_action"))
    with pytest.raises(InvalidStepError, match="the robot has failed 5 times: unplugged"):
        env.step(env.get_wrapper_attr("idle_action"))
