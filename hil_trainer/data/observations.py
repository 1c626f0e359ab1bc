"""Observations of the policy and the critics: what they consist of, and the features that the networks see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError

Part = tuple[str, int]  # name of an observation's part, and its size

# `agent_pos` of gym_hil's environments: joint positions, joint velocities, gripper command 0 to 255, TCP position.
AGENT_POS = "agent_pos"
_JOINT_POSITIONS, _JOINT_VELOCITIES, _GRIPPER, _TCP = slice(0, 7), slice(7, 14), 14, slice(15, 18)
_AGENT_POS_SIZE = 18
# A part of the state vector that repeats the joint positions of `agent_pos` where the tool turns: they say how far.
# Without it the features leave them out.
JOINT_POSITIONS_PART: Part = ("joint_positions", 7)
_ACHIEVED, _DESIRED = "observation.achieved_goal", "observation.desired_goal"  # of environments with goals
# Features that `feature_map` makes of the robot, which come first, and of each object.
ROBOT_FEATURES, OBJECT_FEATURES = 11, 6
# Factors that bring all features to about [-1, 1]: the workspace is about half a metre wide, a grasp is decided within
# about 0.1 m of an object, joints move at up to 3 rad/s.
_PER_METRE, _NEAR_PER_METRE, _PER_RADIAN_A_SECOND = 3.0, 10.0, 0.3
_PER_NEWTON, _PER_NEWTON_METRE = 0.05, 0.5
_POSE_SIZE = 7  # position and quaternion
_SMALLEST_IMAGE = 8  # height and width, pixels, that are worth a try


class Observation(NamedTuple):
    """One observation in arrays, or a batch of observations in tensors, with a leading axis."""

    state: Any  # (state,) float32, the state vector that the policy and the critics see
    privileged: Any  # (privileged,) float32, simulation state that only the critics see; may be empty
    images: Any | None  # (views, height, width, 3) uint8; None without images


@dataclass(frozen=True)
class Encoding:
    """How a frozen encoder turns images into features."""

    views: tuple[str, ...]  # cameras, in order. The features of each are a part of the layout's state, see `encoded`
    image_size: int  # height and width of the encoded images, in pixels
    source: str  # of the encoder: `imagenet`, or `package.module:function`
    sha256: str  # of its weights


class ImageEncoder(Protocol):
    """Turns images into features."""

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(views, height, width, 3) -> (views, features) float32."""


@dataclass(frozen=True)
class ObservationLayout:
    """What observations consist of."""

    state: tuple[Part, ...]  # parts of the state vector, in order. Encoded images come last
    privileged: tuple[Part, ...] = ()  # parts that only the critics see
    cameras: tuple[str, ...] = ()  # cameras whose images are observed, in order
    image_size: int = 0  # height and width of all images, in pixels
    encoding: Encoding | None = None  # of images that a frozen encoder has turned into parts of the state

    @property
    def is_foreign(self) -> bool:
        """Whether these are observations of an environment that is no task of gym_hil.

        Their parts have the names of a recorded dataset, such as `observation.state`, and their features are the parts
        themselves, normalised by what was observed.
        """
        return AGENT_POS not in dict(self.state)

    @property
    def state_size(self) -> int:
        """Size of the state vector."""
        return sum(size for _, size in self.state)

    @property
    def privileged_size(self) -> int:
        """Size of the privileged vector."""
        return sum(size for _, size in self.privileged)

    @property
    def measured(self) -> tuple[Part, ...]:
        """The parts of the state that are not encoded images."""
        made = {encoded(view) for view in self.views}
        return tuple(part for part in self.state if part[0] not in made)

    @property
    def encoded_size(self) -> int:
        """Size of the part of the state vector that is encoded images."""
        return self.state_size - sum(size for _, size in self.measured)

    @property
    def image_shape(self) -> tuple[int, int, int, int] | None:
        """(views, height, width, 3) of an observation's images; None without images."""
        return (len(self.cameras), self.image_size, self.image_size, 3) if self.cameras else None

    @property
    def views(self) -> tuple[str, ...]:
        """The cameras that are observed, as images or encoded."""
        return self.cameras if self.encoding is None else self.encoding.views

    def read(
        self,
        observation: Any,
        privileged: Mapping[str, Any] | None = None,
        encoder: ImageEncoder | None = None,
    ) -> Observation:
        """Take the parts of this layout from an environment's observation.

        Args:
            observation: as the environment returns it; a task of gym_hil has `pixels`, camera -> (height, width, 3)
                uint8, if there are cameras.
            privileged: the privileged parts.
            encoder: of the images, if the layout has an encoding.

        Raises:
            ConfigurationError: a part is missing or has another size.
        """
        parts = foreign_parts(observation) if self.is_foreign else observation
        return self.read_parts(parts, privileged, encoder)

    def read_parts(
        self,
        observation: Mapping[str, Any],
        privileged: Mapping[str, Any] | None = None,
        encoder: ImageEncoder | None = None,
    ) -> Observation:
        """Take the parts of this layout from what holds them by name, with the images in `pixels`; see `read`."""
        images = _images(observation, self.cameras, self.image_size) if self.cameras else None
        if self.encoding is not None:
            if encoder is None:
                raise ConfigurationError(f"The observation has to be read with the encoder {self.encoding.source}.")
            views = _images(observation, self.encoding.views, self.encoding.image_size)
            parts = zip(self.encoding.views, encoder.encode(views), strict=True)
            observation = {**observation, **{encoded(view): features for view, features in parts}}
        if JOINT_POSITIONS_PART in self.state and AGENT_POS in observation:
            joints = np.asarray(observation[AGENT_POS])[_JOINT_POSITIONS]
            observation = {**observation, JOINT_POSITIONS_PART[0]: joints}
        return Observation(_join(self.state, observation), _join(self.privileged, privileged or {}), images)

    def differences(self, other: ObservationLayout) -> list[str]:
        """What the policy sees of this layout and not of another one, or the other way round, in words."""
        own, its = dict(self.state), dict(other.state)
        found = [
            f"{name} has {_size(own.get(name))} instead of {_size(its.get(name))}"
            for name in sorted(own.keys() | its.keys())
            if own.get(name) != its.get(name)
        ]
        if not found and [*own] != [*its]:
            found.append(f"the order of what is observed is {', '.join(own)} instead of {', '.join(its)}")
        if self.views != other.views:
            cameras = [", ".join(views) or "none" for views in (self.views, other.views)]
            found.append(f"the cameras are {cameras[0]} instead of {cameras[1]}")
        elif self.image_size != other.image_size:
            found.append(f"the images have {self.image_size} instead of {other.image_size} pixels a side")
        return found

    def require_encoding_of(self, other: ObservationLayout) -> None:
        """Check that images are encoded as in another layout; a ConfigurationError if they are not."""
        if self.encoding != other.encoding:
            raise ConfigurationError(
                f"The images are encoded by {self.encoding} here, but by {other.encoding} in the training. Use the "
                "same encoder with the same weights."
            )


def _size(count: int | None) -> str:
    return f"{count or 0} number{'' if count == 1 else 's'}"


def encoded(view: str) -> str:
    """The name of the state's part that holds the encoded image of a view."""
    return f"encoded.{view}"


def foreign_parts(observation: Any) -> dict[str, Any]:
    """An observation of any environment, by the names of its features in a dataset, with its images in `pixels`.

    Raises:
        ConfigurationError: a part is neither a vector nor an image.
    """
    from gym_hil.datasets.features import IMAGES, observed

    parts = observed(observation)
    images = {name.removeprefix(IMAGES): parts.pop(name) for name in list(parts) if name.startswith(IMAGES)}
    return {**parts, "pixels": images}


def resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Make an image smaller by averaging.

    Args:
        image: (height, width, 3).
        size: height and width of the result, in pixels.

    Raises:
        ConfigurationError: height or width is not a multiple of the size.
    """
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    if height % size or width % size or height < size:
        divisor = math.gcd(height, width)
        sizes = [str(one) for one in range(_SMALLEST_IMAGE, divisor + 1) if divisor % one == 0]
        advice = f"Choose one of {', '.join(sizes)}." if sizes else "Scale it in a gymnasium.ObservationWrapper."
        raise ConfigurationError(
            f"An image of {height} x {width} pixels cannot be averaged to {size} x {size}, which has to divide both. "
            f"{advice}"
        )
    blocks = image.reshape(size, height // size, size, width // size, 3)
    return blocks.mean(axis=(1, 3), dtype=np.float32).round().astype(np.uint8)


def feature_map(parts: Sequence[Part]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The linear map from a state vector to features of similar size that are easy to learn from.

    Without `agent_pos`, the features are the state itself and, of an environment with goals, the differences between
    what is achieved and what is desired. Each is there twice, to be normalised in two ways; see `Features`.

    With it, objects are given relative to the tool, where small differences matter, and in the workspace; poses with
    their quaternions. Joint positions are left out, unless they are a part of their own: the tool's position and a
    posture that is held determine them.

    Args:
        parts: names and sizes.

    Returns:
        (features, state) matrix and (features,) offset, so that features = matrix @ state + offset.

    Raises:
        ConfigurationError: `agent_pos` is not gym_hil's.
    """
    starts, width = {}, 0
    for name, size in parts:
        starts[name] = width
        width += size
    sizes = dict(parts)
    if AGENT_POS not in sizes:
        return _identity(sizes, starts, width)
    if sizes[AGENT_POS] != _AGENT_POS_SIZE:
        raise ConfigurationError(
            f"The observation has {dict(parts)}; expected {AGENT_POS} of size {_AGENT_POS_SIZE}, as in gym_hil's "
            "environments."
        )
    one = np.eye(width)
    agent = one[starts[AGENT_POS] :][:_AGENT_POS_SIZE]
    tcp = agent[_TCP]
    rows: list[NDArray[np.float64]] = []
    offsets: list[NDArray[np.float64]] = []

    def add(features: NDArray[np.float64], offset: float = 0.0) -> None:
        rows.append(features)
        offsets.append(np.full(len(features), offset))

    add(tcp * _PER_METRE)
    add(agent[_JOINT_VELOCITIES] * _PER_RADIAN_A_SECOND)
    add(agent[_GRIPPER : _GRIPPER + 1] * 2 / 255, -1.0)
    for name, size in parts:
        own = one[starts[name] :][:size]
        numbers = 3 if _holds_objects((name, size)) else _POSE_SIZE  # of each object
        if name == "environment_state" and size % numbers == 0:
            for pose in own.reshape(-1, numbers, width):
                add((pose[:3] - tcp) * _NEAR_PER_METRE)
                add(pose[:3] * _PER_METRE)
                add(pose[3:])
        elif name == "gripper_closed":
            add(own * 2, -1.0)
        elif name == "force_torque":
            add(own[:3] * _PER_NEWTON)
            add(own[3:] * _PER_NEWTON_METRE)
        elif name != AGENT_POS:
            add(own)
    return np.concatenate(rows).astype(np.float32), np.concatenate(offsets).astype(np.float32)


def object_features(parts: Sequence[Part]) -> tuple[int, int]:
    """Where the objects' features are among those that `feature_map` makes of the same parts.

    Returns:
        The index of the first object's first feature, and the number of objects. They follow each other.
    """
    first = ROBOT_FEATURES
    if AGENT_POS not in dict(parts):
        return first, 0
    for name, size in parts:
        if _holds_objects((name, size)):
            return first, size // 3
        if name != AGENT_POS:
            first += size
    return first, 0


def _identity(
    sizes: Mapping[str, int], starts: Mapping[str, int], width: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    matrix = np.eye(width, dtype=np.float32)
    if sizes.get(_ACHIEVED) == sizes.get(_DESIRED) is not None:
        achieved, desired = (matrix[starts[name] :][: sizes[name]] for name in (_ACHIEVED, _DESIRED))
        matrix = np.concatenate([matrix, desired - achieved])
    matrix = np.concatenate([matrix, matrix])  # see `Features.normalise`
    return matrix, np.zeros(len(matrix), np.float32)


def _holds_objects(part: Part) -> bool:
    name, size = part
    return name == "environment_state" and size % 3 == 0


def _images(observation: Mapping[str, Any], cameras: Sequence[str], size: int) -> NDArray[np.uint8]:
    images = observation.get("pixels", {})
    missing = [camera for camera in cameras if camera not in images]
    if missing:
        raise ConfigurationError(
            f"The observation has no image of {', '.join(missing)}; expected {', '.join(cameras)}, as tasks with "
            "image_obs=True have them."
        )
    return np.stack([resize(images[camera], size) for camera in cameras])


def _join(parts: Sequence[Part], values: Mapping[str, Any]) -> NDArray[np.float32]:
    arrays = []
    for name, size in parts:
        array = np.asarray(values[name], np.float32).reshape(-1) if name in values else None
        if array is None or array.size != size:
            found = "is missing" if array is None else f"has size {array.size}"
            raise ConfigurationError(f"The observation's {name} {found}; expected size {size}.")
        arrays.append(array)
    return np.concatenate(arrays) if arrays else np.zeros(0, np.float32)
