"""The success hook of an environment: a reward classifier decides what success is."""

from __future__ import annotations

from os import PathLike
from typing import Any

from gym_hil.datasets.features import IMAGES, observed
from gym_hil.errors import ConfigurationError
from hil_trainer.reward_classifier.model import STATE, RewardClassifier, checked_threshold, load_classifier


class ClassifierSuccess:
    """Success of an environment as a classifier sees it: `gym.make(..., success=ClassifierSuccess(folder))`.

    An observation counts as success from the second one in a row on (`consecutive`): a single one may be a step early,
    or wrong. The probability is in `info["reward_classifier"]`, also at reset.

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
        if consecutive < 1:
            raise ConfigurationError(f"consecutive is {consecutive!r}; expected a number of observations, 1 or more.")
        self.classifier = load_classifier(classifier)
        self.threshold = checked_threshold(self.classifier, threshold)
        self.consecutive = consecutive
        self._agreed = 0

    def reset(self) -> None:
        """Start an episode."""
        self._agreed = 0

    def __call__(self, observation: dict[str, Any], info: dict[str, Any]) -> bool:
        """Whether this observation and those before it count as success; `info` gets the probability.

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
