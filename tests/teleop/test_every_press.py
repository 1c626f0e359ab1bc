"""Random presses and releases, several within one control step, come out of every device exactly once each.

`benchmarks/inputs.py` does the same with a thousand sequences for each device.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.teleop import exercise

SEQUENCES = 40


@pytest.mark.parametrize("name", exercise.DEVICES)
def test_every_press_and_release_is_delivered_exactly_once(name: str) -> None:
    if sys.platform != "linux":
        pytest.skip("the virtual joystick, Xvfb and pseudo-terminals are Linux's")
    if name == "keyboard pynput":
        if not _installed("pynput"):
            pytest.skip("pynput is not installed")
        if shutil.which("Xvfb") is None:
            pytest.skip("Xvfb is not installed")
    # A process for each: GLFW and pynput stay with the first X server that they have met.
    result = subprocess.run(
        [sys.executable, "-m", "tests.teleop.exercise", "presses", name, str(SEQUENCES)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    tally = json.loads(result.stdout.splitlines()[-1])
    assert tally["wrong"] == []
    assert (tally["sequences"], tally["presses"] >= SEQUENCES) == (SEQUENCES, True)


def test_pad_works_after_each_time_that_it_comes_back_while_the_robot_runs() -> None:
    if sys.platform != "linux":
        pytest.skip("the virtual joystick is looked up in /proc")
    assert exercise.replug(5) == []


def _installed(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None
