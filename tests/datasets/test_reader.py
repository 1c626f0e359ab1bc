"""Reading datasets: those that LeRobot made, those that were recorded here, and broken ones."""

from __future__ import annotations

import contextlib
import itertools
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

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


def test_a_dataset_can_be_handed_to_another_process() -> None:
    dataset = EpisodeDataset(LEROBOT_PICK)
    dataset[0].image(FRONT, 3)
    other = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(other[0].image(FRONT, 3), dataset[0].image(FRONT, 3))


def test_what_is_kept_cannot_be_drawn_on() -> None:
    episode = EpisodeDataset(LEROBOT_PICK)[0]
    for kept in (episode.image(FRONT, 0), episode["action"]):
        with pytest.raises(ValueError, match="read-only"):
            kept[:] = 0


def test_reading_goes_on_after_close() -> None:
    dataset = EpisodeDataset(LEROBOT_PICK)
    before = dataset[1].image(FRONT, 0)
    dataset.close()
    np.testing.assert_array_equal(dataset[1].image(FRONT, 0), before)


def test_files_of_an_unfinished_episode_are_not_seen(broken: Path) -> None:
    for name in (
        "data/chunk-000/file-001.parquet",
        f"videos/{FRONT}/chunk-000/file-001.mp4",
        ".recording/data.parquet",
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
def test_what_is_no_dataset_is_said(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=f"{path} is not a LeRobot dataset: it {said}"):
        EpisodeDataset(tmp_path / path)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"codebase_version": "v2.1"}, "version v2.1 .*convert_dataset_v21_to_v30"),
        ({"codebase_version": "v4.0"}, "version 'v4.0' .* only v3.0 is read"),
        ({"fps": 0}, "fps is 0"),
        ({"features": []}, r"features is \[\]"),
        ({"total_episodes": 3}, "counts 3 episodes, but meta/episodes lists 2"),
    ],
)
def test_an_info_file_that_cannot_work_is_said(broken: Path, entries: dict[str, Any], said: str) -> None:
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
def test_whatever_is_cut_off_there_is_content_or_a_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    root = tmp_path / "cut"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(LEROBOT_PICK, root)
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".npz")
    path = data.draw(st.sampled_from(files))
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with contextlib.suppress(DatasetError):
        read_everything(root)


def test_frames_that_are_fewer_than_promised_are_said(broken: Path) -> None:
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


def test_the_package_hands_out_its_names_when_they_are_asked_for() -> None:
    import gym_hil.datasets

    for name in gym_hil.datasets.__all__:
        assert getattr(gym_hil.datasets, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Recorder'"):
        gym_hil.datasets.Recorder  # noqa: B018
