"""The gripper penalty is in info of a step that reverses the gripper, and of no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gym_hil import PandaPickCubeGymEnv
from gym_hil.errors import ConfigurationError
from gym_hil.wrappers.hil_wrappers import GripperPenaltyWrapper

CLOSE, STAY, OPEN = 1.0, 0.0, -1.0


def penalties(env: Any, changes: list[float]) -> list[float]:
    env.reset()
    return [env.step(np.array([0, 0, 0, 0, 0, 0, change], np.float32))[4]["discrete_penalty"] for change in changes]


@pytest.fixture(params=["panda", "any environment"])
def env(request: pytest.FixtureRequest, base: Any, recorder: Any) -> GripperPenaltyWrapper:
    return GripperPenaltyWrapper(base if request.param == "panda" else recorder, penalty=-0.02)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([STAY, CLOSE, CLOSE, STAY], [0, -0.02, 0, 0]),
        ([OPEN, CLOSE, OPEN, OPEN], [0, -0.02, -0.02, 0]),
        ([0.05, CLOSE], [0, -0.02]),
    ],
)
def test_reversing_costs_once(env: GripperPenaltyWrapper, changes: list[float], expected: list[float]) -> None:
    assert penalties(env, changes) == expected


def test_gripper_that_is_half_closed_can_go_either_way(base: PandaPickCubeGymEnv) -> None:
    assert penalties(GripperPenaltyWrapper(base), [0.3, CLOSE, -0.3, OPEN]) == [0, 0, 0, 0]


def test_action_map_says_which_number_opens(recorder: Any) -> None:
    env = GripperPenaltyWrapper(recorder, penalty=-0.02, action_map="gripper=-6")
    assert penalties(env, [CLOSE, OPEN, OPEN, CLOSE]) == [0, -0.02, 0, -0.02]
    with pytest.raises(ConfigurationError, match="gripper=INDEX"):
        GripperPenaltyWrapper(recorder, action_map="x=0")


def test_new_episode_starts_with_an_open_gripper(env: GripperPenaltyWrapper) -> None:
    for _ in range(2):
        assert penalties(env, [CLOSE]) == [-0.02]


def test_penalty_is_a_plain_float_in_info_and_not_in_the_reward(env: GripperPenaltyWrapper) -> None:
    assert env.reset()[1]["discrete_penalty"] == 0.0
    for change in (CLOSE, STAY):
        _, reward, _, _, info = env.step(np.array([0, 0, 0, 0, 0, 0, change]))
        assert type(info["discrete_penalty"]) is float
        assert reward == 0.0


def test_penalty_goes_into_the_reward_when_asked(base: PandaPickCubeGymEnv) -> None:
    env = GripperPenaltyWrapper(base, add_to_reward=True)
    env.reset()
    assert [env.step([0, 0, 0, 0, 0, 0, change])[1] for change in (CLOSE, STAY)] == [-0.05, 0.0]


def test_restored_state_counts_not_the_last_observation(base: PandaPickCubeGymEnv) -> None:
    env = GripperPenaltyWrapper(base)
    env.reset()
    state = base.get_state()
    assert env.step([0, 0, 0, 0, 0, 0, CLOSE])[4]["discrete_penalty"] == -0.05
    base.set_state(state)
    assert env.step([0, 0, 0, 0, 0, 0, CLOSE])[4]["discrete_penalty"] == -0.05


@pytest.mark.parametrize("penalty", [0.02, np.nan, -np.inf])
def test_penalty_that_is_positive_or_not_finite_is_refused(base: PandaPickCubeGymEnv, penalty: float) -> None:
    with pytest.raises(ConfigurationError, match="0 or less"):
        GripperPenaltyWrapper(base, penalty)
