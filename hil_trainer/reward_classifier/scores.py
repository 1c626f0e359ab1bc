"""How good probabilities of success are, and the threshold for a precision; metrics by scikit-learn."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from gym_hil.errors import ConfigurationError

MIN_THRESHOLD = 0.5
_LOGIT_MARGIN = 1e-9  # distance from 0 and 1 at which log-odds are computed


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a classifier at a threshold.

    Attributes:
        frames: number of frames.
        threshold: probability from which on a frame counts as success.
        accuracy: share of the frames that are right.
        precision: share of success among the frames that count as success; NaN if none does.
        recall: share of the frames of success that count as success; NaN if there are none.
        auc: area under the ROC curve; NaN without frames of both kinds.
        true_positives: frames of success that count as success.
        false_positives: other frames that count as success.
        false_negatives: frames of success that do not count as success.
        true_negatives: other frames that do not count as success.
    """

    frames: int
    threshold: float
    accuracy: float
    precision: float
    recall: float
    auc: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    def as_json(self) -> dict[str, Any]:
        """All numbers; None for those that are undefined."""
        return {name: None if math.isnan(value) else round(value, 6) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        precision, recall, auc = (
            "undefined" if math.isnan(value) else f"{value:.4f}" for value in (self.precision, self.recall, self.auc)
        )
        return (
            f"{self.accuracy:.2%} of {self.frames} frames right, precision {precision}, recall {recall}, AUC {auc} at "
            f"threshold {self.threshold:.3f}"
        )


def score(probabilities: NDArray[np.float64], success: NDArray[np.bool_], threshold: float) -> Scores:
    """Score probabilities at a threshold.

    Args:
        probabilities: (n,) of success, in [0, 1].
        success: (n,) labels.
        threshold: see `Scores`.
    """
    predicted = probabilities >= threshold
    counts = metrics.confusion_matrix(success, predicted, labels=[False, True]).ravel().tolist()
    true_negatives, false_positives, false_negatives, true_positives = counts
    return Scores(
        frames=len(success),
        threshold=float(threshold),
        accuracy=float(metrics.accuracy_score(success, predicted)),
        precision=float(metrics.precision_score(success, predicted, zero_division=np.nan)),
        recall=float(metrics.recall_score(success, predicted, zero_division=np.nan)),
        auc=float(metrics.roc_auc_score(success, probabilities)) if 0 < success.sum() < len(success) else math.nan,
        true_positives=true_positives,
        false_positives=false_positives,
        false_negatives=false_negatives,
        true_negatives=true_negatives,
    )


def calibrate(probabilities: NDArray[np.float64], success: NDArray[np.bool_], precision: float) -> tuple[float, bool]:
    """Find the threshold with the highest recall at a precision.

    Of thresholds with the same recall the one with the fewest false positives is taken. It is at least `MIN_THRESHOLD`:
    few frames say little about probabilities that none of them has, and a policy exploits what is rewarded by mistake.
    Between two probabilities that occur, all thresholds are equivalent; the middle in log-odds is taken.

    Args:
        probabilities: (n,) of success, of frames that were not trained on.
        success: (n,) labels.
        precision: in (0, 1].

    Returns:
        The threshold, and whether it reaches the precision. If none does, it is the one with the highest precision.

    Raises:
        ConfigurationError: the precision is out of range.
    """
    if not 0 < precision <= 1:
        raise ConfigurationError(f"precision is {precision!r}; expected more than 0 and at most 1.")
    if not success.any():
        return MIN_THRESHOLD, False
    precisions, recalls, thresholds = metrics.precision_recall_curve(success, probabilities)
    precisions, recalls = precisions[:-1], recalls[:-1]  # without the point of no threshold
    usable = (thresholds >= MIN_THRESHOLD) & (recalls > 0)
    if not usable.any():
        return MIN_THRESHOLD, False
    enough = usable & (precisions >= precision)
    if enough.any():
        chosen = int(np.flatnonzero(enough & (recalls == recalls[enough].max()))[-1])
    else:
        chosen = int(np.flatnonzero(usable & (precisions == precisions[usable].max()))[0])
    upper = float(thresholds[chosen])
    lower = float(thresholds[chosen - 1]) if chosen else 0.0
    middle = _middle(max(lower, MIN_THRESHOLD), upper)
    return (middle if lower < middle <= upper else upper), bool(enough.any())


def _middle(low: float, high: float) -> float:
    odds = [math.log(value / (1 - value)) for value in np.clip([low, high], _LOGIT_MARGIN, 1 - _LOGIT_MARGIN).tolist()]
    return 1 / (1 + math.exp(-sum(odds) / 2))
