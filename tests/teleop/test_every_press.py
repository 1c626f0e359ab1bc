"""Random presses and releases, several within one control step, come out of every device exactly once each.

`benchmarks/inputs.py` does the same with a thousand sequences for each device.
"""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.teleop import exercise

SEQUENCES = 20


@pytest.fixture(params=exercise.DEVICES)
def name(request):
    if sys.platform != "linux":
        pytest.skip("the virtual joystick, Xvfb and pseudo-terminals are Linux's")
    if request.param == "keyboard pynput":
        for needed, found in ("pynput", find_spec("pynput")), ("Xvfb", shutil.which("Xvfb")):
            if found is None:
                pytest.skip(f"{needed} is not installed")
    return request.param


def run(what, name, number):
    if name != "keyboard pynput":
        return exercise.ACTIONS[what](name, number)
    # In a process of its own, because pynput stays with the first X server that it has met.
    command = [sys.executable, "-m", "tests.teleop.exercise", what, name, str(number)]
    result = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_every_press_and_release_is_delivered_exactly_once(name):
    tally = run("presses", name, SEQUENCES)
    assert tally["wrong"] == []
    assert (tally["sequences"], tally["presses"] >= SEQUENCES) == (SEQUENCES, True)


def test_what_was_pressed_before_the_reset_counts_for_nothing(name):
    assert run("reset", name, 6) == []


def test_pad_works_after_each_time_that_it_comes_back_while_the_robot_runs():
    if sys.platform != "linux":
        pytest.skip("the virtual joystick is looked up in /proc")
    assert exercise.replug(5) == []
