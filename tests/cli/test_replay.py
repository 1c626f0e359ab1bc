"""Recorded episodes happen again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import gymnasium as gym
import numpy as np
import pytest

from gym_hil import GymRenderingSpec
from gym_hil.cli import main
from gym_hil.cli.replay import replay
from gym_hil.datasets import RecordEpisodes
from gym_hil.teleop import Event, TeleopCommand
from gym_hil.teleop.sequence import SequenceDevice


def record_one(root: Path, env_id: str, steps: int = 6, **kwargs: Any) -> None:
    """Record an episode that the time limit ends."""
    env = gym.make(env_id, max_episode_steps=steps, **kwargs)
    env = RecordEpisodes(env, root, "me/x", resume=True, seed=0)
    env.action_space.seed(0)
    env.reset()
    for _ in range(steps):
        env.step(env.action_space.sample())
    env.close()


def edit_metadata(root: Path, **entries: Any) -> None:
    path = root / "meta/info.json"
    info = json.loads(path.read_text())
    info["gym_hil"].update(entries)
    path.write_text(json.dumps(info))


def test_every_bit_is_repeated(recorded: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["replay", str(recorded), "--check"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert "recorded in gym_hil/PandaPickCube-v1 with" in output[0]
    assert output[-1] == ("3 of 3 end as recorded, 2 in success; largest TCP deviation 0 m; states bit-equal in 3 of 3")


def test_forces_are_measured_in_a_replay_that_stays_bit_equal(recorded: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["replay", str(recorded), "--check", "--force-torque"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert " N and " in output[1]
    assert output[-1].endswith("states bit-equal in 3 of 3")


def test_one_episode_without_check(recorded: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["replay", str(recorded), "--episode", "1"]) == 0
    assert capsys.readouterr().out == "episode 1: 5 steps, no success\n"


@pytest.mark.parametrize(
    ("env_id", "kwargs"),
    [
        ("gym_hil/PandaPickCubeBase-v1", {}),
        pytest.param(
            "gym_hil/PandaPickCubeViewer-v1", {}, marks=pytest.mark.filterwarnings("ignore:There is no display")
        ),
        ("gym_hil/PandaPickCube-v1", {"orientation": True, "use_gripper": False}),
        (
            "gym_hil/PandaPickCube-v0",
            {"force_torque_obs": True, "image_obs": True, "render_spec": GymRenderingSpec(8, 8)},
        ),
        ("gym_hil/PandaPickCubeScripted-v1", {"ee_step_size": {"x": 0.02, "y": 0.03, "z": 0.01}, "control_dt": 0.05}),
        ("gym_hil/PandaPickCube-v1", {"physics_dt": 0.0025}),
        ("gym_hil/PandaArrangeBoxesScripted-v1", {"cartesian_bounds": np.array([[0.2, -0.4, 0.0], [0.6, 0.4, 0.4]])}),
    ],
)
def test_any_environment_is_made_again_as_it_was(env_id: str, kwargs: dict[str, Any], tmp_path: Path) -> None:
    record_one(tmp_path / "out", env_id, **kwargs)
    (result,) = replay(tmp_path / "out", check=True)
    assert (result.steps, result.deviation, result.first_difference) == (6, 0.0, None)


def test_datasets_that_do_not_say_the_physics_step_are_of_2_ms(tmp_path: Path) -> None:
    record_one(tmp_path / "out", "gym_hil/PandaPickCube-v1", steps=3, physics_dt=0.002)
    edit_metadata(tmp_path / "out", physics_dt=None, env_kwargs={})
    (result,) = replay(tmp_path / "out", check=True)
    assert result.first_difference is None


def test_reset_options_are_repeated(tmp_path: Path) -> None:
    env = gym.make("gym_hil/PandaPickCube-v0", max_episode_steps=3)
    (option,) = env.unwrapped.RESET_OPTIONS
    env = RecordEpisodes(env, tmp_path / "out", "me/x", seed=0)
    env.reset(options={option: [0.35, 0.1]})
    for _ in range(3):
        env.step(env.action_space.sample())
    env.close()
    (result,) = replay(tmp_path / "out", check=True)
    assert result.first_difference is None


def test_steps_after_success_are_replayed_too(tmp_path: Path) -> None:
    env = gym.make("gym_hil/PandaPickCubeScripted-v0")
    env = RecordEpisodes(env, tmp_path / "out", "me/x", steps_after_success=4, seed=0)
    env.reset()
    done, steps = False, 0
    while not done:
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        done, steps = terminated or truncated, steps + 1
    env.close()
    (result,) = replay(tmp_path / "out", check=True)
    assert (result.steps, result.success, result.first_difference) == (steps, True, None)


def test_what_an_operator_says_cannot_be_repeated_and_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    device = SequenceDevice([TeleopCommand(), TeleopCommand(events=(Event.SUCCESS,))])
    env = RecordEpisodes(gym.make("gym_hil/PandaPickCube-v0", device=device), tmp_path / "out", "me/x", seed=0)
    env.reset()
    for _ in range(2):
        env.step(env.action_space.sample())
    env.close()
    assert main(["replay", str(tmp_path / "out"), "--check"]) == 1
    output = capsys.readouterr().out
    assert "probably declared by the operator" in output
    assert "0 of 1 end as recorded" in output


def test_a_dataset_of_lerobots_is_replayed_in_a_named_task(lerobot_pick: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["replay", str(lerobot_pick), "--check", "--task", "PandaPickCube-v0"]) == 0
    output = capsys.readouterr().out
    assert "recorded in an unknown environment, replayed in PandaPickCube-v0" in output
    # It was recorded with another version of MuJoCo than the one here may be.
    assert "2 of 2 end as recorded, 1 in success" in output


def test_other_actions_lead_elsewhere_and_that_is_told(own_copy: Path, capsys: pytest.CaptureFixture) -> None:
    edit_metadata(own_copy, env_kwargs={"ee_step_size": {"x": 0.01, "y": 0.01, "z": 0.01}})
    assert main(["replay", str(own_copy), "--episode", "0", "--check"]) == 1
    assert "no success, recorded as a success; TCP deviation 0.0" in capsys.readouterr().out


def test_a_video_shows_both(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "new" / "replay.mp4"
    assert main(["replay", str(recorded), "--episode", "1", "--video", str(path)]) == 0
    assert str(path) in capsys.readouterr().out
    with av.open(str(path)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 5 + 1
    above, below = np.split(frames[3].astype(int), 2)
    # The same scene, once with 32 pixels and once with 256.
    assert np.abs(above[32:, :256] - below[32:, :256]).mean() < 12
    assert np.abs(above[32:, :256] - below[32:, 256:]).mean() > 24


def test_a_dataset_without_images_makes_a_video_too(tmp_path: Path) -> None:
    record_one(tmp_path / "out", "gym_hil/PandaPickCube-v0", steps=2)
    replay(tmp_path / "out", video=tmp_path / "replay.mp4")
    with av.open(str(tmp_path / "replay.mp4")) as video:
        assert video.streams.video[0].height == 256 + 32


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--episode", "3"], "There is no episode 3; "),
        (["--task", "PandaStack"], "There is no task 'PandaStack'"),
        (["--task", "PandaPickCube-v1", "--video", "replay.avi"], "expected .mp4"),
        (["--video", "/dev/null/replay.mp4"], "cannot be written"),
    ],
)
def test_what_cannot_work_is_one_clear_line(
    recorded: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["replay", str(recorded), *arguments]) == 1
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1


def test_a_video_is_not_replaced_unless_that_is_said(recorded: Path, tmp_path: Path) -> None:
    path = tmp_path / "replay.mp4"
    path.write_text("mine")
    arguments = ["replay", str(recorded), "--episode", "1", "--video", str(path)]
    assert main(arguments) == 1
    assert path.read_text() == "mine"
    assert main([*arguments, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"env_id": "gym_hil/PandaStack-v0"}, "'gym_hil/PandaStack-v0', which does not exist here"),
        ({"env_id": "gym_hil/PandaPickCube-v9"}, "'gym_hil/PandaPickCube-v9', which does not exist here"),
        ({"env_id": None}, "does not say in which environment it was recorded"),
        ({"env_kwargs": {"colour": "red"}}, "cannot be made"),
        ({"env_kwargs": {"renderer": "crayon"}}, "cannot be made"),
        ({"env_kwargs": {"use_gripper": False}}, "has actions of 4 numbers"),
    ],
)
def test_an_environment_that_cannot_be_made_again_is_said(
    own_copy: Path, metadata: dict[str, Any], said: str, capsys: pytest.CaptureFixture
) -> None:
    edit_metadata(own_copy, **metadata)
    assert main(["replay", str(own_copy)]) == 1
    message = capsys.readouterr().err
    assert said in message
    assert "--task" in message
