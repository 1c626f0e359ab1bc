"""What a frame of a recorded episode holds, as LeRobot describes it.

Names, types and shapes are those that LeRobot 0.6.1's `gym_manipulator` records, so that its own code can train from
the dataset; `next.truncated`, `next.success`, `complementary_info.is_intervention` and the observations that its
recorder leaves out are added under the names that the rest of LeRobot uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError, DatasetError

# Observation of the environment -> feature. Others become `observation.NAME`.
VECTORS = {
    "agent_pos": "observation.state",
    "environment_state": "observation.environment_state",
    "force_torque": "observation.force_torque",
}
STATE = "observation.state"
IMAGES = "observation.images."
# The first of these that the observation has is `observation.state`; "" is an observation that is a vector itself.
STATE_KEYS = ("", "agent_pos", "observation", "state", "proprio", "robot_state", "qpos")
_NO_STATE = ("environment_state", "force_torque", "achieved_goal", "desired_goal")
# Of info; the first that is there is the environment's success, where no operator's wrapper says `next.success`.
SUCCESS_KEYS = ("next.success", "succeed", "is_success", "success")
FLAT_SIZE = 4096  # numbers: arrays of two and more dimensions are recorded flat up to here

_MOVES = ("delta_x", "delta_y", "delta_z")
_TURNS = ("delta_rotation_x", "delta_rotation_y", "delta_rotation_z")
# Length of an action of the Panda -> names of its numbers.
_ACTION_NAMES = {
    3: [*_MOVES],
    4: [*_MOVES, "gripper"],
    6: [*_MOVES, *_TURNS],
    7: [*_MOVES, *_TURNS, "gripper"],
}


def features_of(env: gym.Env[Any, Any], state_key: str | None = None) -> dict[str, dict[str, Any]]:
    """What can be recorded from an environment: feature -> `dtype`, `shape` (a list) and `names`, as LeRobot has them.

    Raises:
        ConfigurationError: the action is no vector, or the observation cannot be recorded, see `ObservationFeatures`.
    """
    from gym_hil.envs import FrankaGymEnv  # takes long, and most who import this module need a name only

    action = env.action_space
    if not isinstance(action, gym.spaces.Box) or len(action.shape) != 1:
        raise ConfigurationError(f"The action space is {action}; only a vector of numbers can be recorded.")
    size = action.shape[0]
    names = _ACTION_NAMES.get(size) if isinstance(env.unwrapped, FrankaGymEnv) else None
    observations = ObservationFeatures(env.observation_space, state_key).features
    if STATE not in observations and (others := [key for key in observations if not key.startswith(IMAGES)]):
        gym.logger.warn(
            f"No vector is recorded as {STATE}; say which one with state_key. There are {', '.join(others)}."
        )
    return {
        "action": _feature("float32", size, names),
        "next.reward": _feature("float32", 1),
        "next.done": _feature("bool", 1),
        "next.truncated": _feature("bool", 1),
        "next.success": _feature("bool", 1),
        "complementary_info.is_intervention": _feature("bool", 1, ["is_intervention"]),
        "complementary_info.discrete_penalty": _feature("float32", 1, ["discrete_penalty"]),
        **observations,
    }


class _Part(NamedTuple):
    names: tuple[str, ...]  # the keys that lead to it in the observation
    shape: tuple[int, ...]
    is_image: bool


class ObservationFeatures:
    """The features that an observation is recorded as.

    A part of it becomes

    - a video, if it is uint8 of the shape (height, width, 3), (height, width, 1), (3, height, width),
      (1, height, width) or (height, width); grey ones get three equal channels;
    - else a vector of float32; arrays of two and more dimensions of any type but uint8 are recorded flat.

    Args:
        space: a `Box`, a `MultiBinary`, or a `Dict` of these, nested as deep as it likes; or an observation.
        state_key: the vector that becomes `observation.state`, its keys joined by dots; None for the first of
            `STATE_KEYS` that there is, or the only vector besides goals, `environment_state` and `force_torque`.

    Attributes:
        features: feature -> `dtype`, `shape` and `names`; videos have the shape [3, height, width].

    Raises:
        ConfigurationError: a part cannot be recorded, two have the same name, or there is no such `state_key`.
    """

    def __init__(self, space: Any, state_key: str | None = None):
        self.features: dict[str, dict[str, Any]] = {}
        self._parts: dict[str, _Part] = {}
        parts = [_part(names, leaf) for names, leaf in _leaves(space)]
        vectors = [".".join(part.names) for part in parts if not part.is_image]
        state = _state(vectors, state_key)
        for part in parts:
            name = ".".join(part.names)
            key = STATE if name == state and not part.is_image else _key(part)
            if key in self.features or "/" in key:
                advice = f"rename it, or say which is {STATE} with state_key" if key == STATE else "rename it"
                raise ConfigurationError(f"The observation {name} cannot be recorded as {key}; {advice}.")
            self._parts[key] = part
            if part.is_image:
                first = 0 if len(part.shape) == 2 or part.shape[2] in (1, 3) else 1  # else the channels are
                shape = [3, *part.shape[first : first + 2]]
                self.features[key] = {"dtype": "video", "shape": shape, "names": ["channels", "height", "width"]}
            else:
                self.features[key] = _feature("float32", int(np.prod(part.shape)))

    def __call__(self, observation: Any) -> dict[str, NDArray[Any]]:
        """An observation under the names of the features, copied; a DatasetError if it is not what its space says."""
        return {key: self._value(observation, part) for key, part in self._parts.items()}

    @staticmethod
    def _value(observation: Any, part: _Part) -> NDArray[Any]:
        try:
            for name in part.names:
                observation = observation[name]
        except (LookupError, TypeError):
            raise DatasetError(f"The observation has no {'.'.join(part.names)}, though its space has one.") from None
        value = np.array(observation)  # some environments return the same array again and again
        if not part.is_image:
            return value.reshape(-1) if value.ndim > 1 else value
        if value.shape != part.shape:
            raise DatasetError(
                f"The observation {'.'.join(part.names)} has shape {value.shape}; its space says {part.shape}."
            )
        if value.ndim == 2:
            value = value[..., None]
        elif value.shape[2] not in (1, 3):
            value = np.moveaxis(value, 0, 2)
        return np.broadcast_to(value, (*value.shape[:2], 3))


def observed(observation: Any) -> dict[str, NDArray[Any]]:
    """An observation of any environment under the names of the features."""
    return ObservationFeatures(observation)(observation)


def succeeded(info: Mapping[str, Any]) -> bool:
    """Whether a step's info reports success."""
    return bool(next((info[key] for key in SUCCESS_KEYS if key in info), False))


def _leaves(tree: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The parts of an observation, or of its space, each with the keys that lead to it."""
    if isinstance(tree, (dict, gym.spaces.Dict)):
        for name, part in tree.items():
            yield from _leaves(part, (*names, name))
    else:
        yield names, tree


def _part(names: tuple[str, ...], leaf: Any) -> _Part:
    part = leaf if isinstance(leaf, gym.Space) else np.asarray(leaf)

    def refused(why: str) -> ConfigurationError:
        what = f"an array {part.shape} of {part.dtype}" if isinstance(part, np.ndarray) else part
        return ConfigurationError(f"The observation {'.'.join(map(str, names)) or 'space'} is {what}; {why}")

    if isinstance(leaf, gym.Space) and not isinstance(leaf, (gym.spaces.Box, gym.spaces.MultiBinary)):
        raise refused(
            "only a Box, a MultiBinary, and a Dict of these can be recorded. Make one of it with "
            "gymnasium.wrappers.TransformObservation, or leave it out with FilterObservation."
        )
    if not all(isinstance(name, str) for name in names):
        raise refused("its key has to be text.")
    shape = tuple(part.shape or ())
    is_image = part.dtype == np.uint8 and len(shape) >= 2
    if is_image and not (len(shape) == 2 or (len(shape) == 3 and {shape[0], shape[2]} & {1, 3})):
        raise refused(
            "uint8 images have 1 or 3 channels, last or first. Record below a wrapper that stacks frames: "
            "FrameStackObservation(RecordEpisodes(env, ...), ...)."
        )
    if not is_image and len(shape) > 1 and np.prod(shape) > FLAT_SIZE:
        raise refused(
            f"an array of {np.prod(shape)} numbers. Images are uint8 in [0, 255]; other arrays can be recorded up to "
            f"{FLAT_SIZE} numbers."
        )
    return _Part(names, shape, is_image)


def _state(vectors: list[str], state_key: str | None) -> str | None:
    """The vector that becomes `observation.state`."""
    if state_key is not None:
        if state_key not in vectors:
            known = ", ".join(filter(None, vectors)) or "no name for its vector" if vectors else "no vectors"
            raise ConfigurationError(f"state_key is {state_key!r}; the observation has {known}.")
        return state_key
    others = [name for name in vectors if name not in _NO_STATE]
    return next((name for name in STATE_KEYS if name in vectors), others[0] if len(others) == 1 else None)


def _key(part: _Part) -> str:
    names = part.names
    if part.is_image:
        names = names[1:] if len(names) > 1 and names[0] == "pixels" else names
        return IMAGES + (".".join(names) or "front")
    name = ".".join(names)
    # Another vector than `agent_pos` may be the state.
    return f"observation.{name}" if VECTORS.get(name, STATE) == STATE else VECTORS[name]


def _feature(dtype: str, size: int, names: list[str] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [size], "names": names}
