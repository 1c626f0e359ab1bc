import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gym_hil
from gym_hil.datasets import EpisodeDataset, video
from gym_hil.datasets.statistics import QUANTILES
from gym_hil.datasets.writer import DatasetWriter
from gym_hil.errors import ConfigurationError, DatasetError
from tests.datasets import reading

SIDE = 32
FEATURES = {
    "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
    "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
    "next.success": {"dtype": "bool", "shape": [1], "names": None},
    "observation.images.front": {"dtype": "video", "shape": [3, SIDE, SIDE], "names": ["channels", "height", "width"]},
}
NUMBERS = {key: feature for key, feature in FEATURES.items() if feature["dtype"] != "video"}


@pytest.fixture
def open_writer(tmp_path):
    """Opens writers on one folder, and closes what a test leaves open."""
    opened = []

    def open_one(features=FEATURES, **options):
        options = {"repo_id": "me/test", "fps": 10, **options}
        opened.append(DatasetWriter(tmp_path / "data", features=features, **options))
        return opened[-1]

    yield open_one
    for writer in opened:
        writer.close()


def frame(k=0, features=FEATURES, **values):
    image = np.full((SIDE, SIDE, 3), 60, dtype=np.uint8)
    image[:, : (4 * k) % SIDE] = (180, 120, 40)
    whole = {
        "action": [k, -k],
        "next.reward": 0.5 * k,
        "next.success": k == 3,
        "observation.images.front": image,
        **values,
    }
    return {key: whole[key] for key in features}


def record(writer, length, task="push", **info):
    for k in range(length):
        writer.add_frame(frame(k, writer.features), task)
    return writer.save_episode(info)


def test_frames_come_back_as_they_were_given(open_writer):
    writer = open_writer()
    assert record(writer, 5) == 0
    (row,) = reading.rows(writer.root)
    columns = reading.frames(writer.root, row)
    np.testing.assert_array_equal(columns["action"], [[k, -k] for k in range(5)])
    np.testing.assert_array_equal(columns["next.reward"], 0.5 * np.arange(5))
    np.testing.assert_array_equal(columns["next.success"], [False, False, False, True, False])
    images, times = reading.images(writer.root, row)
    assert reading.psnr(images, [frame(k)["observation.images.front"] for k in range(5)]).min() > 32
    np.testing.assert_allclose(times, columns["timestamp"], atol=1e-6)


def test_indices_run_over_all_episodes(open_writer):
    writer = open_writer(NUMBERS)
    assert [record(writer, length) for length in (3, 1, 2)] == [0, 1, 2]
    rows = reading.rows(writer.root)
    spans = [(row["dataset_from_index"], row["dataset_to_index"], row["length"]) for row in rows]
    assert spans == [(0, 3, 3), (3, 4, 1), (4, 6, 2)]
    columns = [reading.frames(writer.root, row) for row in rows]
    assert np.concatenate([part["index"] for part in columns]).tolist() == list(range(6))
    assert np.concatenate([part["episode_index"] for part in columns]).tolist() == [0, 0, 0, 1, 2, 2]
    assert np.concatenate([part["frame_index"] for part in columns]).tolist() == [0, 1, 2, 0, 0, 1]
    assert (writer.num_episodes, writer.num_frames) == (3, 6)


def test_info_says_what_is_there(open_writer):
    writer = open_writer(metadata={"env_id": "some/Env-v0"})
    assert reading.info(writer.root)["total_episodes"] == 0
    record(writer, 3)
    record(writer, 2, task="pull")
    info = reading.info(writer.root)
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (2, 5, 2)
    assert (info["codebase_version"], info["fps"], info["splits"]) == ("v3.0", 10, {"train": "0:2"})
    assert info["gym_hil"] == {"env_id": "some/Env-v0", "version": gym_hil.__version__, "repo_id": "me/test"}
    assert list(info["features"])[-5:] == ["timestamp", "frame_index", "episode_index", "index", "task_index"]


def test_what_is_known_about_an_episode_is_kept(open_writer):
    writer = open_writer(NUMBERS)
    record(writer, 2, seed=2**40, success=False, options={"cube_xy": [0.4, 0.1]})
    record(writer, 4)
    kept = [(row["gym_hil/seed"], row["gym_hil/success"], row["gym_hil/options"]) for row in reading.rows(writer.root)]
    assert kept == [(2**40, False, '{"cube_xy": [0.4, 0.1]}'), (None, True, None)]


def test_tasks_are_numbered_in_the_order_they_come(open_writer):
    writer = open_writer(NUMBERS)
    for task in ("a", "b", "a"):
        writer.add_frame(frame(0, NUMBERS), task)
    writer.save_episode()
    record(writer, 1, task="c")
    first, second = reading.rows(writer.root)
    assert (first["tasks"], second["tasks"]) == (["a", "b"], ["c"])
    assert reading.frames(writer.root, first)["task_index"].tolist() == [0, 1, 0]
    assert reading.frames(writer.root, second)["task_index"].tolist() == [2]


@settings(max_examples=8)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), resumed=st.booleans())
def test_statistics_are_those_of_the_recorded_data(tmp_path_factory, lengths, resumed):
    root = tmp_path_factory.mktemp("stats")
    for number, length in enumerate(lengths):
        if number == 0 or resumed:
            writer = DatasetWriter(root, repo_id="me/test", features=FEATURES, fps=10, resume=True)
        record(writer, length)
        if resumed:
            writer.close()
    writer.close()
    rows, stats = reading.rows(root), reading.stats(root)
    columns = [reading.frames(root, row) for row in rows]
    values = {key: [part[key].reshape(len(part[key]), -1) for part in columns] for key in columns[0]}
    key = "observation.images.front"
    images = [np.stack([frame(k)[key] for k in range(length)]) for length in lengths]
    values[key] = [part.reshape(-1, 3) / 255 for part in images]
    assert stats.keys() == values.keys()
    for feature, parts in values.items():
        whole = np.concatenate(parts).astype(np.float64)
        got = {name: np.ravel(value) for name, value in stats[feature].items()}
        expected = {"min": whole.min(0), "max": whole.max(0), "mean": whole.mean(0), "std": whole.std(0)}
        for name, value in expected.items():
            np.testing.assert_allclose(got[name], value, atol=1e-6, err_msg=f"{name} of {feature}")
        assert got["count"] == [sum(lengths)]
        for name, q in QUANTILES.items():
            for row, part in zip(rows, parts, strict=True):
                in_row = np.ravel(row[f"stats/{feature}/{name}"])
                np.testing.assert_allclose(in_row, np.quantile(part.astype(np.float64), q, axis=0), atol=1e-6)


def test_adding_a_frame_waits_for_no_encoding(open_writer, monkeypatch):
    writer = open_writer()
    gate, add = threading.Event(), video.VideoWriter.add
    monkeypatch.setattr(video.VideoWriter, "add", lambda self, image: (gate.wait(20), add(self, image))[1])
    for k in range(30):
        writer.add_frame(frame(k), "push")  # returns although nothing can be encoded
    assert not gate.is_set()
    gate.set()
    writer.save_episode()
    assert len(reading.images(writer.root, reading.rows(writer.root)[0])[0]) == 30


def test_a_frame_is_copied(open_writer):
    writer, one = open_writer(), frame(1)
    one["action"] = np.array([1.0, 2.0], dtype=np.float32)
    writer.add_frame(one, "push")
    one["action"][:] = 9
    one["observation.images.front"][:] = 0
    writer.save_episode()
    (row,) = reading.rows(writer.root)
    assert reading.frames(writer.root, row)["action"].tolist() == [[1.0, 2.0]]
    assert reading.images(writer.root, row)[0].mean() > 50


def test_a_discarded_episode_leaves_nothing(open_writer):
    writer = open_writer()
    record(writer, 2)
    before = reading.files(writer.root)
    for k in range(4):
        writer.add_frame(frame(k), "push")
    writer.discard_episode()
    assert record(writer, 3) == 1
    writer.close()
    after = reading.files(writer.root)
    assert {path for path in after if "file-002" in path} == set()
    assert {path for path in before if ".recording" not in path} <= after.keys()
    assert len(reading.images(writer.root, reading.rows(writer.root)[1])[0]) == 3


def test_closing_discards_what_was_not_saved_and_leaves_no_traces(open_writer):
    writer = open_writer()
    record(writer, 2)
    writer.add_frame(frame(), "push")
    writer.close()
    writer.close()
    assert not (writer.root / ".recording").exists()
    assert reading.info(writer.root)["total_episodes"] == 1
    with pytest.raises(DatasetError, match="closed"):
        writer.add_frame(frame(), "push")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"action": [1.0]}, r"action has shape \(1,\); expected \(2,\)"),
        ({"action": "left"}, "action is 'left'"),
        ({"observation.images.front": np.zeros((SIDE, SIDE, 3))}, "is float64"),
        ({"observation.images.front": np.zeros((3, SIDE, SIDE), np.uint8)}, r"expected uint8 of shape \(32, 32, 3\)"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_and_harmless(open_writer, values, message):
    writer = open_writer()
    writer.add_frame(frame(0), "push")
    with pytest.raises(DatasetError, match=message):
        writer.add_frame({**frame(1), **values}, "push")
    writer.add_frame(frame(1), "push")
    writer.save_episode()
    (row,) = reading.rows(writer.root)
    assert row["length"] == len(reading.images(writer.root, row)[0]) == 2


def test_missing_and_unknown_features_are_named(open_writer):
    wrong = frame()
    del wrong["action"]
    wrong["colour"] = 1
    with pytest.raises(DatasetError, match=r"lacks \['action'\] and has unknown \['colour'\]"):
        open_writer().add_frame(wrong, "push")


def test_an_episode_without_frames_is_refused(open_writer):
    with pytest.raises(DatasetError, match="no frames"):
        open_writer().save_episode()


@pytest.mark.parametrize(
    ("info", "message"),
    [({"seed": -1}, "seed is -1"), ({"seed": 2**63}, "seed is"), ({"sead": 1}, "sead"), ({"options": {1j}}, "JSON")],
)
def test_wrong_words_about_an_episode_are_refused_before_it_is_lost(open_writer, info, message):
    writer = open_writer(NUMBERS)
    writer.add_frame(frame(0, NUMBERS), "push")
    with pytest.raises(DatasetError, match=message):
        writer.save_episode(info)
    assert writer.save_episode() == 0


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({}, "no features"),
        ({"a": {"dtype": "float32", "shape": [2, 2]}}, "only vectors"),
        ({"a": {"dtype": "string", "shape": [1]}}, "only vectors"),
        ({"a": {"dtype": "wood", "shape": [1]}}, "only vectors"),
        ({"a": {"dtype": "video", "shape": [32, 32, 3]}}, r"expected \[3, height, width\]"),
        ({"a": {"shape": [1]}}, "expected dtype"),
        ({"a/b": {"dtype": "float32", "shape": [1]}}, "slash"),
    ],
)
def test_features_that_cannot_be_written_are_refused(open_writer, tmp_path, features, message):
    with pytest.raises(ConfigurationError, match=message):
        open_writer(features)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0}, "fps is 0"),
        ({"fps": 12.5}, "fps is 12.5"),
        ({"resume": True, "overwrite": True}, "either continued or deleted"),
        ({"metadata": {"env": object()}}, "JSON"),
    ],
)
def test_options_that_cannot_work_are_refused(open_writer, tmp_path, options, message):
    with pytest.raises(ConfigurationError, match=message):
        open_writer(**options)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("room", [2_000, 30_000])
def test_a_disk_that_fills_up_loses_one_episode_and_says_so(open_writer, room):
    resource = pytest.importorskip("resource")
    writer = open_writer()
    record(writer, 4)
    before = reading.files(writer.root)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # No file may become longer than this: what the writer meets is what it meets on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        with pytest.raises(
            DatasetError, match=r"Episode 1 cannot be written .* is lost.*before is intact \(1 episodes"
        ):
            record(writer, 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {key: value for key, value in reading.files(writer.root).items() if key in before} == before
    assert record(writer, 4) == 1
    assert len(reading.images(writer.root, reading.rows(writer.root)[1])[0]) == 4


def test_files_of_episodes_hold_many_rows_each(open_writer, monkeypatch):
    monkeypatch.setattr("gym_hil.datasets.store.ROWS_PER_FILE", 3)
    writer = open_writer(NUMBERS)
    for _ in range(7):
        record(writer, 1)
    assert [row["episode_index"] for row in reading.rows(writer.root)] == list(range(7))
    assert [row["meta/episodes/file_index"] for row in reading.rows(writer.root)] == [0, 0, 0, 1, 1, 1, 2]
    writer.close()
    writer = open_writer(NUMBERS, resume=True)
    for _ in range(4):
        record(writer, 1)
    assert [row["meta/episodes/file_index"] for row in reading.rows(writer.root)] == [0] * 7 + [1] * 3 + [2]


def test_folders_are_begun_anew_after_so_many_files(open_writer, monkeypatch):
    monkeypatch.setattr("gym_hil.datasets.layout.FILES_PER_CHUNK", 2)
    writer = open_writer()
    for _ in range(3):
        record(writer, 1)
    assert [(row["data/chunk_index"], row["data/file_index"]) for row in reading.rows(writer.root)] == [
        (0, 0),
        (0, 1),
        (1, 0),
    ]
    assert len(reading.images(writer.root, reading.rows(writer.root)[2])[0]) == 1


def test_no_threads_are_left_behind(open_writer):
    before = threading.active_count()
    writer = open_writer()
    record(writer, 2)
    writer.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_deleted_episodes_leave_the_dataset_as_it_was_before_them(open_writer, tmp_path):
    writer = open_writer()
    record(writer, 3, seed=1)
    before = reading.files(writer.root)
    rows = reading.rows(writer.root)
    for task in ("push", "pull"):
        record(writer, 4, task=task)
    writer.delete_last_episode()
    writer.delete_last_episode()
    assert writer.num_episodes == 1
    after = reading.files(writer.root)
    assert {path: content for path, content in after.items() if not path.startswith(".recording")} == {
        path: content for path, content in before.items() if not path.startswith(".recording")
    }
    assert reading.rows(writer.root) == rows
    record(writer, 2, seed=5)
    assert [row["length"] for row in reading.rows(writer.root)] == [3, 2]
    writer.close()
    assert len(EpisodeDataset(writer.root)) == 2
    assert len(EpisodeDataset(writer.root)[1]["action"]) == 2


def test_an_episode_whose_files_cannot_be_removed_is_deleted_all_the_same(open_writer, monkeypatch):
    def held_open(root, paths):
        raise PermissionError("another program has it open")

    writer = open_writer()
    record(writer, 2)
    record(writer, 3)
    with monkeypatch.context() as patches:
        patches.setattr("gym_hil.datasets.folder.remove", held_open)
        writer.delete_last_episode()
    assert writer.num_episodes == 1
    record(writer, 4)
    writer.close()
    assert [row["length"] for row in reading.rows(writer.root)] == [2, 4]
    assert [len(episode) for episode in EpisodeDataset(writer.root)] == [2, 4]


def test_all_episodes_can_be_deleted_but_none_that_was_there_before(open_writer):
    writer = open_writer()
    record(writer, 2)
    writer.delete_last_episode()
    assert (writer.num_episodes, reading.rows(writer.root)) == (0, [])
    with pytest.raises(DatasetError, match="gym-hil dataset filter"):
        writer.delete_last_episode()
    record(writer, 3)
    writer.close()
    again = DatasetWriter(writer.root, repo_id="me/test", features=FEATURES, fps=10, resume=True)
    with pytest.raises(DatasetError, match="No episode was recorded"):
        again.delete_last_episode()
    again.close()
    assert len(reading.rows(writer.root)) == 1
