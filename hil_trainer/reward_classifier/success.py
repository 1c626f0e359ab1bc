"""The success hook of an environment: a reward classifier decides what success is."""

from __future__ import annotations

from collections import deque
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.features import IMAGES, observed
from gym_hil.errors import ConfigurationError
from hil_trainer.reward_classifier.model import STATE, RewardClassifier, load_classifier, stage_reward


class ClassifierSuccess:
    """Success of an environment as a classifier sees it: `gym.make(..., success=ClassifierSuccess(folder))`.

    A stage counts as reached from the second observation in a row on (`consecutive`) that shows it or a later one: a
    single one may be a step early, or wrong. Success is rewarded by 1.0. Each stage before it is rewarded once an
    episode, all of them by the same part of 1.0. The probability of success is in `info["reward_classifier"]`, and the
    stage that the observation shows in `info["stage"]`, also at reset.

    Args:
        classifier: or its folder. Its cameras and proprioception have to be in the observations; the first observation
            is checked.
        threshold: probability from which on an observation counts as success; None for the classifier's own.
        consecutive: number of observations in a row that have to show a stage.

    Attributes:
        reward: of the last observation.

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
        self.classifier = load_classifier(classifier, threshold=threshold)
        self.consecutive = consecutive
        self.reset()

    def reset(self) -> None:
        """Start an episode."""
        self.reward = 0.0
        self._shown: deque[int] = deque(maxlen=self.consecutive)
        self._reached = 0

    def __call__(self, observation: dict[str, Any], info: dict[str, Any]) -> bool:
        """Whether this observation and those before it count as success; `info` gets the probability and the stage.

        Raises:
            ConfigurationError: the observation lacks what the classifier sees.
        """
        probabilities = self._probabilities(observation)
        info["reward_classifier"] = float(probabilities[-1])
        info["stage"] = stage = int(self.classifier.stage_of(probabilities[None])[0])
        self._shown.append(stage)
        reached = min(self._shown) if len(self._shown) == self.consecutive else 0
        self.reward = stage_reward(reached, self._reached, len(self.classifier.shape.classes))
        self._reached = max(reached, self._reached)
        return reached == len(self.classifier.shape.classes) - 1

    def _probabilities(self, observation: Any) -> NDArray[np.float64]:
        found = observed(observation) if isinstance(observation, dict) else {}
        images = {name.removeprefix(IMAGES): image for name, image in found.items() if name.startswith(IMAGES)}
        if not images:
            raise ConfigurationError("The classifier needs images; make the environment with image_obs=True.")
        return self.classifier.probabilities(images, found.get(STATE))
