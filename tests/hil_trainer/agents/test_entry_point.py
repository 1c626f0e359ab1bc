"""`gym_hil.load_policy` loads what `hil-trainer` has written."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import gym_hil
from gym_hil.errors import GymHilError
from hil_trainer.agents.policy import Policy, PolicyShape
from hil_trainer.agents.policy_file import load_policy, save_policy
from hil_trainer.data.actions import ActionScale
from tests.hil_trainer.made_up import STATE


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run on PickCube, with its policy."""
    policy = Policy(PolicyShape(STATE, actions=4, width=8))
    low, high = [-1, -1, -1, 0], [1, 1, 1, 2]
    provenance = {"task": "PandaPickCube-v1"}
    save_policy(tmp_path / "policy.safetensors", policy, action_scale=ActionScale(low, high), provenance=provenance)
    return tmp_path


def test_a_run_acts_on_the_environments_observation(run: Path) -> None:
    env = gym.make("gym_hil/PandaPickCube-v1")
    observation, _ = env.reset(seed=0)
    for what in (run, run / "policy.safetensors"):
        np.testing.assert_array_equal(gym_hil.load_policy(what, env)(observation), load_policy(run).act(observation))
    env.close()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"orientation": True}, "trained for PandaPickCube-v1"), ({"image_obs": True}, "environment_state is missing")],
)
def test_another_environment_is_an_error(run: Path, kwargs: dict[str, bool], message: str) -> None:
    env = gym.make("gym_hil/PandaPickCube-v1", **kwargs)
    with pytest.raises(GymHilError, match=message):
        gym_hil.load_policy(run, env)(env.reset(seed=0)[0])
    env.close()
