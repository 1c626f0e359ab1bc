"""An environment as the trainer uses it."""

import gymnasium as gym
import numpy as np
import pytest

from gym_hil.errors import ConfigurationError
from hil_trainer.agents.policy import Policy, PolicyShape
from hil_trainer.config import NO_OPERATOR
from hil_trainer.rollout.env import VIDEO_SIZE, RolloutEnv
from tests.hil_trainer.made_up import act


@pytest.fixture
def env(small):
    made = []

    def make(operator=NO_OPERATOR, **settings):
        made.append(RolloutEnv(small(**settings), operator=operator))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_state_is_numbers_only(env):
    one = env()
    assert one.layout.cameras == one.layout.privileged == ()
    obs = one.reset(0)
    assert obs.state.shape == (one.layout.state_size,)
    assert obs.images is None


@pytest.mark.parametrize("privileged", [True, False])
def test_pixels_come_with_what_only_the_simulation_knows_if_critics_may_see_it(env, privileged):
    one = env(obs="pixels", privileged=privileged, image_size=16)
    assert "environment_state" not in dict(one.layout.state)
    assert one.layout.image_shape == (2, 16, 16, 3)
    obs = one.reset(0)
    assert obs.images.shape == (2, 16, 16, 3)
    if privileged:
        base = one.env.unwrapped
        np.testing.assert_allclose(obs.privileged, [*base.environment_state(), base.gripper_closed], atol=1e-6)
    else:
        assert obs.privileged.size == 0


def test_an_environment_is_filmed_in_steady_size(env):
    one = env()
    one.reset(0)
    frame = one.render()
    assert frame.shape == (VIDEO_SIZE, VIDEO_SIZE, 3)
    assert frame.std() > 10


def test_the_same_seed_starts_the_same(env):
    one = env()
    np.testing.assert_array_equal(one.reset(7).state, one.reset(7).state)
    assert (one.reset(7).state != one.reset(8).state).any()


def test_a_script_s_environment_runs_as_fast_as_it_goes(env):
    assert not env().in_real_time
    assert env().pace == ""
    assert env(real_time=True).in_real_time


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "Pendulum-v1", "operator": "scripted"}, "scripted operator does not know Pendulum-v1"),
        ({"task": "CartPole-v1"}, "Box of one dimension"),
        ({"task": "Pusher-v5", "obs": "pixels"}, "observes no images"),
        ({"task": "Pusher-v5", "gripper": "discrete", "action_map": "x=0"}, "gripper is discrete"),
        ({"task": "Pusher-v5", "success": "nothing:here"}, "success nothing:here"),
        ({"task": "Pusher-v5", "env_kwargs": ("frame_skip",)}, "expected KEY=VALUE"),
    ],
)
def test_an_environment_that_does_not_fit_is_refused(env, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        env(**settings)


def test_an_environment_that_does_not_fit_is_closed(env, monkeypatch):
    closed = []
    monkeypatch.setattr("gymnasium.envs.mujoco.pusher_v5.PusherEnv.close", lambda self: closed.append(self))
    with pytest.raises(ConfigurationError, match="observes no images"):
        env(task="Pusher-v5", obs="pixels")
    assert len(closed) == 1


def test_an_environment_that_never_says_success_is_refused_after_an_episode_unless_its_own_reward_is_learned(env):
    pendulum = {"task": "Pendulum-v1", "action_map": "x=0", "max_episode_steps": 2}
    dense, sparse = env(reward="dense", **pendulum), env(**pendulum)
    for one in (dense, sparse):
        one.reset(0)
        assert one.layout.state == (("observation.state", 3),)
        one.step(np.zeros(1, np.float32))
    assert dense.step(np.zeros(1, np.float32)).reward < 0
    with pytest.raises(ConfigurationError, match=r"does not say whether an episode succeeds.*--success"):
        sparse.step(np.zeros(1, np.float32))


def test_another_environment_is_filmed_by_its_own_images(small):
    config = small(task="Pendulum-v1", action_map="x=0", operator=NO_OPERATOR, demos="0")
    for filmed in (True, False):
        one = RolloutEnv(config, filmed=filmed)
        one.reset(0)
        frame = one.render()
        assert (frame is not None and frame.std() > 1) == filmed
        one.close()


class Camera(gym.Env):
    """Observes an image and nothing else."""

    observation_space = gym.spaces.Box(0, 255, (32, 32, 3), np.uint8)
    action_space = gym.spaces.Box(-2, 0, (2,))

    def reset(self, *, seed=None, options=None):
        return np.full((32, 32, 3), 7, np.uint8), {}

    def step(self, action):
        return np.full((32, 32, 3), 9, np.uint8), 0.0, False, False, {"is_success": bool((action == -1).all())}


def test_images_alone_are_enough_and_success_ends_the_episode(env):
    gym.register("Camera-v0", Camera)
    try:
        one = env(task="Camera-v0", action_map="x=0", obs="pixels", image_size=16)
    finally:
        del gym.registry["Camera-v0"]
    assert one.reset(0).images.shape == (1, 16, 16, 3)
    step = one.step(np.zeros(2, np.float32))
    assert (step.success, step.terminated, step.reward) == (True, True, 1.0)
    policy = Policy(PolicyShape(one.layout, one.actions, 16))
    assert act(policy, step.obs).shape == (2,)


def test_a_mujoco_world_is_filmed_without_a_display_if_it_has_a_camera(env, monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr("gym_hil.display.missing_display", lambda: "There is no display.")
    ant, pusher = env(task="Ant-v5", action_map="x=0"), env(task="Pusher-v5")
    ant.reset(0)
    assert ant.render().shape == (VIDEO_SIZE, VIDEO_SIZE, 3)
    pusher.reset(0)
    assert pusher.render() is None
    assert "MUJOCO_GL" in pusher.render_problem


def test_force_and_torque_of_an_environment_of_others_are_refused(env):
    with pytest.raises(ConfigurationError, match="force_torque is for tasks of gym_hil"):
        env(task="Pendulum-v1", force_torque=True)
