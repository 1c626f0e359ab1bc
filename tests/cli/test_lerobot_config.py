"""The files that `gym-hil lerobot-config` writes, and LeRobot's own reading of them.

LeRobot's reading needs GYM_HIL_LEROBOT_PYTHON, the Python of a LeRobot 0.6.1 install.
"""

import json
import os
import subprocess
from pathlib import Path

import gymnasium as gym
import pytest

import gym_hil  # noqa: F401  # registers the ids
from gym_hil.cli import main
from gym_hil.cli.lerobot_config import split_task
from gym_hil.errors import ConfigurationError

PYTHON = os.environ.get("GYM_HIL_LEROBOT_PYTHON")
TASKS = ["PandaPickCube", "PandaPickCubeGamepad-v0", "gym_hil/PandaPickCubeWeb-v1", "pandaarrangeboxesscripted-v1"]


@pytest.fixture
def config(tmp_path):
    """The content of the file for a task and a mode."""

    def write(task, mode, *words):
        path = tmp_path / "deeper" / f"{mode}.json"
        assert main(["lerobot-config", "--task", task, "--mode", mode, "--out", str(path), *words]) == 0
        return json.loads(path.read_text())

    return write


@pytest.mark.parametrize(
    ("task", "mode", "name"),
    [
        ("PandaPickCube", "record", "PandaPickCube-v0"),
        ("PandaPickCubeGamepad-v0", "train", "PandaPickCubeGamepad-v0"),
        ("gym_hil/PandaPickCubeWeb-v1", "record", "PandaPickCubeWeb-v1"),
        ("pandaarrangeboxesscripted-v1", "train", "PandaArrangeBoxesScripted-v1"),
        ("PandaInsertPegMetaQuest-v1", "train", "PandaInsertPegMetaQuest-v1"),
        ("PandaPickCubeScripted-v1", "replay", "PandaPickCube-v1"),  # the recording drives
    ],
)
def test_the_environment_named_can_be_made(config, task, mode, name):
    content = config(task, mode)
    assert content["env"]["task"] == name
    assert f"gym_hil/{name}" in gym.registry
    assert ("type" in content["env"]) == (mode == "train")


@pytest.mark.parametrize("task", ["PandaPickCube-v0", "PandaArrangeBoxes-v1"])
def test_features_have_the_shapes_of_the_environment(config, task):
    content = config(task, "train")
    env = gym.make(f"gym_hil/{task}", image_obs=True)
    observation, _ = env.reset(seed=0)
    env.close()
    features = content["env"]["features"]
    assert features["observation.state"]["shape"] == list(observation["agent_pos"].shape)
    for camera, image in observation["pixels"].items():
        height, width, channels = image.shape
        assert features[f"observation.images.{camera}"]["shape"] == [channels, height, width]
    limits = content["policy"]["dataset_stats"]["observation.state"]
    assert (observation["agent_pos"] >= limits["min"]).all()
    assert (observation["agent_pos"] <= limits["max"]).all()


@pytest.mark.parametrize("task", ["PandaPickCubeBase-v0", "PandaPickCubeViewer", "PandaPickCube-v9", "Nothing", ""])
def test_a_task_that_lerobot_cannot_drive_is_refused(task):
    with pytest.raises(ConfigurationError, match="task"):
        split_task(task)


@pytest.mark.parametrize(
    ("task", "mode", "numbers"),
    [("PandaPickCubeMetaQuest", "meta_quest", 6), ("PandaInsertPeg", "gamepad", 6), ("PandaPickCube", "gamepad", 3)],
)
def test_motion_has_a_rotation_where_the_environment_turns_the_tool(config, task, mode, numbers):
    content = config(task, "train")
    assert content["env"]["processor"]["control_mode"] == mode
    assert content["env"]["features"]["action"]["shape"] == [numbers]
    assert len(content["policy"]["dataset_stats"]["action"]["max"]) == numbers


def test_the_gripper_is_a_discrete_action_of_its_own(config, capsys):
    for words, discrete in ([], 3), (["--no-gripper"], None):
        content = config("PandaPickCube", "train", *words)
        assert content["policy"]["num_discrete_actions"] == discrete
        assert content["policy"]["output_features"]["action"]["shape"] == [3]
    assert main(["lerobot-config", "--task", "PandaPickCube", "--mode", "record", "--no-gripper"]) == 1
    assert "gym-hil record" in capsys.readouterr().err
    assert main(["lerobot-config", "--task", "PandaPickCube", "--mode", "record", "--episodes", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["dataset"]["num_episodes_to_record"] == 2


@pytest.mark.skipif(PYTHON is None, reason="GYM_HIL_LEROBOT_PYTHON names no Python with LeRobot 0.6.1")
def test_lerobot_reads_every_file(config, tmp_path):
    paths = []
    for number, task in enumerate(TASKS):
        for mode in ("record", "replay", "train"):
            paths.append(tmp_path / f"{number}_{mode}.json")
            paths[-1].write_text(json.dumps(config(task, mode)))
    script = Path(__file__).with_name("lerobot_parses.py")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "PYTHONWARNINGS": "ignore"}
    result = subprocess.run([PYTHON, script, *paths], env={**os.environ, **offline}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.splitlines()[-len(paths) :] == [f"read {path}" for path in paths]
