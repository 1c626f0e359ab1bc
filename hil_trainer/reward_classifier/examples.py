"""Observations and whether they show success, from recorded episodes.

A row of a dataset holds the observation before an action, and says whether the state after it was a success. So the
success of a row belongs to the observation of the next row. That makes `frames - 1` examples of an episode: its first
observation has no label, and the observation that its last label belongs to was not recorded. An episode that was
recorded without `--steps-after-success` therefore shows no success at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from hil_trainer.reward_classifier.model import ClassifierShape, prepared

STATE = "observation.state"
_ENOUGH = 0.5  # of a reward, where success itself was not recorded


@dataclass(frozen=True)
class Examples:
    """Labelled observations.

    Attributes:
        images: (n, cameras, 3, size, size) uint8.
        states: (n, state_size) float32.
        success: (n,) whether the observation shows success.
        episodes: (n,) the number of the episode in `sources`.
        frames: (n,) the number of the frame in the episode.
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
        """Those of some episodes; `sources` stays."""
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
    """Which observations are the last before success, (n,)."""
    before = np.zeros(len(examples), dtype=bool)
    same = examples.episodes[1:] == examples.episodes[:-1]
    before[:-1] = same & examples.success[1:] & ~examples.success[:-1]
    return before


def success_after(episode: Episode) -> NDArray[np.bool_]:
    """Whether the state after each frame's action was a success, as it was recorded.

    Returns:
        (frames,): `next.success`, or where that was not recorded, whether `next.reward` is more than 0.5.

    Raises:
        DemonstrationsError: neither was recorded.
    """
    features = episode.dataset.features
    if "next.success" in features:
        return np.asarray(episode["next.success"], dtype=bool)
    if "next.reward" in features:
        return np.asarray(episode["next.reward"]) > _ENOUGH
    raise DemonstrationsError(
        f"{episode.dataset.path} has neither next.success nor next.reward; it does not say which frames show success."
    )


def open_datasets(paths: Sequence[str | PathLike[str]]) -> list[EpisodeDataset]:
    """Open datasets.

    Raises:
        DatasetError: one cannot be read.
        DemonstrationsError: none was named, or one has no images.
    """
    if not paths:
        raise DemonstrationsError("There is nothing to learn from; name one dataset or more.")
    # Each image is needed once.
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
    """What a classifier of datasets can look at.

    Args:
        datasets: one or more.
        cameras: which; None for all of the first dataset.
        image_size: pixels.
        state: whether to look at the proprioception, where it was recorded.

    Raises:
        ConfigurationError: a dataset lacks a camera, or their proprioception differs.
    """
    wanted = tuple(cameras_of(datasets[0]) if cameras is None else cameras)
    shape = ClassifierShape(wanted, image_size, _state_size(datasets[0]) if state else 0)
    for dataset in datasets:
        check_fit(shape, dataset)
    return shape


def check_fit(shape: ClassifierShape, dataset: EpisodeDataset) -> None:
    """Make sure that a dataset has what a classifier looks at.

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
            f"{STATE} of {dataset.path} has {_state_size(dataset)} numbers; the classifier looks at {shape.state_size}."
        )


def read_examples(datasets: Sequence[EpisodeDataset], shape: ClassifierShape) -> Examples:
    """Read all labelled observations.

    Raises:
        ConfigurationError: a dataset lacks what is looked at.
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
        obs, state = observations(episode, shape)
        images.append(obs[1:])
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
    obs = [torch.cat(list(_images(episode, IMAGES + camera, shape.image_size))) for camera in shape.cameras]
    numbers = episode[STATE] if shape.state_size else np.zeros((len(episode), 0))
    state = np.asarray(numbers, dtype=np.float32).reshape(len(episode), shape.state_size)
    return torch.stack(obs, dim=1), torch.from_numpy(state.copy())


def folds_by_episode(
    success: NDArray[np.bool_], episodes: NDArray[np.int64], share: float, seed: int
) -> list[list[int]]:
    """Deal the episodes out into folds to validate with, so that each episode is in one.

    Whole episodes are dealt, as frames of one episode are too much alike to train and validate with. Episodes that show
    success are dealt first, then the others.

    Args:
        success: (n,) labels.
        episodes: (n,) the episode of each.
        share: of the episodes in a fold, more than 0 and at most 0.5; more, where too few episodes show success.
        seed: of chance.

    Returns:
        The folds, two or more, each the numbers of its episodes.

    Raises:
        ConfigurationError: the share is out of range.
        DemonstrationsError: there are too few episodes that show success, or that begin before it.
    """
    if not 0 < share <= 0.5:
        raise ConfigurationError(f"validation_share is {share!r}; expected more than 0 and at most 0.5.")
    if not success.any():
        raise DemonstrationsError(
            "No frame shows success. The observation after an episode's last step is not in a dataset, so record some "
            "more after it: gym-hil record --steps-after-success 10."
        )
    numbers = np.unique(episodes)
    shows = np.array([success[episodes == number].any() for number in numbers])
    if shows.sum() < 2:
        raise DemonstrationsError("Only one episode shows success; one to train and one to validate with are needed.")
    rng = np.random.default_rng(seed)
    dealt = [*rng.permutation(numbers[shows]).tolist(), *rng.permutation(numbers[~shows]).tolist()]
    count = min(round(1 / share), int(shows.sum()))
    folds = [sorted(dealt[number::count]) for number in range(count)]
    if any(success[np.isin(episodes, fold)].all() for fold in folds):
        raise DemonstrationsError("Too few frames show no success; record episodes from their beginning, and failures.")
    return folds


def _images(episode: Episode, key: str, size: int) -> Iterator[Tensor]:
    for frame in range(len(episode)):
        yield prepared(episode.image(key, frame)[None], size)


def _state_size(dataset: EpisodeDataset) -> int:
    feature = dataset.features.get(STATE)
    return 0 if feature is None else int(np.prod(feature["shape"]))
