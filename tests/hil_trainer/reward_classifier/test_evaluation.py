"""Scores and thresholds are what their definitions say; a report shows the most wrong frames, or the least certain."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hil_trainer.errors import CheckpointError
from hil_trainer.reward_classifier import ClassifierShape, evaluate_classifier, load_classifier
from hil_trainer.reward_classifier.evaluation import (
    MAX_FRAMES,
    MIN_THRESHOLD,
    calibrate,
    hardest,
    score,
    write_report,
)
from hil_trainer.reward_classifier.examples import Examples, open_datasets, read_examples
from tests.hil_trainer.reward_classifier.recordings import write_recording

judged = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 0.9, 0.99, 1.0]), st.booleans()), min_size=1)


def arrays(pairs):
    probabilities, success = zip(*pairs, strict=True)
    return np.array(probabilities), np.array(success, dtype=bool)


@pytest.fixture(scope="module")
def examples(recording: Path) -> Examples:
    return read_examples(open_datasets([recording]), ClassifierShape(("front", "wrist"), 32, 3))


def test_scores_of_a_few_frames() -> None:
    scores = score(*arrays([(0.9, True), (0.8, True), (0.4, True), (0.7, False), (0.1, False)]), 0.6)
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


@pytest.mark.parametrize(
    ("pairs", "low", "high"),
    [
        # One false positive would still reach it; of the same recall, the fewest false positives count.
        ([*[(0.95, True)] * 99, (0.94, True), (0.8, False), (0.1, False)], 0.8, 0.94),
        # The middle of a gap, in log-odds.
        ([(0.6, False), (0.1, False), (0.99, True)], 0.8, 0.95),
        ([(0.001, False), (0.999, True)], 0.9, 0.99),  # above MIN_THRESHOLD
    ],
)
def test_the_threshold_lies_in_the_middle_of_a_gap_without_needless_false_positives(pairs, low, high) -> None:
    threshold, reached = calibrate(*arrays(pairs), 0.99)
    assert reached
    assert low < threshold < high


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.floats(0.1, 0.9))
def test_the_hardest_frames_are_the_wrong_ones_or_the_least_certain(pairs, threshold: float) -> None:
    probabilities, success = arrays(pairs)
    chosen = hardest(probabilities, success, threshold, 5)
    wrong = np.flatnonzero((probabilities >= threshold) != success)
    distance = np.abs(probabilities - threshold)[chosen]
    if len(wrong):
        assert set(chosen) <= set(wrong)
        assert len(chosen) == min(5, len(wrong))
        assert (np.diff(distance) <= 0).all()
    else:
        assert len(chosen) == min(5, len(pairs))
        assert (np.diff(distance) >= 0).all()


@pytest.mark.parametrize("wrong", [0, 3])
def test_a_report_has_its_images(examples: Examples, tmp_path: Path, wrong: int) -> None:
    probabilities = np.where(examples.success, 0.9, 0.1)
    probabilities[:wrong] = 0.95
    scores = score(probabilities, examples.success, 0.5)
    write_report(tmp_path / "new", examples, probabilities, scores, ("front", "wrist"), {"judged": "all"})
    text = (tmp_path / "new" / "report.md").read_text()
    assert "| judged | all |" in text
    sentence = f"The {wrong} most wrong frames" if wrong else f"No frame is wrong; the {MAX_FRAMES} least certain"
    assert sentence in text
    for name in ("roc.png", "hardest_frames.png"):
        assert f"({name})" in text
        with Image.open(tmp_path / "new" / name) as image:
            assert image.width > 200
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_report(tmp_path / "new" / "report.md", examples, probabilities, scores, ("front",), {})


def test_scores_are_of_all_labelled_frames(trained: Path, tmp_path: Path) -> None:
    paths = [write_recording(tmp_path / "a", [3, None]), write_recording(tmp_path / "b", [8])]
    scores = evaluate_classifier(trained, paths)
    assert (scores.frames, scores.true_positives + scores.false_negatives) == (33, 13)
    assert scores.accuracy == 1.0
    strict = evaluate_classifier(load_classifier(trained), paths, threshold=1.0)
    assert (strict.threshold, strict.true_positives) == (1.0, 0)
