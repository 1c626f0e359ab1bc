"""The example programs run as they are, without a display, driven by keys typed into a terminal."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.teleop.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
EXAMPLES = ["test_teleoperation.py", "test_arrangeboxes.py"]
TYPING_PERIOD = 0.5  # s, some steps

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")


class Program:
    """A program in a terminal."""

    def __init__(self, *words: str):
        import pty

        self._master, self._slave = pty.openpty()
        environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
        # A shell that runs the tests in the background has them ignore it, and children inherit that.
        code = "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        code += "sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=environment,
            start_new_session=True,
        )
        self.seen = ""  # the terminal stays open here, so that nothing is lost when the program ends

    def read_until(self, text: str, *, typing: str = "") -> None:
        """Read until the text has come; meanwhile type something now and then, for a reset forgets what was typed."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < deadline, f"only {self.seen!r} came"
            os.write(self._master, typing.encode())
            if select.select([self._master], [], [], TYPING_PERIOD)[0]:
                self.seen += os.read(self._master, 4096).decode()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    with contextlib.ExitStack() as stack:

        def start(name: str, *words: str) -> Program:
            program = Program(str(ROOT / "examples" / name), *words)
            stack.callback(program.close)
            return program

        yield start


def test_the_operator_takes_over_and_ends_the_episode(start: Callable[..., Program]) -> None:
    program = start("test_teleoperation.py", "--use-keyboard", "--episodes", "1")
    program.read_until("keys from this terminal")
    program.read_until("record it again")
    program.read_until("the operator acts", typing=" ")
    program.read_until("episode 1: success", typing="\r")
    program.read_until(" steps at ")
    assert program.process.wait(PATIENCE) == 0


def test_ctrl_c_ends_it_with_the_report(start: Callable[..., Program]) -> None:
    program = start("test_teleoperation.py", "--use-keyboard")
    program.read_until("record it again")
    program.read_until("the operator acts", typing=" ")
    program.process.send_signal(signal.SIGINT)
    program.read_until(" steps")  # or "no steps", if it came within the first
    assert program.process.wait(PATIENCE) == 0


def test_the_boxes_that_are_in_place_are_counted(start: Callable[..., Program]) -> None:
    program = start("test_arrangeboxes.py", "--use-keyboard", "--episodes", "1")
    program.read_until("record it again")
    program.read_until("of 5 boxes in place", typing="\r")
    program.read_until(" steps at ")
    assert program.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_without_a_gamepad_it_waits_for_one(name: str, start: Callable[..., Program]) -> None:
    program = start(name)
    program.read_until("No gamepad is connected")
    program.read_until("record it again")


def test_a_gamepads_own_mapping_is_read(start: Callable[..., Program], tmp_path: Path) -> None:
    missing = tmp_path / "mine.json"
    program = start("test_teleoperation.py", "--controller-config", str(missing))
    program.read_until(missing.name)
    assert program.process.wait(PATIENCE) == 1
