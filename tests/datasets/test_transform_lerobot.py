"""LeRobot itself opens what was made of datasets. Needs GYM_HIL_LEROBOT_PYTHON, the Python of LeRobot 0.6.1."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gym_hil.datasets.images import Region
from gym_hil.datasets.transform import crop_dataset, filter_dataset, merge_datasets, relabel_dataset

PYTHON = os.environ.get("GYM_HIL_LEROBOT_PYTHON")
LEROBOT_PICK = Path(__file__).parents[1] / "data" / "lerobot_pick"
FRONT = "observation.images.front"
pytestmark = pytest.mark.skipif(PYTHON is None, reason="GYM_HIL_LEROBOT_PYTHON names no Python with LeRobot 0.6.1")

WAYS = {
    "merge": lambda out: merge_datasets([LEROBOT_PICK, LEROBOT_PICK], out),
    "filter": lambda out: filter_dataset(LEROBOT_PICK, out, drop=[0]),
    "relabel": lambda out: relabel_dataset(LEROBOT_PICK, out, lambda episode: np.arange(len(episode))),
    "crop": lambda out: crop_dataset(LEROBOT_PICK, out, {FRONT: Region(4, 4, 30, 20)}, resize=(32, 32)),
}


@pytest.mark.parametrize("way", WAYS)
def test_lerobot_and_this_package_read_the_same(way, tmp_path):
    made = WAYS[way](tmp_path / "data")
    script = Path(__file__).with_name("lerobot_reads.py")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "PYTHONWARNINGS": "ignore"}
    command = [PYTHON, str(script), str(made.path), str(tmp_path / "out.npz")]
    result = subprocess.run(command, env={**os.environ, **offline}, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    with np.load(tmp_path / "out.npz") as content:
        assert (content["num_episodes"], content["num_frames"]) == (len(made), made.total_frames)
        for key in ("observation.state", "action", "next.reward"):
            read = np.concatenate([episode[key] for episode in made])
            np.testing.assert_array_equal(content[key].reshape(read.shape), read)
        for key in made.video_keys:
            images = np.concatenate([episode[key] for episode in made])
            seen = np.rint(255 * content[key].transpose(0, 2, 3, 1)).astype(int)
            np.testing.assert_allclose(seen, images, atol=1)
