"""One control step: actions are checked and clipped, observations are exact and of the state they come with."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gym_hil.envs import PandaArrangeBoxesGymEnv, PandaPickCubeGymEnv
from gym_hil.envs.panda_env import ACTION_LIMIT
from gym_hil.errors import ConfigurationError, InvalidActionError

TASKS = [PandaPickCubeGymEnv, PandaArrangeBoxesGymEnv]
MEASURED = {PandaPickCubeGymEnv: "facts", PandaArrangeBoxesGymEnv: "arrange_boxes"}


@pytest.mark.parametrize("task", TASKS)
def test_first_observation_is_as_measured(task, request):
    measured = request.getfixturevalue(MEASURED[task])
    observation = task().reset()[0]
    assert observation["agent_pos"] == pytest.approx(measured["agent_pos_at_reset"], abs=1e-6)


def test_home_pose_is_within_a_fifth_of_a_millimetre(facts):
    env = PandaPickCubeGymEnv()
    env.reset()
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, env.data.site("tcp").xmat)
    assert np.linalg.norm(env.tcp_position - facts["tcp_pos_home"]) < 2e-4
    assert 2 * np.degrees(np.arccos(min(1.0, abs(quat @ facts["tcp_quat_home_wxyz"])))) < 0.1


def test_free_motion_follows_upstreams(free_motion):
    env = PandaPickCubeGymEnv()
    env.reset(options={"cube_xy": (0.3, 0.15)})
    tcp = [
        env.step([0.025 * x, 0.025 * y, 0.025 * z, 0, 0, 0, gripper - 1])[0]["agent_pos"][15:]
        for x, y, z, gripper in free_motion["5"]["actions"]
    ]
    error = np.linalg.norm(np.array(tcp) - free_motion["5"]["tcp"], axis=1)
    assert np.sqrt((error**2).mean()) < 8e-3


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, 7, elements=st.floats(-(2.0**100), 2.0**100, width=32)), st.sampled_from(TASKS))
def test_finite_actions_are_clipped_and_observations_stay_in_their_space(action, task):
    env = ENVS[task]
    start = env.tcp_target
    observation, reward, _, truncated, info = env.step(action)
    assert (np.abs(env.tcp_target - start) <= ACTION_LIMIT[:3] + 1e-6).all()
    assert env.observation_space.contains(observation)
    assert isinstance(reward, float)
    assert truncated is False
    assert type(info["succeed"]) is bool


ENVS = {task: task() for task in TASKS}
for _env in ENVS.values():
    _env.reset(seed=0)


@pytest.mark.parametrize(
    "action",
    [np.full(7, np.nan), [0, 0, 0, np.inf, 0, 0, 0], np.zeros(6), np.zeros((1, 7)), 0.5, "left", [None] * 7, None],
)
def test_bad_action_is_refused_and_moves_nothing(action):
    env = PandaPickCubeGymEnv()
    env.reset(seed=0)
    env.step(np.full(7, 0.01))
    before = env.get_state()
    with pytest.raises(InvalidActionError, match="action"):
        env.step(action)
    assert np.array_equal(env.get_state().physics, before.physics)
    env.step(np.zeros(7))


def test_observation_is_of_the_state_it_comes_with():
    env = PandaPickCubeGymEnv(force_torque_obs=True)
    env.reset()
    for _ in range(5):
        observation = env.step([0.02, -0.02, 0.02, 0.1, 0.1, 0.1, 0.2])[0]
        mujoco.mj_forward(env.model, env.data)
        assert np.array_equal(observation["agent_pos"][15:], np.float32(env.data.site("tcp").xpos))
        assert np.array_equal(observation["environment_state"], np.float32(env.data.body("cube").xpos))
        assert np.array_equal(observation["force_torque"][:3], np.float32(env.data.sensor("wrist_force").data))


def test_force_torque_feels_the_grippers_weight_and_the_table():
    env = PandaPickCubeGymEnv(force_torque_obs=True)
    resting = env.reset(options={"cube_xy": (0.3, 0.15)})[0]["force_torque"]
    weight = 9.81 * 1.0526
    assert resting[:3] == pytest.approx([0, 0, -weight], abs=0.1)
    for _ in range(20):
        pressing = env.step([0, 0, -0.02, 0, 0, 0, 1])[0]["force_torque"]
    assert pressing[2] > resting[2] + 5


def test_observations_that_were_returned_do_not_change_later():
    env = PandaPickCubeGymEnv(image_obs=True)
    observation = env.reset()[0]
    kept = [observation["agent_pos"].copy(), observation["pixels"]["front"].copy()]
    for _ in range(3):
        env.step([0.05, 0.05, 0.05, 0, 0, 0, 1])
    assert np.array_equal(observation["agent_pos"], kept[0])
    assert np.array_equal(observation["pixels"]["front"], kept[1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("home_position", home) for home in ((0,) * 6, (9, 0, 0, -2, 0, 2, 0), "home")),
        *(
            ("cartesian_bounds", bounds)
            for bounds in (((0.6, 0, 0), (0.2, 1, 1)), ((0, 0), (1, 1)), ((0, 0, np.nan), (1, 1, 1)))
        ),
    ],
)
def test_home_position_and_workspace_that_cannot_be_are_refused(name, value):
    with pytest.raises((ConfigurationError, ValueError), match=name.partition("_")[0]):
        PandaPickCubeGymEnv(**{name: value})


def test_home_position_and_bounds_are_taken_and_unknown_reset_options_named():
    home = (0.1, 0.2, 0.0, -2.3, 0.0, 2.5, 0.7)
    env = PandaPickCubeGymEnv(home_position=home, cartesian_bounds=((0.3, -0.1, 0.05), (0.5, 0.1, 0.2)))
    assert env.reset()[0]["agent_pos"][:7] == pytest.approx(home)
    for _ in range(5):
        env.step([0.1, 0.1, -0.1, 0, 0, 0, 0])
    assert env.tcp_target == pytest.approx([0.5, 0.1, 0.05])
    with pytest.raises(ConfigurationError, match="cube_yx"):
        env.reset(options={"cube_yx": (0.4, 0)})
    # LeRobot takes an environment that has this attribute for a real robot.
    assert not hasattr(env, "get_raw_joint_positions")


def test_observing_force_and_torque_does_not_change_the_episode():
    moves = np.random.default_rng(0).uniform(-0.02, 0.02, (30, 7))
    moves[:, 2] -= 0.015  # down, onto the cube and the table
    ends = []
    for force_torque_obs in (False, True):
        env = PandaPickCubeGymEnv(force_torque_obs=force_torque_obs)
        env.reset(seed=0)
        for move in moves:
            env.step(move)
        ends.append(env.get_state().physics)
    np.testing.assert_array_equal(*ends)
