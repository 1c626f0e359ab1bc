"""The networks that recognise success, or stages of a task, in an observation, and their file."""

from __future__ import annotations

import copy
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
from hil_trainer.agents.encoders import CellEncoder
from hil_trainer.agents.frozen_encoder import FrozenEncoder, cell_encoder, load_cell_encoder
from hil_trainer.agents.weights_file import as_damage, read_weights, write_weights
from hil_trainer.errors import CheckpointError

NAME = "classifier.safetensors"
STATE = "observation.state"  # feature of the proprioception
IMAGE_SIZES = (32, 64, 128, 256)  # pixels; each layer halves them down to 4
SUCCESS = "next.success"  # feature with the labels of a classifier without stages
FORMAT = 3
_KIND = "reward_classifier"
_CHANNELS = (16, 32, 32, 64, 64, 64)  # of each layer, the first ones
_FEATURES, _STATE_FEATURES = 64, 32  # of a camera and of the proprioception
_MAX_DEVIATION = 5.0  # standard deviations to which the proprioception is clipped
_BATCH = 256  # observations judged at once


@dataclass(frozen=True, slots=True)
class ClassifierShape:
    """Inputs and classes of a classifier.

    Attributes:
        cameras: their names, as in `pixels` of an observation.
        image_size: height and width to which images are resized, in pixels; one of `IMAGE_SIZES`.
        state_size: dimensions of the proprioception; 0 if it is not used.
        encoder: frozen encoder of the images, as of `load_encoder`; None for small networks that are learned.
        classes: names of the stages, in order; the last one is success.
        labels: where a dataset has the number of the stage after each frame's action: a feature, or
            `module:function`, which is called with an `Episode` and returns (frames,) numbers.

    Raises:
        ConfigurationError: a value is not possible.
    """

    cameras: tuple[str, ...]
    image_size: int = 64
    state_size: int = 0
    encoder: str | None = None
    classes: tuple[str, ...] = ("failure", "success")
    labels: str = SUCCESS

    def __post_init__(self) -> None:
        if not self.cameras or len(set(self.cameras)) != len(self.cameras):
            raise ConfigurationError(f"cameras is {list(self.cameras)}; expected one name or more, each once.")
        if self.image_size not in IMAGE_SIZES:
            raise ConfigurationError(f"image_size is {self.image_size!r}; expected one of {IMAGE_SIZES} pixels.")
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise ConfigurationError(f"classes is {list(self.classes)}; expected two names or more, each once.")
        if self.labels == SUCCESS and len(self.classes) > 2:
            raise ConfigurationError(
                f"classes is {list(self.classes)}, but labels is {SUCCESS}, which has two values; name a feature with "
                "the number of the stage, or module:function."
            )


class RewardClassifier(nn.Module):
    """Predicts the probability that an observation shows success, or each of several stages.

    An ensemble of networks, each trained with other episodes left out, whose logits are averaged. Images of any size
    are resized.

    Args:
        shape: its inputs.
        members: number of networks.
        threshold: probability from which on an observation counts as success.
        provenance: where it comes from, as JSON can hold it.

    Raises:
        ConfigurationError: there is no such encoder, or its features have no height and width.
        MissingExtraError: the encoder comes as an extra that is not installed.
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
        self.frozen: FrozenEncoder | None = None
        if (source := cell_encoder(shape.encoder)) is not None:
            self.frozen = load_cell_encoder(source, shape.image_size)
        encoded = None if self.frozen is None else self.frozen.shape
        self.members = nn.ModuleList([StageNetwork(shape, encoded) for _ in range(members)])

    def forward(self, views: Tensor, states: Tensor) -> Tensor:
        """Mean logits of the members; arguments as of `StageNetwork.forward`."""
        return torch.stack([member(views, states) for member in self.members]).mean(0)

    def views(self, images: Tensor) -> Tensor:
        """What the networks see of images that are `prepared`.

        Args:
            images: (n, cameras, 3, size, size) uint8.

        Returns:
            The images, or the frozen encoder's features, (n, cameras, channels, height, width) float16.
        """
        if self.frozen is None:
            return images
        encoded = self.frozen.encode(images.flatten(0, 1).permute(0, 2, 3, 1).cpu().numpy())
        return torch.from_numpy(encoded).half().view(*images.shape[:2], *self.frozen.shape)

    def stage_of(self, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
        """(n,) the stages that (n, classes) count as: success from the threshold on, else the likeliest other one."""
        success = probabilities[:, -1] >= self.threshold
        return np.where(success, len(self.shape.classes) - 1, probabilities[:, :-1].argmax(1))

    def probabilities(
        self, images: Mapping[str, NDArray[np.uint8]], state: NDArray[np.floating[Any]] | None = None
    ) -> NDArray[np.float64]:
        """Judge one observation.

        Args:
            images: camera -> (height, width, 3) uint8; other cameras than the classifier's are ignored.
            state: (state_size,) proprioception; unused where `shape.state_size` is 0.

        Returns:
            (classes,) the probability of each stage.

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
        return judge(self, self.views(torch.stack(prepared_images)[None]), prepared_state[None])[0]

    def probability(
        self, images: Mapping[str, NDArray[np.uint8]], state: NDArray[np.floating[Any]] | None = None
    ) -> float:
        """The probability that one observation shows success; arguments as of `probabilities`."""
        return float(self.probabilities(images, state)[-1])


class StageNetwork(nn.Module):
    """Predicts the logits of the stages that an observation may show.

    Each camera has a small network; their features and the proprioception go through two linear layers.

    Args:
        shape: inputs and classes.
        encoded: (channels, height, width) of the frozen encoder's features; None without one.
    """

    state_mean: Tensor
    state_deviation: Tensor

    def __init__(self, shape: ClassifierShape, encoded: tuple[int, ...] | None = None):
        super().__init__()
        cameras = len(shape.cameras)
        self.encoder = _ImageEncoder(cameras, shape.image_size) if encoded is None else CellEncoder(cameras, encoded)
        features = self.encoder.size
        self.state: nn.Module | None = None
        if shape.state_size:
            self.state = nn.Sequential(nn.Linear(shape.state_size, _STATE_FEATURES), nn.ReLU())
            features += _STATE_FEATURES
        self.register_buffer("state_mean", torch.zeros(shape.state_size))
        self.register_buffer("state_deviation", torch.ones(shape.state_size))
        self.head = nn.Sequential(nn.Linear(features, _FEATURES), nn.ReLU(), nn.Linear(_FEATURES, len(shape.classes)))

    def forward(self, views: Tensor, states: Tensor) -> Tensor:
        """Judge observations.

        Args:
            views: (n, cameras, 3, size, size) images in [0, 1], or (n, cameras, channels, height, width) features.
            states: (n, state_size) proprioception, as observed.

        Returns:
            (n, classes) logits.
        """
        features = [self.encoder(views)]
        if self.state is not None:
            normalised = (states - self.state_mean) / self.state_deviation
            features.append(self.state(normalised.clamp(-_MAX_DEVIATION, _MAX_DEVIATION)))
        return self.head(torch.cat(features, dim=1))


class _ImageEncoder(nn.Module):
    """A small convolutional network for each camera."""

    def __init__(self, cameras: int, size: int):
        super().__init__()
        self.cameras = nn.ModuleList([_convolutions(size) for _ in range(cameras)])
        self.size = _FEATURES * cameras

    def forward(self, images: Tensor) -> Tensor:
        """(n, cameras, 3, size, size) in [0, 1] -> (n, features)."""
        return torch.cat([network(images[:, number] - 0.5) for number, network in enumerate(self.cameras)], 1)


@torch.inference_mode()
def judge(network: nn.Module, views: Tensor, states: Tensor) -> NDArray[np.float64]:
    """Judge observations.

    Args:
        network: a classifier, or one member.
        views: from `RewardClassifier.views`.
        states: (n, state_size) float32.

    Returns:
        (n, classes) probabilities.
    """
    device = next(network.parameters()).device
    scale = 1.0 if views.is_floating_point() else 255.0
    found = [
        network(some.to(device).float() / scale, state.to(device)).double().softmax(1).cpu()
        for some, state in zip(views.split(_BATCH), states.split(_BATCH), strict=True)
    ]
    return torch.cat(found).numpy()


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
        "encoder_sha256": None if classifier.frozen is None else classifier.frozen.sha256,
        "provenance": classifier.provenance,
    }
    return write_weights(expand_path(folder) / NAME, classifier.state_dict(), description, kind=_KIND)


def load_classifier(
    classifier: RewardClassifier | str | PathLike[str],
    *,
    threshold: float | None = None,
    device: str | torch.device = "cpu",
) -> RewardClassifier:
    """Read a classifier. Needs torch and safetensors, but no simulation.

    Args:
        classifier: the folder that `hil-trainer classifier train` wrote, or a file in it. A classifier stays as it is.
        threshold: probability from which on an observation counts as success; None for the classifier's own.
        device: to compute on.

    Raises:
        CheckpointError: there is none, it is damaged, has another format, or its frozen encoder has other weights now.
        ConfigurationError: the threshold is out of range.
        MissingExtraError: safetensors, or the extra of the frozen encoder, is not installed.
    """
    loaded = classifier if isinstance(classifier, RewardClassifier) else _read_classifier(classifier).to(device)
    if threshold is None:
        return loaded
    if not 0 < threshold <= 1:
        raise ConfigurationError(f"threshold is {threshold!r}; expected a probability, more than 0 and at most 1.")
    changed = copy.copy(loaded)
    changed.threshold = float(threshold)
    return changed


def _read_classifier(folder: str | PathLike[str]) -> RewardClassifier:
    file = expand_path(folder)
    file = (file.parent if file.suffix in (".json", ".safetensors") else file) / NAME
    if not file.is_file():
        raise CheckpointError(f"There is no classifier at {file}. Train one with hil-trainer classifier train.")
    weights, description = read_weights(file, kind=_KIND)
    if description.get("format") != FORMAT:
        raise CheckpointError(f"{file} has format {description.get('format')}, not {FORMAT}. Train it again.")
    with as_damage(file):
        shape = dict(description["shape"])
        loaded = RewardClassifier(
            ClassifierShape(**{**shape, **{name: tuple(shape[name]) for name in ("cameras", "classes")}}),
            members=description["members"],
            threshold=float(description["threshold"]),
            provenance=description["provenance"],
        )
        if loaded.frozen is not None and loaded.frozen.sha256 != description["encoder_sha256"]:
            raise CheckpointError(f"The encoder {loaded.shape.encoder} has other weights than when {file} was trained.")
        loaded.load_state_dict(weights)
    return loaded.eval().requires_grad_(False)


def stage_reward(stage: int, reached: int, classes: int) -> float:
    """The reward of a stage: 1.0 for success; before it, the same part of 1.0 for each stage that was not reached yet.

    Args:
        stage: that is reached now.
        reached: the highest one before, in the episode.
        classes: number of stages.
    """
    return 1.0 if stage == classes - 1 else max(stage - reached, 0) / (classes - 1)


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


def _convolutions(size: int) -> nn.Sequential:
    """From (n, 3, size, size) to (n, features); each layer halves the image, down to 4 by 4."""
    layers: list[nn.Module] = []
    channels = 3
    for wider in _CHANNELS[: int(math.log2(size // 4))]:
        layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1), nn.GroupNorm(1, wider), nn.ReLU()]
        channels = wider
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 16, _FEATURES), nn.ReLU())
