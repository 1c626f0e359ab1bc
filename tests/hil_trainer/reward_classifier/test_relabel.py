"""A classifier gives the rewards of a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gym_hil.datasets import EpisodeDataset
from hil_trainer.errors import CheckpointError
from hil_trainer.reward_classifier import classifier_rewards, relabel_with_classifier
from hil_trainer.reward_classifier.examples import success_after
from tests.hil_trainer.reward_classifier.recordings import write_recording


def test_each_frame_of_a_dataset_gets_the_reward_of_the_next_image(trained: Path, tmp_path: Path) -> None:
    source = write_recording(tmp_path / "source", [5, None, 12], frames=12)
    new = relabel_with_classifier(source, trained, tmp_path / "new", repo_id="me/new")
    for episode, first in zip(new, [4, None, 11], strict=True):
        expected = np.zeros(12) if first is None else (np.arange(12) >= first)
        np.testing.assert_array_equal(episode["next.reward"], expected)
    # The last reward of the third episode is the recorded one: the image after it does not exist.
    old = EpisodeDataset(source)
    for before, after in zip(old, new, strict=True):
        np.testing.assert_array_equal(success_after(before), success_after(after))
        np.testing.assert_array_equal(before["action"], after["action"])
    assert new.metadata["repo_id"] == "me/new"
    assert classifier_rewards(trained, threshold=1.0)(old[0]).tolist() == [0.0] * 11 + [1.0]


def test_a_missing_classifier_is_reported_before_the_dataset_is_read(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no classifier"):
        relabel_with_classifier(tmp_path / "nothing", tmp_path / "none", tmp_path / "new")
