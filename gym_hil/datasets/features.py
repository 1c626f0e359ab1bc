"""What a frame of a recorded episode holds, as LeRobot describes it.

Names, types and shapes are those that LeRobot 0.6.1's `gym_manipulator` records, so that its own code can train from
the dataset; `next.truncated`, `next.success`, `complementary_info.is_intervention` and the observations that its
recorder leaves out are added under the names that the rest of LeRobot uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError

# Observation of the environment -> feature. Others become `observation.NAME`.
VECTORS = {
    "agent_pos": "observation.state",
    "environment_state": "observation.environment_state",
    "force_torque": "observation.force_torque",
}
STATE = "observation.state"
IMAGES = "observation.images."

_MOVES = ("delta_x", "delta_y", "delta_z")
_TURNS = ("delta_rotation_x", "delta_rotation_y", "delta_rotation_z")
# Length of an action -> names of its numbers.
_ACTION_NAMES = {
    3: [*_MOVES],
    4: [*_MOVES, "gripper"],
    6: [*_MOVES, *_TURNS],
    7: [*_MOVES, *_TURNS, "gripper"],
}


def features_of(env: gym.Env[Any, Any]) -> dict[str, dict[str, Any]]:
    """Describe what can be recorded from an environment.

    Args:
        env: its action is a vector; its observation is a vector, an image (height, width, 3) uint8, or a dict of
            these, nested as deep as it likes.

    Returns:
        Feature -> `dtype`, `shape` (a list) and `names`, as in LeRobot's `meta/info.json`. Images are videos of shape
        [3, height, width]; frames are given to the writer as (height, width, 3).

    Raises:
        ConfigurationError: the environment's spaces are of another kind.
    """
    action = env.action_space
    if not isinstance(action, gym.spaces.Box) or len(action.shape) != 1:
        raise ConfigurationError(f"The action space is {action}; only a vector of numbers can be recorded.")
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
    for names, space in _leaves(env.observation_space):
        is_image = _is_image(space)
        key = _key(names, is_image)
        if not isinstance(space, gym.spaces.Box) or not (is_image or len(space.shape) <= 1):
            raise ConfigurationError(
                f"The observation {'.'.join(names) or 'space'} is {space}; only vectors and images (height, width, 3) "
                "of uint8 can be recorded."
            )
        if key in features or "/" in key:
            raise ConfigurationError(f"The observation {'.'.join(names)} cannot be recorded as {key}; rename it.")
        if is_image:
            height, width, channels = space.shape
            names_of_shape = ["channels", "height", "width"]
            features[key] = {"dtype": "video", "shape": [channels, height, width], "names": names_of_shape}
        else:
            features[key] = _feature("float32", space.shape[0] if space.shape else 1)
    return features


def observed(observation: Any) -> dict[str, NDArray[Any]]:
    """An observation of the environment under the names of the features."""
    return {_key(names, _is_image(value)): np.asarray(value) for names, value in _leaves(observation)}


def _leaves(tree: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The parts of an observation, or of its space, each with the keys that lead to it."""
    if isinstance(tree, (dict, gym.spaces.Dict)):
        for name, part in tree.items():
            yield from _leaves(part, (*names, str(name)))
    else:
        yield names, tree


def _is_image(part: Any) -> bool:
    shape: tuple[int, ...] = getattr(part, "shape", None) or ()
    return len(shape) == 3 and shape[2] == 3 and getattr(part, "dtype", None) == np.uint8


def _key(names: tuple[str, ...], is_image: bool) -> str:
    if is_image:
        names = names[1:] if len(names) > 1 and names[0] == "pixels" else names
        return IMAGES + (".".join(names) or "front")
    name = ".".join(names)
    return VECTORS.get(name, f"observation.{name}" if name not in ("", "observation") else STATE)


def _feature(dtype: str, size: int, names: list[str] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [size], "names": names}
