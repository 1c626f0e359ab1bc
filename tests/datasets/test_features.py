import gymnasium as gym
import numpy as np
import pytest

import gym_hil  # noqa: F401  # registers the ids
from gym_hil.datasets.features import features_of, observed
from gym_hil.envs import GymRenderingSpec
from gym_hil.errors import ConfigurationError

ALWAYS = [
    "action",
    "next.reward",
    "next.done",
    "next.truncated",
    "next.success",
    "complementary_info.is_intervention",
    "complementary_info.discrete_penalty",
    "observation.state",
]


def features(env_id, **kwargs):
    env = gym.make(f"gym_hil/{env_id}", **kwargs)
    result = features_of(env)
    env.close()
    return result


def test_state_only_environment_has_its_objects_and_no_images():
    assert list(features("PandaPickCube-v0")) == [*ALWAYS, "observation.environment_state"]


def test_images_are_videos_with_the_channels_first():
    result = features("PandaPickCube-v0", image_obs=True, render_spec=GymRenderingSpec(48, 64))
    assert list(result) == [*ALWAYS, "observation.images.front", "observation.images.wrist"]
    assert result["observation.images.wrist"] == {
        "dtype": "video",
        "shape": [3, 48, 64],
        "names": ["channels", "height", "width"],
    }


def test_types_shapes_and_names_are_those_of_lerobots_recorder():
    result = features("PandaPickCube-v0")
    assert result["action"] == {"dtype": "float32", "shape": [4], "names": ["delta_x", "delta_y", "delta_z", "gripper"]}
    assert result["observation.state"] == {"dtype": "float32", "shape": [18], "names": None}
    assert result["next.reward"] == {"dtype": "float32", "shape": [1], "names": None}
    assert result["next.done"] == {"dtype": "bool", "shape": [1], "names": None}
    penalty = result["complementary_info.discrete_penalty"]
    assert penalty == {"dtype": "float32", "shape": [1], "names": ["discrete_penalty"]}


@pytest.mark.parametrize(
    ("env_id", "kwargs", "size"),
    [
        ("PandaPickCube-v0", {"use_gripper": False}, 3),
        ("PandaPickCube-v0", {"orientation": True}, 7),
        ("PandaPickCubeBase-v0", {}, 7),
    ],
)
def test_each_number_of_an_action_has_a_name(env_id, kwargs, size):
    action = features(env_id, **kwargs)["action"]
    assert action["shape"] == [size]
    assert len(set(action["names"])) == size


def test_forces_are_recorded_when_they_are_observed():
    assert features("PandaPickCube-v0", force_torque_obs=True)["observation.force_torque"]["shape"] == [6]


@pytest.mark.parametrize("image_obs", [True, False])
def test_an_observation_has_a_value_for_each_feature(image_obs):
    env = gym.make("gym_hil/PandaArrangeBoxes-v0", image_obs=image_obs, force_torque_obs=True)
    observation, _ = env.reset(seed=0)
    expected = {key: value for key, value in features_of(env).items() if key.startswith("observation.")}
    values = observed(observation)
    assert values.keys() == expected.keys()
    for key, value in values.items():
        shape = expected[key]["shape"]
        assert value.shape == ((*shape[1:], 3) if expected[key]["dtype"] == "video" else tuple(shape))
    np.testing.assert_array_equal(values["observation.state"], observation["agent_pos"])
    env.close()


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_environment_of_another_kind_is_refused(env_id):
    env = gym.make(env_id)
    with pytest.raises(ConfigurationError, match="space is"):
        features_of(env)
    env.close()
