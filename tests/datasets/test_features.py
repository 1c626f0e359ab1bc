import gymnasium as gym
import numpy as np
import pytest

import gym_hil  # noqa: F401  # registers the ids
from gym_hil.datasets.features import ObservationFeatures, features_of, observed
from gym_hil.envs import GymRenderingSpec
from gym_hil.errors import ConfigurationError, DatasetError

ALWAYS = [
    "action",
    "next.reward",
    "next.done",
    "next.truncated",
    "next.success",
    "complementary_info.is_intervention",
    "complementary_info.discrete_penalty",
]
Box, Dict = gym.spaces.Box, gym.spaces.Dict
VECTOR = Box(-1, 1, (5,), np.float64)
IMAGE = Box(0, 255, (16, 24, 3), np.uint8)


class AnyEnv(gym.Env):
    """An environment with any spaces."""

    def __init__(self, observation_space, action_space=None):
        self.observation_space = observation_space
        self.action_space = action_space or gym.spaces.Box(-1, 1, (2,))


def features(env_id, **kwargs):
    env = gym.make(f"gym_hil/{env_id}", **kwargs)
    result = features_of(env)
    env.close()
    return result


def test_state_only_environment_has_its_objects_and_no_images():
    expected = [*ALWAYS, "observation.state", "observation.environment_state"]
    assert sorted(features("PandaPickCube-v0")) == sorted(expected)


def test_images_are_videos_with_the_channels_first():
    result = features("PandaPickCube-v0", image_obs=True, render_spec=GymRenderingSpec(48, 64))
    images = ["observation.images.front", "observation.images.wrist"]
    assert sorted(result) == sorted([*ALWAYS, "observation.state", *images])
    assert result[images[1]] == {"dtype": "video", "shape": [3, 48, 64], "names": ["channels", "height", "width"]}


def test_types_shapes_and_names_are_those_of_lerobots_recorder():
    result = features("PandaPickCube-v0", force_torque_obs=True)
    assert result["action"] == {"dtype": "float32", "shape": [4], "names": ["delta_x", "delta_y", "delta_z", "gripper"]}
    assert result["observation.state"] == {"dtype": "float32", "shape": [18], "names": None}
    assert result["observation.force_torque"]["shape"] == [6]
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


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (VECTOR, {"observation.state": [5]}),
        (IMAGE, {"observation.images.front": [3, 16, 24]}),
        (gym.spaces.MultiBinary(4), {"observation.state": [4]}),
        (Box(0, 255, (6,), np.uint8), {"observation.state": [6]}),
        (Box(-1, 1, (4, 5)), {"observation.state": [20]}),
        (
            Dict(achieved_goal=VECTOR, observation=VECTOR, desired_goal=VECTOR),
            {"observation.achieved_goal": [5], "observation.state": [5], "observation.desired_goal": [5]},
        ),
        (
            Dict(agent_pos=VECTOR, pixels=Dict(top=IMAGE), robot=Dict(arm=Dict(speed=Box(0, 1, ())))),
            {"observation.state": [5], "observation.images.top": [3, 16, 24], "observation.robot.arm.speed": [1]},
        ),
        (Dict(agent_pos=VECTOR, observation=VECTOR), {"observation.state": [5], "observation.observation": [5]}),
        (Dict(speed=VECTOR, eye=IMAGE), {"observation.state": [5], "observation.images.eye": [3, 16, 24]}),
        (Dict(left=VECTOR, right=VECTOR), {"observation.left": [5], "observation.right": [5]}),
    ],
)
def test_vectors_and_images_are_found_wherever_they_are(space, expected):
    assert {key: value["shape"] for key, value in ObservationFeatures(space).features.items()} == expected
    sample = space.sample()
    for values in (observed(sample), ObservationFeatures(space)(sample)):
        for key, shape in expected.items():
            assert values[key].shape == ((*shape[1:], 3) if "images" in key else tuple(shape)) or shape == [1]


@pytest.mark.parametrize("shape", [(16, 24, 3), (3, 16, 24), (16, 24, 1), (1, 16, 24), (16, 24)])
def test_images_of_every_order_and_grey_ones_become_colour_images(shape):
    space = Box(0, 255, shape, np.uint8)
    image = space.sample()
    (made,) = ObservationFeatures(space)(image).values()
    channels = image[..., None] if image.ndim == 2 else image if shape[-1] < 4 else image.transpose(1, 2, 0)
    np.testing.assert_array_equal(made, np.repeat(channels, 3 // channels.shape[2], axis=2))


def test_the_state_is_the_vector_that_was_named():
    space = Dict(agent_pos=VECTOR, robot=Dict(qpos=Box(0, 1, (2,))))
    features = ObservationFeatures(space, "robot.qpos").features
    assert {key: value["shape"] for key, value in features.items()} == {
        "observation.agent_pos": [5],
        "observation.state": [2],
    }
    with pytest.raises(ConfigurationError, match=r"state_key is 'arm'; the observation has agent_pos, robot\.qpos"):
        ObservationFeatures(space, "arm")


def test_an_observation_that_is_not_what_its_space_says_is_refused():
    read = ObservationFeatures(Dict(eye=IMAGE, pose=VECTOR))
    with pytest.raises(DatasetError, match="has no pose"):
        read({"eye": IMAGE.sample()})
    with pytest.raises(DatasetError, match=r"eye has shape \(8, 8, 3\)"):
        read({"eye": np.zeros((8, 8, 3), np.uint8), "pose": VECTOR.sample()})


@pytest.mark.parametrize("image_obs", [True, False])
def test_an_observation_has_a_value_for_each_feature(image_obs):
    env = gym.make("gym_hil/PandaArrangeBoxes-v0", image_obs=image_obs, force_torque_obs=True)
    observation, _ = env.reset(seed=0)
    assert observed(observation).keys() == {key for key in features_of(env) if key not in ALWAYS}
    np.testing.assert_array_equal(observed(observation)["observation.state"], observation["agent_pos"])
    env.close()


@pytest.mark.parametrize(
    ("observation", "action", "message"),
    [
        (VECTOR, gym.spaces.Discrete(2), "The action space is Discrete"),
        (gym.spaces.Discrete(3), None, "The observation space is Discrete"),
        (Dict(pose=VECTOR, text=gym.spaces.Text(3)), None, "The observation text is Text.*TransformObservation"),
        (Dict(a=Dict(map=Box(0, 1, (70, 70)))), None, r"The observation a\.map is Box.*4900 numbers"),
        (Box(0, 255, (4, 16, 24), np.uint8), None, "1 or 3 channels.*FrameStackObservation"),
        (Dict(agent_pos=VECTOR, state=VECTOR), None, "state cannot be recorded as observation.state"),
        (Dict({"a/b": VECTOR, "state": VECTOR}), None, "a/b cannot be recorded"),
    ],
)
def test_spaces_that_cannot_be_recorded_are_refused(observation, action, message):
    with pytest.raises(ConfigurationError, match=message):
        features_of(AnyEnv(observation, action))


def test_an_observation_that_cannot_be_used_is_described_in_a_line():
    with pytest.raises(ConfigurationError, match=r"The observation eye is an array \(9, 7, 4\) of uint8; uint8 images"):
        observed({"eye": np.zeros((9, 7, 4), np.uint8)})
