import json
import os
import shutil

import pyarrow.parquet as pq
import pytest

from gym_hil.datasets import folder
from gym_hil.datasets.writer import DatasetWriter
from gym_hil.errors import DatasetError
from tests.datasets import reading

FEATURES = {"action": {"dtype": "float32", "shape": [2], "names": None}}


def open_writer(root, **options):
    return DatasetWriter(root, **{"repo_id": "me/test", "features": FEATURES, "fps": 10, **options})


def record(writer, episodes=1):
    for _ in range(episodes):
        writer.add_frame({"action": [writer.num_episodes, 1]}, "push")
        writer.save_episode({"seed": writer.num_episodes})


@pytest.fixture
def dataset(tmp_path):
    """A folder with a dataset of two episodes."""
    with open_writer(tmp_path / "data") as writer:
        record(writer, 2)
    return tmp_path / "data"


def actions(root):
    return [reading.frames(root, row)["action"][0, 0] for row in reading.rows(root)]


def refused(root, match, **options):
    """Open a folder in vain and make sure that nothing in it has changed."""
    before = reading.files(root)
    with pytest.raises(DatasetError, match=match):
        open_writer(root, **options)
    assert reading.files(root) == before


def test_folders_are_made(tmp_path):
    with open_writer(tmp_path / "a/b/c") as writer:
        record(writer)
    assert actions(tmp_path / "a/b/c") == [0]


def test_a_dataset_is_not_touched_unless_told_to(dataset):
    refused(dataset, "already holds a dataset.*--resume.*--overwrite")


def test_resuming_goes_on_where_the_dataset_ends(dataset):
    with open_writer(dataset, resume=True) as writer:
        assert (writer.num_episodes, writer.num_frames) == (2, 2)
        record(writer, 2)
    assert actions(dataset) == [0, 1, 2, 3]
    assert [row["gym_hil/seed"] for row in reading.rows(dataset)] == [0, 1, 2, 3]
    assert reading.stats(dataset)["action"]["max"] == [3.0, 1.0]


def test_resuming_begins_a_dataset_where_there_is_none(tmp_path):
    with open_writer(tmp_path / "data", resume=True) as writer:
        record(writer)
    assert actions(tmp_path / "data") == [0]


def test_resuming_keeps_what_info_says_about_the_beginning(dataset):
    with open_writer(dataset, resume=True, metadata={"env_id": "another"}) as writer:
        record(writer)
    assert "env_id" not in reading.info(dataset)["gym_hil"]


def test_resuming_puts_back_what_another_program_dropped(dataset):
    info = reading.info(dataset)
    del info["gym_hil"]
    (dataset / "meta/info.json").write_text(json.dumps(info))
    with open_writer(dataset, resume=True, metadata={"env_id": "this"}) as writer:
        record(writer)
    assert reading.info(dataset)["gym_hil"]["env_id"] == "this"


def test_overwriting_leaves_nothing_of_the_dataset_and_all_else(dataset):
    (dataset / "notes.txt").write_text("mine")
    with open_writer(dataset, overwrite=True) as writer:
        assert writer.num_episodes == 0
        assert reading.rows(dataset) == []
    assert sorted(reading.files(dataset)) == ["meta/info.json", "notes.txt"]


@pytest.mark.parametrize("option", [{}, {"resume": True}, {"overwrite": True}])
def test_a_folder_with_other_things_in_it_is_never_touched(tmp_path, option):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/one.jpg").write_text("a photo")
    refused(tmp_path, "not empty and not a dataset.*one.jpg", **option)


@pytest.mark.parametrize("option", [{}, {"resume": True}, {"overwrite": True}])
def test_a_file_is_no_folder(tmp_path, option):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DatasetError, match="is a file"):
        open_writer(tmp_path / "data", **option)
    assert (tmp_path / "data").read_text() == "a file"


def test_another_rate_is_refused(dataset):
    refused(dataset, "recorded at 10 frames per second, not 20", resume=True, fps=20)


@pytest.mark.parametrize(
    ("features", "match"),
    [
        ({"action": {"dtype": "float32", "shape": [3]}}, r"action: float32 \[2\] there, float32 \[3\] now"),
        ({"action": {"dtype": "float64", "shape": [2]}}, "float64"),
        ({**FEATURES, "more": {"dtype": "float32", "shape": [1]}}, r"more: absent there, float32 \[1\] now"),
        ({"less": {"dtype": "float32", "shape": [1]}}, r"action: float32 \[2\] there, absent now"),
    ],
)
def test_other_features_are_refused(dataset, features, match):
    refused(dataset, match, resume=True, features=features)


def test_another_format_is_refused(dataset):
    info = {**reading.info(dataset), "codebase_version": "v2.1"}
    (dataset / "meta/info.json").write_text(json.dumps(info))
    refused(dataset, "format v2.1", resume=True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"fps": 10}'])
def test_a_damaged_info_is_refused(dataset, text):
    (dataset / "meta/info.json").write_text(text)
    refused(dataset, "info.json cannot be read", resume=True)


@pytest.mark.parametrize("name", ["meta/episodes/chunk-000/file-000.parquet", "meta/tasks.parquet"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_truncated_table_is_refused(dataset, name, share):
    content = (dataset / name).read_bytes()
    (dataset / name).write_bytes(content[: int(share * len(content))])
    refused(dataset, "cannot be read", resume=True)


@pytest.mark.parametrize("name", ["meta/tasks.parquet", "data/chunk-000/file-001.parquet"])
def test_a_missing_file_is_named(dataset, name):
    (dataset / name).unlink()
    refused(dataset, name, resume=True)


def test_episodes_that_are_counted_but_not_listed_are_missed(dataset):
    info = {**reading.info(dataset), "total_episodes": 3}
    (dataset / "meta/info.json").write_text(json.dumps(info))
    refused(dataset, "counts 3 episodes, but meta/episodes lists 2", resume=True)


@pytest.mark.parametrize("column", ["length", "stats/action/q01", "data/file_index"])
def test_what_is_not_known_of_the_episodes_is_named(dataset, column):
    path = dataset / "meta/episodes/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    refused(dataset, f"lacks '{column}'", resume=True)


def test_a_second_recorder_is_kept_out(tmp_path):
    with open_writer(tmp_path / "data") as writer:
        record(writer)
        for option in ({"resume": True}, {"overwrite": True}):
            refused(tmp_path / "data", "being recorded into by another", **option)
        record(writer)
    assert actions(tmp_path / "data") == [0, 1]
    open_writer(tmp_path / "data", resume=True).close()


def test_a_full_disk_is_told_before_anything_is_recorded(tmp_path, monkeypatch):
    room = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(folder, "ROOM", room * 2)
    with pytest.raises(DatasetError, match=r"MiB left; recording needs at least .* MiB"):
        open_writer(tmp_path / "data")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_must_not_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DatasetError, match="cannot be written"):
            open_writer(tmp_path / "data")
    finally:
        tmp_path.chmod(0o700)


def test_a_place_that_cannot_hold_files_is_told():
    with pytest.raises(DatasetError, match="cannot be written"):
        open_writer("/proc/self/data" if os.path.isdir("/proc/self") else "/dev/null/data")
