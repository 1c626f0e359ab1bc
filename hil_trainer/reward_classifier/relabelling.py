"""Rewards of recorded episodes, given anew by a classifier."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.reader import Episode, EpisodeDataset
from gym_hil.datasets.transform import relabel_dataset
from hil_trainer.reward_classifier.examples import check_fit, observations, success_after
from hil_trainer.reward_classifier.model import RewardClassifier
from hil_trainer.reward_classifier.storage import load_classifier


def classifier_rewards(
    classifier: RewardClassifier | str | PathLike[str], *, threshold: float | None = None
) -> Callable[[Episode], NDArray[np.float32]]:
    """Make the function that `gym_hil.datasets.transform.relabel_dataset` asks for.

    The reward of a frame is 1.0 if the classifier takes the observation of the next frame for success, else 0.0. The
    observation after an episode's last frame was not recorded: there the recorded success stays.

    Args:
        classifier: or its folder.
        threshold: None for the classifier's own.

    Returns:
        What makes (frames,) rewards of an episode; it raises a ConfigurationError where the episode lacks what the
        classifier looks at.

    Raises:
        CheckpointError: there is no classifier.
    """
    judge = classifier if isinstance(classifier, RewardClassifier) else load_classifier(classifier)
    least = judge.threshold if threshold is None else threshold

    def rewards(episode: Episode) -> NDArray[np.float32]:
        check_fit(judge.shape, episode.dataset)
        images, states = observations(episode, judge.shape)
        told = judge.judge(images[1:], states[1:]) >= least
        return np.append(told, success_after(episode)[-1]).astype(np.float32)

    return rewards


def relabel_with_classifier(
    path: str | PathLike[str],
    classifier: RewardClassifier | str | PathLike[str],
    out: str | PathLike[str],
    *,
    threshold: float | None = None,
    repo_id: str | None = None,
    overwrite: bool = False,
) -> EpisodeDataset:
    """Write a dataset with a classifier's rewards; only `next.reward` changes.

    Args:
        path: of the dataset.
        classifier: or its folder.
        out: folder of the new one.
        threshold: None for the classifier's own.
        repo_id: `user/name` of the new dataset; None for that of the old one.
        overwrite: replace a dataset that is there.

    Returns:
        The new dataset.

    Raises:
        CheckpointError: there is no classifier.
        ConfigurationError: the dataset lacks what the classifier looks at.
        DatasetError: the dataset cannot be read, or the new one cannot be written.
        DemonstrationsError: the dataset says nothing about success.
    """
    rewards = classifier_rewards(classifier, threshold=threshold)
    return relabel_dataset(path, out, rewards, repo_id=repo_id, overwrite=overwrite)
