"""How good probabilities are: accuracy, precision, recall, the ROC curve, and the threshold for a wanted precision."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError

LEAST_THRESHOLD = 0.5
_ALMOST = 1e-9  # how near to 0 and 1 log-odds are computed


@dataclass(frozen=True, slots=True)
class Scores:
    """What a classifier got right at a threshold.

    Attributes:
        frames: how many were judged.
        threshold: the probability from which on a frame counts as success.
        true_positives: frames of success that were told.
        false_positives: others that were told to be success.
        false_negatives: frames of success that were missed.
        true_negatives: others that were told to be none.
        auc: area under the ROC curve; NaN where all frames are alike.
    """

    frames: int
    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    auc: float

    @property
    def accuracy(self) -> float:
        """Share of the frames that are right."""
        return _share(self.true_positives + self.true_negatives, self.frames)

    @property
    def precision(self) -> float:
        """Share of success among the frames that are told to be success; NaN if none is."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the frames of success that are told; NaN if there is none."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    def as_json(self) -> dict[str, Any]:
        """All numbers; what is not defined is None."""
        shares = {"accuracy": self.accuracy, "precision": self.precision, "recall": self.recall, "auc": self.auc}
        return {
            "frames": self.frames,
            "threshold": self.threshold,
            **{name: None if math.isnan(value) else round(value, 6) for name, value in shares.items()},
            "true_positives": self.true_positives,
            "false_positives": self.false_positives,
            "false_negatives": self.false_negatives,
            "true_negatives": self.true_negatives,
        }

    def __str__(self) -> str:
        return (
            f"{self.accuracy:.2%} of {self.frames} frames right, precision {_told(self.precision)}, "
            f"recall {_told(self.recall)}, AUC {_told(self.auc)} at threshold {self.threshold:.3f}"
        )


class Curve(NamedTuple):
    """What thresholds bring, from the highest to the lowest; each is one of the probabilities.

    Attributes:
        thresholds: (n,) probabilities, each once, descending.
        true_positives: (n,) how many frames of success have at least that probability.
        false_positives: (n,) how many others have.
    """

    thresholds: NDArray[np.float64]
    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]


def score(probabilities: NDArray[np.float64], success: NDArray[np.bool_], threshold: float) -> Scores:
    """Count what is right at a threshold.

    Args:
        probabilities: (n,) in [0, 1].
        success: (n,) what is true.
        threshold: see `Scores`.
    """
    told = probabilities >= threshold
    return Scores(
        frames=len(success),
        threshold=float(threshold),
        true_positives=int((told & success).sum()),
        false_positives=int((told & ~success).sum()),
        false_negatives=int((~told & success).sum()),
        true_negatives=int((~told & ~success).sum()),
        auc=area_under_curve(probabilities, success),
    )


def curve(probabilities: NDArray[np.float64], success: NDArray[np.bool_]) -> Curve:
    """What each threshold that makes a difference brings.

    Args:
        probabilities: (n,) in [0, 1].
        success: (n,) what is true.
    """
    order = np.argsort(-probabilities, kind="stable")
    sorted_, right = probabilities[order], success[order]
    last = np.flatnonzero(np.diff(sorted_, append=-1.0))  # of those with the same probability
    return Curve(sorted_[last], np.cumsum(right, dtype=np.int64)[last], np.cumsum(~right, dtype=np.int64)[last])


def area_under_curve(probabilities: NDArray[np.float64], success: NDArray[np.bool_]) -> float:
    """How likely a frame of success has a higher probability than another one; ties count half.

    Returns:
        The area under the ROC curve, in [0, 1]; NaN where all frames are alike.
    """
    _, hits, alarms = curve(probabilities, success)
    positives, negatives = int(success.sum()), int((~success).sum())
    if not positives or not negatives:
        return math.nan
    x, y = np.concatenate([[0], alarms]) / negatives, np.concatenate([[0], hits]) / positives
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def calibrate(probabilities: NDArray[np.float64], success: NDArray[np.bool_], precision: float) -> tuple[float, bool]:
    """Find the threshold that misses least at a wanted precision.

    Of thresholds that miss equally little, the one with the fewest false alarms is taken. It is never less than
    `LEAST_THRESHOLD`: few frames say little about probabilities that none of them has, and a policy finds what is
    wrongly rewarded. Between two probabilities that occur, any threshold brings the same; their middle in log-odds is
    taken.

    Args:
        probabilities: (n,) of frames that were not trained on.
        success: (n,) what is true.
        precision: wanted, in (0, 1].

    Returns:
        The threshold, and whether it reaches the precision. If none does it is the one that comes nearest.

    Raises:
        ConfigurationError: the precision is out of range.
    """
    if not 0 < precision <= 1:
        raise ConfigurationError(f"precision is {precision!r}; expected more than 0 and at most 1.")
    thresholds, hits, alarms = curve(probabilities, success)
    usable = thresholds >= LEAST_THRESHOLD
    if not (hits[usable] > 0).any():
        return LEAST_THRESHOLD, False
    reached = hits / (hits + alarms)
    enough = np.flatnonzero(usable & (hits > 0) & (reached >= precision))
    if len(enough):
        chosen = int(enough[hits[enough] == hits[enough[-1]]][0])
    else:
        best = reached[usable].max()
        chosen = int(np.flatnonzero(usable & (reached == best))[-1])
    upper = float(thresholds[chosen])
    below = float(thresholds[chosen + 1]) if chosen + 1 < len(thresholds) else 0.0
    middle = _middle(max(below, LEAST_THRESHOLD), upper)
    return (middle if below < middle <= upper else upper), bool(len(enough))


def _middle(low: float, high: float) -> float:
    odds = [math.log(value / (1 - value)) for value in np.clip([low, high], _ALMOST, 1 - _ALMOST).tolist()]
    return 1 / (1 + math.exp(-sum(odds) / 2))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _told(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4f}"
