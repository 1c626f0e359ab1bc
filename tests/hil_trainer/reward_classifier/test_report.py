"""A report shows the frames that are most wrong, or else least sure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hil_trainer.errors import CheckpointError
from hil_trainer.reward_classifier.examples import Examples, open_datasets, read_examples, shape_for
from hil_trainer.reward_classifier.report import MOST, hardest, write_report
from hil_trainer.reward_classifier.scores import score


@pytest.fixture
def examples(recording: Path) -> Examples:
    datasets = open_datasets([recording])
    return read_examples(datasets, shape_for(datasets, cameras=None, image_size=32, state=True))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.floats(0.1, 0.9))
def test_the_hardest_frames_are_the_wrong_ones_or_the_least_sure(pairs, threshold: float) -> None:
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
    told = f"The {wrong} frames that are most wrong" if wrong else f"No frame is wrong; the {MOST} least sure"
    assert told in text
    for name in ("roc.png", "hardest_frames.png"):
        assert f"({name})" in text
        with Image.open(tmp_path / "new" / name) as image:
            assert image.width > 200


def test_a_folder_that_cannot_be_written_is_told(examples: Examples, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    probabilities = np.zeros(len(examples))
    scores = score(probabilities, examples.success, 0.5)
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_report(tmp_path / "file", examples, probabilities, scores, ("front",), {})
