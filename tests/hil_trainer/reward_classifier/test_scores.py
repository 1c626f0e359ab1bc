"""Scores and thresholds are what their definitions say."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_hil.errors import ConfigurationError
from hil_trainer.reward_classifier.scores import MIN_THRESHOLD, calibrate, score

judged = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 0.9, 0.99, 1.0]), st.booleans()), min_size=1)


def arrays(pairs):
    probabilities, success = zip(*pairs, strict=True)
    return np.array(probabilities), np.array(success, dtype=bool)


def test_scores_of_a_few_frames() -> None:
    scores = score(np.array([0.9, 0.8, 0.4, 0.7, 0.1]), np.array([True, True, True, False, False]), 0.6)
    counts = (scores.true_positives, scores.false_positives, scores.false_negatives, scores.true_negatives)
    assert counts == (2, 1, 1, 1)
    assert (scores.accuracy, scores.precision, scores.recall) == (0.6, 2 / 3, 2 / 3)
    assert scores.auc == pytest.approx(5 / 6)
    assert "60.00% of 5 frames right, precision 0.6667" in str(scores)


def test_what_is_undefined_is_null_in_json() -> None:
    scores = score(np.array([0.2]), np.array([False]), 0.5)
    assert math.isnan(scores.precision)
    found = json.loads(json.dumps(scores.as_json(), allow_nan=False))
    assert (found["precision"], found["recall"], found["auc"], found["accuracy"]) == (None, None, None, 1.0)


@settings(max_examples=40, deadline=None)
@given(judged, st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_the_threshold_has_the_highest_recall_at_the_precision(pairs, precision: float) -> None:
    probabilities, success = arrays(pairs)
    threshold, reached = calibrate(probabilities, success, precision)
    assert MIN_THRESHOLD <= threshold <= 1

    def hits_and_precision(at):
        predicted = probabilities >= at
        hits = int((predicted & success).sum())
        return hits, hits / max(int(predicted.sum()), 1)

    others = [hits_and_precision(other) for other in np.linspace(MIN_THRESHOLD, 1, 101)]
    good = [hits for hits, other in others if hits and other >= precision]
    hits, found = hits_and_precision(threshold)
    assert reached == bool(good)
    if reached:
        assert found >= precision
        assert hits == max(good)
    else:
        assert found == max((other for hits, other in others if hits), default=found)


def test_of_thresholds_with_the_same_recall_the_one_with_the_fewest_false_positives_is_taken() -> None:
    probabilities = np.array([0.95] * 99 + [0.94, 0.8, 0.1])
    success = np.array([True] * 100 + [False] * 2)
    threshold, reached = calibrate(probabilities, success, 0.99)  # one false positive would still reach it
    assert reached
    assert 0.8 < threshold < 0.94


def test_the_threshold_lies_in_the_middle_of_a_gap() -> None:
    threshold, reached = calibrate(np.array([0.6, 0.1, 0.99]), np.array([False, False, True]), 0.99)
    assert reached
    assert 0.8 < threshold < 0.95
    threshold, _ = calibrate(np.array([0.001, 0.999]), np.array([False, True]), 0.99)
    assert 0.9 < threshold < 0.99  # above MIN_THRESHOLD


@pytest.mark.parametrize("precision", [0.0, 1.1])
def test_a_precision_out_of_range_is_refused(precision: float) -> None:
    with pytest.raises(ConfigurationError, match="precision"):
        calibrate(np.array([0.5]), np.array([True]), precision)
