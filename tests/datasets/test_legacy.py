"""Datasets of LeRobot's formats v2.0 and v2.1, written here as LeRobot 0.3.3 wrote them."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gym_hil.cli import main
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.transform import merge_datasets
from gym_hil.datasets.video import VideoWriter
from gym_hil.errors import DatasetError
from tests.datasets import reading

V3 = EpisodeDataset(Path(__file__).parents[1] / "data/lerobot_pick")
FRONT = "observation.images.front"


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture(params=["v2.0", "v2.1"])
def old(request, tmp_path):
    return write_old(tmp_path / "old", request.param)


def write_old(root, version):
    """The two episodes of `V3` in an older format, in chunks of one."""
    features = json.loads(json.dumps(V3.features))
    for key in V3.video_keys:
        features[key].update(shape=[48, 48, 3], names=["height", "width", "channels"])
    info = {
        "codebase_version": version,
        "robot_type": "panda",
        "total_episodes": 2,
        "total_frames": V3.total_frames,
        "total_tasks": len(V3.tasks),
        "total_videos": 4,
        "total_chunks": 2,
        "chunks_size": 1,
        "fps": 10,
        "splits": {"train": "0:2"},
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        "features": features,
    }
    (root / "meta").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    write_lines(root / "meta/tasks.jsonl", [{"task_index": i, "task": task} for i, task in enumerate(V3.tasks)])
    episodes, statistics = [], []
    for number, episode in enumerate(V3):
        path = root / f"data/chunk-{number:03d}/episode_{number:06d}.parquet"
        path.parent.mkdir(parents=True)
        columns = {key: column.tolist() for key, column in episode.numbers().items()}
        pq.write_table(pa.table(columns), path)
        for key in V3.video_keys:
            path = root / f"videos/chunk-{number:03d}/{key}/episode_{number:06d}.mp4"
            path.parent.mkdir(parents=True)
            video = VideoWriter(path, 48, 48, 10)
            for image in episode[key]:
                video.add(image)
            video.close()
        episodes.append({"episode_index": number, "tasks": [episode.record.task], "length": len(episode)})
        numbers = {"next.reward": {"max": [float(max(columns["next.reward"]))], "mean": [0.1], "count": [len(episode)]}}
        statistics.append({"episode_index": number, "stats": numbers})
    write_lines(root / "meta/episodes.jsonl", episodes)
    if version == "v2.1":
        write_lines(root / "meta/episodes_stats.jsonl", statistics)
    else:
        (root / "meta/stats.json").write_text("{}")
    return root


def assert_same(dataset, images_differ_by):
    assert (dataset.tasks, dataset.fps, len(dataset)) == (V3.tasks, V3.fps, len(V3))
    for ours, theirs in zip(dataset, V3, strict=True):
        assert (ours.record.tasks, ours.record.success) == (theirs.record.tasks, theirs.record.success)
        assert ours.numbers().keys() == theirs.numbers().keys()
        for key, column in theirs.numbers().items():
            np.testing.assert_array_equal(ours[key], column)
        for key in V3.video_keys:
            assert np.abs(ours[key].astype(int) - theirs[key]).mean() < images_differ_by


def test_older_formats_are_read_as_v3_is(old):
    dataset = EpisodeDataset(old)
    assert_same(dataset, images_differ_by=2)
    assert dataset.problems() == []
    assert len(list(dataset[1].transitions())) == len(dataset[1])


def test_conversion_makes_a_dataset_of_v3(old, tmp_path, capsys):
    before = reading.files(old)
    assert main(["dataset", "convert", str(old), "--out", str(tmp_path / "new")]) == 0
    assert "new: 2 episodes, 16 frames, 1 of 2 end in success" in capsys.readouterr().out
    made = EpisodeDataset(tmp_path / "new")
    assert_same(made, images_differ_by=2)
    np.testing.assert_array_equal(made[1][FRONT], EpisodeDataset(old)[1][FRONT])
    info = reading.info(made.path)
    assert info["codebase_version"] == "v3.0"
    assert not info.keys() & {"total_chunks", "total_videos"}
    assert all(row[f"stats/{FRONT}/q99"] for row in reading.rows(made.path))
    assert made.problems() == []
    assert reading.files(old) == before


def test_an_old_dataset_is_merged_with_a_new_one(old, tmp_path):
    assert len(merge_datasets([V3.path, old], tmp_path / "both")) == 4


def test_only_a_conversion_can_be_written_to(old, capsys):
    assert main(["dataset", "compact", str(old)]) == 1
    assert f"gym-hil dataset convert {old} --out NEW" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "meta/episodes.jsonl",
            "{}\n",
            r"line 1 is {}; expected episode_index \(int\), length \(int\), tasks \(list\)",
        ),
        ("meta/tasks.jsonl", '{"task_index": "0", "task": "push"}\n', "line 1 is"),
        (
            "meta/episodes_stats.jsonl",
            '{"episode_index": 0, "stats": {"next.reward": 3}}\n',
            "stats.jsonl cannot be read",
        ),
        ("meta/tasks.jsonl", "{", "tasks.jsonl cannot be read"),
        ("meta/episodes.jsonl", "", "counts 2 episodes"),
    ],
)
def test_a_damaged_list_is_an_error(old, name, text, message):
    (old / name).write_text(text)
    with pytest.raises(DatasetError, match=message):
        EpisodeDataset(old)


def test_a_missing_file_of_an_episode_is_found(old):
    (old / "data/chunk-001/episode_000001.parquet").unlink()
    (old / f"videos/chunk-000/{FRONT}/episode_000000.mp4").unlink()
    video, frames = EpisodeDataset(old).problems()
    assert f"{FRONT}/episode_000000.mp4 is missing" in video
    assert "episode_000001.parquet is missing" in frames
