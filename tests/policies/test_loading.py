"""Any policy becomes a function of the observation whose actions are checked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_hil
from gym_hil.errors import GymHilError, MissingExtraError, PolicyError


@pytest.fixture
def env() -> Iterator[gym.Env[Any, Any]]:
    env = gym.make("gym_hil/PandaPickCube-v1")
    yield env
    env.close()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's."""
    (tmp_path / "users_policy.py").write_text(
        "import numpy as np\n"
        "class Policy:\n"
        "    def __init__(self, env):\n"
        "        self.action, self.resets = env.action_space.high, 0\n"
        "    def __call__(self, observation):\n"
        "        return self.action * observation['agent_pos'][14:15]\n"
        "    def reset(self):\n"
        "        self.resets += 1\n"
        "def broken(env):\n"
        "    return lambda observation: observation['camera']\n"
        "def fails(env):\n"
        "    raise RuntimeError('no such weights')\n"
        "def nothing(env):\n"
        "    return None\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "users_policy", raising=False)
    return "users_policy"


def test_a_function_is_called_with_the_environment_and_returns_the_policy(env: Any, module: str) -> None:
    policy = gym_hil.load_policy(f"{module}:Policy", env)
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(policy(observation), np.zeros(4, np.float32))
    policy.reset()
    assert policy._policy.resets == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros(7), "returns 7 numbers, but an action of this environment has 4"),
        ([0.0, np.nan, 0.0, 1.0], "not finite"),
        ("forward", "returns str 'forward'; expected an action"),
        (None, "returns NoneType 'None'; expected an action"),
        (np.zeros((1, 4)), "returns ndarray"),
    ],
)
def test_what_is_no_action_is_refused(env: Any, returned: Any, message: str) -> None:
    policy = gym_hil.load_policy(lambda observation: returned, env)
    with pytest.raises(PolicyError, match=message):
        policy(env.reset(seed=0)[0])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("runs/nowhere", "There is no policy 'runs/nowhere'"),
        ("users_policy:missing", "has no function missing"),
        ("users_policy:fails", r"RuntimeError: no such weights \(.*users_policy.py, line 12\)"),
        ("users_policy:nothing", "is a NoneType; expected a function of the observation"),
        ("users_policy:broken", r"KeyError: 'camera' .*The observation has agent_pos, environment_state"),
    ],
)
def test_a_policy_that_cannot_act_is_an_error(env: Any, module: str, name: str, message: str) -> None:
    with pytest.raises(GymHilError, match=message):
        gym_hil.load_policy(name, env)(env.reset(seed=0)[0])


def test_a_folder_without_a_policy_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="is no policy: neither a folder that LeRobot has saved"):
        gym_hil.load_policy(tmp_path)


def test_a_policy_of_lerobot_needs_lerobot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lerobot", None)
    folder = tmp_path / "checkpoints/last/pretrained_model"
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    with pytest.raises(MissingExtraError, match="pip install 'lerobot"):
        gym_hil.load_policy(tmp_path)
