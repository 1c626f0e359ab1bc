"""Joining the files of episodes: what was recorded stays, whatever happens meanwhile."""

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.recording import CAMERA, FEATURES, FPS, frame, length, problems
from gym_hil.datasets.compact import compact_dataset
from gym_hil.datasets.layout import numbered_files
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.store import ROWS_PER_FILE
from gym_hil.datasets.writer import DatasetWriter
from gym_hil.errors import DatasetError
from tests.datasets import reading

LEROBOT_PICK = Path(__file__).parents[1] / "data" / "lerobot_pick"


def record(root, episodes, join=True):
    """Record episodes; without `join` their files stay as they are while recording."""
    with pytest.MonkeyPatch.context() as patches:
        if not join:
            patches.setattr("gym_hil.datasets.writer.join_files", lambda root, info: 0)
        with DatasetWriter(root, repo_id="me/killed", features=FEATURES, fps=FPS, resume=True) as writer:
            for _ in range(episodes):
                episode = writer.num_episodes
                for number in range(length(episode)):
                    writer.add_frame(frame(episode, number), task=f"task {episode // 3}")
                writer.save_episode({"seed": episode, "success": True})
    return root


def counts(root):
    """Files of frames, of images and of episodes."""
    return [len(numbered_files(root / name)) for name in ("data", f"videos/{CAMERA}", "meta/episodes")]


def contents(root):
    with EpisodeDataset(root) as dataset:
        return [{key: episode[key] for key in dataset.features} for episode in dataset]


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for key in other:
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_while_recording_an_episode_has_files_of_its_own_and_they_are_joined_on_close(tmp_path):
    record(tmp_path, 3, join=False)
    expected = contents(tmp_path)
    assert counts(tmp_path) == [3, 3, 1]
    record(tmp_path, 0, join=False)
    assert compact_dataset(tmp_path) == (10, 6)
    assert counts(tmp_path) == [1, 1, 1]
    assert_equal(contents(tmp_path), expected)
    assert problems(tmp_path, 3) == []
    assert not (tmp_path / ".recording").exists()
    assert compact_dataset(tmp_path) == (6, 6)
    for total in (5, 7):
        record(tmp_path, 2)
        assert counts(tmp_path) == [1, 1, 1]
        assert problems(tmp_path, total) == []


def test_files_grow_no_larger_than_the_dataset_says(tmp_path):
    record(tmp_path, 6, join=False)
    sizes = [path.stat().st_size for path in numbered_files(tmp_path / f"videos/{CAMERA}")]
    info = tmp_path / "meta/info.json"
    limit = f'"video_files_size_in_mb": {(sizes[0] + sizes[1] + sizes[2]) / 1e6}'
    info.write_text(info.read_text().replace('"video_files_size_in_mb": 200', limit))
    expected = contents(tmp_path)
    compact_dataset(tmp_path)
    joined = numbered_files(tmp_path / f"videos/{CAMERA}")
    assert counts(tmp_path)[0] == 1
    assert 1 < len(joined) < 6
    assert max(path.stat().st_size for path in joined) <= sum(sizes[:3])
    assert_equal(contents(tmp_path), expected)
    EpisodeDataset(tmp_path).check()


def test_many_rows_come_into_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr("gym_hil.datasets.store.ROWS_PER_FILE", 2)
    record(tmp_path, 5, join=False)
    assert counts(tmp_path)[2] == 3
    assert ROWS_PER_FILE > 2
    compact_dataset(tmp_path)
    assert counts(tmp_path)[2] == 1
    record(tmp_path, 2)
    assert problems(tmp_path, 7) == []


def test_a_broken_file_is_left_alone_and_the_others_are_joined(tmp_path):
    record(tmp_path, 5, join=False)
    path = tmp_path / f"videos/{CAMERA}/chunk-000/file-002.mp4"
    path.write_bytes(path.read_bytes()[:100])
    compact_dataset(tmp_path)
    assert counts(tmp_path) == [1, 3, 1]
    (problem,) = EpisodeDataset(tmp_path).problems()
    assert str(path) in problem


def test_what_lerobot_wrote_is_joined_with_what_was_recorded_here(tmp_path):
    """Frames come into one file; images that are encoded otherwise stay in another."""
    root = Path(shutil.copytree(LEROBOT_PICK, tmp_path / "pick"))
    old = contents(root)
    features = {key: dict(value) for key, value in EpisodeDataset(root).features.items()}
    video_keys = [key for key, value in features.items() if value["dtype"] == "video"]
    for key in video_keys:
        features[key].update(shape=[3, 48, 48], names=["channels", "height", "width"])
    with DatasetWriter(root, repo_id="me/x", features=features, fps=10, resume=True) as writer:
        for number in range(3):
            values = {key: np.zeros(value["shape"]) for key, value in writer.features.items() if key not in video_keys}
            values.update({key: np.full((48, 48, 3), 50 * number, np.uint8) for key in video_keys})
            writer.add_frame(values, "wait")
        writer.save_episode()
    assert len(numbered_files(root / "data")) == 1
    assert len(numbered_files(root / "videos" / video_keys[0])) == 2
    assert_equal(contents(root)[:2], old)
    EpisodeDataset(root).check()


class Killed(BaseException):
    """Stands for the end of the process: nothing in the package catches it."""


@pytest.mark.parametrize("change", range(12))
def test_killed_between_two_changes_nothing_is_lost(tmp_path, monkeypatch, change):
    """Every change is a rename or a deletion; the dataset is whole after each, and the next recorder goes on."""
    record(tmp_path, 4, join=False)
    expected = contents(tmp_path)
    done = itertools.count()

    def die_or(call):
        def changed(*arguments, **options):
            if next(done) == change:
                raise Killed
            return call(*arguments, **options)

        return changed

    with monkeypatch.context() as patches:
        patches.setattr(os, "replace", die_or(os.replace))
        patches.setattr(Path, "unlink", die_or(Path.unlink))
        with pytest.raises(Killed):
            compact_dataset(tmp_path)
    assert_equal(contents(tmp_path), expected)
    assert problems(tmp_path, 4) == []
    record(tmp_path, 1)
    assert problems(tmp_path, 5) == []
    assert counts(tmp_path) == [1, 1, 1]
    assert reading.info(tmp_path)["total_episodes"] == 5


def test_a_recorder_or_a_disk_without_room_leaves_the_files_as_they_are(tmp_path, monkeypatch):
    record(tmp_path, 2, join=False)
    writer = DatasetWriter(tmp_path, repo_id="me/killed", features=FEATURES, fps=FPS, resume=True)
    with writer, pytest.raises(DatasetError, match="another process"):
        compact_dataset(tmp_path)
    monkeypatch.setattr("gym_hil.datasets.compact.ROOM", 1 << 62)
    with pytest.warns(UserWarning, match="is whole, but its files were not joined"):
        record(tmp_path, 1)
    assert problems(tmp_path, 3) == []
    before = reading.files(tmp_path)
    with pytest.raises(DatasetError, match=r"have to be free to join.*Make room"):
        compact_dataset(tmp_path)
    assert reading.files(tmp_path) == before
