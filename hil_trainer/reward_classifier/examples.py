"""Labelled observations from recorded episodes.

A row of a dataset has the observation before an action, and the success, or stage, of the state after it. So that of a
row is the label of the observation in the next row. An episode has `frames - 1` examples: its first observation has no
label, and the observation of its last label was not recorded. An episode that was recorded without
`--steps-after-success` therefore has no example of success.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gym_hil.datasets.features import IMAGES
from gym_hil.datasets.reader import Episode, EpisodeDataset
from gym_hil.errors import ConfigurationError
from gym_hil.imports import import_function, is_function_name, running_user_code
from hil_trainer.errors import DemonstrationsError
from hil_trainer.reward_classifier.model import (
    STATE,
    SUCCESS,
    ClassifierShape,
    RewardClassifier,
    judge,
    load_classifier,
    prepared,
    stage_reward,
)

_SUCCESS_REWARD = 0.5  # reward above which a frame is a success, where success itself was not recorded


@dataclass(frozen=True)
class Examples:
    """Labelled observations."""

    images: Tensor  # (n, cameras, 3, size, size) uint8
    states: Tensor  # (n, state_size) float32
    stages: NDArray[np.int64]  # (n,) number of the stage that the observation shows
    success: NDArray[np.bool_]  # (n,) whether that is the last one
    episodes: NDArray[np.int64]  # (n,) index of the episode in `sources`
    frames: NDArray[np.int64]  # (n,) index of the frame in the episode
    sources: tuple[Episode, ...]  # the episodes

    def __len__(self) -> int:
        return len(self.success)

    def of_episodes(self, numbers: Sequence[int]) -> Examples:
        """The examples of some episodes, in the same order; `sources` stays."""
        rows = np.flatnonzero(np.isin(self.episodes, numbers))
        parts = ("images", "states", "stages", "success", "episodes", "frames")
        return replace(self, **{name: getattr(self, name)[rows] for name in parts})


def just_before_success(examples: Examples) -> NDArray[np.bool_]:
    """(n,) whether an observation is the last one before success."""
    before = np.zeros(len(examples), dtype=bool)
    same = examples.episodes[1:] == examples.episodes[:-1]
    before[:-1] = same & examples.success[1:] & ~examples.success[:-1]
    return before


def success_after(episode: Episode) -> NDArray[np.bool_]:
    """(frames,) success after each frame's action: `next.success`, or where it is missing a `next.reward` above 0.5.

    Raises:
        DemonstrationsError: neither was recorded.
    """
    features = episode.dataset.features
    if "next.success" in features:
        return np.asarray(episode["next.success"], dtype=bool)
    if "next.reward" in features:
        return np.asarray(episode["next.reward"]) > _SUCCESS_REWARD
    raise DemonstrationsError(f"{episode.dataset.path} has neither next.success nor next.reward, and so no labels.")


def stages_after(episode: Episode, shape: ClassifierShape) -> NDArray[np.int64]:
    """(frames,) number of the stage after each frame's action, from the classifier's labels.

    Raises:
        ConfigurationError: the function of the labels fails.
        DemonstrationsError: there are no labels, or they are no numbers of the classes.
    """
    path, labels, count = episode.dataset.path, shape.labels, len(shape.classes)
    if labels == SUCCESS:
        return success_after(episode).astype(np.int64)
    if is_function_name(labels):
        function = import_function(labels, role="labels")
        with running_user_code(f"The labels {labels} fail on {episode} of {path}"):
            found = np.asarray(function(episode))
    elif labels in episode.dataset.features:
        found = np.asarray(episode[labels])
    else:
        raise DemonstrationsError(
            f"{path} has no feature {labels!r} for labels; it has {', '.join(episode.dataset.features)}."
        )
    if found.shape != (len(episode),) or not np.isin(found, np.arange(count)).all():
        raise DemonstrationsError(
            f"The labels {labels} of {episode} of {path} are {found.tolist()!s:.80}; expected a number from 0 to "
            f"{count - 1} for each of its {len(episode)} frames, for {', '.join(shape.classes)}."
        )
    return found.astype(np.int64)


def open_datasets(paths: Sequence[str | PathLike[str]]) -> list[EpisodeDataset]:
    """Open datasets with images.

    Raises:
        DatasetError: one cannot be read.
        DemonstrationsError: there is none, or one has no images.
    """
    if not paths:
        raise DemonstrationsError("There are no datasets; name one or more.")
    # Each image is used once.
    datasets = [EpisodeDataset(path, images_kept=16 << 20) for path in paths]
    for dataset in datasets:
        if not cameras_of(dataset):
            names = ", ".join(dataset.features)
            raise DemonstrationsError(f"{dataset.path} has no images; record it without --no-images. It has {names}.")
    return datasets


def cameras_of(dataset: EpisodeDataset) -> list[str]:
    """The names of a dataset's cameras."""
    return [key.removeprefix(IMAGES) for key in dataset.image_keys if key.startswith(IMAGES)]


def state_size(dataset: EpisodeDataset) -> int:
    """How many numbers of proprioception a dataset has."""
    feature = dataset.features.get(STATE)
    return 0 if feature is None else int(np.prod(feature["shape"]))


def check_fit(shape: ClassifierShape, dataset: EpisodeDataset) -> None:
    """Make sure that a dataset has the inputs of a classifier.

    Raises:
        ConfigurationError: a camera is missing, or the proprioception has another size.
    """
    for camera in shape.cameras:
        if camera not in cameras_of(dataset):
            raise ConfigurationError(
                f"{dataset.path} has no camera {camera!r}; it has {', '.join(cameras_of(dataset)) or 'none'}."
            )
    if shape.state_size not in (0, size := state_size(dataset)):
        raise ConfigurationError(
            f"{STATE} of {dataset.path} has {size} numbers; the classifier needs {shape.state_size}."
        )


def read_examples(datasets: Sequence[EpisodeDataset], shape: ClassifierShape) -> Examples:
    """Read all labelled observations.

    Raises:
        ConfigurationError: a dataset lacks an input.
        DatasetError: a dataset cannot be read.
        DemonstrationsError: there are no labels, or no episode has two frames.
    """
    for dataset in datasets:
        check_fit(shape, dataset)
    sources = tuple(episode for dataset in datasets for episode in dataset)
    parts = []
    for number, episode in enumerate(sources):
        if len(episode) > 1:
            labels, (images, states) = stages_after(episode, shape)[:-1], observations(episode, shape)
            parts.append((images[1:], states[1:], labels, np.full(len(labels), number), np.arange(1, len(episode))))
    if not parts:
        names = ", ".join(str(dataset.path) for dataset in datasets)
        raise DemonstrationsError(f"{names}: no episode has two frames or more.")
    images, states, *arrays = zip(*parts, strict=True)
    stages, episodes, frames = (np.concatenate(array) for array in arrays)
    success = stages == len(shape.classes) - 1
    return Examples(torch.cat(images), torch.cat(states), stages, success, episodes, frames, sources)


def observations(episode: Episode, shape: ClassifierShape) -> tuple[Tensor, Tensor]:
    """All observations of an episode.

    Returns:
        (frames, cameras, 3, size, size) uint8 images and (frames, state_size) float32 states.
    """

    def images_of(camera: str) -> Tensor:
        frames = (episode.image(IMAGES + camera, frame) for frame in range(len(episode)))
        return torch.stack([prepared(image, shape.image_size) for image in frames])

    state = episode[STATE] if shape.state_size else np.zeros((len(episode), 0))
    state = np.array(state, dtype=np.float32).reshape(len(episode), shape.state_size)
    return torch.stack([images_of(camera) for camera in shape.cameras], dim=1), torch.from_numpy(state)


def classifier_rewards(
    classifier: RewardClassifier | str | PathLike[str], *, threshold: float | None = None
) -> Callable[[Episode], NDArray[np.float32]]:
    """Create the rewards function that `gym_hil.datasets.transform.relabel_dataset` needs.

    The reward of a frame is 1.0 if the observation of the next frame counts as success, and a part of it if that is the
    first one of a stage; see `stage_reward`. The observation after the last frame of an episode is not recorded: the
    recorded success stays there.

    Args:
        classifier: or its folder.
        threshold: None for the classifier's own.

    Returns:
        A function from an episode to (frames,) rewards. It raises a ConfigurationError where the episode lacks what the
        classifier sees.

    Raises:
        CheckpointError: there is no classifier.
        ConfigurationError: the threshold is out of range.
    """
    loaded = load_classifier(classifier, threshold=threshold)

    def rewards(episode: Episode) -> NDArray[np.float32]:
        check_fit(loaded.shape, episode.dataset)
        images, states = observations(episode, loaded.shape)
        stages = loaded.stage_of(judge(loaded, loaded.views(images[1:]), states[1:]))
        reached = np.maximum.accumulate([0, *stages])
        found = [stage_reward(*pair, len(loaded.shape.classes)) for pair in zip(stages, reached, strict=False)]
        return np.append(found, success_after(episode)[-1]).astype(np.float32)

    return rewards


def split_by_episode(
    success: NDArray[np.bool_], episodes: NDArray[np.int64], share: float, seed: int
) -> tuple[list[int], list[list[int]]]:
    """Split the episodes into those that choose the threshold, and folds of the others.

    Whole episodes are dealt out, because frames of one episode are too similar to train and validate with. Episodes
    that show success are dealt first.

    Args:
        success: (n,) labels.
        episodes: (n,) the episode of each.
        share: of the episodes that choose the threshold, and of the others in a fold; more than 0 and at most 0.5. It
            is larger where few episodes show success.
        seed: of the shuffling.

    Returns:
        The episodes that choose the threshold, and two folds or more.

    Raises:
        DemonstrationsError: too few episodes show success, or begin before it.
    """
    if not success.any():
        raise DemonstrationsError(
            "No frame shows success. A dataset does not have the observation after an episode's last step, so record a "
            "few more steps: gym-hil record --steps-after-success 10."
        )
    numbers = np.unique(episodes)
    shows = np.array([success[episodes == number].any() for number in numbers])
    if shows.sum() < 3:
        raise DemonstrationsError(
            f"Only {shows.sum()} episodes show success; at least 3 are needed, to train, to validate and to choose the "
            "threshold."
        )
    rng = np.random.default_rng(seed)
    successes, others = rng.permutation(numbers[shows]).tolist(), rng.permutation(numbers[~shows]).tolist()
    # Two episodes that show success have to be left for the folds.
    parts = max(min(round(1 / share), len(successes)), math.ceil(len(successes) / (len(successes) - 2)))
    held_out = _deal(successes, others, parts)[0]
    successes, others = ([number for number in part if number not in held_out] for part in (successes, others))
    folds = _deal(successes, others, min(round(1 / share), len(successes)))
    if any(success[np.isin(episodes, fold)].all() for fold in (held_out, *folds)):
        raise DemonstrationsError("Too few frames show no success; record episodes from their beginning, and failures.")
    return held_out, folds


def _deal(successes: list[int], others: list[int], count: int) -> list[list[int]]:
    """Deal episodes out into a number of folds."""
    dealt = [*successes, *others]
    return [sorted(dealt[number::count]) for number in range(count)]
