"""What a policy and a critic see of an environment, and how its numbers are brought to similar sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError

Part = tuple[str, int]  # name of an observation, and how many numbers it has

# `agent_pos` of gym_hil's environments: joint positions, joint velocities, gripper command 0 to 255, TCP position.
AGENT_POS = "agent_pos"
_JOINT_VELOCITIES, _GRIPPER, _TCP = slice(7, 14), 14, slice(15, 18)
_AGENT_POS_SIZE = 18
# What `feature_map` makes of the agent, which comes first, and of each thing.
AGENT_FEATURES, THING_FEATURES = 11, 6
# Factors that bring everything to about [-1, 1]: the workspace is about half a metre wide, what happens between
# fingers and a thing within about 0.1 m, joints move at up to 3 rad/s.
_PER_METRE, _NEAR_PER_METRE, _PER_RADIAN_A_SECOND, _PER_NEWTON = 3.0, 10.0, 0.3, 0.05


class Observation(NamedTuple):
    """One observation, as it is stored and sent.

    Attributes:
        numbers: (n,) float32, for the policy and the critic.
        privileged: (m,) float32, for the critic only: what only a simulation knows. May be empty.
        images: (views, height, width, 3) uint8, or None.
    """

    numbers: NDArray[np.float32]
    privileged: NDArray[np.float32]
    images: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Encoding:
    """How views become numbers where a frozen encoder sees them.

    Attributes:
        views: in order. The numbers of each are a part of the layout, see `encoded`.
        image_size: height and width in pixels of the images that are encoded.
        source: of the encoder: a file, or `package.module:function`.
        sha256: of its weights.
    """

    views: tuple[str, ...]
    image_size: int
    source: str
    sha256: str


class ViewEncoder(Protocol):
    """Turns views into numbers."""

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(views, height, width, 3) -> (views, numbers) float32."""


@dataclass(frozen=True)
class ObservationLayout:
    """What observations consist of.

    Attributes:
        numbers: the parts that the policy sees, in order. What is encoded comes last.
        privileged: the parts that only the critic sees.
        cameras: the views, in order.
        image_size: height and width in pixels, of all views.
        encoding: of views that are no images any more, but parts of `numbers`.
    """

    numbers: tuple[Part, ...]
    privileged: tuple[Part, ...] = ()
    cameras: tuple[str, ...] = ()
    image_size: int = 0
    encoding: Encoding | None = None

    @property
    def numbers_size(self) -> int:
        """How many numbers the policy sees."""
        return sum(size for _, size in self.numbers)

    @property
    def measured(self) -> tuple[Part, ...]:
        """The parts of `numbers` that are no encoded views."""
        made = {encoded(view) for view in self.views}
        return tuple(part for part in self.numbers if part[0] not in made)

    @property
    def encoded_size(self) -> int:
        """How many of the numbers are encoded views."""
        return self.numbers_size - sum(size for _, size in self.measured)

    @property
    def privileged_size(self) -> int:
        """How many more the critic sees."""
        return sum(size for _, size in self.privileged)

    @property
    def image_shape(self) -> tuple[int, int, int, int] | None:
        """Of the views together: (views, height, width, 3); None without cameras."""
        return (len(self.cameras), self.image_size, self.image_size, 3) if self.cameras else None

    @property
    def views(self) -> tuple[str, ...]:
        """Of which cameras observations have images, whether they are encoded or not."""
        return self.cameras if self.encoding is None else self.encoding.views

    def read(
        self,
        observation: Mapping[str, Any],
        hidden: Mapping[str, Any] | None = None,
        encoder: ViewEncoder | None = None,
    ) -> Observation:
        """Take from an environment's observation what belongs to this layout.

        Args:
            observation: with `pixels`, camera -> (height, width, 3) uint8, if there are views.
            hidden: the privileged parts.
            encoder: of the views, where they are encoded.

        Raises:
            ConfigurationError: a part is missing or has another size.
        """
        images = _images(observation, self.cameras, self.image_size) if self.cameras else None
        if self.encoding is not None:
            if encoder is None:
                raise ConfigurationError(f"The observation is to be read with the encoder {self.encoding.source}.")
            views = _images(observation, self.encoding.views, self.encoding.image_size)
            parts = zip(self.encoding.views, encoder.encode(views), strict=True)
            observation = {**observation, **{encoded(view): numbers for view, numbers in parts}}
        return Observation(_join(self.numbers, observation), _join(self.privileged, hidden or {}), images)

    def require_encoding_of(self, other: ObservationLayout) -> None:
        """See that views become the same numbers as in another layout.

        Raises:
            ConfigurationError: they do not.
        """
        if self.encoding != other.encoding:
            raise ConfigurationError(
                f"The encoder of the views is {self.encoding}, but that of the training is {other.encoding}. Both have "
                "to be the same, with the same weights."
            )


def encoded(view: str) -> str:
    """The name of the part that holds what an encoder makes of a view."""
    return f"encoded.{view}"


def resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Bring an image to a size by averaging.

    Args:
        image: (height, width, 3).
        size: pixels a side.

    Raises:
        ConfigurationError: the image's sides are no multiples of the size.
    """
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    if height % size or width % size or height < size:
        raise ConfigurationError(
            f"An image of {height} x {width} pixels cannot be averaged to {size} x {size}; choose a size that both "
            "sides are multiples of."
        )
    blocks = image.reshape(size, height // size, size, width // size, 3)
    return blocks.mean(axis=(1, 3), dtype=np.float32).round().astype(np.uint8)


def feature_map(parts: Sequence[Part]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The linear map from an observation's numbers to features of similar size that make learning easy.

    Positions of things are obs from the tool, where small differences matter, and in the workspace. Joint positions
    are left out: with the tool's position and a posture that is held they say nothing new.

    Args:
        parts: names and sizes. `agent_pos` has to be there, as gym_hil's environments give it.

    Returns:
        (features, numbers) matrix and (features,) offset, so that features = matrix @ numbers + offset.

    Raises:
        ConfigurationError: `agent_pos` is missing or is not gym_hil's.
    """
    starts, width = {}, 0
    for name, size in parts:
        starts[name] = width
        width += size
    sizes = dict(parts)
    if sizes.get(AGENT_POS) != _AGENT_POS_SIZE:
        raise ConfigurationError(
            f"The observation has {dict(parts)}; expected {AGENT_POS} with {_AGENT_POS_SIZE} numbers, as gym_hil's "
            "environments have it."
        )
    one = np.eye(width)
    agent = one[starts[AGENT_POS] :][:_AGENT_POS_SIZE]
    tcp = agent[_TCP]
    rows = [tcp * _PER_METRE, agent[_JOINT_VELOCITIES] * _PER_RADIAN_A_SECOND, agent[_GRIPPER : _GRIPPER + 1] * 2 / 255]
    offsets = [np.zeros(3), np.zeros(7), -np.ones(1)]
    for name, size in parts:
        own = one[starts[name] :][:size]
        if _holds_things((name, size)):
            for thing in own.reshape(-1, 3, width):
                rows += [(thing - tcp) * _NEAR_PER_METRE, thing * _PER_METRE]
                offsets += [np.zeros(6)]
        elif name == "gripper_closed":
            rows.append(own * 2)
            offsets.append(-np.ones(size))
        elif name == "force_torque":
            rows.append(own * _PER_NEWTON)
            offsets.append(np.zeros(size))
        elif name != AGENT_POS:
            rows.append(own)
            offsets.append(np.zeros(size))
    return np.concatenate(rows).astype(np.float32), np.concatenate(offsets).astype(np.float32)


def _images(observation: Mapping[str, Any], cameras: Sequence[str], size: int) -> NDArray[np.uint8]:
    images = observation.get("pixels", {})
    missing = [camera for camera in cameras if camera not in images]
    if missing:
        raise ConfigurationError(
            f"The observation has no image of {', '.join(missing)}; expected {', '.join(cameras)}, as environments "
            "with image_obs=True have them."
        )
    return np.stack([resize(images[camera], size) for camera in cameras])


def things_of(parts: Sequence[Part]) -> tuple[int, int]:
    """Where things are among the features of `feature_map`.

    Args:
        parts: see `feature_map`.

    Returns:
        The first feature of the first thing, and how many things there are. They come one after the other.
    """
    first = AGENT_FEATURES
    for name, size in parts:
        if _holds_things((name, size)):
            return first, size // 3
        if name != AGENT_POS:
            first += size
    return first, 0


def _holds_things(part: Part) -> bool:
    name, size = part
    return name == "environment_state" and size % 3 == 0


def _join(parts: Sequence[Part], values: Mapping[str, Any]) -> NDArray[np.float32]:
    arrays = []
    for name, size in parts:
        array = np.asarray(values[name], np.float32).reshape(-1) if name in values else None
        if array is None or array.size != size:
            found = "is missing" if array is None else f"has {array.size} numbers"
            raise ConfigurationError(f"The observation's {name} {found}; expected {size} numbers.")
        arrays.append(array)
    return np.concatenate(arrays) if arrays else np.zeros(0, np.float32)
