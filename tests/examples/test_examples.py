"""The example programs run as they are, without a display, driven by keys typed into a terminal."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.terminal import PATIENCE, TerminalProgram

ROOT = Path(__file__).parents[2]
EXAMPLES = ["test_teleoperation.py", "test_arrangeboxes.py"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")


@pytest.fixture
def start() -> Iterator[Callable[..., TerminalProgram]]:
    with contextlib.ExitStack() as stack:

        def start(name: str, *words: str) -> TerminalProgram:
            return stack.enter_context(
                contextlib.closing(TerminalProgram(sys.executable, str(ROOT / "examples" / name), *words))
            )

        yield start


def test_the_operator_takes_over_and_ends_the_episode(start: Callable[..., TerminalProgram]) -> None:
    program = start("test_teleoperation.py", "--use-keyboard", "--episodes", "1")
    program.wait_for("keys from this terminal")
    program.wait_for("record it again")
    program.wait_for("the operator acts", typing=" ")
    program.wait_for("episode 1: success", typing="\r")
    program.wait_for(" steps at ")
    assert program.process.wait(PATIENCE) == 0


def test_ctrl_c_ends_it_with_the_report(start: Callable[..., TerminalProgram]) -> None:
    program = start("test_teleoperation.py", "--use-keyboard")
    program.wait_for("record it again")
    program.wait_for("the operator acts", typing=" ")
    program.process.send_signal(signal.SIGINT)
    program.wait_for(" steps")  # or "no steps", if it came within the first
    assert program.process.wait(PATIENCE) == 0


def test_the_boxes_that_are_in_place_are_counted(start: Callable[..., TerminalProgram]) -> None:
    program = start("test_arrangeboxes.py", "--use-keyboard", "--episodes", "1")
    program.wait_for("record it again")
    program.wait_for("of 5 boxes in place", typing="\r")
    program.wait_for(" steps at ")
    assert program.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_without_a_gamepad_it_waits_for_one(name: str, start: Callable[..., TerminalProgram]) -> None:
    program = start(name)
    program.wait_for("record it again")
    program.wait_for("No gamepad is connected")


def test_a_gamepads_own_mapping_is_read(start: Callable[..., TerminalProgram], tmp_path: Path) -> None:
    missing = tmp_path / "mine.json"
    program = start("test_teleoperation.py", "--controller-config", str(missing))
    program.wait_for(missing.name)
    assert program.process.wait(PATIENCE) == 1
