"""The command `gym-hil`, called as an operator calls it."""

import subprocess
import sys
from pathlib import Path

import imageio
import mujoco
import pytest

from gym_hil.cli import main


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")


def test_the_installed_command_answers() -> None:
    command = Path(sys.executable).with_name("gym-hil")
    result = subprocess.run([command, "--help"], capture_output=True, text=True, check=True)
    for name in ("demo", "view", "export", "doctor"):
        assert name in result.stdout


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # imageio leaves its reader's pipe open
@pytest.mark.parametrize("suffix", ["mp4", pytest.param("gif", marks=pytest.mark.slow)])
def test_demo_leaves_a_video_in_which_both_have_acted(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "new folder" / f"demo.{suffix}"
    assert main(["demo", "--episodes", "1", "--out", str(out)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("episode 1:"))
    steps, by_operator = (int(word) for word in line.removeprefix("episode 1:").split() if word.isdigit())
    assert 0 < by_operator < steps
    frames = imageio.mimread(out, memtest=False)
    assert len(frames) >= steps
    assert frames[0].shape[:2] == (480, 720)


@pytest.mark.slow
def test_demo_places_five_boxes(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "boxes.mp4"
    assert main(["demo", "--task", "PandaArrangeBoxes", "--episodes", "1", "--out", str(out)]) == 0
    assert "1 of 1 episodes succeeded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--out", "demo.avi"], ".mp4 or .gif"),
        (["demo", "--episodes", "0"], "--episodes is 0"),
        (["demo", "--task", "PandaStack"], "PandaPickCube-v0"),
        (["demo", "--out", "/dev/null/demo.mp4"], "cannot be written"),
        (["view", "PandaPickCube"], "gym-hil export PandaPickCube"),
        (["view", "PandaStack"], "There is no task 'PandaStack'"),
        (["export", "PandaStack", "out"], "There is no task 'PandaStack'"),
        (["export", "PandaPickCube", "/dev/null"], "cannot be written"),
    ],
)
def test_what_cannot_work_is_one_clear_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture) -> None:
    assert main(arguments) == 1
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1


def test_export_writes_a_file_that_mujoco_opens(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["export", "PandaPickCube-v0", str(tmp_path)]) == 0
    path = tmp_path / "PandaPickCube-v0.xml"
    assert str(path) in capsys.readouterr().out
    model = mujoco.MjModel.from_xml_path(str(path))
    assert model.nu == 7
    assert model.joint("cube").type == mujoco.mjtJoint.mjJNT_FREE
