"""LeRobot itself opens what was recorded here, and what was made of datasets.

Needs GYM_HIL_LEROBOT_PYTHON, the Python of a LeRobot 0.6.1 install.
"""

import os
import subprocess
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import gym_hil  # noqa: F401  # registers the ids
from benchmarks.recording import Killer
from gym_hil.cli import main
from gym_hil.datasets.images import Region
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.record import RecordEpisodes
from gym_hil.datasets.transform import convert_dataset, crop_dataset, filter_dataset, merge_datasets, relabel_dataset
from tests.datasets import foreign, reading
from tests.datasets.test_legacy import write_old

PYTHON = os.environ.get("GYM_HIL_LEROBOT_PYTHON")
CAMERAS = ["front", "wrist"]
LEROBOT_PICK = Path(__file__).parents[1] / "data" / "lerobot_pick"
FRONT = "observation.images.front"
pytestmark = pytest.mark.skipif(PYTHON is None, reason="GYM_HIL_LEROBOT_PYTHON names no Python with LeRobot 0.6.1")


def lerobot_reads(root, out):
    """The content of a dataset as LeRobot hands it out."""
    script = Path(__file__).with_name("lerobot_reads.py")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(out.parent / "hf"), "PYTHONWARNINGS": "ignore"}
    command = [PYTHON, str(script), str(root), str(out)]
    result = subprocess.run(command, env={**os.environ, **offline}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    with np.load(out) as content:
        return dict(content)


def test_lerobot_reads_what_was_recorded(tmp_path):
    env = gym.make("gym_hil/PandaPickCubeScripted-v1", image_obs=True)
    env = RecordEpisodes(env, tmp_path / "data", "me/pick", task="pick up the cube", seed=0)
    seen = {"state": [], "front": [], "wrist": [], "action": [], "reward": []}
    for _ in range(2):
        observation, _ = env.reset()
        done = False
        while not done:
            seen["state"].append(observation["agent_pos"])
            for camera in CAMERAS:
                seen[camera].append(observation["pixels"][camera])
            observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
            seen["action"].append(info["action_intervention"])
            seen["reward"].append(reward)
            done = terminated or truncated
    env.close()
    content = lerobot_reads(tmp_path / "data", tmp_path / "out.npz")
    assert (content["num_episodes"], content["num_frames"]) == (2, len(seen["reward"]))
    np.testing.assert_array_equal(content["observation.state"], seen["state"])
    np.testing.assert_array_equal(content["action"], seen["action"])
    np.testing.assert_array_equal(content["next.reward"], seen["reward"])
    assert set(content["task"]) == {"pick up the cube"}
    for camera in CAMERAS:
        decoded = content[f"observation.images.{camera}"].transpose(0, 2, 3, 1)
        assert reading.psnr(255 * decoded, seen[camera]).min() >= 32
        mean = content[f"stats/observation.images.{camera}/mean"].ravel()
        np.testing.assert_allclose(mean, decoded.mean(axis=(0, 1, 2)), atol=0.01)


def test_lerobot_reads_who_acted(tmp_path):
    who = ["--policy", "tests.cli.test_eval:Picks", "--device", "tests.cli.test_eval:Corrects", "--no-viewer"]
    words = [*who, "--no-images", "--episodes", "2", "--repo-id", "me/pick", "--root", str(tmp_path / "data")]
    assert main(["record", *words]) == 0
    content = lerobot_reads(tmp_path / "data", tmp_path / "out.npz")
    driven = content["complementary_info.is_intervention"].ravel()
    assert driven.tolist() == [0, 1, 1, 0, 0, 0] * 2
    np.testing.assert_array_equal(content["action"][driven.astype(bool)], [[0, 0, 1, 0]] * 4)


TRANSFORMS = {
    "merge": lambda out: merge_datasets([LEROBOT_PICK, LEROBOT_PICK], out),
    "filter": lambda out: filter_dataset(LEROBOT_PICK, out, drop=[0]),
    "relabel": lambda out: relabel_dataset(LEROBOT_PICK, out, lambda episode: np.arange(len(episode))),
    "crop": lambda out: crop_dataset(LEROBOT_PICK, out, {FRONT: Region(4, 4, 30, 20)}, resize=(32, 32)),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_lerobot_and_this_package_read_the_same(transform, tmp_path):
    made: EpisodeDataset = TRANSFORMS[transform](tmp_path / "data")
    content = lerobot_reads(made.path, tmp_path / "out.npz")
    assert (content["num_episodes"], content["num_frames"]) == (len(made), made.total_frames)
    for key in ("observation.state", "action", "next.reward"):
        read = np.concatenate([episode[key] for episode in made])
        np.testing.assert_array_equal(content[key].reshape(read.shape), read)
    for key in made.video_keys:
        images = np.concatenate([episode[key] for episode in made])
        decoded = np.rint(255 * content[key].transpose(0, 2, 3, 1)).astype(int)
        np.testing.assert_allclose(decoded, images, atol=1)


def test_lerobot_reads_a_foreign_environment(tmp_path):
    env = RecordEpisodes(gym.make(foreign.ID), tmp_path / "data", "me/reach")
    for _ in range(2):
        env.reset()
        while not any(env.step(np.zeros(2))[2:4]):
            pass
    env.close()
    content = lerobot_reads(tmp_path / "data", tmp_path / "out.npz")
    for key in ("observation.state", "observation.desired_goal", "observation.images.eye"):
        ours = np.concatenate([episode[key] for episode in EpisodeDataset(tmp_path / "data")])
        ours = ours.transpose(0, 3, 1, 2) / 255 if "images" in key else ours
        np.testing.assert_allclose(content[key], ours, atol=0.01)


def test_lerobot_opens_what_a_killed_recorder_left(tmp_path):
    killer, finished = Killer(tmp_path / "data", seed=1), 0
    while finished < 2:
        finished = killer.kill()
    content = lerobot_reads(tmp_path / "data", tmp_path / "out.npz")
    assert content["num_episodes"] in (finished, finished + 1)
    assert len(content["observation.state"]) == content["num_frames"]


def test_lerobot_reads_what_was_converted(tmp_path):
    made = convert_dataset(write_old(tmp_path / "old", "v2.1"), tmp_path / "new")
    content = lerobot_reads(made.path, tmp_path / "out.npz")
    assert content["num_episodes"] == 2
    np.testing.assert_array_equal(content["action"], np.concatenate([episode["action"] for episode in made]))
    images = np.concatenate([episode[FRONT] for episode in made]).transpose(0, 3, 1, 2) / 255
    np.testing.assert_allclose(content[FRONT], images, atol=0.01)
