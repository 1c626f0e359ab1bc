"""Training of a classifier on recorded episodes."""

from __future__ import annotations

import copy
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.errors import ConfigurationError
from hil_trainer.agents.weights_file import versions
from hil_trainer.errors import DivergenceError
from hil_trainer.reward_classifier.evaluation import write_report
from hil_trainer.reward_classifier.examples import (
    Examples,
    just_before_success,
    open_datasets,
    read_examples,
    shape_for,
    split_by_episode,
)
from hil_trainer.reward_classifier.model import RewardClassifier, SuccessNetwork, judge, save_classifier
from hil_trainer.reward_classifier.scores import Scores, calibrate, score

SHIFT = 1 / 32  # maximum shift in augmentation, as a share of the image's width


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """Settings of a classifier's training.

    Attributes:
        epochs: maximum number of passes over all frames.
        patience: epochs without a lower validation loss after which training stops.
        batch_size: number of frames in a batch.
        learning_rate: learning rate of AdamW.
        brightness: maximum change of brightness in augmentation, as a share.
        state_dropout: share of the frames whose proprioception is withheld, so that the images are used.
        validation_share: share of the episodes that choose the threshold, and of the others that each network leaves
            out for validation; at most 0.5.
        members: number of networks; if not given, as many as leave each episode out once.
        precision: precision that the threshold reaches, on episodes that no network was trained on.
        cameras: cameras to use; if not given, all.
        image_size: height and width to which images are resized, in pixels: 32, 64, 128 or 256.
        state: use the proprioception.
        seed: seed of all random numbers; on one thread, the same seed gives the same classifier.
        device: device to train on, such as cpu or cuda.

    Raises:
        ConfigurationError: a value is out of range.
    """

    epochs: int = 40
    patience: int = 8
    batch_size: int = 64
    learning_rate: float = 1e-3
    brightness: float = 0.2
    state_dropout: float = 0.3
    validation_share: float = 0.2
    members: int | None = None
    precision: float = 0.99
    cameras: tuple[str, ...] | None = None
    image_size: int = 64
    state: bool = True
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)!r}; expected 1 or more.")
        for name in ("brightness", "state_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)!r}; expected 0 or more and less than 1.")
        for name, maximum in (("validation_share", 0.5), ("precision", 1)):
            if not 0 < getattr(self, name) <= maximum:
                raise ConfigurationError(
                    f"{name} is {getattr(self, name)!r}; expected more than 0 and at most {maximum}."
                )
        if self.members is not None and self.members < 1:
            raise ConfigurationError(f"members is {self.members!r}; expected 1 or more.")
        if not self.learning_rate > 0:
            raise ConfigurationError(f"learning_rate is {self.learning_rate!r}; expected more than 0.")
        if self.seed < 0:
            raise ConfigurationError(f"seed is {self.seed!r}; expected 0 or more.")


@dataclass(frozen=True, slots=True)
class TrainedClassifier:
    """Result of a training.

    Attributes:
        classifier: with its threshold.
        scores: on the episodes that chose the threshold; no network was trained on them.
        precise: whether the threshold reaches the precision there.
        epochs: of each member.
        seconds: of training, without reading the datasets.
    """

    classifier: RewardClassifier
    scores: Scores
    precise: bool
    epochs: tuple[int, ...]
    seconds: float


def train_classifier(
    paths: Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    settings: TrainingSettings | None = None,
    *,
    log: Callable[[str], None] = lambda line: None,
) -> TrainedClassifier:
    """Train a classifier on datasets, and write it with a report.

    Some episodes are held out to choose the threshold of the whole ensemble. Each member leaves out a fold of the
    others, which decides when its training stops. A frame just before success does not count for the threshold:
    calling it a success is one step early.

    Args:
        paths: of datasets with images, recorded with `steps_after_success`.
        out: folder for the classifier and the report.
        settings: None for the defaults.
        log: called with a line of text after each member.

    Raises:
        CheckpointError: the folder cannot be written to.
        ConfigurationError: the settings do not fit the datasets.
        DatasetError: a dataset cannot be read.
        DemonstrationsError: there are too few episodes.
        DivergenceError: the loss is not finite.
    """
    settings = settings or TrainingSettings()
    _check_device(settings.device)
    datasets = open_datasets(paths)
    shape = shape_for(datasets, cameras=settings.cameras, image_size=settings.image_size, state=settings.state)
    examples = read_examples(datasets, shape)
    held_out, folds = split_by_episode(examples.success, examples.episodes, settings.validation_share, settings.seed)
    folds = folds[: settings.members]
    log(f"{_count(examples)}; cameras: {', '.join(shape.cameras)}")

    start = time.monotonic()
    # Random numbers elsewhere in the process stay as they are.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        classifier = RewardClassifier(shape, members=len(folds)).to(settings.device)
        epochs = []
        for number, (member, fold) in enumerate(zip(classifier.members, folds, strict=True)):
            training = examples.of_episodes(np.setdiff1d(examples.episodes, [*held_out, *fold]).tolist())
            member_settings = replace(settings, seed=settings.seed + number)
            epoch, loss = fit(cast(SuccessNetwork, member), training, examples.of_episodes(fold), member_settings)
            epochs.append(epoch)
            log(f"network {number + 1} of {len(folds)}: validation loss {loss:.4f} after epoch {epoch}")
    seconds = time.monotonic() - start
    classifier.eval().requires_grad_(False)

    unseen = examples.of_episodes(held_out)
    probabilities = classifier.judge(unseen.images, unseen.states)
    counted = ~just_before_success(unseen)
    classifier.threshold, precise = calibrate(probabilities[counted], unseen.success[counted], settings.precision)
    scores = score(probabilities, unseen.success, classifier.threshold)
    classifier.provenance = {
        "datasets": [_describe(dataset) for dataset in datasets],
        "frames": len(examples),
        "frames_of_success": int(examples.success.sum()),
        "held_out": {"episodes": held_out, **scores.as_json(), "reaches_precision": precise},
        "folds": folds,
        "settings": asdict(settings),
        "epochs": epochs,
        "versions": {"python": platform.python_version(), **versions()},
    }
    save_classifier(classifier, out)
    facts = {
        "judged": "episodes that no network was trained on; they also chose the threshold",
        "datasets": ", ".join(str(dataset.path) for dataset in datasets),
        "content": _count(examples),
        "training": f"{len(folds)} networks in {seconds:.0f} s, for {', '.join(map(str, epochs))} epochs",
        "precision wanted": f"{settings.precision:g}, {'reached' if precise else '**not reached**'}",
    }
    write_report(out, unseen, probabilities, scores, shape.cameras, facts)
    return TrainedClassifier(classifier, scores, precise, tuple(epochs), seconds)


def fit(
    network: SuccessNetwork, training: Examples, validation: Examples, settings: TrainingSettings
) -> tuple[int, float]:
    """Train until the validation loss stops falling; the network gets the weights of its best epoch.

    Success and its absence have the same weight in the loss, whatever their numbers of frames.

    Args:
        network: new.
        training: examples to train on.
        validation: examples to validate with.
        settings: see `TrainingSettings`.

    Returns:
        The best epoch, from 1, and its validation loss.

    Raises:
        DivergenceError: the loss is not finite.
    """
    device = torch.device(settings.device)
    network.state_mean.copy_(training.states.mean(0))
    # torch has no deviation of an empty axis.
    network.state_deviation.copy_(torch.from_numpy(training.states.numpy().std(0)).clamp_min(1e-3))
    generator = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)
    labels, weights = _labels(training.success), _weights(training.success)
    shift = max(1, round(SHIFT * settings.image_size))
    best, best_loss, best_weights = 0, np.inf, copy.deepcopy(network.state_dict())
    for epoch in range(1, settings.epochs + 1):
        network.train()
        for rows in torch.randperm(len(training), generator=generator).split(settings.batch_size):
            images = augmented(
                training.images[rows].to(device), shift=shift, brightness=settings.brightness, generator=generator
            )
            states = training.states[rows].to(device)
            withheld = torch.rand((len(rows), 1), generator=generator).to(device) < settings.state_dropout
            # Replaced by the mean, which carries no information.
            logits = network(images, torch.where(withheld, network.state_mean, states))
            loss = _loss(logits, labels[rows].to(device), weights[rows].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        network.eval()
        current = validation_loss(network, validation)
        if not np.isfinite(current):
            raise DivergenceError(
                f"The loss is {current} after epoch {epoch}; try a learning rate below {settings.learning_rate:g}."
            )
        if current < best_loss:
            best, best_loss, best_weights = epoch, current, copy.deepcopy(network.state_dict())
        elif epoch - best >= settings.patience:
            break
    network.load_state_dict(best_weights)
    return best, best_loss


def augmented(images: Tensor, *, shift: int, brightness: float, generator: torch.Generator) -> Tensor:
    """Shift and brighten each image at random, so that single pixels are not learned.

    A shift repeats the border, as in DrQ (Yarats, Kostrikov, Fergus, 2020).

    Args:
        images: (n, cameras, 3, height, width) uint8.
        shift: maximum in each direction, in pixels.
        brightness: maximum share by which values are scaled; they are also moved by up to half of it.
        generator: of random numbers, on the CPU.

    Returns:
        The same shape, float32 in [0, 1].
    """
    n, cameras, _, height, width = images.shape
    flat = images.flatten(0, 1)
    count = n * cameras
    down, right = (torch.randint(-shift, shift + 1, (2, count, 1), generator=generator)).to(flat.device)
    rows = (torch.arange(height, device=flat.device) + down).clamp(0, height - 1)
    columns = (torch.arange(width, device=flat.device) + right).clamp(0, width - 1)
    number = torch.arange(count, device=flat.device)[:, None, None]
    moved = flat.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    scale, offset = (torch.rand((2, count, 1, 1, 1), generator=generator) * 2 - 1).to(flat.device)
    lit = moved.float() / 255 * (1 + brightness * scale) + brightness / 2 * offset
    return lit.clamp(0, 1).view_as(images)


def validation_loss(network: SuccessNetwork, examples: Examples) -> float:
    """The balanced loss, without augmentation."""
    probabilities = torch.from_numpy(judge(network, examples.images, examples.states))
    labels, weights = _labels(examples.success), _weights(examples.success)
    return _loss(torch.logit(probabilities, eps=1e-7), labels.double(), weights.double()).item()


def _loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(logits, labels, weight=weights)


def _labels(success: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(success.astype(np.float32))


def _weights(success: NDArray[np.bool_]) -> Tensor:
    """Weight of each frame: both kinds have the same sum, and the mean is 1."""
    positives, count = int(success.sum()), len(success)
    weights = np.where(success, count / (2 * positives), count / (2 * (count - positives)))
    return torch.from_numpy(weights.astype(np.float32))


def _check_device(name: str) -> None:
    try:
        torch.zeros(1, device=name)
    # torch without CUDA raises an AssertionError.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(f"device is {name!r}, which cannot be used here: {reason}. Try cpu.") from error


def _count(examples: Examples) -> str:
    episodes = len(np.unique(examples.episodes))
    return f"{episodes} episodes, {len(examples)} frames, {int(examples.success.sum())} of them success"


def _describe(dataset: EpisodeDataset) -> dict[str, Any]:
    return {
        "path": str(dataset.path),
        "repo_id": dataset.metadata.get("repo_id"),
        "env_id": dataset.metadata.get("env_id"),
        "renderer": dataset.metadata.get("renderer"),
        "episodes": len(dataset),
        "frames": dataset.total_frames,
        "fps": dataset.fps,
    }
