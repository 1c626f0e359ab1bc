"""Labels belong to the state after an action, and episodes stay whole when they are split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_hil.datasets import EpisodeDataset
from gym_hil.errors import ConfigurationError
from hil_trainer.errors import DemonstrationsError
from hil_trainer.reward_classifier.examples import (
    just_before_success,
    open_datasets,
    read_examples,
    shape_for,
    split_by_episode,
    success_after,
)
from tests.hil_trainer.reward_classifier.recordings import SIZE, STATE, write_recording


def read(*paths: Path, **options):
    datasets = open_datasets(paths)
    return read_examples(datasets, shape_for(datasets, **{"cameras": None, "image_size": 32, "state": True, **options}))


@pytest.mark.parametrize("labels", ["next.success", "next.reward"])
def test_the_label_of_a_row_belongs_to_the_observation_of_the_next(tmp_path: Path, labels: str) -> None:
    path = write_recording(tmp_path / "data", [5, None], frames=9, labels=labels)
    examples = read(path)
    bright = examples.images[:, 0].float().mean((1, 2, 3)).numpy() > 130
    np.testing.assert_array_equal(bright, examples.success)
    assert examples.frames.tolist() == [*range(1, 9), *range(1, 9)]
    assert examples.episodes.tolist() == [0] * 8 + [1] * 8
    assert examples.success[:8].tolist() == [False] * 4 + [True] * 4


def test_an_episode_that_ends_with_success_shows_none(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "data", [9], frames=9)
    assert success_after(EpisodeDataset(path)[0]).tolist() == [False] * 8 + [True]
    assert not read(path).success.any()


def test_the_last_observation_before_success_is_found_in_each_episode(tmp_path: Path) -> None:
    examples = read(write_recording(tmp_path / "data", [5, None, 1, 8], frames=9))
    found = just_before_success(examples)
    assert list(zip(examples.episodes[found], examples.frames[found], strict=True)) == [(0, 4), (3, 7)]


def test_states_belong_to_their_images(recording: Path) -> None:
    examples = read(recording)
    episode = EpisodeDataset(recording)[1]
    rows = examples.episodes == 1
    np.testing.assert_array_equal(examples.states[rows], episode["observation.state"][1:])
    np.testing.assert_array_equal(
        examples.images[rows][3, 1].permute(1, 2, 0), episode.image("observation.images.wrist", 4)
    )


def test_several_datasets_are_read_one_behind_the_other(recording: Path, tmp_path: Path) -> None:
    other = write_recording(tmp_path / "other", [3, None])
    examples = read(recording, other)
    assert len(examples.sources) == 8
    assert examples.sources[6].dataset.path == other
    assert set(examples.of_episodes([6, 7]).episodes) == {6, 7}


def test_cameras_and_the_state_can_be_left_out(recording: Path) -> None:
    examples = read(recording, cameras=["wrist"], state=False)
    assert examples.images.shape[1:] == (1, 3, SIZE, SIZE)
    assert examples.states.shape[1] == 0


def test_datasets_that_do_not_fit_are_refused(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no camera 'side'; it has front, wrist"):
        read(recording, cameras=["side"])
    one_camera = write_recording(tmp_path / "one_camera", [3], cameras=["front"], state=5)
    with pytest.raises(ConfigurationError, match="no camera 'wrist'"):
        read(recording, one_camera)
    with pytest.raises(ConfigurationError, match=f"has 5 numbers; the classifier needs {STATE}"):
        read(recording, one_camera, cameras=["front"])
    no_images = write_recording(tmp_path / "no_images", [3], cameras=[])
    with pytest.raises(DemonstrationsError, match="no images; record it without --no-images"):
        read(no_images)
    no_labels = write_recording(tmp_path / "no_labels", [3], labels="none")
    with pytest.raises(DemonstrationsError, match=r"neither next.success nor next.reward"):
        read(no_labels)
    with pytest.raises(DemonstrationsError, match="name one or more"):
        read()
    short = write_recording(tmp_path / "short", [None], frames=1)
    with pytest.raises(DemonstrationsError, match="no episode has two frames"):
        read(short)


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


def test_too_few_episodes_are_refused() -> None:
    episodes = np.repeat([0, 1, 2], 2)
    with pytest.raises(DemonstrationsError, match="--steps-after-success"):
        split_by_episode(np.zeros(6, bool), episodes, 0.2, 0)
    with pytest.raises(DemonstrationsError, match="Only 1 episodes show success; at least 3"):
        split_by_episode(np.arange(6) == 1, episodes, 0.2, 0)
    with pytest.raises(DemonstrationsError, match="Too few frames show no success"):
        split_by_episode(np.ones(6, bool), episodes, 0.2, 0)
    with pytest.raises(ConfigurationError, match=r"validation_share is 0.7"):
        split_by_episode(np.ones(6, bool), episodes, 0.7, 0)
