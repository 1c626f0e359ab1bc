"""Reading datasets: those that LeRobot made, those that were recorded here, and broken ones."""

from __future__ import annotations

import itertools
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.writer import DatasetWriter
from gym_hil.errors import DatasetError

LEROBOT_PICK = Path(__file__).parents[1] / "data" / "lerobot_pick"
FRONT, WRIST = "observation.images.front", "observation.images.wrist"
FEATURES: dict[str, dict[str, Any]] = {
    "action": {"dtype": "float32", "shape": [2], "names": None},
    "next.reward": {"dtype": "float32", "shape": [1], "names": None},
    "next.done": {"dtype": "bool", "shape": [1], "names": None},
    "next.truncated": {"dtype": "bool", "shape": [1], "names": None},
    "observation.state": {"dtype": "float32", "shape": [3], "names": None},
    FRONT: {"dtype": "video", "shape": [3, 16, 24], "names": None},
}


@pytest.fixture
def expected() -> dict[str, np.ndarray]:
    """The numbers that went into `lerobot_pick`, and the images that LeRobot reads from it."""
    return dict(np.load(LEROBOT_PICK / "expected.npz"))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(LEROBOT_PICK, tmp_path / "broken"))


def edit_info(root: Path, **entries: Any) -> None:
    path = root / "meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def grey(level: int) -> np.ndarray:
    return np.full((16, 24, 3), level, dtype=np.uint8)


def frame(number: int, level: int = 128, *, done: bool = False, truncated: bool = False) -> dict[str, Any]:
    return {
        "action": [number, -number],
        "next.reward": float(done and not truncated),
        "next.done": done,
        "next.truncated": truncated,
        "observation.state": [number, 0, 1],
        FRONT: grey(level),
    }


def read_everything(root: Path) -> None:
    with EpisodeDataset(root) as dataset:
        for episode in dataset:
            for key in dataset.features:
                episode[key]


def test_numbers_are_what_lerobot_was_given(expected: dict[str, np.ndarray]) -> None:
    dataset = EpisodeDataset(LEROBOT_PICK)
    for key in ("action", "observation.state", "next.reward", "next.done", "complementary_info.discrete_penalty"):
        read = np.concatenate([episode[key] for episode in dataset])
        assert read.dtype == expected[key].dtype
        np.testing.assert_array_equal(read.reshape(expected[key].shape), expected[key])


@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_images_are_those_that_lerobot_reads(camera: str, expected: dict[str, np.ndarray]) -> None:
    dataset = EpisodeDataset(LEROBOT_PICK)
    read = np.concatenate([episode[f"observation.images.{camera}"] for episode in dataset])
    assert read.dtype == np.uint8
    # The same decoder; conversions to RGB may differ by a level.
    np.testing.assert_allclose(read[expected["shown"]].astype(int), expected[camera], atol=1)


@pytest.mark.parametrize("kept", [0, 1 << 20])
def test_images_are_the_same_in_any_order(kept: int) -> None:
    in_order = [EpisodeDataset(LEROBOT_PICK)[number][FRONT] for number in range(2)]
    dataset = EpisodeDataset(LEROBOT_PICK, images_kept=kept)
    places = [(episode.record.index, number) for episode in dataset for number in range(len(episode))] * 2
    for index in np.random.default_rng(0).permutation(len(places)):
        episode, number = places[index]
        np.testing.assert_array_equal(dataset[episode].image(FRONT, number), in_order[episode][number])


def test_what_is_known_about_episodes_without_this_package() -> None:
    first, second = EpisodeDataset(LEROBOT_PICK).episodes
    assert (first.length, first.task, first.success) == (10, "pick_cube", True)
    assert (second.length, second.task, second.success) == (6, "pick_cube", False)
    assert first.seed is first.options is first.interventions is None
    assert EpisodeDataset(LEROBOT_PICK).metadata == {}


def test_a_frame_has_every_feature_or_those_that_are_wanted() -> None:
    dataset = EpisodeDataset(LEROBOT_PICK)
    frame = dataset[1].frame(-1)
    assert list(frame) == list(dataset.features)
    assert frame["next.done"]
    assert frame[FRONT].shape == (48, 48, 3)
    assert list(dataset[1].frame(0, ["action"])) == ["action"]
    with pytest.raises(DatasetError, match=r"no feature 'observation\.images\.top'; it has action"):
        dataset[0].frame(0, ["observation.images.top"])


def test_indices_out_of_range_are_index_errors() -> None:
    dataset = EpisodeDataset(LEROBOT_PICK)
    with pytest.raises(IndexError, match="2 episodes; there is none with the number 2"):
        dataset[2]
    with pytest.raises(IndexError, match="10 frames; there is none with the number 10"):
        dataset[0].frame(10)
    assert [episode.record.index for episode in dataset[::-1]] == [1, 0]


def test_transitions_follow_each_other() -> None:
    transitions = list(EpisodeDataset(LEROBOT_PICK)[0].transitions())
    assert len(transitions) == 10
    for now, after in itertools.pairwise(transitions):
        np.testing.assert_array_equal(now.next_observation["observation.state"], after.observation["observation.state"])
        assert not now.terminated
    last = transitions[-1]
    assert (last.reward, last.terminated, last.truncated) == (1.0, True, False)
    assert set(last.observation) == {"observation.state", FRONT, WRIST}
    assert last.info["complementary_info.discrete_penalty"] == 0.0
    (some,) = {tuple(one.observation) for one in EpisodeDataset(LEROBOT_PICK)[0].transitions(["observation.state"])}
    assert some == ("observation.state",)


def test_a_time_limit_is_no_termination(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "out", repo_id="me/x", features=FEATURES, fps=10) as writer:
        writer.add_frame(frame(0), "wait")
        writer.add_frame(frame(1, done=True, truncated=True), "wait")
        writer.save_episode()
    last = list(EpisodeDataset(tmp_path / "out")[0].transitions())[-1]
    assert (last.terminated, last.truncated) == (False, True)


def test_what_was_recorded_here_is_read(tmp_path: Path) -> None:
    root = tmp_path / "out"
    with DatasetWriter(root, repo_id="me/x", features=FEATURES, fps=20, metadata={"env_id": "mine"}) as writer:
        for episode in range(3):
            for number in range(4 + episode):
                writer.add_frame(
                    frame(number, 60 * episode + 10 * number, done=number == 3 + episode), f"task {episode}"
                )
            writer.save_episode({"seed": 100 + episode, "success": episode > 0, "options": {"x": episode}})
    dataset = EpisodeDataset(root)
    assert (len(dataset), dataset.total_frames, dataset.fps) == (3, 15, 20)
    assert dataset.metadata["env_id"] == "mine"
    assert dataset.tasks == ("task 0", "task 1", "task 2")
    for episode in dataset:
        index = episode.record.index
        assert episode.record.seed == 100 + index
        assert episode.record.success == (index > 0)
        assert episode.record.options == {"x": index}
        assert episode["action"][:, 0].tolist() == list(range(4 + index))
        levels = episode[FRONT].mean(axis=(1, 2, 3))
        np.testing.assert_allclose(levels, 60 * index + 10 * np.arange(4 + index), atol=3)


def test_single_images_are_read_too(tmp_path: Path) -> None:
    import imageio.v3 as iio

    root = Path(shutil.copytree(LEROBOT_PICK, tmp_path / "stills"))
    path = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    stills = [{"bytes": iio.imwrite("<bytes>", grey(level), extension=".png"), "path": None} for level in range(16)]
    pq.write_table(table.append_column("observation.images.side", pa.array(stills)), path)
    info = json.loads((root / "meta/info.json").read_text())
    edit_info(
        root,
        features={
            **info["features"],
            "observation.images.side": {"dtype": "image", "shape": [16, 24, 3], "names": None},
        },
    )
    dataset = EpisodeDataset(root)
    np.testing.assert_array_equal(dataset[1].image("observation.images.side", 2), grey(12))
    assert dataset[0]["observation.images.side"].shape == (10, 16, 24, 3)
    assert "observation.images.side" not in dataset[0].numbers()
    assert dataset[0].frame(3)["observation.images.side"].max() == 3


def test_a_dataset_can_be_pickled() -> None:
    dataset = EpisodeDataset(LEROBOT_PICK)
    dataset[0].image(FRONT, 3)
    other = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(other[0].image(FRONT, 3), dataset[0].image(FRONT, 3))


def test_what_is_cached_is_read_only() -> None:
    episode = EpisodeDataset(LEROBOT_PICK)[0]
    for kept in (episode.image(FRONT, 0), episode["action"]):
        with pytest.raises(ValueError, match="read-only"):
            kept[:] = 0


def test_reading_goes_on_after_close() -> None:
    dataset = EpisodeDataset(LEROBOT_PICK)
    before = dataset[1].image(FRONT, 0)
    dataset.close()
    np.testing.assert_array_equal(dataset[1].image(FRONT, 0), before)


def test_files_that_no_row_refers_to_are_not_read(broken: Path) -> None:
    for name in (
        "data/chunk-000/file-001.parquet",
        f"videos/{FRONT}/chunk-000/file-001.mp4",
        ".recording/data.parquet",
        "meta/episodes/chunk-000/._file-000.parquet",
        "meta/episodes/chunk-000/file-000 (copy).parquet",
    ):
        (broken / name).parent.mkdir(exist_ok=True)
        (broken / name).write_bytes(b"the beginning of a file")
    edit_info(broken, total_episodes=1, total_frames=10)
    dataset = EpisodeDataset(broken)
    assert len(dataset) == 2
    dataset.check()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere", "does not exist"),
        ("empty", r"has no meta/info\.json"),
        ("file", "is a file"),
    ],
)
def test_what_is_no_dataset_is_an_error(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=f"{path} is not a LeRobot dataset: it {said}"):
        EpisodeDataset(tmp_path / path)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"codebase_version": "v4.0"}, "version v4.0 .* needs v3.0"),
        ({"fps": 0}, "fps is 0"),
        ({"fps": "10"}, "fps is '10'"),
        ({"fps": True}, "fps is True"),
        ({"features": []}, r"features is \[\]"),
        ({"features": {"action": {"dtype": "float32"}}}, "expected dtype and shape"),
        ({"features": {"action": {"dtype": 4, "shape": [4]}}}, "dtype of 'action' is 4"),
        ({"features": {"action": {"dtype": "float32", "shape": 4}}}, "shape of 'action' is 4"),
        ({"features": {"action": {"dtype": "float32", "shape": [0]}}}, r"shape of 'action' is \[0\]"),
        ({"features": {FRONT: {"dtype": "video", "shape": [3]}}}, r"not that of an image"),
        ({"data_path": "data/{number}.parquet"}, "data_path is .* cannot be filled in"),
        ({"total_episodes": "2"}, "total_episodes is '2'"),
        ({"total_frames": -1}, "total_frames is -1"),
        ({"total_episodes": 3}, "counts 3 episodes, but meta/episodes lists 2"),
    ],
)
def test_an_info_file_that_cannot_work_is_an_error(broken: Path, entries: dict[str, Any], said: str) -> None:
    edit_info(broken, **entries)
    with pytest.raises(DatasetError, match=said):
        EpisodeDataset(broken)


@pytest.mark.parametrize(
    "name",
    [
        "data/chunk-000/file-000.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
        "meta/tasks.parquet",
        "meta/info.json",
        f"videos/{FRONT}/chunk-000/file-000.mp4",
    ],
)
@pytest.mark.parametrize("keep", [None, 0.0, 0.6], ids=["missing", "empty", "cut"])
def test_a_missing_or_cut_file_is_named(broken: Path, name: str, keep: float | None) -> None:
    path = broken / name
    content = path.read_bytes()
    path.unlink()
    if keep is not None:
        path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(DatasetError) as caught:
        read_everything(broken)
    assert path.name in str(caught.value) or str(path.parents[1]) in str(caught.value) or "meta/episodes" in str(caught)
    with pytest.raises(DatasetError):
        EpisodeDataset(broken).check()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_of_a_cut_dataset_comes_what_was_recorded_or_a_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    root = tmp_path / "cut"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(LEROBOT_PICK, root)
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".npz")
    path = data.draw(st.sampled_from(files))
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    whole = EpisodeDataset(LEROBOT_PICK)
    for number, key in itertools.product(range(2), whole.features):
        try:
            read = EpisodeDataset(root)[number][key]
        except DatasetError as error:
            assert path.name in str(error) or "lists 0" in str(error)  # noqa: PT017  # what is read is compared, too
        else:
            np.testing.assert_array_equal(read, whole[number][key])


def test_fewer_frames_than_announced_are_an_error(broken: Path) -> None:
    path = broken / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 14), path)
    dataset = EpisodeDataset(broken)
    assert len(dataset[0]["action"]) == 10
    with pytest.raises(DatasetError, match="has 4 frames of episode 1, not 6"):
        dataset[1]["action"]
    pq.write_table(table.drop_columns(["action"]), path)
    with pytest.raises(DatasetError, match="has no 'action'"):
        EpisodeDataset(broken)[0]["next.reward"]


def edit_column(root: Path, key: str, row: int, value: Any) -> None:
    path = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    values = table[key].to_pylist()
    values[row] = value
    number = table.schema.get_field_index(key)
    pq.write_table(table.set_column(number, key, pa.array(values, table.schema.field(key).type)), path)


# What is changed in which row of which feature (episode 1 begins in row 10), and what the error says.
LIES = {
    "nan": ("action", 12, [np.nan, 0, 0, 0], r"action in frame 2 of episode 1 is \[nan"),
    "infinite": ("next.reward", 11, np.inf, "next.reward in frame 1 of episode 1 is inf"),
    "null": ("next.done", 13, None, "next.done in frame 3 of episode 1 has no value"),
    "null vector": ("observation.state", 15, None, "observation.state in frame 5 of episode 1 has no value"),
    "null in a vector": ("action", 10, [0.0, None, 0.0, 0.0], "action in frame 0 of episode 1 has no value"),
    "wall clock": ("timestamp", 12, 0.213, r"timestamp in frame 2 of episode 1 is 0\.213 s; at 10 fps .* 0\.2 s"),
    "frames": ("frame_index", 14, 9, "frame_index in frame 4 of episode 1 is 9"),
    "task": ("task_index", 10, 7, "task_index in frame 0 of episode 1 is 7"),
}


def can_read_null_vectors() -> bool:
    """Whether this pyarrow reads a vector of fixed size that is null; older ones take the file for damaged."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))}), sink)
    try:
        pq.read_table(pa.BufferReader(sink.getvalue()))
    except pa.ArrowInvalid:
        return False
    return True


if not can_read_null_vectors():
    del LIES["null vector"]


@pytest.mark.parametrize("lie", LIES)
def test_what_cannot_be_true_names_episode_frame_and_feature(broken: Path, lie: str) -> None:
    key, row, value, said = LIES[lie]
    edit_column(broken, key, row, value)
    dataset = EpisodeDataset(broken)
    dataset[0].numbers()
    for read in (dataset[1].numbers, lambda: list(dataset[1].transitions()), dataset.check):
        with pytest.raises(DatasetError, match=said):
            read()
    assert len(dataset.problems()) == 1


def test_another_rate_than_that_of_the_timestamps_is_an_error(broken: Path) -> None:
    edit_info(broken, fps=9.97)
    with pytest.raises(DatasetError, match=r"timestamp in frame 1 of episode 0 is 0\.1 s; at 9\.97 fps"):
        EpisodeDataset(broken)[0].numbers()


def test_another_size_of_images_than_announced_is_an_error(broken: Path) -> None:
    info = json.loads((broken / "meta/info.json").read_text())
    for key in (FRONT, WRIST):
        info["features"][key]["shape"] = [32, 48, 3] if info["features"][key]["shape"][2] == 3 else [3, 32, 48]
    edit_info(broken, features=info["features"])
    dataset = EpisodeDataset(broken)
    with pytest.raises(DatasetError, match=r"front in frame 2 of episode 1 has 48 x 48 pixels, not 48 x 32"):
        dataset[1].image(FRONT, 2)
    assert len(dataset.problems()) == 4


def test_check_finds_everything_at_once(broken: Path) -> None:
    edit_column(broken, "action", 3, [np.nan] * 4)
    (broken / f"videos/{FRONT}/chunk-000/file-000.mp4").write_bytes(b"no video")
    (broken / f"videos/{WRIST}/chunk-000/file-000.mp4").unlink()
    (broken / "meta/stats.json").write_text('{"action": {"mean": [NaN]}}')
    edit_info(broken, total_frames=17)
    with pytest.raises(DatasetError) as caught:
        EpisodeDataset(broken).check()
    lines = str(caught.value).splitlines()
    for said in ("counts 17 frames, meta/episodes 16", "action in frame 3", FRONT, WRIST, "stats.json"):
        assert sum(said in line for line in lines) == 1
    assert len(lines) == 5


def test_features_of_text_are_read(broken: Path) -> None:
    path = broken / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("note", pa.array([f"note {row}" for row in range(16)])), path)
    info = json.loads((broken / "meta/info.json").read_text())
    edit_info(broken, features={**info["features"], "note": {"dtype": "string", "shape": [1], "names": None}})
    dataset = EpisodeDataset(broken)
    dataset.check()
    assert dataset[1].frame(0)["note"] == "note 10"


@pytest.mark.parametrize(
    "name", ["data/chunk-000/file-000.parquet", "meta/info.json", f"videos/{FRONT}/chunk-000/file-000.mp4"]
)
def test_pointers_of_git_lfs_are_recognised(broken: Path, name: str) -> None:
    (broken / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12ab\nsize 345\n")
    with pytest.raises(DatasetError, match=r"pointer of git-lfs.*git lfs pull"):
        read_everything(broken)


def write_depth(path: Path, frames: np.ndarray, pixel_format: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], pixel_format
        for image in frames:
            frame = av.VideoFrame(image.shape[1], image.shape[0], pixel_format)
            padded = np.zeros((image.shape[0], frame.planes[0].line_size // 2), np.uint16)
            padded[:, : image.shape[1]] = image
            frame.planes[0].update(padded)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("key", ["is_depth_map", "video.is_depth_map"])
def test_depth_comes_back_with_its_unit(broken: Path, key: str) -> None:
    depth = np.random.default_rng(0).integers(0, 65536, (16, 48, 48)).astype(np.uint16)
    path = broken / f"videos/{FRONT}/chunk-000/file-000.mp4"
    write_depth(path.with_suffix(".mkv"), depth, "gray16le")
    path.with_suffix(".mkv").replace(path)
    info = json.loads((broken / "meta/info.json").read_text())
    info["features"][FRONT]["info"] = {key: True, "depth_unit": "mm"}
    edit_info(broken, features=info["features"])
    dataset = EpisodeDataset(broken)
    image = dataset[1].image(FRONT, 2)
    assert (image.dtype, image.shape) == (np.uint16, (48, 48, 1))
    np.testing.assert_array_equal(image[..., 0], depth[12])
    assert dataset.depth_unit(FRONT) == "mm"
    info["features"][FRONT]["info"] = {key: True}
    edit_info(broken, features=info["features"])
    assert EpisodeDataset(broken).depth_unit(FRONT) is None


@pytest.mark.parametrize("use_log", [True, False])
def test_depth_that_lerobot_quantised_is_in_mm(broken: Path, use_log: bool) -> None:
    """LeRobot 0.6.1 stores 12-bit codes between `depth_min` and `depth_max`, in m."""
    codes = np.broadcast_to(np.array([0, 4095], np.uint16), (16, 48, 2)).copy()
    path = broken / f"videos/{FRONT}/chunk-000/file-000.mp4"
    write_depth(path.with_suffix(".mkv"), np.tile(codes, (1, 1, 24)), "gray12le")
    path.with_suffix(".mkv").replace(path)
    info = json.loads((broken / "meta/info.json").read_text())
    quantised = {"depth_min": 0.5, "depth_max": 8.0, "shift": 3.5, "use_log": use_log}
    info["features"][FRONT]["info"] = {
        "is_depth_map": True,
        **{f"video.{key}": value for key, value in quantised.items()},
    }
    edit_info(broken, features=info["features"])
    dataset = EpisodeDataset(broken)
    assert dataset[0].image(FRONT, 1)[0, :2, 0].tolist() == [500, 8000]
    assert dataset.depth_unit(FRONT) == "mm"


def test_colours_that_claim_to_be_depth_are_an_error(broken: Path) -> None:
    info = json.loads((broken / "meta/info.json").read_text())
    info["features"][FRONT]["info"]["video.is_depth_map"] = True
    edit_info(broken, features=info["features"])
    with pytest.raises(DatasetError, match="says that they are depth maps"):
        EpisodeDataset(broken)[0].image(FRONT, 0)


def test_the_package_imports_its_names_lazily() -> None:
    import gym_hil.datasets

    for name in gym_hil.datasets.__all__:
        assert getattr(gym_hil.datasets, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Recorder'"):
        gym_hil.datasets.Recorder  # noqa: B018
