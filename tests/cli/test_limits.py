"""How far the arm came."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from gym_hil.cli import main
from gym_hil.cli.limits import MODES, describe, make_bounds, measure
from gym_hil.teleop import Event, TeleopCommand
from gym_hil.teleop.sequence import SequenceDevice


def drive(commands: list, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    device = SequenceDevice(commands)
    env = gym.make("gym_hil/PandaPickCube-v0", device=device, max_episode_steps=-1, disable_env_checker=True)
    try:
        return measure(env, seconds)
    finally:
        env.close()


def test_the_furthest_points_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "new" / "limits.json"
    assert main(["limits", "--device", "scripted", "--no-viewer", "--seconds", "3", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    bounds = json.loads(out.read_text())["bounds"]
    assert lines[-3:] == [
        f"Max ee position {bounds['max']}",
        f"Min ee position {bounds['min']}",
        json.dumps({"bounds": bounds}),
    ]
    # The scripted operator goes down to the cube and lifts it.
    assert bounds["max"][2] - bounds["min"][2] > 0.05


def test_the_bounds_can_be_given_to_an_environment(capsys: pytest.CaptureFixture) -> None:
    lowest, highest = drive([[1, 1, 1, 0]] * 10 + [[-1, -1, -1, 0]] * 20, 3.0)
    bounds = make_bounds(lowest, highest, MODES["ee"])["bounds"]
    env = gym.make("gym_hil/PandaPickCube-v0", cartesian_bounds=[bounds["min"], bounds["max"]])
    np.testing.assert_allclose(env.unwrapped.cartesian_bounds, [bounds["min"], bounds["max"]])


def test_the_joints_are_printed_too() -> None:
    lowest, highest = drive([[0, 1, 0, 0]] * 5, 0.5)
    lines = describe(make_bounds(lowest, highest, MODES["joint"]), MODES["joint"])
    assert [line.split(" [")[0] for line in lines] == [
        "Max joint position",
        "Min joint position",
        "Max ee position",
        "Min ee position",
    ]
    joints = make_bounds(lowest, highest, MODES["joint"])["joint_bounds"]
    assert len(joints["min"]) == len(joints["max"]) == 7
    assert all(low <= high for low, high in zip(joints["min"], joints["max"], strict=True))
    assert joints["max"][0] > 0.1


def test_what_was_reached_before_a_new_start_counts() -> None:
    again = [TeleopCommand(events=(Event.RERECORD,))]
    once = drive([[0, 1, 0, 0]] * 4, 0.5)[1][16]
    assert once > 0.05
    assert drive([[0, 1, 0, 0]] * 4 + again, 0.5)[1][16] == once


def test_quit_ends_it() -> None:
    stop = [TeleopCommand(events=(Event.QUIT,))]
    assert drive([*stop, *[[0, 1, 0, 0]] * 9], 1.0)[1][16] < 1e-3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seconds", "0"], "--seconds is 0"),
        (["--task", "PandaStack"], "There is no task 'PandaStack'"),
        (["--device", "pedals"], "There is no device 'pedals'"),
        (["--out", "/dev/null/limits.json", "--seconds", "0.1"], "cannot be written"),
    ],
)
def test_what_cannot_work_is_one_clear_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["limits", "--device", "scripted", "--no-viewer", *arguments]) == 1
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1


def test_a_file_is_not_replaced_without_overwrite(tmp_path: Path) -> None:
    out = tmp_path / "limits.json"
    out.write_text("mine")
    arguments = ["limits", "--device", "scripted", "--no-viewer", "--seconds", "0.1", "--out", str(out)]
    assert main(arguments) == 1
    assert out.read_text() == "mine"
    assert main([*arguments, "--overwrite"]) == 0
