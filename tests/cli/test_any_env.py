"""Every command takes an environment that is none of ours, and tasks that somebody else has registered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gym_hil.cli import main
from gym_hil.datasets import EpisodeDataset

ROBOT = """
import gymnasium as gym
import numpy as np
from gym_hil.teleop.sequence import SequenceDevice

class Arm(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (3,), np.float64)
    action_space = gym.spaces.Box(-0.1, 0.1, (4,), np.float64)
    metadata = {"render_modes": [], "render_fps": 50}

    def __init__(self, reach=0.25):
        self.reach = reach

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position = self.np_random.uniform(-0.05, 0.05, 3)
        return self.position.copy(), {}

    def step(self, action):
        self.position = np.clip(self.position + action[:3], -1, 1)
        if self.position[0] > 0.9:
            raise RuntimeError("the arm is stretched")
        return self.position.copy(), 0.0, False, False, {"success": self.position[0] > self.reach}

def forward(env):
    return SequenceDevice([[1, 0, 0, 1]] * 20)
"""
REGISTRATION = """
import gymnasium as gym
from gym_hil.registration import Version, register_task

gym.register("Arm-v0", "my_arm:Arm", max_episode_steps=5)
register_task("MyPick", "gym_hil.envs:PandaPickCubeGymEnv", [Version(7)])
"""
ARM = ["--env", "my_ids:Arm-v0", "--device", "my_arm:forward", "--no-viewer"]


@pytest.fixture(autouse=True)
def robot(own_registry: Path) -> None:
    (own_registry / "my_arm.py").write_text(ROBOT)
    (own_registry / "my_ids.py").write_text(REGISTRATION)


def test_driving_it_is_paced_and_reported(capsys: pytest.CaptureFixture) -> None:
    assert main(["teleop", *ARM, "--episodes", "1", "--success", "info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Action map: x=0,y=1,z=2,gripper=3 (guessed; --action-map says it otherwise)"
    assert lines[1] == "Arm-v0, 50 steps a second"
    assert lines[-2] == "episode 1: success after 3 steps, 3 of them yours"


def test_it_is_recorded_and_replayed_with_its_arguments(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root = tmp_path / "data"
    words = [*ARM, "--env-kwargs", "reach=0.35", "--repo-id", "me/arm", "--root", str(root)]
    assert main(["record", *words, "--episodes", "2", "--max-episode-steps", "4"]) == 0
    dataset = EpisodeDataset(root)
    assert dataset.fps == 50
    assert [len(episode) for episode in dataset] == [4, 4]
    assert dataset[0].numbers()["action"][0] == pytest.approx([0.1, 0, 0, 0.1])
    assert main(["replay", str(root), "--check"]) == 0
    assert "2 of 2 end as recorded, 2 in success; states bit-equal in 2 of 2" in capsys.readouterr().out
    assert main(["replay", str(root), "--check", "--env", "my_ids:Arm-v0", "--env-kwargs", "reach=0.6"]) == 1
    assert "0 of 2 end as recorded, 0 in success; states bit-equal in 2 of 2" in capsys.readouterr().out


def test_its_vectors_are_measured(capsys: pytest.CaptureFixture) -> None:
    assert main(["limits", *ARM, "--seconds", "0.1"]) == 0
    limits = json.loads(capsys.readouterr().out.splitlines()[-1])["observation.state"]
    assert limits["max"][0] - limits["min"][0] == pytest.approx(0.5, abs=1e-3)
    assert limits["max"][1] == limits["min"][1]


def test_task_of_a_module_is_like_ours(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["--task", "my_ids:MyPick", "--device", "scripted", "--no-viewer", "--no-images"]
    assert main(["record", *words, "--repo-id", "me/pick", "--root", str(tmp_path / "data"), "--episodes", "1"]) == 0
    assert main(["replay", str(tmp_path / "data"), "--check"]) == 0
    assert "recorded in gym_hil/MyPick-v0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["teleop", *ARM, "--action-map", "x=4"], "no number 4"),
        (["teleop", *ARM, "--max-episode-steps", "-1"], "failed in step: RuntimeError: the arm is stretched (/"),
        (["teleop", *ARM, "--images"], "--images is for tasks"),
        (["teleop", "--env", "Nothing-v0", "--device", "scripted"], "There is no environment 'Nothing-v0'"),
        (["limits", *ARM, "--mode", "joint"], "--mode joint"),
        (["record", *ARM, "--fps", "2.5", "--repo-id", "me/x", "--root", "x"], "--fps is 2.5"),
        (["record", *ARM, "--no-images", "--repo-id", "me/x", "--root", "x"], "--no-images"),
    ],
)
def test_what_cannot_work_is_one_clear_line(words: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    assert main(words) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
