"""The network that tells whether an observation shows success."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gym_hil.errors import ConfigurationError

IMAGE_SIZES = (32, 64, 128, 256)  # pixels; each layer halves them down to 4
_CHANNELS = (16, 32, 32, 64, 64, 64)  # of the layers, as many as it takes
_FEATURES, _STATE_FEATURES = 64, 32  # numbers that a camera and the state become
_FAR = 5.0  # standard deviations, beyond which a state counts no more
_BATCH = 256  # observations judged at once


@dataclass(frozen=True, slots=True)
class ClassifierShape:
    """What a classifier looks at.

    Attributes:
        cameras: their names, as in `pixels` of an observation.
        image_size: pixels, width and height that images are brought to; one of `IMAGE_SIZES`.
        state_size: numbers of the proprioception; 0 if it is not looked at.

    Raises:
        ConfigurationError: there is nothing to look at, or the size is another one.
    """

    cameras: tuple[str, ...]
    image_size: int = 64
    state_size: int = 0

    def __post_init__(self) -> None:
        if not self.cameras or len(set(self.cameras)) != len(self.cameras):
            raise ConfigurationError(f"cameras is {list(self.cameras)}; expected one name or more, each once.")
        if self.image_size not in IMAGE_SIZES:
            raise ConfigurationError(f"image_size is {self.image_size!r}; expected one of {IMAGE_SIZES} pixels.")
        if self.state_size < 0:
            raise ConfigurationError(f"state_size is {self.state_size!r}; expected 0 or more numbers.")


class RewardClassifier(nn.Module):
    """Gives the probability that an observation shows success.

    It consists of one network or more, each trained with other episodes left out, whose log-odds are averaged. Images
    of any size are taken; they are brought to `shape.image_size` by averaging.

    Args:
        shape: what it looks at.
        members: how many networks.
        threshold: the probability from which on an observation counts as success.
        provenance: what is known about where it comes from, such as JSON can hold.

    Raises:
        ConfigurationError: there are no members.
    """

    def __init__(
        self,
        shape: ClassifierShape,
        *,
        members: int = 1,
        threshold: float = 0.5,
        provenance: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        if members < 1:
            raise ConfigurationError(f"members is {members!r}; expected 1 or more.")
        self.shape, self.threshold = shape, threshold
        self.provenance: dict[str, Any] = dict(provenance or {})
        self.members = nn.ModuleList([SuccessNetwork(shape) for _ in range(members)])

    def forward(self, images: Tensor, states: Tensor) -> Tensor:
        """Judge observations; see `SuccessNetwork`."""
        return torch.stack([member(images, states) for member in self.members]).mean(0)

    def probabilities(
        self, images: Mapping[str, NDArray[np.uint8]], states: NDArray[np.floating[Any]] | None = None
    ) -> NDArray[np.float64]:
        """Judge observations.

        Args:
            images: camera -> (n, height, width, 3) uint8; cameras that the classifier does not know are ignored.
            states: (n, state_size) proprioception; not needed where `shape.state_size` is 0.

        Returns:
            (n,) probabilities of success.

        Raises:
            ConfigurationError: a camera or the state is missing or has another shape.
        """
        missing = [camera for camera in self.shape.cameras if camera not in images]
        if missing:
            raise ConfigurationError(
                f"The classifier looks at the cameras {', '.join(self.shape.cameras)}; there is no image of "
                f"{', '.join(missing)}."
            )
        count, size = len(images[self.shape.cameras[0]]), self.shape.state_size
        if size == 0:
            states = np.zeros((count, 0))
        if states is None or states.shape != (count, size):
            shape = None if states is None else states.shape
            raise ConfigurationError(f"The state has shape {shape}; the classifier expects {(count, size)}.")
        found = []
        for start in range(0, count, _BATCH):
            part = slice(start, start + _BATCH)
            stacked = torch.stack(
                [prepared(images[camera][part], self.shape.image_size) for camera in self.shape.cameras], dim=1
            )
            found.append(self.judge(stacked, torch.from_numpy(np.asarray(states[part], dtype=np.float32))))
        return np.concatenate(found) if found else np.zeros(0)

    def judge(self, images: Tensor, states: Tensor) -> NDArray[np.float64]:
        """Judge observations; see the function `judge`."""
        return judge(self, images, states)

    def probability(
        self, images: Mapping[str, NDArray[np.uint8]], state: NDArray[np.floating[Any]] | None = None
    ) -> float:
        """Judge one observation.

        Args:
            images: camera -> (height, width, 3) uint8.
            state: (state_size,) proprioception.

        Raises:
            ConfigurationError: a camera or the state is missing or has another shape.
        """
        batch = {camera: np.asarray(image)[None] for camera, image in images.items()}
        return float(self.probabilities(batch, None if state is None else np.asarray(state)[None])[0])

    def describe(self) -> dict[str, Any]:
        """The shape, the number of members and the threshold, as JSON has them."""
        shape = dataclasses.asdict(self.shape)
        shape |= {"cameras": list(self.shape.cameras), "members": len(self.members)}
        return {**shape, "threshold": self.threshold}


class SuccessNetwork(nn.Module):
    """Gives the log-odds that an observation shows success.

    Each camera has a small convolutional network of its own; what they see, and the proprioception, meet in two linear
    layers.

    Args:
        shape: what it looks at.

    Attributes:
        state_mean: (state_size,) of the proprioception that it was trained with.
        state_deviation: likewise.
    """

    state_mean: Tensor
    state_deviation: Tensor

    def __init__(self, shape: ClassifierShape):
        super().__init__()
        self.cameras = nn.ModuleList([_encoder(shape.image_size) for _ in shape.cameras])
        features = _FEATURES * len(shape.cameras)
        self.state: nn.Module | None = None
        if shape.state_size:
            self.state = nn.Sequential(nn.Linear(shape.state_size, _STATE_FEATURES), nn.ReLU())
            features += _STATE_FEATURES
        self.register_buffer("state_mean", torch.zeros(shape.state_size))
        self.register_buffer("state_deviation", torch.ones(shape.state_size))
        self.head = nn.Sequential(nn.Linear(features, _FEATURES), nn.ReLU(), nn.Linear(_FEATURES, 1))

    def forward(self, images: Tensor, states: Tensor) -> Tensor:
        """Judge observations.

        Args:
            images: (n, cameras, 3, size, size) in [0, 1].
            states: (n, state_size), as observed.

        Returns:
            (n,) log-odds of success.
        """
        obs = [encoder(images[:, number] - 0.5) for number, encoder in enumerate(self.cameras)]
        if self.state is not None:
            obs.append(self.state(((states - self.state_mean) / self.state_deviation).clamp(-_FAR, _FAR)))
        return self.head(torch.cat(obs, dim=1)).squeeze(1)


@torch.inference_mode()
def judge(network: nn.Module, images: Tensor, states: Tensor) -> NDArray[np.float64]:
    """Judge observations whose images are `prepared`.

    Args:
        network: a classifier, or one member.
        images: (n, cameras, 3, size, size) uint8.
        states: (n, state_size) float32.

    Returns:
        (n,) probabilities of success.
    """
    device = next(network.parameters()).device
    found = [
        network(some.to(device).float() / 255, state.to(device)).double().sigmoid().cpu()
        for some, state in zip(images.split(_BATCH), states.split(_BATCH), strict=True)
    ]
    return torch.cat(found).numpy() if len(images) else np.zeros(0)


def prepared(images: NDArray[np.uint8], size: int) -> Tensor:
    """Bring images to the size that the network sees.

    Args:
        images: (n, height, width, 3) uint8.
        size: pixels.

    Returns:
        (n, 3, size, size) uint8.

    Raises:
        ConfigurationError: these are no colour images.
    """
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise ConfigurationError(
            f"Images have shape {images.shape} and type {images.dtype}; expected (n, height, width, 3) uint8."
        )
    # A copy: decoded images are read-only, which torch does not know.
    tensor = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)
    if tensor.shape[-2:] == (size, size):
        return tensor
    # Averages what becomes one pixel, so that small things do not vanish between two samples.
    return functional.interpolate(tensor.float(), (size, size), mode="area").round().to(torch.uint8)


def _encoder(size: int) -> nn.Sequential:
    """From (n, 3, size, size) to (n, features); each layer halves the image, down to 4 by 4."""
    layers: list[nn.Module] = []
    channels = 3
    for wider in _CHANNELS[: int(math.log2(size // 4))]:
        layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1), nn.GroupNorm(1, wider), nn.ReLU()]
        channels = wider
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 16, _FEATURES), nn.ReLU())
