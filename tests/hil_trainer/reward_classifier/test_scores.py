"""Shares, curves and thresholds are what their definitions say."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_hil.errors import ConfigurationError
from hil_trainer.reward_classifier.scores import LEAST_THRESHOLD, area_under_curve, calibrate, curve, score

judged = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 0.9, 0.99, 1.0]), st.booleans()), min_size=1)


def arrays(pairs):
    probabilities, success = zip(*pairs, strict=True)
    return np.array(probabilities), np.array(success, dtype=bool)


def test_scores_count_what_is_right() -> None:
    scores = score(np.array([0.9, 0.8, 0.4, 0.7, 0.1]), np.array([True, True, True, False, False]), 0.6)
    counts = (scores.true_positives, scores.false_positives, scores.false_negatives, scores.true_negatives)
    assert counts == (2, 1, 1, 1)
    assert (scores.accuracy, scores.precision, scores.recall) == (0.6, 2 / 3, 2 / 3)
    assert scores.auc == pytest.approx(5 / 6)
    assert "60.00% of 5 frames right, precision 0.6667" in str(scores)


def test_what_is_undefined_is_null_in_json() -> None:
    scores = score(np.array([0.2]), np.array([False]), 0.5)
    assert math.isnan(scores.precision)
    told = json.loads(json.dumps(scores.as_json(), allow_nan=False))
    assert (told["precision"], told["recall"], told["auc"], told["accuracy"]) == (None, None, None, 1.0)


@given(judged)
def test_the_area_is_how_often_success_is_rated_higher(pairs) -> None:
    probabilities, success = arrays(pairs)
    higher = probabilities[success][:, None], probabilities[~success][None, :]
    wins = (higher[0] > higher[1]) + 0.5 * (higher[0] == higher[1])
    area = area_under_curve(probabilities, success)
    assert area == pytest.approx(wins.mean()) if wins.size else math.isnan(area)


@given(judged)
def test_the_curve_has_each_probability_once_and_counts_at_it(pairs) -> None:
    probabilities, success = arrays(pairs)
    thresholds, hits, alarms = curve(probabilities, success)
    assert thresholds.tolist() == sorted(set(probabilities.tolist()), reverse=True)
    for threshold, hit, alarm in zip(thresholds, hits, alarms, strict=True):
        scores = score(probabilities, success, threshold)
        assert (scores.true_positives, scores.false_positives) == (hit, alarm)


@given(judged, st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_the_threshold_misses_least_at_the_wanted_precision(pairs, precision: float) -> None:
    probabilities, success = arrays(pairs)
    threshold, reached = calibrate(probabilities, success, precision)
    scores = score(probabilities, success, threshold)
    assert LEAST_THRESHOLD <= threshold <= 1
    others = [score(probabilities, success, other) for other in np.linspace(LEAST_THRESHOLD, 1, 101)]
    good = [other for other in others if other.precision >= precision]
    assert reached == bool(good)
    if reached:
        assert scores.precision >= precision
        assert scores.recall == max(other.recall for other in good)
    else:
        precisions = [other.precision for other in others if other.true_positives]
        assert not precisions or scores.precision == max(precisions)


def test_of_thresholds_that_miss_equally_little_the_one_with_the_fewest_false_alarms_is_taken() -> None:
    probabilities = np.array([0.95] * 99 + [0.94, 0.8, 0.1])
    success = np.array([True] * 100 + [False] * 2)
    threshold, reached = calibrate(probabilities, success, 0.99)  # which one false alarm would not spoil
    assert reached
    assert 0.8 < threshold < 0.94


def test_the_threshold_lies_in_the_middle_of_a_gap() -> None:
    threshold, reached = calibrate(np.array([0.6, 0.1, 0.99]), np.array([False, False, True]), 0.99)
    assert reached
    assert 0.8 < threshold < 0.95
    threshold, _ = calibrate(np.array([0.001, 0.999]), np.array([False, True]), 0.99)
    assert 0.9 < threshold < 0.99  # above LEAST_THRESHOLD


@pytest.mark.parametrize("precision", [0.0, 1.1])
def test_a_precision_out_of_range_is_told(precision: float) -> None:
    with pytest.raises(ConfigurationError, match="precision"):
        calibrate(np.array([0.5]), np.array([True]), precision)
