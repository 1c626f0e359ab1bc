"""The networks that recognise success in an observation, and their file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gym_hil.datasets.images import resize
from gym_hil.errors import ConfigurationError
from gym_hil.files import expand_path
from hil_trainer.agents.weights_file import as_damage, read_weights, write_weights
from hil_trainer.errors import CheckpointError

NAME = "classifier.safetensors"
STATE = "observation.state"  # feature of the proprioception
IMAGE_SIZES = (32, 64, 128, 256)  # pixels; each layer halves them down to 4
FORMAT = 2
_KIND = "reward_classifier"
_CHANNELS = (16, 32, 32, 64, 64, 64)  # of each layer, the first ones
_FEATURES, _STATE_FEATURES = 64, 32  # of a camera and of the proprioception
_MAX_DEVIATION = 5.0  # standard deviations to which the proprioception is clipped
_BATCH = 256  # observations judged at once


@dataclass(frozen=True, slots=True)
class ClassifierShape:
    """Inputs of a classifier.

    Attributes:
        cameras: their names, as in `pixels` of an observation.
        image_size: height and width to which images are resized, in pixels; one of `IMAGE_SIZES`.
        state_size: dimensions of the proprioception; 0 if it is not used.

    Raises:
        ConfigurationError: there are no cameras, or the image size is not possible.
    """

    cameras: tuple[str, ...]
    image_size: int = 64
    state_size: int = 0

    def __post_init__(self) -> None:
        if not self.cameras or len(set(self.cameras)) != len(self.cameras):
            raise ConfigurationError(f"cameras is {list(self.cameras)}; expected one name or more, each once.")
        if self.image_size not in IMAGE_SIZES:
            raise ConfigurationError(f"image_size is {self.image_size!r}; expected one of {IMAGE_SIZES} pixels.")


class RewardClassifier(nn.Module):
    """Predicts the probability that an observation shows success.

    An ensemble of networks, each trained with other episodes left out, whose log-odds are averaged. Images of any size
    are resized.

    Args:
        shape: its inputs.
        members: number of networks.
        threshold: probability from which on an observation counts as success.
        provenance: where it comes from, as JSON can hold it.
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
        self.shape, self.threshold = shape, threshold
        self.provenance: dict[str, Any] = dict(provenance or {})
        self.members = nn.ModuleList([SuccessNetwork(shape) for _ in range(members)])

    def forward(self, images: Tensor, states: Tensor) -> Tensor:
        """Mean log-odds of the members; arguments as of `SuccessNetwork.forward`."""
        return torch.stack([member(images, states) for member in self.members]).mean(0)

    def probability(
        self, images: Mapping[str, NDArray[np.uint8]], state: NDArray[np.floating[Any]] | None = None
    ) -> float:
        """Judge one observation.

        Args:
            images: camera -> (height, width, 3) uint8; other cameras than the classifier's are ignored.
            state: (state_size,) proprioception; unused where `shape.state_size` is 0.

        Raises:
            ConfigurationError: a camera or the state is missing or has another shape.
        """
        missing = [camera for camera in self.shape.cameras if camera not in images]
        if missing:
            raise ConfigurationError(
                f"The classifier needs images of {', '.join(self.shape.cameras)}; {', '.join(missing)} is missing. The "
                f"cameras are {', '.join(images) or 'none'}."
            )
        expected = (self.shape.state_size,)
        numbers: Any = np.zeros(0) if expected == (0,) else state
        if np.shape(numbers) != expected:
            raise ConfigurationError(
                f"The proprioception has shape {np.shape(numbers)}; the classifier expects {expected}."
            )
        prepared_images = [prepared(images[camera], self.shape.image_size) for camera in self.shape.cameras]
        prepared_state = torch.from_numpy(np.array(numbers, dtype=np.float32))
        return float(judge(self, torch.stack(prepared_images)[None], prepared_state[None])[0])


class SuccessNetwork(nn.Module):
    """Predicts the log-odds that an observation shows success.

    Each camera has a small convolutional network; their features and the proprioception go through two linear layers.
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
            states: (n, state_size) proprioception, as observed.

        Returns:
            (n,) log-odds of success.
        """
        features = [encoder(images[:, number] - 0.5) for number, encoder in enumerate(self.cameras)]
        if self.state is not None:
            normalised = (states - self.state_mean) / self.state_deviation
            features.append(self.state(normalised.clamp(-_MAX_DEVIATION, _MAX_DEVIATION)))
        return self.head(torch.cat(features, dim=1)).squeeze(1)


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


def save_classifier(classifier: RewardClassifier, folder: str | PathLike[str]) -> Path:
    """Write `classifier.safetensors` and, for people to read, `classifier.json`; existing files are replaced.

    Raises:
        CheckpointError: the folder cannot be written to.
        MissingExtraError: safetensors is not installed.
    """
    description = {
        "format": FORMAT,
        "shape": asdict(classifier.shape),
        "members": len(classifier.members),
        "threshold": classifier.threshold,
        "provenance": classifier.provenance,
    }
    return write_weights(expand_path(folder) / NAME, classifier.state_dict(), description, kind=_KIND)


def load_classifier(
    classifier: RewardClassifier | str | PathLike[str], *, device: str | torch.device = "cpu"
) -> RewardClassifier:
    """Read a classifier. Needs torch and safetensors, but no simulation.

    Args:
        classifier: the folder that `hil-trainer classifier train` wrote, or a file in it. A classifier is returned as
            it is.
        device: to compute on.

    Raises:
        CheckpointError: there is none, it is damaged, or it has another format.
        MissingExtraError: safetensors is not installed.
    """
    if isinstance(classifier, RewardClassifier):
        return classifier
    file = expand_path(classifier)
    file = (file.parent if file.suffix in (".json", ".safetensors") else file) / NAME
    if not file.is_file():
        raise CheckpointError(f"There is no classifier at {file}. Train one with hil-trainer classifier train.")
    weights, description = read_weights(file, kind=_KIND)
    if description.get("format") != FORMAT:
        raise CheckpointError(f"{file} has format {description.get('format')}, not {FORMAT}. Train it again.")
    with as_damage(file):
        shape = dict(description["shape"])
        loaded = RewardClassifier(
            ClassifierShape(**{**shape, "cameras": tuple(shape["cameras"])}),
            members=description["members"],
            threshold=float(description["threshold"]),
            provenance=description["provenance"],
        )
        loaded.load_state_dict(weights)
    return loaded.to(device).eval().requires_grad_(False)


def checked_threshold(classifier: RewardClassifier, threshold: float | None) -> float:
    """The probability from which on a frame counts as success; None gives the classifier's own.

    Raises:
        ConfigurationError: it is out of range.
    """
    if threshold is None:
        return classifier.threshold
    if not 0 < threshold <= 1:
        raise ConfigurationError(f"threshold is {threshold!r}; expected a probability, more than 0 and at most 1.")
    return float(threshold)


def prepared(image: NDArray[np.uint8], size: int) -> Tensor:
    """Resize an image for the network.

    Args:
        image: (height, width, 3) uint8.
        size: pixels a side.

    Returns:
        (3, size, size) uint8.

    Raises:
        ConfigurationError: it is no colour image.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise ConfigurationError(
            f"An image has shape {image.shape} and type {image.dtype}; expected (height, width, 3) uint8."
        )
    return torch.from_numpy(np.array(resize(image, size, size))).permute(2, 0, 1)


def _encoder(size: int) -> nn.Sequential:
    """From (n, 3, size, size) to (n, features); each layer halves the image, down to 4 by 4."""
    layers: list[nn.Module] = []
    channels = 3
    for wider in _CHANNELS[: int(math.log2(size // 4))]:
        layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1), nn.GroupNorm(1, wider), nn.ReLU()]
        channels = wider
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 16, _FEATURES), nn.ReLU())
