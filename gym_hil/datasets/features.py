"""What a frame of a recorded episode holds, as LeRobot describes it.

Names, types and shapes are those that LeRobot 0.6.1's `gym_manipulator` records, so that its own code can train from
the dataset; `next.truncated`, `next.success`, `complementary_info.is_intervention` and the observations that its
recorder leaves out are added under the names that the rest of LeRobot uses.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError

# Observation of the environment -> feature.
VECTORS = {
    "agent_pos": "observation.state",
    "environment_state": "observation.environment_state",
    "force_torque": "observation.force_torque",
}
IMAGES = "observation.images."

_MOVES = ("delta_x", "delta_y", "delta_z")
_TURNS = ("delta_rotation_x", "delta_rotation_y", "delta_rotation_z")
# Length of an action -> what its numbers mean.
_ACTION_NAMES = {
    3: [*_MOVES],
    4: [*_MOVES, "gripper"],
    6: [*_MOVES, *_TURNS],
    7: [*_MOVES, *_TURNS, "gripper"],
}


def features_of(env: gym.Env[Any, Any]) -> dict[str, dict[str, Any]]:
    """Describe what can be recorded from an environment.

    Args:
        env: wrapped or not; its observation is a dict with `agent_pos`, its action a vector.

    Returns:
        Feature -> `dtype`, `shape` (a list) and `names`, as in LeRobot's `meta/info.json`. Images are videos of shape
        [3, height, width]; frames are given to the writer as (height, width, 3).

    Raises:
        ConfigurationError: the environment's spaces are of another kind.
    """
    action, observation = env.action_space, env.observation_space
    if not isinstance(action, gym.spaces.Box) or len(action.shape) != 1:
        raise ConfigurationError(f"The action space is {action}; only a vector of numbers can be recorded.")
    if not isinstance(observation, gym.spaces.Dict) or "agent_pos" not in observation.spaces:
        raise ConfigurationError(f"The observation space is {observation}; expected a dict with 'agent_pos'.")
    size = action.shape[0]
    features = {
        "action": _feature("float32", size, _ACTION_NAMES.get(size)),
        "next.reward": _feature("float32", 1),
        "next.done": _feature("bool", 1),
        "next.truncated": _feature("bool", 1),
        "next.success": _feature("bool", 1),
        "complementary_info.is_intervention": _feature("bool", 1, ["is_intervention"]),
        "complementary_info.discrete_penalty": _feature("float32", 1, ["discrete_penalty"]),
    }
    for name, feature in VECTORS.items():
        if name in observation.spaces:
            features[feature] = _feature("float32", observation[name].shape[0])  # type: ignore[index]
    pixels = observation.spaces.get("pixels")
    cameras = pixels.spaces if isinstance(pixels, gym.spaces.Dict) else {}
    for camera, space in cameras.items():
        height, width, channels = space.shape or (0, 0, 0)
        features[IMAGES + camera] = {
            "dtype": "video",
            "shape": [channels, height, width],
            "names": ["channels", "height", "width"],
        }
    return features


def observed(observation: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """An observation of the environment under the names of the features."""
    frame = {feature: observation[name] for name, feature in VECTORS.items() if name in observation}
    for camera, image in observation.get("pixels", {}).items():
        frame[IMAGES + camera] = np.asarray(image)
    return frame


def _feature(dtype: str, size: int, names: list[str] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [size], "names": names}
