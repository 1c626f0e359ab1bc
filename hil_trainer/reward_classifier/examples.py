"""Labelled observations from recorded episodes.

A row of a dataset has the observation before an action, and the success of the state after it. So the success of a row
is the label of the observation in the next row. An episode has `frames - 1` examples: its first observation has no
label, and the observation of its last label was not recorded. An episode that was recorded without
`--steps-after-success` therefore has no example of success.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gym_hil.datasets.features import IMAGES
from gym_hil.datasets.reader import Episode, EpisodeDataset
from gym_hil.errors import ConfigurationError
from hil_trainer.errors import DemonstrationsError
from hil_trainer.reward_classifier.model import STATE, ClassifierShape, prepared

_SUCCESS_REWARD = 0.5  # reward above which a frame is a success, where success itself was not recorded


@dataclass(frozen=True)
class Examples:
    """Labelled observations.

    Attributes:
        images: (n, cameras, 3, size, size) uint8.
        states: (n, state_size) float32.
        success: (n,) whether the observation shows success.
        episodes: (n,) index of the episode in `sources`.
        frames: (n,) index of the frame in the episode.
        sources: the episodes.
    """

    images: Tensor
    states: Tensor
    success: NDArray[np.bool_]
    episodes: NDArray[np.int64]
    frames: NDArray[np.int64]
    sources: tuple[Episode, ...]

    def __len__(self) -> int:
        return len(self.success)

    def of_episodes(self, numbers: Sequence[int]) -> Examples:
        """The examples of some episodes, in the same order; `sources` stays."""
        rows = np.flatnonzero(np.isin(self.episodes, numbers))
        chosen = torch.from_numpy(rows)
        return Examples(
            self.images[chosen],
            self.states[chosen],
            self.success[rows],
            self.episodes[rows],
            self.frames[rows],
            self.sources,
        )


def just_before_success(examples: Examples) -> NDArray[np.bool_]:
    """(n,) whether an observation is the last one before success."""
    before = np.zeros(len(examples), dtype=bool)
    same = examples.episodes[1:] == examples.episodes[:-1]
    before[:-1] = same & examples.success[1:] & ~examples.success[:-1]
    return before


def success_after(episode: Episode) -> NDArray[np.bool_]:
    """Recorded success of the state after each frame's action.

    Returns:
        (frames,) `next.success`; where that was not recorded, whether `next.reward` is more than 0.5.

    Raises:
        DemonstrationsError: neither was recorded.
    """
    features = episode.dataset.features
    if "next.success" in features:
        return np.asarray(episode["next.success"], dtype=bool)
    if "next.reward" in features:
        return np.asarray(episode["next.reward"]) > _SUCCESS_REWARD
    raise DemonstrationsError(f"{episode.dataset.path} has neither next.success nor next.reward, and so no labels.")


def open_datasets(paths: Sequence[str | PathLike[str]]) -> list[EpisodeDataset]:
    """Open datasets.

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
            raise DemonstrationsError(
                f"{dataset.path} has no images; record it without --no-images. Its features: "
                f"{', '.join(dataset.features)}."
            )
    return datasets


def cameras_of(dataset: EpisodeDataset) -> list[str]:
    """The names of a dataset's cameras."""
    return [key.removeprefix(IMAGES) for key in dataset.image_keys if key.startswith(IMAGES)]


def shape_for(
    datasets: Sequence[EpisodeDataset], *, cameras: Sequence[str] | None, image_size: int, state: bool
) -> ClassifierShape:
    """Inputs of a classifier of datasets.

    Args:
        datasets: one or more.
        cameras: to use; None for all of the first dataset.
        image_size: pixels.
        state: use the proprioception, where it was recorded.

    Raises:
        ConfigurationError: a dataset lacks a camera, or their proprioception differs.
    """
    wanted = tuple(cameras_of(datasets[0]) if cameras is None else cameras)
    shape = ClassifierShape(wanted, image_size, _state_size(datasets[0]) if state else 0)
    for dataset in datasets:
        check_fit(shape, dataset)
    return shape


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
    if shape.state_size and _state_size(dataset) != shape.state_size:
        raise ConfigurationError(
            f"{STATE} of {dataset.path} has {_state_size(dataset)} numbers; the classifier needs {shape.state_size}."
        )


def read_examples(datasets: Sequence[EpisodeDataset], shape: ClassifierShape) -> Examples:
    """Read all labelled observations.

    Raises:
        ConfigurationError: a dataset lacks an input.
        DatasetError: a dataset cannot be read.
        DemonstrationsError: success was not recorded, or no episode has two frames.
    """
    for dataset in datasets:
        check_fit(shape, dataset)
    sources = tuple(episode for dataset in datasets for episode in dataset)
    images, states, success, episodes, frames = [], [], [], [], []
    for number, episode in enumerate(sources):
        if len(episode) < 2:
            continue
        labels = success_after(episode)[:-1]
        seen, state = observations(episode, shape)
        images.append(seen[1:])
        states.append(state[1:])
        success.append(labels)
        episodes.append(np.full(len(labels), number))
        frames.append(np.arange(1, len(episode)))
    if not success:
        raise DemonstrationsError(
            f"{', '.join(str(dataset.path) for dataset in datasets)}: no episode has two frames or more."
        )
    return Examples(
        torch.cat(images),
        torch.cat(states),
        np.concatenate(success),
        np.concatenate(episodes),
        np.concatenate(frames),
        sources,
    )


def observations(episode: Episode, shape: ClassifierShape) -> tuple[Tensor, Tensor]:
    """All observations of an episode.

    Returns:
        (frames, cameras, 3, size, size) uint8 images and (frames, state_size) float32 states.
    """

    def images_of(camera: str) -> Tensor:
        frames = (episode.image(IMAGES + camera, frame) for frame in range(len(episode)))
        return torch.cat([prepared(image[None], shape.image_size) for image in frames])

    state = episode[STATE] if shape.state_size else np.zeros((len(episode), 0))
    state = np.array(state, dtype=np.float32).reshape(len(episode), shape.state_size)
    return torch.stack([images_of(camera) for camera in shape.cameras], dim=1), torch.from_numpy(state)


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
        ConfigurationError: the share is out of range.
        DemonstrationsError: too few episodes show success, or begin before it.
    """
    if not 0 < share <= 0.5:
        raise ConfigurationError(f"validation_share is {share!r}; expected more than 0 and at most 0.5.")
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


def _state_size(dataset: EpisodeDataset) -> int:
    feature = dataset.features.get(STATE)
    return 0 if feature is None else int(np.prod(feature["shape"]))
