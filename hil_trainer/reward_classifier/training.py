"""Trains a classifier on recorded episodes, and writes it down with a report."""

from __future__ import annotations

import copy
import importlib.metadata
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.errors import ConfigurationError
from hil_trainer.errors import DivergenceError
from hil_trainer.reward_classifier.augmentation import augmented
from hil_trainer.reward_classifier.examples import (
    Examples,
    folds_by_episode,
    just_before_success,
    open_datasets,
    read_examples,
    shape_for,
)
from hil_trainer.reward_classifier.model import RewardClassifier, SuccessNetwork, judge
from hil_trainer.reward_classifier.report import write_report
from hil_trainer.reward_classifier.scores import Scores, calibrate, score
from hil_trainer.reward_classifier.storage import save_classifier

SHIFT = 1 / 32  # of an image's width, at most, each way
_PACKAGES = ("gym-hil", "numpy", "torch", "safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How a classifier is trained.

    Attributes:
        validation_share: of the episodes, that each member of the classifier is validated with; at most 0.5.
        members: how many networks; None for as many as leave each episode out once.
        epochs: how often all frames are obs, at most.
        patience: epochs without a lower validation loss after which training stops.
        batch_size: frames.
        learning_rate: of AdamW.
        brightness: share by which images are lit otherwise.
        state_dropout: share of the frames whose proprioception is withheld, so that the images are looked at.
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
        for name, most in (("validation_share", 0.5), ("precision", 1)):
            if not 0 < getattr(self, name) <= most:
                raise ConfigurationError(f"{name} is {getattr(self, name)!r}; expected more than 0 and at most {most}.")
        if self.members is not None and self.members < 1:
            raise ConfigurationError(f"members is {self.members!r}; expected 1 or more.")
        if not self.learning_rate > 0:
            raise ConfigurationError(f"learning_rate is {self.learning_rate!r}; expected more than 0.")
        if self.seed < 0:
            raise ConfigurationError(f"seed is {self.seed!r}; expected 0 or more.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What training brought.

    Attributes:
        classifier: with its threshold.
        scores: on episodes that were left out, each judged by the member that has not obs it.
        precise: whether the threshold reaches the wanted precision there.
        epochs: how many each member was trained for.
        seconds: that training took, reading not counted.
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
    tell: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Train a classifier on datasets.

    Each member leaves a part of the episodes out, which tells when to stop. What the members think of the episodes that
    they have not obs decides the threshold; a frame just before success is left out of that, as who takes it for
    success is one step early. On one thread, the same settings and datasets bring the same classifier.

    Args:
        paths: of datasets with images, recorded with `steps_after_success`.
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
    _check_device(settings.device)
    datasets = open_datasets(paths)
    shape = shape_for(datasets, cameras=settings.cameras, image_size=settings.image_size, state=settings.state)
    examples = read_examples(datasets, shape)
    folds = folds_by_episode(examples.success, examples.episodes, settings.validation_share, settings.seed)
    folds = folds[: settings.members]
    tell(f"{_count(examples)}; cameras: {', '.join(shape.cameras)}")

    start = time.monotonic()
    # Chance elsewhere in the process goes on as if nothing had happened here.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        classifier = RewardClassifier(shape, members=len(folds)).to(settings.device)
        left_out = examples.of_episodes([episode for fold in folds for episode in fold])
        probabilities, epochs = np.zeros(len(left_out)), []
        for number, (member, fold) in enumerate(zip(classifier.members, folds, strict=True)):
            network = cast(SuccessNetwork, member)
            unseen = examples.of_episodes(fold)
            obs = examples.of_episodes(np.setdiff1d(examples.episodes, fold).tolist())
            epoch, loss = fit(network, obs, unseen, replace(settings, seed=settings.seed + number))
            epochs.append(epoch)
            probabilities[np.isin(left_out.episodes, fold)] = judge(network, unseen.images, unseen.states)
            tell(f"network {number + 1} of {len(folds)}: validation loss {loss:.4f} after epoch {epoch}")
    seconds = time.monotonic() - start
    classifier.eval().requires_grad_(False)

    counted = ~just_before_success(left_out)
    classifier.threshold, precise = calibrate(probabilities[counted], left_out.success[counted], settings.precision)
    scores = score(probabilities, left_out.success, classifier.threshold)
    classifier.provenance = {
        "datasets": [_describe(dataset) for dataset in datasets],
        "frames": len(examples),
        "frames_of_success": int(examples.success.sum()),
        "validation": {"folds": folds, **scores.as_json(), "reaches_precision": precise},
        "settings": asdict(settings),
        "epochs": epochs,
        "seconds": round(seconds, 1),
        "versions": {"python": platform.python_version(), **_versions()},
    }
    save_classifier(classifier, out)
    facts = {
        "judged": "episodes of the datasets, each by the network that was not trained with it; they also decided when "
        "to stop, and the threshold",
        "datasets": ", ".join(str(dataset.path) for dataset in datasets),
        "holding": _count(examples),
        "training": f"{len(folds)} networks in {seconds:.0f} s, for {', '.join(map(str, epochs))} epochs",
        "precision wanted": f"{settings.precision:g}, {'reached' if precise else '**not reached**'}",
    }
    write_report(Path(out), left_out, probabilities, scores, shape.cameras, facts)
    return Outcome(classifier, scores, precise, tuple(epochs), seconds)


def fit(network: SuccessNetwork, obs: Examples, unseen: Examples, settings: TrainingSettings) -> tuple[int, float]:
    """Train until the validation loss falls no more; the network keeps the weights of its best epoch.

    Success and its absence weigh the same in the loss, however many frames there are of each.

    Args:
        network: new.
        obs: to train with.
        unseen: to validate with.
        settings: see there.

    Returns:
        The best epoch, from 1, and its validation loss.

    Raises:
        DivergenceError: the loss is not finite.
    """
    device = torch.device(settings.device)
    network.state_mean.copy_(obs.states.mean(0))
    # torch has no deviation of no numbers.
    network.state_deviation.copy_(torch.from_numpy(obs.states.numpy().std(0)).clamp_min(1e-3))
    generator = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)
    labels, weights = _labels(obs.success), _weights(obs.success)
    shift = max(1, round(SHIFT * settings.image_size))
    best, best_loss, best_weights = 0, np.inf, copy.deepcopy(network.state_dict())
    for epoch in range(1, settings.epochs + 1):
        network.train()
        for rows in torch.randperm(len(obs), generator=generator).split(settings.batch_size):
            images = augmented(
                obs.images[rows].to(device), shift=shift, brightness=settings.brightness, generator=generator
            )
            states = obs.states[rows].to(device)
            withheld = torch.rand((len(rows), 1), generator=generator).to(device) < settings.state_dropout
            # The mean tells nothing.
            logits = network(images, torch.where(withheld, network.state_mean, states))
            loss = _loss(logits, labels[rows].to(device), weights[rows].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        network.eval()
        validation = validation_loss(network, unseen)
        if not np.isfinite(validation):
            raise DivergenceError(
                f"The loss is {validation} after epoch {epoch}; try a learning rate below {settings.learning_rate:g}."
            )
        if validation < best_loss:
            best, best_loss, best_weights = epoch, validation, copy.deepcopy(network.state_dict())
        elif epoch - best >= settings.patience:
            break
    network.load_state_dict(best_weights)
    return best, best_loss


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
    """Of each frame, so that both kinds weigh the same and the mean is 1."""
    positives, count = int(success.sum()), len(success)
    weights = np.where(success, count / (2 * positives), count / (2 * (count - positives)))
    return torch.from_numpy(weights.astype(np.float32))


def _check_device(name: str) -> None:
    try:
        torch.zeros(1, device=name)
    # torch without CUDA says so by an AssertionError.
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


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # used from its sources, without being installed
    return found
