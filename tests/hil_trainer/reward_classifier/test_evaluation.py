"""A classifier is compared with recordings; a report shows the frames that are most wrong, or else least certain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gym_hil.errors import ConfigurationError
from hil_trainer.errors import CheckpointError
from hil_trainer.reward_classifier import evaluate_classifier, load_classifier
from hil_trainer.reward_classifier.evaluation import MAX_FRAMES, hardest, write_report
from hil_trainer.reward_classifier.examples import Examples, open_datasets, read_examples, shape_for
from hil_trainer.reward_classifier.scores import score
from tests.hil_trainer.reward_classifier.recordings import write_recording


@pytest.fixture
def examples(recording: Path) -> Examples:
    datasets = open_datasets([recording])
    return read_examples(datasets, shape_for(datasets, cameras=None, image_size=32, state=True))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.floats(0.1, 0.9))
def test_the_hardest_frames_are_the_wrong_ones_or_the_least_certain(pairs, threshold: float) -> None:
    probabilities, success = np.array([p for p, _ in pairs]), np.array([s for _, s in pairs])
    chosen = hardest(probabilities, success, threshold, 5)
    wrong = np.flatnonzero((probabilities >= threshold) != success)
    distance = np.abs(probabilities - threshold)
    if len(wrong):
        assert set(chosen) <= set(wrong)
        assert len(chosen) == min(5, len(wrong))
        assert (np.diff(distance[chosen]) <= 0).all()
    else:
        assert len(chosen) == min(5, len(pairs))
        assert (np.diff(distance[chosen]) >= 0).all()


@pytest.mark.parametrize("wrong", [0, 3])
def test_a_report_has_its_images(examples: Examples, tmp_path: Path, wrong: int) -> None:
    probabilities = np.where(examples.success, 0.9, 0.1)
    probabilities[:wrong] = 0.95
    scores = score(probabilities, examples.success, 0.5)
    path = write_report(tmp_path / "new", examples, probabilities, scores, ("front", "wrist"), {"judged": "all"})
    text = path.read_text()
    assert "| judged | all |" in text
    sentence = f"The {wrong} most wrong frames" if wrong else f"No frame is wrong; the {MAX_FRAMES} least certain"
    assert sentence in text
    for name in ("roc.png", "hardest_frames.png"):
        assert f"({name})" in text
        with Image.open(tmp_path / "new" / name) as image:
            assert image.width > 200


def test_a_folder_that_cannot_be_written_is_named(examples: Examples, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    probabilities = np.zeros(len(examples))
    scores = score(probabilities, examples.success, 0.5)
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_report(tmp_path / "file", examples, probabilities, scores, ("front",), {})


def test_scores_are_of_all_labelled_frames(trained: Path, tmp_path: Path) -> None:
    paths = [write_recording(tmp_path / "a", [3, None]), write_recording(tmp_path / "b", [8])]
    scores = evaluate_classifier(trained, paths, tmp_path / "report")
    assert (scores.frames, scores.true_positives + scores.false_negatives) == (33, 13)
    assert scores.accuracy == 1.0
    assert (tmp_path / "report" / "report.md").exists()
    strict = evaluate_classifier(load_classifier(trained), paths, threshold=1.0)
    assert (strict.threshold, strict.true_positives) == (1.0, 0)


def test_recordings_that_do_not_fit_are_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no camera 'wrist'"):
        evaluate_classifier(trained, [write_recording(tmp_path / "a", [3], cameras=["front"])])
