"""Small actions: 3, 4, 6 or 7 numbers, checked and clipped, for any environment whose action has 7."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gym_hil import PandaPickCubeGymEnv
from gym_hil.errors import ConfigurationError, InvalidActionError
from gym_hil.wrappers.hil_wrappers import DEFAULT_EE_STEP_SIZE, EEActionWrapper, InputsControlWrapper

BASE = PandaPickCubeGymEnv()
BASE.reset()


@pytest.mark.parametrize(
    ("options", "low", "high"),
    [
        ({}, [-1] * 3, [1] * 3),
        ({"use_gripper": True}, [-1] * 3 + [0], [1] * 3 + [2]),
        ({"orientation": True}, [-1] * 6, [1] * 6),
        ({"use_gripper": True, "orientation": True}, [-1] * 6 + [0], [1] * 6 + [2]),
    ],
)
def test_action_space_is_exact(options: dict[str, bool], low: list[int], high: list[int]) -> None:
    space = EEActionWrapper(BASE, DEFAULT_EE_STEP_SIZE, **options).action_space
    assert space == gym.spaces.Box(np.array(low, np.float32), np.array(high, np.float32), dtype=np.float32)
    assert space.dtype == np.float32


@pytest.mark.parametrize(("number", "change"), [(0, -1), (1, 0), (2, 1), (1.5, 0.5)])
def test_gripper_zero_opens_one_stays_two_closes(recorder: Any, number: float, change: float) -> None:
    env = EEActionWrapper(recorder, use_gripper=True)
    env.reset()
    env.step([0, 0, 0, number])
    np.testing.assert_array_equal(recorder.actions, [[0, 0, 0, 0, 0, 0, change]])


def test_seven_numbers_are_motion_rotation_and_gripper(recorder: Any) -> None:
    env = EEActionWrapper(
        recorder, {"x": 0.1, "y": 0.2, "z": 0.3}, use_gripper=True, orientation=True, rotation_step=0.5
    )
    env.reset()
    env.step([1, -1, 0.5, 1, 0.5, -1, 2])
    np.testing.assert_allclose(recorder.actions[0], [0.1, -0.2, 0.15, 0.5, 0.25, -0.5, 1], rtol=1e-6)
    assert recorder.actions[0].dtype == np.float32


def test_without_gripper_it_stays_as_it_is() -> None:
    env = EEActionWrapper(BASE, use_gripper=False)
    env.reset()
    BASE.data.actuator("gripper").ctrl[0] = 100
    env.step([1, 1, 1])
    assert BASE.data.actuator("gripper").ctrl[0] == 100


@settings(deadline=None)
@given(arrays(np.float64, 4, elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_finite_actions_are_clipped_into_the_space(action: np.ndarray) -> None:
    env = EEActionWrapper(BASE, use_gripper=True)
    whole = env.action(action)
    np.testing.assert_array_equal(whole, env.action(np.clip(action, [-1, -1, -1, 0], [1, 1, 1, 2])))
    assert BASE.action_space.contains(whole)


@settings(deadline=None)
@given(st.integers(0, 3), st.sampled_from([np.nan, np.inf, -np.inf]), st.integers(0, 9))
def test_action_that_is_not_finite_leaves_the_state_untouched(where: int, value: float, seed: int) -> None:
    env = EEActionWrapper(BASE, use_gripper=True)
    env.reset(seed=seed)
    before = BASE.get_state().physics
    action = np.zeros(4)
    action[where] = value
    with pytest.raises(InvalidActionError, match="not finite"):
        env.step(action)
    np.testing.assert_array_equal(BASE.get_state().physics, before)


@pytest.mark.parametrize("action", [[0, 0, 0], [0] * 5, [[0, 0, 0, 1]], 0.0, "up", None, [0, 0, 0, None], {}])
def test_action_of_another_shape_is_refused(action: Any) -> None:
    env = EEActionWrapper(BASE, use_gripper=True)
    env.reset()
    before = BASE.get_state().physics
    with pytest.raises(InvalidActionError):
        env.step(action)
    np.testing.assert_array_equal(BASE.get_state().physics, before)


@pytest.mark.parametrize("name", ["gym_hil/PandaPickCubeBase-v0", "gym_hil/PandaPickCube-v0"])
def test_tensor_that_records_gradients_is_refused_with_advice(name: str) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra `train`")
    env = gym.make(name)
    env.reset()
    action = torch.zeros(env.action_space.shape, requires_grad=True)
    with pytest.raises(InvalidActionError, match=r"\.detach\(\)"):
        env.step(action)
    env.step(action.detach())


def test_action_that_was_changed_on_the_way_is_checked_again(recorder: Any) -> None:
    class Doubles(gym.ActionWrapper[Any, Any, Any]):
        def action(self, action: Any) -> Any:
            return action * factor

    base = PandaPickCubeGymEnv()
    env = InputsControlWrapper(EEActionWrapper(Doubles(base), use_gripper=True))
    for factor, moved in ((2.0, 0.05), (8.0, 0.1)):  # noqa: B007  # 0.1 m is the environment's own limit
        env.reset()
        start = base.tcp_target
        env.step([0, 0, 1, 1])
        assert (base.tcp_target - start)[2] == pytest.approx(moved)
    factor = np.nan
    with pytest.raises(InvalidActionError):
        env.step([0, 0, 1, 1])


def test_callers_action_is_not_changed() -> None:
    action = np.array([5, 0, 0, 2], np.float32)
    EEActionWrapper(BASE, use_gripper=True).action(action)
    np.testing.assert_array_equal(action, [5, 0, 0, 2])


@pytest.mark.parametrize(
    "steps",
    [
        {"x": 0.1, "y": 0.1},
        {"x": 0, "y": 0.1, "z": 0.1},
        {"x": -0.1, "y": 0.1, "z": 0.1},
        {"x": 0.2, "y": 0.1, "z": 0.1},
    ],
)
def test_step_size_that_cannot_be_made_is_refused(steps: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="ee_action_step_size"):
        EEActionWrapper(BASE, steps)


def test_environment_with_another_action_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="7 numbers"):
        EEActionWrapper(EEActionWrapper(BASE))
