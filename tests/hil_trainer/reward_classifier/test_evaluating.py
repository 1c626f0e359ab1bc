"""A classifier is tried on recordings that it has not obs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gym_hil.errors import ConfigurationError
from hil_trainer.reward_classifier import evaluate_classifier, load_classifier
from tests.hil_trainer.reward_classifier.recordings import write_recording


def test_scores_are_of_all_labelled_frames(trained: Path, tmp_path: Path) -> None:
    paths = [write_recording(tmp_path / "a", [3, None]), write_recording(tmp_path / "b", [8])]
    scores = evaluate_classifier(trained, paths, tmp_path / "report")
    assert (scores.frames, scores.true_positives + scores.false_negatives) == (33, 13)
    assert scores.accuracy == 1.0
    assert (tmp_path / "report" / "report.md").exists()
    strict = evaluate_classifier(load_classifier(trained), paths, threshold=1.0)
    assert (strict.threshold, strict.true_positives) == (1.0, 0)


def test_recordings_that_do_not_fit_are_told(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no camera 'wrist'"):
        evaluate_classifier(trained, [write_recording(tmp_path / "a", [3], cameras=["front"])])
