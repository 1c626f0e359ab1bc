"""A policy's actions become the environment's and come back."""

import gymnasium as gym
import numpy as np
import pytest

import gym_hil
from gym_hil.teleop.sequence import SequenceDevice
from hil_trainer.agents.policy import Policy, PolicyShape
from hil_trainer.agents.policy_file import save_policy
from hil_trainer.config import NO_OPERATOR
from hil_trainer.data.actions import ActionScale
from hil_trainer.rollout.env import RolloutEnv
from tests.hil_trainer.made_up import act


class GripperFirst(gym.Env):
    """The gripper is the first number of the action, and the smallest value closes."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float64)
    action_space = gym.spaces.Box(np.array([0.0, -0.1]), np.array([0.08, 0.1]), dtype=np.float64)

    def reset(self, *, seed=None, options=None):
        return np.zeros(2), {}

    def step(self, action):
        self.action = action
        return np.zeros(2), 0.0, False, False, {"success": False}


@pytest.fixture
def env(small):
    gym.register("GripperFirst-v0", GripperFirst, max_episode_steps=5)
    made = []

    def make(operator=NO_OPERATOR, **settings):
        config = small(task="GripperFirst-v0", action_map="gripper=-0,x=1", gripper="discrete", **settings)
        made.append(RolloutEnv(config, operator=operator))
        return made[-1]

    yield make
    del gym.registry["GripperFirst-v0"]
    for one in made:
        one.close()


def forward(env):
    """An operator that closes and moves along x."""
    return SequenceDevice([[1, 0, 0, 1]] * 5)


def test_without_a_gripper_the_order_stays():
    scale = ActionScale([-1, 0], [1, 2])
    np.testing.assert_array_equal(scale.to_env(np.array([0.5, -1], np.float32)), [0.5, 0])
    np.testing.assert_array_equal(scale.to_policy([0.5, 0]), [0.5, -1])


def test_a_number_that_is_fixed_stays_and_is_zero_for_the_policy():
    scale = ActionScale([-1, 0.5], [1, 0.5])
    np.testing.assert_array_equal(scale.to_env(np.array([0.5, -1], np.float32)), [0.5, 0.5])
    np.testing.assert_array_equal(scale.to_policy([0.5, 0.5]), [0.5, 0])


def test_a_gripper_that_is_first_is_the_policys_last(env):
    one = env()
    one.reset(0)
    step = one.step(np.array([0.5, -1], np.float32))
    np.testing.assert_allclose(one.env.unwrapped.action, [0, 0.05], atol=1e-7)
    np.testing.assert_allclose(step.action, [0.5, -1], atol=1e-6)
    assert step.gripper_penalty < 0


def test_an_operators_action_is_in_the_policys_order(env):
    one = env(operator=f"{__name__}:forward", intervention="auto")
    one.reset(0)
    np.testing.assert_allclose(one.step(np.zeros(2, np.float32)).action, [1, -1], atol=1e-6)


def test_a_file_of_the_policy_acts_in_the_environments_order(env, tmp_path):
    one = env()
    policy = Policy(PolicyShape(one.layout, 2, width=8, discrete_gripper=True)).eval()
    file = tmp_path / "policy.safetensors"
    save_policy(file, policy, action_scale=one.action_scale, provenance={"task": "GripperFirst-v0"})
    obs = one.reset(0)
    loaded = gym_hil.load_policy(file, one.env)
    moved, gripper = act(policy, obs, greedy=True)
    observation, _ = one.env.reset(seed=0)
    np.testing.assert_allclose(loaded(observation), [0.04 + 0.04 * gripper, 0.1 * moved], atol=1e-6)
