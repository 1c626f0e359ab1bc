"""Rewards by a classifier: for an environment as its success hook, and for recorded datasets."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.features import IMAGES, observed
from gym_hil.errors import ConfigurationError
from hil_trainer.reward_classifier.model import STATE, RewardClassifier, load_classifier

if TYPE_CHECKING:
    from gym_hil.datasets import Episode, EpisodeDataset


class ClassifierSuccess:
    """Success of an environment as a classifier sees it: `gym.make(..., success=ClassifierSuccess(folder))`.

    An observation counts as success from the second one in a row on (`consecutive`): a single one may be a step early,
    or wrong. The probability is in `info["reward_classifier"]`, also at reset.

    Example:
        >>> import gymnasium as gym
        >>> import gym_hil
        >>> from hil_trainer.reward_classifier import ClassifierSuccess
        >>> hook = ClassifierSuccess("outputs/classifier")  # doctest: +SKIP
        >>> env = gym.make("gym_hil/PandaPickCube-v1", image_obs=True, success=hook)  # doctest: +SKIP

    Args:
        classifier: or its folder. Its cameras and proprioception have to be in the observations; the first observation
            is checked.
        threshold: probability from which on an observation counts as success; None for the classifier's own.
        consecutive: number of observations in a row that have to count as success.

    Raises:
        CheckpointError: there is no classifier.
        ConfigurationError: an argument is out of range.
        MissingExtraError: safetensors is not installed.
    """

    def __init__(
        self,
        classifier: RewardClassifier | str | PathLike[str],
        *,
        threshold: float | None = None,
        consecutive: int = 2,
    ):
        if consecutive != int(consecutive) or consecutive < 1:
            raise ConfigurationError(f"consecutive is {consecutive!r}; expected a number of observations, 1 or more.")
        self.classifier = _loaded(classifier)
        self.threshold = _threshold(self.classifier, threshold)
        self.consecutive = int(consecutive)
        self._agreed = 0

    def reset(self) -> None:
        """Start an episode."""
        self._agreed = 0

    def __call__(self, observation: dict[str, Any], info: dict[str, Any]) -> bool:
        """Judge an observation.

        Args:
            observation: of the environment, after a step.
            info: gets the probability of success.

        Returns:
            Whether this observation and those before it count as success.

        Raises:
            ConfigurationError: the observation lacks what the classifier sees.
        """
        info["reward_classifier"] = probability = self._probability(observation)
        self._agreed = self._agreed + 1 if probability >= self.threshold else 0
        return self._agreed >= self.consecutive

    def _probability(self, observation: Any) -> float:
        found = observed(observation) if isinstance(observation, dict) else {}
        images = {name.removeprefix(IMAGES): image for name, image in found.items() if name.startswith(IMAGES)}
        if not images:
            raise ConfigurationError("The classifier needs images; make the environment with image_obs=True.")
        return self.classifier.probability(images, found.get(STATE))


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
    from hil_trainer.reward_classifier.examples import check_fit, observations, success_after

    judge = _loaded(classifier)
    minimum = _threshold(judge, threshold)

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
    from gym_hil.datasets.transform import relabel_dataset

    rewards = classifier_rewards(classifier, threshold=threshold)
    return relabel_dataset(path, out, rewards, repo_id=repo_id, overwrite=overwrite)


def _loaded(classifier: RewardClassifier | str | PathLike[str]) -> RewardClassifier:
    return classifier if isinstance(classifier, RewardClassifier) else load_classifier(classifier)


def _threshold(classifier: RewardClassifier, threshold: float | None) -> float:
    if threshold is None:
        return classifier.threshold
    if not 0 < threshold <= 1:
        raise ConfigurationError(f"threshold is {threshold!r}; expected a probability, more than 0 and at most 1.")
    return float(threshold)
