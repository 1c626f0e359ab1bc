"""Which folders can be recorded into, and what happens to the files in them."""

import json
import os
import shutil
import threading

import pyarrow.parquet as pq
import pytest

from gym_hil.datasets import folder, layout
from gym_hil.datasets.writer import DatasetWriter
from gym_hil.errors import DatasetError
from tests.datasets import reading

FEATURES = {"action": {"dtype": "float32", "shape": [2], "names": None}}
OPTIONS = [{}, {"resume": True}, {"overwrite": True}]
STRAY = [
    "data/notes.txt",
    "data/chunk-000/file-copy.parquet",
    "data/chunk-000/._file-000.parquet",
    "videos/other/notes.txt",
    "meta/episodes/chunk-000/.file-000.parquet.swp",
    "meta/README.md",
]


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


def test_a_home_directory_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with open_writer("~/data") as writer:
        record(writer)
    assert actions(tmp_path / "data") == [0]
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("option", OPTIONS)
def test_a_dataset_without_episodes_blocks_nothing_and_one_with_some_asks(tmp_path, option):
    root = tmp_path / "a/b/data"
    open_writer(root, metadata={"env_id": "first"}, **option).close()
    with open_writer(root, metadata={"env_id": "second"}, **option) as writer:
        record(writer)
    assert actions(root) == [0]
    assert reading.info(root)["gym_hil"]["env_id"] == "second"
    refused(root, "already holds a dataset.*resume=True.*overwrite=True")


def test_resuming_goes_on_where_the_dataset_ends(dataset):
    with open_writer(dataset, resume=True) as writer:
        assert (writer.num_episodes, writer.num_frames) == (2, 2)
        record(writer, 2)
    assert actions(dataset) == [0, 1, 2, 3]
    assert [row["gym_hil/seed"] for row in reading.rows(dataset)] == [0, 1, 2, 3]
    assert reading.stats(dataset)["action"]["max"] == [3.0, 1.0]


def test_resuming_with_other_metadata_keeps_that_of_each_episode(dataset):
    with open_writer(dataset, resume=True, metadata={"env_id": "another"}) as writer:
        record(writer)
    info = reading.info(dataset)
    assert "env_id" not in info["gym_hil"]
    kept = [row["gym_hil/metadata"] for row in reading.rows(dataset)]
    assert kept == [None, None, '{"env_id": "another"}']
    del info["gym_hil"]  # as another program does
    (dataset / "meta/info.json").write_text(json.dumps(info))
    with open_writer(dataset, resume=True, metadata={"env_id": "this"}) as writer:
        record(writer)
    assert reading.info(dataset)["gym_hil"]["env_id"] == "this"


@pytest.mark.parametrize("option", ["resume", "overwrite"])
def test_files_of_others_in_the_folder_are_never_touched_or_read(dataset, option):
    stray = [*STRAY, "data/chunk-000/file-001.parquet"] if option == "resume" else STRAY  # a name of the format
    for name in stray:
        (dataset / name).parent.mkdir(parents=True, exist_ok=True)
        (dataset / name).write_text("mine")
    with open_writer(dataset, **{option: True}) as writer:
        assert writer.num_episodes == (2 if option == "resume" else 0)
        record(writer)
        assert [row["data/file_index"] for row in reading.rows(dataset)] == ([0, 0, 2] if option == "resume" else [0])
    assert all((dataset / name).read_text() == "mine" for name in stray)


def test_overwriting_leaves_nothing_of_the_dataset(dataset):
    (dataset / layout.SHEET).write_text("its contact sheet")
    (dataset / "notes.txt").write_text("mine")
    with open_writer(dataset, overwrite=True) as writer:
        assert reading.rows(writer.root) == []
    assert sorted(reading.files(dataset)) == ["meta/info.json", "notes.txt"]


def test_nothing_is_written_through_a_symbolic_link(dataset, tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(path for path in dataset.rglob("*") if path.is_file())):
        path.rename(blobs / str(number))
        path.symlink_to(blobs / str(number))
    before = reading.files(blobs)
    with open_writer(dataset, resume=True) as writer:
        record(writer, 2)
    assert reading.files(blobs) == before
    assert actions(dataset) == [0, 1, 2, 3]


@pytest.mark.parametrize("option", OPTIONS)
def test_a_folder_with_other_things_in_it_and_a_file_are_never_touched(tmp_path, option):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/one.jpg").write_text("a photo")
    refused(tmp_path, "not empty and not a dataset.*one.jpg", **option)
    with pytest.raises(DatasetError, match="is a file"):
        open_writer(tmp_path / "photos/one.jpg", **option)
    assert (tmp_path / "photos/one.jpg").read_text() == "a photo"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"fps": 20}, "recorded at 10 frames per second, not 20"),
        ({"repo_id": "me/other"}, "is the dataset me/test, not me/other"),
        (
            {"features": {"action": {"dtype": "float32", "shape": [3]}}},
            r"action: float32 \[2\] there, float32 \[3\] now",
        ),
        ({"features": {"action": {"dtype": "float64", "shape": [2]}}}, "float64"),
        (
            {"features": {**FEATURES, "more": {"dtype": "float32", "shape": [1]}}},
            r"more: absent there, float32 \[1\] now",
        ),
        ({"features": {"less": {"dtype": "float32", "shape": [1]}}}, r"action: float32 \[2\] there, absent now"),
    ],
)
def test_what_does_not_fit_is_refused(dataset, options, match):
    refused(dataset, match, resume=True, **options)


def test_another_order_of_the_numbers_is_refused(tmp_path):
    features = {"action": {"dtype": "float32", "shape": [2], "names": ["x", "gripper"]}}
    with open_writer(tmp_path, features=features) as writer:
        record(writer)
    features = {"action": {**features["action"], "names": ["gripper", "x"]}}
    refused(tmp_path, "action: x, gripper there, gripper, x now", resume=True, features=features)


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ({"codebase_version": "v2.1"}, "version v2.1.*gym-hil dataset convert"),
        ({"codebase_version": "v3.1"}, "only v3.0 can be continued"),
        ({"total_episodes": 3}, "counts 3 episodes, but meta/episodes lists 2"),
        ({"total_episodes": "2"}, "total_episodes is '2'"),
        *((text, "info.json cannot be read") for text in ("", "{", "[]", '{"fps": 10}')),
    ],
)
def test_an_info_that_cannot_be_continued_is_refused(dataset, entries, match):
    text = entries if isinstance(entries, str) else json.dumps({**reading.info(dataset), **entries})
    (dataset / "meta/info.json").write_text(text)
    refused(dataset, match, resume=True)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        *((f"meta/{name}", share) for name in ("episodes/chunk-000/file-000", "tasks") for share in (None, 0.0, 0.95)),
        ("data/chunk-000/file-000", None),
    ],
)
def test_a_missing_or_truncated_table_is_refused(dataset, name, share):
    path = dataset / f"{name}.parquet"
    content = path.read_bytes()
    path.unlink()
    if share is not None:
        path.write_bytes(content[: int(share * len(content))])
    refused(dataset, f"{name}.parquet (cannot be read|is missing)|lists 0", resume=True)


@pytest.mark.parametrize(
    ("column", "match"),
    [
        ("length", "lacks 'length'"),
        ("data/file_index", "lacks 'data/file_index'"),
        ("stats/action/q01", "no complete statistics of action in episode 0"),
    ],
)
def test_what_is_not_known_of_the_episodes_is_named(dataset, column, match):
    path = dataset / "meta/episodes/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    refused(dataset, match, resume=True)


def test_a_second_recorder_is_kept_out(tmp_path):
    with open_writer(tmp_path / "data") as writer:
        record(writer)
        for option in ({"resume": True}, {"overwrite": True}):
            refused(tmp_path / "data", "being written to by another", **option)
        record(writer)
    assert actions(tmp_path / "data") == [0, 1]
    open_writer(tmp_path / "data", resume=True).close()


def test_a_recorder_that_starts_while_another_ends_loses_nothing(tmp_path, monkeypatch):
    """It must get the folder only when the other one has cleared it."""
    root = tmp_path / "data"
    first = open_writer(root)
    record(first)
    release, opened = folder.FolderLock.release, []

    def release_late(lock):
        with pytest.raises(DatasetError, match="another process"):
            open_writer(root, resume=True)
        release(lock)
        opened.append(open_writer(root, resume=True))

    with monkeypatch.context() as patches:
        patches.setattr(folder.FolderLock, "release", release_late)
        first.close()
    (second,) = opened
    record(second)
    second.close()
    assert actions(root) == [0, 1]
    assert not (root / ".recording").exists()


def test_many_recorders_one_after_the_other_never_share_a_folder(tmp_path):
    """Each takes the folder whenever it is free; whatever the order, every episode is there in the end."""
    saved, refusals = [], []

    def run(count=4):
        while count:
            try:
                writer = open_writer(tmp_path / "data", resume=True)
            except DatasetError as error:
                refusals.append(str(error))
                continue
            record(writer)
            saved.append(1)
            writer.close()
            count -= 1

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert actions(tmp_path / "data") == list(range(len(saved))) == list(range(12))
    assert all("another process" in refusal for refusal in refusals)


def test_a_full_disk_is_an_error_before_anything_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "ROOM", shutil.disk_usage(tmp_path).free * 2)
    with pytest.raises(DatasetError, match=r"MiB left; recording needs at least .* MiB"):
        open_writer(tmp_path / "data")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_must_not_be_written_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DatasetError, match=r"cannot be written.*right to write"):
            open_writer(tmp_path / "data")
    finally:
        tmp_path.chmod(0o700)


def test_a_place_that_cannot_hold_files_is_an_error():
    with pytest.raises(DatasetError, match="cannot be written"):
        open_writer("/proc/self/data" if os.path.isdir("/proc/self") else "/dev/null/data")
