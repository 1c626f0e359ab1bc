"""Rewards of recorded datasets by a reward classifier."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.reader import Episode, EpisodeDataset
from gym_hil.datasets.transform import relabel_dataset
from hil_trainer.reward_classifier.examples import check_fit, observations, success_after
from hil_trainer.reward_classifier.model import RewardClassifier
from hil_trainer.reward_classifier.success import as_classifier, checked_threshold


def classifier_rewards(
    classifier: RewardClassifier | str | PathLike[str], *, threshold: float | None = None
) -> Callable[[Episode], NDArray[np.float32]]:
    """Create the rewards function that `gym_hil.datasets.transform.relabel_dataset` needs.

    The reward of a frame is 1.0 if the observation of the next frame counts as success, else 0.0. The observation after
    the last frame of an episode is not recorded: the recorded success stays there.

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
    judge = as_classifier(classifier)
    minimum = checked_threshold(judge, threshold)

    def rewards(episode: Episode) -> NDArray[np.float32]:
        check_fit(judge.shape, episode.dataset)
        images, states = observations(episode, judge.shape)
        success = judge.judge(images[1:], states[1:]) >= minimum
        return np.append(success, success_after(episode)[-1]).astype(np.float32)

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
    """Write a dataset with the rewards of a classifier; only `next.reward` changes.

    Args:
        path: of the dataset.
        classifier: or its folder.
        out: folder of the new dataset.
        threshold: None for the classifier's own.
        repo_id: `user/name` of the new dataset; None for that of the old one.
        overwrite: replace a dataset in that folder.

    Returns:
        The new dataset.

    Raises:
        CheckpointError: there is no classifier.
        ConfigurationError: the dataset lacks what the classifier sees.
        DatasetError: the dataset cannot be read, or the new one cannot be written.
        DemonstrationsError: success was not recorded.
    """
    rewards = classifier_rewards(classifier, threshold=threshold)
    return relabel_dataset(path, out, rewards, repo_id=repo_id, overwrite=overwrite)
