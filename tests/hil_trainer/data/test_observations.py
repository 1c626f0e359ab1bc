"""What is taken from an environment's observation, and what the networks are given of it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gym_hil.errors import ConfigurationError
from hil_trainer.config import NO_OPERATOR, EnvConfig
from hil_trainer.config.defaults import defaults
from hil_trainer.data.observations import ObservationLayout, feature_map, foreign_parts, object_features, resize
from hil_trainer.rollout.env import RolloutEnv
from tests.hil_trainer.made_up import ASYMMETRIC, HIDDEN, PIXELS, STATE


@pytest.mark.parametrize("task", ["PandaPickCube-v1", "PandaArrangeBoxes-v1"])
def test_features_are_what_they_are_said_to_be(task):
    env = RolloutEnv(dataclasses.replace(defaults(task, "state"), demos="0"), operator=NO_OPERATOR)
    obs = env.reset(3)
    for _ in range(5):
        obs = env.step(np.array([0.5, -0.5, 0.2, -1.0], np.float32)).obs
    state = dict(zip((name for name, _ in env.layout.state), _split(obs.state, env.layout.state), strict=True))
    env.close()
    agent, objects = state.pop("agent_pos"), state.pop("environment_state").reshape(-1, 3)
    assert not state
    velocities, gripper, tcp = agent[7:14], agent[14], agent[15:18]
    expected = [3 * tcp, 0.3 * velocities, [gripper / 255 * 2 - 1]]
    for position in objects:
        expected += [10 * (position - tcp), 3 * position]
    matrix, offset = feature_map(env.layout.state)
    assert np.abs(matrix @ obs.state + offset).max() < 10
    np.testing.assert_allclose(matrix @ obs.state + offset, np.concatenate(expected), atol=1e-5)


def _split(state, parts):
    return np.split(state, np.cumsum([size for _, size in parts])[:-1])


def test_what_only_the_simulation_knows_comes_behind():
    alone, _ = feature_map(HIDDEN.state)
    matrix, offset = feature_map([*HIDDEN.state, *HIDDEN.privileged])
    np.testing.assert_array_equal(matrix[: len(alone), : alone.shape[1]], alone)
    assert not matrix[: len(alone), alone.shape[1] :].any()
    closed = np.zeros(22, np.float32)
    assert (matrix @ closed + offset)[-1] == -1
    closed[-1] = 1
    assert (matrix @ closed + offset)[-1] == 1


def test_forces_and_what_is_not_known_are_features_too():
    matrix, offset = feature_map([("agent_pos", 18), ("force_torque", 6), ("colour", 2)])
    state = np.zeros(26, np.float32)
    state[18:] = [20, 0, 0, 2, 0, 0, 0.25, 0.5]
    np.testing.assert_allclose((matrix @ state + offset)[-8:], [1, 0, 0, 1, 0, 0, 0.25, 0.5])


def test_where_the_tool_turns_its_joints_and_the_poses_of_objects_are_features():
    config = dataclasses.replace(
        defaults("PandaInsertPeg-v0", "state"),
        env=EnvConfig(task="PandaInsertPeg-v0", force_torque=True),
        demos="0",
    )
    env = RolloutEnv(config, operator=NO_OPERATOR)
    obs = env.reset(3)
    state = dict(zip((name for name, _ in env.layout.state), _split(obs.state, env.layout.state), strict=True))
    matrix, offset = feature_map(env.layout.measured)
    features = matrix @ obs.state + offset
    env.close()
    tcp, (peg, socket) = state["agent_pos"][15:18], state["environment_state"].reshape(2, 7)
    np.testing.assert_array_equal(state["joint_positions"], state["agent_pos"][:7])
    expected = [10 * (peg[:3] - tcp), 3 * peg[:3], peg[3:], 10 * (socket[:3] - tcp), 3 * socket[:3], socket[3:]]
    force, torque = state["force_torque"].reshape(2, 3)
    expected = np.concatenate([*expected, 0.05 * force, 0.5 * torque, state["joint_positions"]])
    np.testing.assert_allclose(features[-len(expected) :], expected, atol=1e-5)
    assert env.actions == 7


def test_objects_are_found_among_the_features():
    parts = [("agent_pos", 18), ("force_torque", 6), ("environment_state", 6), ("colour", 2)]
    matrix, offset = feature_map(parts)
    first, count = object_features(parts)
    assert (first, count) == (17, 2)
    state = np.zeros(32, np.float32)
    state[24:30] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    obs = (matrix @ state + offset)[first : first + 6 * count]
    np.testing.assert_allclose(obs, [1, 2, 3, 0.3, 0.6, 0.9, 4, 5, 6, 1.2, 1.5, 1.8], rtol=1e-5)
    assert object_features([("agent_pos", 18)])[1] == 0


def test_a_task_with_another_robot_is_refused():
    with pytest.raises(ConfigurationError, match="expected agent_pos of size 18"):
        feature_map([("agent_pos", 14)])


def test_features_of_other_environments_are_their_vectors_and_what_is_missing_to_the_goal():
    space = {"desired_goal": np.array([1.0, 2.0]), "robot": {"q": np.arange(3)}, "achieved_goal": np.array([0.5, 4.0])}
    parts = foreign_parts(space)
    assert parts.pop("pixels") == {}
    layout = ObservationLayout(tuple((name, value.size) for name, value in parts.items()))
    matrix, offset = feature_map(layout.state)
    np.testing.assert_array_equal(matrix @ layout.read(space).state + offset, [1, 2, 0, 1, 2, 0.5, 4, 0.5, -2] * 2)


@pytest.mark.parametrize(
    ("shape", "advice"), [((48, 64), "Choose one of 8, 16"), ((37, 51), "Scale it in a gymnasium.ObservationWrapper")]
)
def test_an_image_that_cannot_be_averaged_says_which_sizes_can(shape, advice):
    with pytest.raises(ConfigurationError, match=advice):
        resize(np.zeros((*shape, 3), np.uint8), 32)


def test_the_state_is_read_in_the_layout_s_order():
    observation = {"environment_state": np.arange(3.0), "agent_pos": np.arange(18.0) + 100, "more": np.zeros(2)}
    obs = STATE.read(observation)
    np.testing.assert_array_equal(obs.state, [*range(100, 118), 0, 1, 2])
    assert obs.state.dtype == np.float32
    assert obs.privileged.size == 0
    assert obs.images is None


def test_views_are_read_in_the_layout_s_order_and_made_smaller():
    front, wrist = np.full((32, 32, 3), 10, np.uint8), np.full((16, 16, 3), 20, np.uint8)
    obs = PIXELS.read({"agent_pos": np.zeros(18), "pixels": {"wrist": wrist, "front": front}})
    assert obs.images.shape == PIXELS.image_shape == (2, 16, 16, 3)
    assert obs.images.mean(axis=(1, 2, 3)).tolist() == [10, 20]


@pytest.mark.parametrize(
    ("layout", "observation", "hidden", "message"),
    [
        (STATE, {"agent_pos": np.zeros(18)}, None, "environment_state is missing"),
        (STATE, {"agent_pos": np.zeros(17), "environment_state": np.zeros(3)}, None, "agent_pos has size 17"),
        (HIDDEN, {"agent_pos": np.zeros(18)}, {"environment_state": np.zeros(3)}, "gripper_closed is missing"),
        (PIXELS, {"agent_pos": np.zeros(18)}, None, "no image of front, wrist"),
        (PIXELS, {"pixels": {"front": np.zeros((16, 16, 3), np.uint8)}}, None, "no image of wrist"),
    ],
)
def test_what_is_missing_is_named(layout, observation, hidden, message):
    with pytest.raises(ConfigurationError, match=message):
        layout.read(observation, hidden)


@given(arrays.arrays(np.uint8, st.sampled_from([(8, 8, 3), (16, 8, 3), (24, 16, 3)])))
def test_a_smaller_image_is_the_mean_of_what_it_shows(image):
    small = resize(image, 4)
    tall, wide = image.shape[0] // 4, image.shape[1] // 4
    for row in range(4):
        for column in range(4):
            block = image[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
            assert np.abs(small[row, column] - block.reshape(-1, 3).mean(0)).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("shape", [(8, 9, 3), (3, 8, 3), (2, 2, 3)])
def test_a_image_that_cannot_be_made_smaller_evenly_is_refused(shape):
    with pytest.raises(ConfigurationError, match=f"{shape[0]} x {shape[1]} pixels"):
        resize(np.zeros(shape, np.uint8), 4)


def test_sizes_add_up():
    assert (ASYMMETRIC.state_size, ASYMMETRIC.privileged_size) == (18, 4)
    assert ObservationLayout(()).image_shape is None
