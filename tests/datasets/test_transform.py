"""Datasets made of others: whole, without loss, and never over something that is there."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gym_hil.datasets import tables
from gym_hil.datasets.images import Region
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.transform import crop_dataset, filter_dataset, merge_datasets, relabel_dataset
from gym_hil.datasets.video import Span, VideoReader, VideoWriter, copy_video
from gym_hil.datasets.writer import DatasetWriter
from gym_hil.errors import ConfigurationError, DatasetError

LEROBOT_PICK = Path(__file__).parents[1] / "data" / "lerobot_pick"
FRONT, WRIST = "observation.images.front", "observation.images.wrist"
RENUMBERED = ("episode_index", "index")


@pytest.fixture
def own(tmp_path):
    """Four episodes: two successes, with and without an operator, and two failures likewise."""
    features = {
        "action": {"dtype": "float32", "shape": [2], "names": None},
        "next.reward": {"dtype": "float32", "shape": [1], "names": None},
        "complementary_info.is_intervention": {"dtype": "bool", "shape": [1], "names": None},
        FRONT: {"dtype": "video", "shape": [3, 16, 24], "names": None},
    }
    root = tmp_path / "own"
    metadata = {"env_id": "a/Operator-v0", "task_id": "a/Task-v0", "env_kwargs": {"x": 1}}
    with DatasetWriter(root, repo_id="me/own", features=features, fps=10, metadata=metadata) as writer:
        for episode in range(4):
            for number in range(3):
                image = np.full((16, 24, 3), 40 * episode + 10 * number, dtype=np.uint8)
                image[:, 12:] = 255
                writer.add_frame(
                    {
                        "action": [episode, number],
                        "next.reward": 0.0,
                        "complementary_info.is_intervention": episode % 2 == 0 and number == 1,
                        FRONT: image,
                    },
                    f"task {episode % 2}",
                )
            writer.save_episode({"seed": episode, "success": episode < 2, "options": {"at": episode}})
    return root


def assert_same_episode(new, number, old, old_number):
    for key in old.features:
        if key not in (*RENUMBERED, "task_index"):
            np.testing.assert_array_equal(new[number][key], old[old_number][key])
    a, b = new.episodes[number], old.episodes[old_number]
    assert (a.index, a.tasks, a.length) == (number, b.tasks, b.length)
    assert (a.success, a.seed, a.options, a.interventions) == (b.success, b.seed, b.options, b.interventions)


def edit_info(root, place, **entries):
    """Change entries of `meta/info.json` below a place such as `features/action`."""
    path = root / "meta/info.json"
    info = node = json.loads(path.read_text())
    for key in filter(None, place.split("/")):
        node = node[key]
    node.update(entries)
    path.write_text(json.dumps(info))


def test_merging_keeps_every_bit(own, tmp_path):
    other = Path(shutil.copytree(own, tmp_path / "other"))
    new, old = merge_datasets([own, other], tmp_path / "new"), EpisodeDataset(own)
    assert len(new) == 8
    for number in range(8):
        assert_same_episode(new, number, old, number % 4)
        assert (new[number]["episode_index"] == number).all()
    np.testing.assert_array_equal(np.concatenate([episode["index"] for episode in new]), np.arange(24))
    assert new.info["total_episodes"] == 8
    assert new.info["splits"] == {"train": "0:8"}
    assert new.metadata["env_id"] == "a/Operator-v0"
    assert new.metadata["derived"] == {"by": "merge", "from": ["me/own", "me/own"]}
    new.check()


def test_videos_of_lerobot_are_cut_without_loss(tmp_path):
    old = EpisodeDataset(LEROBOT_PICK)
    new = merge_datasets([LEROBOT_PICK, LEROBOT_PICK], tmp_path / "new", repo_id="me/both")
    assert new.metadata["repo_id"] == "me/both"
    for number in range(4):
        assert_same_episode(new, number, old, number % 2)
    assert new.features[FRONT]["info"]["video.codec"] == "av1"


def test_an_episode_that_does_not_begin_with_a_key_frame_is_encoded_again(tmp_path):
    source, path = tmp_path / "a.mp4", tmp_path / "b.mp4"
    file = VideoWriter(source, 16, 16, 10)
    for level in range(10):
        file.add(np.full((16, 16, 3), 20 * level, dtype=np.uint8))
    file.close()
    copy_video(Span(source, 0.3, 5), 10, path)
    reader = VideoReader(path, 10)
    levels = [reader.image(frame / 10).mean() for frame in range(5)]
    np.testing.assert_allclose(levels, 20 * np.arange(3, 8), atol=4)
    with pytest.raises(DatasetError, match="has no image at"):
        reader.image(0.5)


def test_statistics_are_those_of_the_new_dataset(own, tmp_path):
    new = filter_dataset(own, tmp_path / "new", success=False)
    stats = json.loads((new.path / "meta/stats.json").read_text())
    actions = np.concatenate([episode["action"] for episode in new])
    images = np.concatenate([episode[FRONT] for episode in new]) / 255
    np.testing.assert_allclose(stats["action"]["mean"], actions.mean(axis=0))
    np.testing.assert_allclose(np.ravel(stats[FRONT]["std"]), images.std(axis=(0, 1, 2)), atol=0.01)
    assert stats[FRONT]["count"] == [6]
    assert stats["episode_index"]["max"] == [1]


def test_statistics_that_are_missing_are_computed(own, tmp_path):
    expected = json.loads((filter_dataset(own, tmp_path / "one").path / "meta/stats.json").read_text())
    path = own / "meta/episodes/chunk-000/file-000.parquet"
    table = tables.read(path)
    tables.write(path, table.drop_columns([name for name in table.column_names if name.startswith("stats/")]))
    found = json.loads((filter_dataset(own, tmp_path / "two", drop=[]).path / "meta/stats.json").read_text())
    np.testing.assert_allclose(found["action"]["q90"], expected["action"]["q90"])
    np.testing.assert_allclose(found[FRONT]["mean"], expected[FRONT]["mean"], atol=0.01)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"success": True}, [0, 1]),
        ({"success": False}, [2, 3]),
        ({"interventions": True}, [0, 2]),
        ({"interventions": False, "success": True}, [1]),
        ({"drop": [0, 3]}, [1, 2]),
    ],
)
def test_filtering_keeps_what_is_asked_for(own, tmp_path, options, kept):
    new, old = filter_dataset(own, tmp_path / "new", **options), EpisodeDataset(own)
    assert len(new) == len(kept)
    for number, old_number in enumerate(kept):
        assert_same_episode(new, number, old, old_number)


def test_a_damaged_episode_can_be_left_out(own, tmp_path):
    path = own / "data/chunk-000/file-000.parquet"
    table = tables.read(path)
    actions = table["action"].to_pylist()
    actions[7] = [float("nan"), 0.0]
    column = table.schema.get_field_index("action")
    tables.write(path, table.set_column(column, "action", tables.pa.array(actions, table.schema.field("action").type)))
    with pytest.raises(DatasetError, match=r"action in frame 1 of episode 2 is .*--drop 2"):
        merge_datasets([own], tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]
    filter_dataset(own, tmp_path / "new", drop=[2]).check()


def test_relabelling_changes_rewards_alone(own, tmp_path):
    new = relabel_dataset(own, tmp_path / "new", lambda episode: episode["action"][:, 1] - 1)
    old = EpisodeDataset(own)
    for number, episode in enumerate(new):
        assert episode["next.reward"].tolist() == [-1.0, 0.0, 1.0]
        for key in ("action", FRONT, "timestamp"):
            np.testing.assert_array_equal(episode[key], old[number][key])
        assert episode.record.success == old.episodes[number].success


@pytest.mark.parametrize(
    ("rewards", "said"),
    [([1.0], r"shape \(1,\)"), ([0, np.nan, 0], "not all finite"), (["a", "b", "c"], "not numbers")],
)
def test_rewards_that_do_not_fit_are_an_error(own, tmp_path, rewards, said):
    with pytest.raises(DatasetError, match=said):
        relabel_dataset(own, tmp_path / "new", lambda episode: rewards)
    assert not (tmp_path / "new").exists()


def test_cropping_keeps_the_region(own, tmp_path):
    new = crop_dataset(own, tmp_path / "new", {FRONT: Region(2, 8, 6, 8)})
    assert new.features[FRONT]["shape"] == [3, 6, 8]
    assert new.metadata["derived"]["crop_params_dict"] == {FRONT: [2, 8, 6, 8]}
    image = new[1].image(FRONT, 2).astype(int)
    assert image.shape == (6, 8, 3)
    np.testing.assert_allclose(image[:, :3], 60, atol=6)
    np.testing.assert_allclose(image[:, 5:], 255, atol=6)
    np.testing.assert_array_equal(new[1]["action"], EpisodeDataset(own)[1]["action"])


def test_resizing_brings_every_camera_to_the_size(tmp_path):
    new = crop_dataset(LEROBOT_PICK, tmp_path / "new", {FRONT: Region(0, 0, 24, 48)}, resize=(32, 20))
    assert new[1].image(FRONT, 0).shape == new[1].image(WRIST, 0).shape == (32, 20, 3)
    assert new.features[WRIST]["shape"] == [3, 32, 20]


def test_a_region_outside_the_images_is_an_error(own, tmp_path):
    for region in (Region(0, 0, 17, 4), Region(-1, 0, 4, 4), Region(0, 20, 4, 5)):
        with pytest.raises(ConfigurationError, match=r"is not inside the images .* 16 high and 24 wide"):
            crop_dataset(own, tmp_path / "new", {FRONT: region})
    with pytest.raises(ConfigurationError, match=r"\(0, 0, 0, 4\) .* is empty"):
        crop_dataset(own, tmp_path / "new", {FRONT: Region(0, 0, 0, 4)})
    with pytest.raises(DatasetError, match="has no video 'top'"):
        crop_dataset(own, tmp_path / "new", {"top": Region(0, 0, 4, 4)})


def test_a_dataset_is_replaced_only_on_request_and_nothing_else_ever(own, tmp_path):
    out, notes = tmp_path / "new", ["notes.txt", "data/notes.txt", "videos/mine/film.mp4"]
    filter_dataset(own, out, success=True)
    for name in notes:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    with pytest.raises(DatasetError, match="overwrite=True"):
        filter_dataset(own, out, success=False)
    assert EpisodeDataset(out).episodes[0].success
    assert not filter_dataset(own, out, success=False, overwrite=True).episodes[0].success
    assert all((out / name).read_text() == "mine" for name in notes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "own"]
    for name, said in (("notes", "no dataset"), ("other.unfinished", r"other\.unfinished is in the way")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
        with pytest.raises(DatasetError, match=said):
            filter_dataset(own, tmp_path / name.partition(".")[0], overwrite=True)
        assert (tmp_path / name / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "other").exists()


def test_a_place_that_cannot_be_looked_at_is_an_error(own, tmp_path, monkeypatch):
    look = Path.exists

    def refuse(path, **options):
        if path.name == "new.unfinished":
            raise PermissionError(errno.EACCES, "Permission denied")
        return look(path, **options)

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(DatasetError, match=r"new\.unfinished cannot be written: .*right to write"):
        filter_dataset(own, tmp_path / "new", success=True)


@pytest.mark.parametrize("place", ["own", "own/inside", "."])
def test_a_dataset_is_never_changed_in_place(own, tmp_path, place):
    with pytest.raises(DatasetError, match="never changed in place"):
        merge_datasets([own], tmp_path / place, overwrite=True)
    EpisodeDataset(own).check()


def test_datasets_that_do_not_fit_together_are_an_error(own, tmp_path):
    with pytest.raises(DatasetError, match=r"different features: action: float32 \[2\] and float32 \[4\]"):
        merge_datasets([own, LEROBOT_PICK], tmp_path / "new")
    other = Path(shutil.copytree(own, tmp_path / "other"))
    edit_info(other, "", fps=20)
    with pytest.raises(DatasetError, match=r"10 frames per second, .* 20"):
        merge_datasets([own, other], tmp_path / "new")


def test_each_episode_of_a_merged_dataset_keeps_its_environment(own, tmp_path):
    other = Path(shutil.copytree(own, tmp_path / "other"))
    edit_info(other, "gym_hil", env_id="a/Gamepad-v0", env_kwargs={"x": 2})
    new = merge_datasets([own, other], tmp_path / "new")
    found = [(record.metadata["env_id"], record.metadata["env_kwargs"]) for record in new.episodes]
    assert found == [("a/Operator-v0", {"x": 1})] * 4 + [("a/Gamepad-v0", {"x": 2})] * 4
    assert new.metadata["task_id"] == "a/Task-v0"
    assert "env_id" not in new.metadata
    again = merge_datasets([new.path], tmp_path / "again", repo_id="me/again")
    assert [record.metadata["env_id"] for record in again.episodes] == [env_id for env_id, _ in found]


def test_images_with_their_channels_last_are_merged_with_others(own, tmp_path):
    other = Path(shutil.copytree(own, tmp_path / "other"))
    edit_info(other, f"features/{FRONT}", shape=[16, 24, 3], names=["height", "width", "channel"])
    for sources in ([own, other], [other, own]):
        new = merge_datasets(sources, tmp_path / "new", overwrite=True)
        assert new.features[FRONT]["shape"] == [3, 16, 24]
        new.check()


def test_numbers_with_other_names_are_merged_only_on_request(own, tmp_path):
    other = Path(shutil.copytree(own, tmp_path / "other"))
    edit_info(own, "features/action", names=["x", "gripper"])
    edit_info(other, "features/action", names={"motors": ["gripper", "x"]})
    with pytest.raises(DatasetError, match=r"action: x, gripper and gripper, x.*force=True"):
        merge_datasets([own, other], tmp_path / "new")
    assert merge_datasets([own, other], tmp_path / "new", force=True).features["action"]["names"] == ["x", "gripper"]


def test_no_episodes_left_is_an_error(own, tmp_path):
    with pytest.raises(DatasetError, match="None of the 4 episodes"):
        filter_dataset(own, tmp_path / "new", drop=[0, 1, 2, 3])
    with pytest.raises(DatasetError, match="no episode 4 to drop"):
        filter_dataset(own, tmp_path / "new", drop=[4])
    with pytest.raises(DatasetError, match=r"has no complementary_info.is_intervention"):
        filter_dataset(LEROBOT_PICK, tmp_path / "new", interventions=True)
