"""An action map says which numbers of an action the operator's command sets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gym_hil import ActionMap, TeleopCommand
from gym_hil.errors import ConfigurationError, InvalidActionError
from gym_hil.wrappers.action_map import fit_action_map

INF = np.inf
MOTION = [0.5, -1.0, 0.25, 0.1, 0.2, 0.3]


def fit(action_map: Any, low: Any, high: Any, **options: Any) -> Any:
    space = gym.spaces.Box(np.array(low, np.float32), np.array(high, np.float32))
    return fit_action_map(action_map, SimpleNamespace(action_space=space, unwrapped="env"), **options)  # type: ignore[arg-type]


def act(fitted: Any, motion: Any = MOTION, gripper: int = 0, last: Any = None) -> list[float]:
    last = fitted.start({}, {}) if last is None else np.array(last, np.float32)
    return fitted.action(TeleopCommand(np.array(motion), gripper, True), last).tolist()


@pytest.mark.parametrize(
    ("terms", "low", "high", "expected"),
    [
        ("x=0,y=1,z=2,gripper=3", [-1] * 4, [1] * 4, [0.5, -1, 0.25, 1]),
        ("y=0,x=-1*0.5, gripper=-3", [-1] * 4, [1] * 4, [-1, -0.25, 0, -1]),
        ("rx=0,rz=1", [-2, -2], [2, 2], [0.2, 0.6]),
        ("x=0,gripper=1:0.08:0.02", [0, 0], [4, 0.1], [3, 0.02]),  # around the middle
        ("x=0,y=1,gripper=2", [-INF] * 3, [INF] * 3, [0.5, -1, 1]),  # no limits: by 1 around 0
        ("x=0,y=1*2", [-3e38, -3e38], [3e38, 3e38], [0.5, -2]),  # the largest float is no limit either
        ("x=0,y=1", [0, -INF], [INF, -2], [0.5, -3]),  # one limit: from 0 or from what is nearest to it
        ("x=0,0=0.5,1=-0.25", [-1, -1], [1, 1], [0.75, -0.25]),  # to the nearer limit
        ({"x": 0, "gripper": "-1"}, [-1, -1], [1, 1], [0.5, -1]),
    ],
)
def test_terms_say_index_sign_scale_neutral_value_and_gripper(
    terms: Any, low: list[float], high: list[float], expected: list[float]
) -> None:
    assert act(fit(terms, low, high), gripper=1) == pytest.approx(expected)


def test_number_that_says_where_to_go_is_held_and_moved_from_where_it_was() -> None:
    fitted = fit("x=0*10:pos[1],y=1*10:last,gripper=2:last", [0, 0, 0], [512, 512, 1])
    last = fitted.start({"pos": np.array([7, 100])}, {})
    assert last.tolist() == [100, 256, 0]
    last = fitted.action(TeleopCommand(np.array([1.0, -1, 0, 0, 0, 0]), 1, True), last)
    assert fitted.idle(last).tolist() == last.tolist() == [110, 246, 1]
    with pytest.raises(ConfigurationError, match=r"no number pos\[1\]"):
        fitted.start(np.zeros(2), {})


def test_motion_below_the_threshold_counts_as_none() -> None:
    assert act(fit(None, [-1] * 3, [1] * 3, threshold=0.3)) == [0.5, -1, 0]


def test_function_makes_actions_of_any_kind(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "my_joints.py").write_text(
        "class Joints:\n"
        "    def __init__(self, env):\n        self.size = env.action_space.shape[0]\n"
        "    def reset(self, observation, info):\n        self.started = True\n"
        "    def __call__(self, command):\n        return [command.motion[0]] * self.size\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    fitted = fit("my_joints:Joints", [-1] * 5, [1] * 5)
    assert fitted.start({}, {}).tolist() == [0] * 5
    assert act(fitted) == [0.5] * 5
    with pytest.raises(InvalidActionError, match=r"action map.*shape"):
        fit(lambda command: [0.0], [-1, -1], [1, 1]).idle(np.zeros(2))


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ("x=0,y=0", "the same number"),
        ("", "cannot be read"),
        ({}, "nothing sets a number"),
        ("x=one", "x=one cannot be read"),
        ("x=0*-1", "cannot be read"),
        ("yaw=0", "yaw=0 cannot be read"),
        ("gripper=-1:0:1", "cannot be read"),
        ("gripper=1:0.5:0.5", "same value"),
        ("gripper=1:0:7", "number 1 cannot be 7"),
        ("x=0,1=7", "number 1 cannot be 7"),
        ("x=2", "no number 2"),
        ("no_such_module:f", "no_such_module"),
        (3, "expected a function, or terms"),
        (None, "2 numbers.*cannot be guessed"),
    ],
)
def test_map_that_does_not_fit_is_refused(terms: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        fit(terms, [-1, -1], [1, 1])


def test_map_is_known_by_its_text() -> None:
    assert ActionMap({"x": 0, "y": "-1"}) == ActionMap(" x=0, y=-1")
    assert str(ActionMap(str(ActionMap("x=-0")))) == "x=-0"
