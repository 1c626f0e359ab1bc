"""Labels belong to the state after an action, and episodes stay whole when they are split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_hil.datasets import EpisodeDataset
from gym_hil.errors import ConfigurationError
from hil_trainer.errors import CheckpointError, DemonstrationsError
from hil_trainer.reward_classifier import ClassifierShape, classifier_rewards
from hil_trainer.reward_classifier.examples import (
    just_before_success,
    open_datasets,
    read_examples,
    split_by_episode,
    success_after,
)
from tests.hil_trainer.reward_classifier.recordings import SIZE, STATE, write_recording


def read(*paths: Path, cameras=("front", "wrist"), state=STATE):
    return read_examples(open_datasets(paths), ClassifierShape(cameras, 32, state))


@pytest.mark.parametrize("labels", ["next.success", "next.reward"])
def test_the_label_of_a_row_belongs_to_the_observation_of_the_next(tmp_path: Path, labels: str) -> None:
    path = write_recording(tmp_path / "data", [5, None, 9], frames=9, labels=labels)
    examples = read(path)
    bright = examples.images[:, 0].float().mean((1, 2, 3)).numpy() > 130
    np.testing.assert_array_equal(bright, examples.success)
    assert examples.frames.tolist() == [*range(1, 9)] * 3
    assert examples.episodes.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert examples.success[:8].tolist() == [False] * 4 + [True] * 4
    # An episode that ends with success shows none.
    assert success_after(EpisodeDataset(path)[2]).tolist() == [False] * 8 + [True]
    assert not examples.success[16:].any()


def late(episode) -> np.ndarray:
    """Stages by a rule."""
    return np.arange(len(episode)) // 4


def test_stages_come_from_a_feature_or_a_function(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "data", [9], labels="next.stage")
    shape = ClassifierShape(("front",), 32, classes=("dark", "near", "bright"), labels="next.stage")
    examples = read_examples(open_datasets([path]), shape)
    assert examples.stages.tolist() == [0] * 5 + [1] * 3 + [2] * 3
    assert examples.success.tolist() == [False] * 8 + [True] * 3
    ruled = read_examples(open_datasets([path]), replace(shape, labels=f"{__name__}:late"))
    assert ruled.stages.tolist() == [0] * 4 + [1] * 4 + [2] * 3


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"labels": "next.step"}, DemonstrationsError, "no feature 'next.step' for labels; it has"),
        ({"labels": f"{__name__}:late", "classes": ("early", "late")}, DemonstrationsError, "a number from 0 to 1 for"),
        ({"labels": f"{__name__}:read"}, ConfigurationError, "The labels .*:read fail on"),
    ],
)
def test_labels_that_do_not_fit_are_refused(recording: Path, change, error, message) -> None:
    shape = ClassifierShape(("front",), 32, **change)
    with pytest.raises(error, match=message):
        read_examples(open_datasets([recording]), shape)


def test_the_last_observation_before_success_is_found_in_each_episode(tmp_path: Path) -> None:
    examples = read(write_recording(tmp_path / "data", [5, None, 1, 8], frames=9))
    found = just_before_success(examples)
    assert list(zip(examples.episodes[found], examples.frames[found], strict=True)) == [(0, 4), (3, 7)]


def test_several_datasets_are_read_one_behind_the_other(recording: Path, tmp_path: Path) -> None:
    other = write_recording(tmp_path / "other", [3, None])
    examples = read(recording, other)
    assert len(examples.sources) == 8
    assert examples.sources[6].dataset.path == other
    assert set(examples.of_episodes([6, 7]).episodes) == {6, 7}
    episode = EpisodeDataset(recording)[1]
    rows = examples.episodes == 1
    np.testing.assert_array_equal(examples.states[rows], episode["observation.state"][1:])
    wrist = episode.image("observation.images.wrist", 4)
    np.testing.assert_array_equal(examples.images[rows][3, 1].permute(1, 2, 0), wrist)
    fewer = read(recording, cameras=("wrist",), state=0)
    assert fewer.images.shape[1:] == (1, 3, SIZE, SIZE)
    assert fewer.states.shape[1] == 0


@pytest.mark.parametrize(
    ("recorded", "shape", "error", "message"),
    [
        ({}, {"cameras": ("side",)}, ConfigurationError, "no camera 'side'; it has front, wrist"),
        ({"state": 5}, {}, ConfigurationError, f"has 5 numbers; the classifier needs {STATE}"),
        ({"cameras": []}, {}, DemonstrationsError, "no images; record it without --no-images"),
        ({"labels": "none"}, {}, DemonstrationsError, r"neither next.success nor next.reward"),
        ({"frames": 1}, {}, DemonstrationsError, "no episode has two frames"),
    ],
)
def test_datasets_that_do_not_fit_are_refused(tmp_path: Path, recorded, shape, error, message) -> None:
    path = write_recording(tmp_path / "data", [3], **recorded)
    with pytest.raises(error, match=message):
        read(path, **shape)
    with pytest.raises(DemonstrationsError, match="name one or more"):
        read()


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=2, max_size=25),
    st.floats(0.05, 0.5),
    st.integers(0, 5),
)
def test_each_episode_chooses_the_threshold_or_is_left_out_once_and_both_kinds_are_everywhere(
    sizes: list[tuple[int, int]], share: float, seed: int
) -> None:
    success = np.concatenate([[*[False] * negative, *[True] * positive] for positive, negative in sizes]).astype(bool)
    episodes = np.repeat(np.arange(len(sizes)), [sum(size) for size in sizes])
    if sum(positive > 0 for positive, _ in sizes) < 3:
        with pytest.raises(DemonstrationsError):
            split_by_episode(success, episodes, share, seed)
        return
    held_out, folds = split_by_episode(success, episodes, share, seed)
    assert len(folds) >= 2
    assert sorted(episode for part in (held_out, *folds) for episode in part) == list(range(len(sizes)))
    for fold in folds:
        for numbers in (held_out, fold, np.setdiff1d(episodes, [*held_out, *fold])):
            rows = np.isin(episodes, numbers)
            assert success[rows].any()
            assert not success[rows].all()
    assert (held_out, folds) == split_by_episode(success, episodes, share, seed)


@pytest.mark.parametrize(
    ("success", "message"),
    [
        (np.zeros(6, bool), "--steps-after-success"),
        (np.arange(6) == 1, "Only 1 episodes show success; at least 3"),
        (np.ones(6, bool), "Too few frames show no success"),
    ],
)
def test_too_few_episodes_are_refused(success, message) -> None:
    with pytest.raises(DemonstrationsError, match=message):
        split_by_episode(success, np.repeat([0, 1, 2], 2), 0.2, 0)


def test_each_frame_of_a_dataset_gets_the_reward_of_the_next_image(trained: Path, tmp_path: Path) -> None:
    dataset = EpisodeDataset(write_recording(tmp_path / "source", [5, None, 12], frames=12))
    # The last reward of the third episode is the recorded one: the image after it does not exist.
    for episode, first in zip(dataset, [4, 12, 11], strict=True):
        np.testing.assert_array_equal(classifier_rewards(trained)(episode), np.arange(12) >= first)
    assert classifier_rewards(trained, threshold=1.0)(dataset[0]).tolist() == [0.0] * 11 + [1.0]
    with pytest.raises(CheckpointError, match="There is no classifier"):
        classifier_rewards(tmp_path / "none")
