"""Training of a classifier on recorded episodes."""

from __future__ import annotations

import copy
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from typing import cast

import numpy as np
import torch
from sklearn.utils.class_weight import compute_sample_weight
from torch import Tensor
from torch.nn.functional import cross_entropy

from gym_hil.errors import ConfigurationError, require
from hil_trainer.agents.encoders import shifted
from hil_trainer.agents.weights_file import versions
from hil_trainer.errors import DemonstrationsError, DivergenceError
from hil_trainer.reward_classifier.evaluation import Scores, calibrate, score_stages, write_report
from hil_trainer.reward_classifier.examples import (
    Examples,
    cameras_of,
    just_before_success,
    open_datasets,
    read_examples,
    split_by_episode,
    state_size,
)
from hil_trainer.reward_classifier.model import (
    SUCCESS,
    ClassifierShape,
    RewardClassifier,
    StageNetwork,
    judge,
    save_classifier,
)

SHIFT = 1 / 32  # maximum shift in augmentation, as a share of the image's width
ENCODED_COPIES = 4  # of each image, for a frozen encoder, which is too slow to encode another one in each epoch


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
        encoder: frozen encoder of the images: imagenet, or package.module:function that returns a torch.nn.Module. If
            not given, small networks are learned.
        image_size: height and width to which images are resized, in pixels: 32, 64, 128 or 256; if not given, 64, or
            128 with an encoder.
        classes: names of the stages of the task, in order; the last one is success.
        labels: where the datasets have the number of the stage after each frame's action: a feature, or
            package.module:function, which is called with an episode and returns (frames,) numbers.
        state: use the proprioception.
        seed: seed of all random numbers; on one thread, the same seed gives the same classifier.
        device: device to train on, such as cpu or cuda.
        amp: compute in bfloat16 where that is precise enough.

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
    encoder: str | None = None
    image_size: int | None = None
    classes: tuple[str, ...] = ("failure", "success")
    labels: str = SUCCESS
    state: bool = True
    seed: int = 0
    device: str = "cpu"
    amp: bool = False

    def __post_init__(self) -> None:
        counts = ("epochs", "patience", "batch_size", *(() if self.members is None else ("members",)))
        require(self, "1 or more", counts, lambda value: value >= 1)
        shares = ("brightness", "state_dropout")
        require(self, "0 or more and less than 1", shares, lambda value: 0 <= value < 1)
        require(self, "more than 0 and at most 0.5", ("validation_share",), lambda value: 0 < value <= 0.5)
        require(self, "more than 0 and at most 1", ("precision",), lambda value: 0 < value <= 1)
        require(self, "more than 0", ("learning_rate",), lambda value: value > 0)
        require(self, "0 or more", ("seed",), lambda value: value >= 0)


@dataclass(frozen=True, slots=True)
class TrainedClassifier:
    """Result of a training."""

    classifier: RewardClassifier  # with its threshold
    scores: Scores  # on the episodes that chose the threshold; no network was trained on them
    precise: bool  # whether the threshold reaches the precision there
    epochs: tuple[int, ...]  # of each member
    seconds: float  # of training, without reading the datasets


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
        DemonstrationsError: there are too few episodes, or a class is in no frame.
        DivergenceError: the loss is not finite.
    """
    settings = settings or TrainingSettings()
    try:
        torch.zeros(1, device=settings.device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch is built without CUDA
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"device is {settings.device!r}, which cannot be used here: {reason}. Try cpu."
        ) from error
    datasets = open_datasets(paths)
    cameras = cameras_of(datasets[0]) if settings.cameras is None else settings.cameras
    shape = ClassifierShape(
        tuple(cameras),
        settings.image_size or (64 if settings.encoder is None else 128),
        state_size(datasets[0]) if settings.state else 0,
        settings.encoder,
        settings.classes,
        settings.labels,
    )
    examples = read_examples(datasets, shape)
    counts = np.bincount(examples.stages, minlength=len(shape.classes))
    if not counts.all():
        missing = ", ".join(name for name, number in zip(shape.classes, counts, strict=True) if not number)
        if missing != shape.classes[-1]:
            raise DemonstrationsError(f"No frame shows {missing}; record some, or leave that class out.")
    held_out, folds = split_by_episode(examples.success, examples.episodes, settings.validation_share, settings.seed)
    folds = folds[: settings.members]
    shown = ", ".join(f"{number} of them {name}" for name, number in zip(shape.classes[1:], counts[1:], strict=True))
    count = f"{len(np.unique(examples.episodes))} episodes, {len(examples)} frames, {shown}"
    log(f"{count}; cameras: {', '.join(shape.cameras)}")

    start = time.monotonic()
    # Random numbers elsewhere in the process stay as they are.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        classifier = RewardClassifier(shape, members=len(folds)).to(settings.device)
        unseen = examples.of_episodes(held_out)
        if classifier.frozen is not None:
            classifier.frozen.to(settings.device)
            examples = replace(examples, images=_encoded_copies(classifier, examples.images, settings))
        epochs = []
        for number, (member, fold) in enumerate(zip(classifier.members, folds, strict=True)):
            training = examples.of_episodes(np.setdiff1d(examples.episodes, [*held_out, *fold]).tolist())
            member_settings = replace(settings, seed=settings.seed + number)
            epoch, loss = fit(cast(StageNetwork, member), training, examples.of_episodes(fold), member_settings)
            epochs.append(epoch)
            log(f"network {number + 1} of {len(folds)}: validation loss {loss:.4f} after epoch {epoch}")
    seconds = time.monotonic() - start
    classifier.eval().requires_grad_(False)

    probabilities = judge(classifier, classifier.views(unseen.images), unseen.states)
    counted = ~just_before_success(unseen)
    success = probabilities[:, -1]
    classifier.threshold, precise = calibrate(success[counted], unseen.success[counted], settings.precision)
    scores, confusion = score_stages(classifier, probabilities, unseen)
    classifier.provenance = {
        "datasets": [
            {
                "path": str(dataset.path),
                **{name: dataset.metadata.get(name) for name in ("repo_id", "env_id", "renderer")},
                "episodes": len(dataset),
                "frames": dataset.total_frames,
                "fps": dataset.fps,
            }
            for dataset in datasets
        ],
        "frames": len(examples),
        "frames_of_classes": dict(zip(shape.classes, counts.tolist(), strict=True)),
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
        "content": count,
        "training": f"{len(folds)} networks in {seconds:.0f} s, for {', '.join(map(str, epochs))} epochs",
        "precision wanted": f"{settings.precision:g}, {'reached' if precise else '**not reached**'}",
    }
    write_report(out, unseen, success, scores, shape.cameras, facts, confusion)
    return TrainedClassifier(classifier, scores, precise, tuple(epochs), seconds)


def fit(
    network: StageNetwork, training: Examples, validation: Examples, settings: TrainingSettings
) -> tuple[int, float]:
    """Train a new network until the validation loss stops falling; it gets the weights of its best epoch.

    All classes have the same weight in the loss, whatever their numbers of frames.

    Args:
        network: on the device to train on.
        training: with images, or with copies of encoded ones, of which one is drawn each time.
        validation: likewise; the first copies count.
        settings: of the training.

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
    labels = torch.from_numpy(training.stages).to(device)
    weights = _weights(training).to(device)
    is_encoded = training.images.is_floating_point()
    best, best_loss, best_weights = 0, np.inf, copy.deepcopy(network.state_dict())
    for epoch in range(1, settings.epochs + 1):
        network.train()
        for rows in torch.randperm(len(training), generator=generator).split(settings.batch_size):
            if is_encoded:
                copies = torch.randint(training.images.shape[1], (len(rows),), generator=generator)
                views = training.images[rows, copies].to(device).float()
            else:
                images = training.images[rows].to(device)
                views = augmented(images, brightness=settings.brightness, generator=generator)
            states = training.states[rows].to(device)
            withheld = torch.rand((len(rows), 1), generator=generator).to(device) < settings.state_dropout
            # Replaced by the mean, which carries no information.
            rows = rows.to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.amp):
                logits = network(views, torch.where(withheld, network.state_mean, states))
                loss = (cross_entropy(logits, labels[rows], reduction="none") * weights[rows]).mean()
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


def augmented(images: Tensor, *, brightness: float, generator: torch.Generator) -> Tensor:
    """Shift and brighten each image at random, so that single pixels are not learned.

    The shift is at most `SHIFT` of the image's width in each direction.

    Args:
        images: (n, cameras, 3, height, width) uint8.
        brightness: maximum share by which values are scaled; they are also moved by up to half of it.
        generator: of random numbers, on the CPU.

    Returns:
        The same shape, float32 in [0, 1].
    """
    flat, shift = images.flatten(0, 1), max(1, round(SHIFT * images.shape[-1]))
    down, right = torch.randint(-shift, shift + 1, (2, len(flat)), generator=generator).to(flat.device)
    moved = shifted(flat.permute(0, 2, 3, 1)[:, None], down, right)[:, 0].permute(0, 3, 1, 2)
    scale, offset = (torch.rand((2, len(flat), 1, 1, 1), generator=generator) * 2 - 1).to(flat.device)
    lit = moved.float() / 255 * (1 + brightness * scale) + brightness / 2 * offset
    return lit.clamp(0, 1).view_as(images)


def validation_loss(network: StageNetwork, examples: Examples) -> float:
    """The balanced loss, without augmentation."""
    views = examples.images[:, 0] if examples.images.is_floating_point() else examples.images
    probabilities = judge(network, views, examples.states)[np.arange(len(examples)), examples.stages]
    return float((-np.log(np.maximum(probabilities, 1e-7)) * _weights(examples).numpy()).mean())


def _weights(examples: Examples) -> Tensor:
    """The weight of each frame: all classes that there are have the same sum, and the mean is 1."""
    return torch.from_numpy(compute_sample_weight("balanced", examples.stages).astype(np.float32))


def _encoded_copies(classifier: RewardClassifier, images: Tensor, settings: TrainingSettings) -> Tensor:
    """(n, copies, cameras, channels, height, width) features of the images and of augmented copies of them."""
    generator = torch.Generator().manual_seed(settings.seed)
    copies = [classifier.views(images)]
    for _ in range(ENCODED_COPIES - 1):
        changed = [
            augmented(some, brightness=settings.brightness, generator=generator).mul(255).round().to(torch.uint8)
            for some in images.split(settings.batch_size)
        ]
        copies.append(classifier.views(torch.cat(changed)))
    return torch.stack(copies, 1)
