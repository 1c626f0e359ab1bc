"""Trains a classifier on recorded episodes, and writes it down with a report."""

from __future__ import annotations

import copy
import importlib.metadata
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gym_hil.datasets.episode_dataset import EpisodeDataset
from hil_trainer.classifier.augmentation import augmented
from hil_trainer.classifier.examples import Examples, open_datasets, read_examples, shape_for, split_by_episode
from hil_trainer.classifier.model import RewardClassifier
from hil_trainer.classifier.report import write_report
from hil_trainer.classifier.scores import Scores, calibrate, score
from hil_trainer.classifier.storage import save_classifier
from hil_trainer.errors import ConfigurationError, DivergenceError

SHIFT = 1 / 32  # of a picture's width, at most, each way
_PACKAGES = ("gym-hil", "numpy", "torch", "safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How a classifier is trained.

    Attributes:
        epochs: how often all frames are seen, at most.
        patience: epochs without a lower validation loss after which training stops.
        batch_size: frames.
        learning_rate: of AdamW.
        brightness: share by which pictures are lit otherwise.
        state_dropout: share of the frames whose proprioception is withheld, so that the pictures are looked at.
        validation_share: of the episodes.
        precision: that the threshold is chosen for.
        cameras: to look at; None for all.
        image_size: pixels.
        state: look at the proprioception.
        seed: of chance.
        device: where to train, such as "cpu" or "cuda".

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
        for name in ("validation_share", "precision"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)!r}; expected more than 0 and at most 1.")
        if not self.learning_rate > 0:
            raise ConfigurationError(f"learning_rate is {self.learning_rate!r}; expected more than 0.")
        if self.seed < 0:
            raise ConfigurationError(f"seed is {self.seed!r}; expected 0 or more.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What training brought.

    Attributes:
        classifier: the one of the best epoch, with its threshold.
        scores: on the validation episodes, which the epoch and the threshold were chosen by.
        precise: whether the threshold reaches the wanted precision there.
        epoch: the best one, from 1.
        losses: validation loss of each epoch.
        seconds: that training took, reading not counted.
    """

    classifier: RewardClassifier
    scores: Scores
    precise: bool
    epoch: int
    losses: tuple[float, ...]
    seconds: float


def train_classifier(
    paths: Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    settings: TrainingSettings | None = None,
    *,
    tell: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Train a classifier on datasets.

    On one thread, the same settings and datasets bring the same classifier.

    Args:
        paths: of datasets with pictures, recorded with `steps_after_success`.
        out: folder for the classifier and the report.
        settings: None for the defaults.
        tell: is given a line now and then about how far it is.

    Raises:
        ConfigurationError: the settings do not fit the datasets.
        DatasetError: a dataset cannot be read.
        DemonstrationsError: the episodes are not enough.
        DivergenceError: the loss is not finite.
        CheckpointError: the folder cannot be written.
    """
    settings = settings or TrainingSettings()
    datasets = open_datasets(paths)
    shape = shape_for(datasets, cameras=settings.cameras, image_size=settings.image_size, state=settings.state)
    examples = read_examples(datasets, shape)
    training, validation = split_by_episode(
        examples.success, examples.episodes, settings.validation_share, settings.seed
    )
    seen, unseen = examples.of_episodes(training), examples.of_episodes(validation)
    tell(f"{_count(seen)} to train with, {_count(unseen)} to validate with; cameras: {', '.join(shape.cameras)}")

    start = time.monotonic()
    # Chance elsewhere in the process goes on as if nothing had happened here.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        classifier = RewardClassifier(shape).to(settings.device)
        epoch, losses = fit(classifier, seen, unseen, settings, tell)
    seconds = time.monotonic() - start

    probabilities = classifier.judge(unseen.pictures, unseen.states)
    classifier.threshold, precise = calibrate(probabilities, unseen.success, settings.precision)
    scores = score(probabilities, unseen.success, classifier.threshold)
    classifier.provenance = {
        "datasets": [_describe(dataset) for dataset in datasets],
        "training": {"episodes": training, "frames": len(seen), "frames_of_success": int(seen.success.sum())},
        "validation": {"episodes": validation, **scores.as_json(), "reaches_precision": precise},
        "settings": asdict(settings),
        "best_epoch": epoch,
        "epochs": len(losses),
        "seconds": round(seconds, 1),
        "versions": {"python": platform.python_version(), **_versions()},
    }
    save_classifier(classifier, out)
    facts = {
        "judged": "the validation episodes, which also decided when to stop and the threshold",
        "datasets": ", ".join(str(dataset.path) for dataset in datasets),
        "trained with": _count(seen),
        "validated with": _count(unseen),
        "training": f"{len(losses)} epochs in {seconds:.0f} s, the best was number {epoch}",
        "precision wanted": f"{settings.precision:g}, {'reached' if precise else '**not reached**'}",
    }
    write_report(Path(out), unseen, probabilities, scores, shape.cameras, facts)
    return Outcome(classifier, scores, precise, epoch, tuple(losses), seconds)


def fit(
    classifier: RewardClassifier,
    seen: Examples,
    unseen: Examples,
    settings: TrainingSettings,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[int, list[float]]:
    """Train until the validation loss falls no more; the classifier keeps the weights of its best epoch.

    Success and its absence weigh the same in the loss, however many frames there are of each.

    Args:
        classifier: new.
        seen: to train with.
        unseen: to validate with.
        settings: see there.
        tell: is given a line each epoch.

    Returns:
        The best epoch, from 1, and the validation loss of each.

    Raises:
        DivergenceError: the loss is not finite.
    """
    device = torch.device(settings.device)
    if classifier.shape.state_size:
        classifier.state_mean.copy_(seen.states.mean(0))
        classifier.state_deviation.copy_(seen.states.std(0, correction=0).clamp_min(1e-3))
    generator = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=settings.learning_rate)
    labels, weights = _labels(seen.success), _weights(seen.success)
    shift = max(1, round(SHIFT * settings.image_size))
    best, best_loss, best_weights = 0, np.inf, copy.deepcopy(classifier.state_dict())
    losses: list[float] = []
    for epoch in range(1, settings.epochs + 1):
        classifier.train()
        total = 0.0
        for rows in torch.randperm(len(seen), generator=generator).split(settings.batch_size):
            pictures = augmented(
                seen.pictures[rows].to(device), shift=shift, brightness=settings.brightness, generator=generator
            )
            states = seen.states[rows].to(device)
            withheld = torch.rand((len(rows), 1), generator=generator).to(device) < settings.state_dropout
            # The mean tells nothing.
            logits = classifier(pictures, torch.where(withheld, classifier.state_mean, states))
            loss = _loss(logits, labels[rows].to(device), weights[rows].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        classifier.eval()
        losses.append(validation_loss(classifier, unseen))
        if not np.isfinite([total, losses[-1]]).all():
            raise DivergenceError(
                f"The loss is {losses[-1]} after epoch {epoch}; try a learning rate below {settings.learning_rate:g}."
            )
        tell(f"epoch {epoch}: training loss {total / len(seen):.4f}, validation loss {losses[-1]:.4f}")
        if losses[-1] < best_loss:
            best, best_loss, best_weights = epoch, losses[-1], copy.deepcopy(classifier.state_dict())
        elif epoch - best >= settings.patience:
            break
    classifier.load_state_dict(best_weights)
    classifier.eval().requires_grad_(False)
    return best, losses


def validation_loss(classifier: RewardClassifier, examples: Examples) -> float:
    """The balanced loss, without augmentation."""
    probabilities = torch.from_numpy(classifier.judge(examples.pictures, examples.states))
    labels, weights = _labels(examples.success), _weights(examples.success)
    return _loss(torch.logit(probabilities, eps=1e-7), labels.double(), weights.double()).item()


def _loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(logits, labels, weight=weights)


def _labels(success: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(success.astype(np.float32))


def _weights(success: NDArray[np.bool_]) -> Tensor:
    """Of each frame, so that both kinds weigh the same and the mean is 1."""
    positives, count = int(success.sum()), len(success)
    weights = np.where(success, count / (2 * positives), count / (2 * (count - positives)))
    return torch.from_numpy(weights.astype(np.float32))


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


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # used from its sources, without being installed
    return found
