"""A terminal's screen, made of what is written to it, and programs that run in a terminal of their own."""

from __future__ import annotations

import io
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 60  # s
COMMAND = (sys.executable, "-W", "error", "-c", "import sys; from gym_hil.cli import main; sys.exit(main())")

_TOKENS = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[\?\d+[hl]|([\r\n])|([^\x1b\r\n]+)")


class Terminal(io.StringIO):
    """Says that it is a terminal, and understands what the status line sends: returns, erased lines, moves up."""

    def isatty(self) -> bool:
        return True

    def shown(self) -> list[str]:
        """The lines on the screen, without empty ones at the end."""
        lines, row, column = [""], 0, 0
        for number, command, control, text in _TOKENS.findall(self.getvalue()):
            if command == "A":
                row = max(row - int(number or 1), 0)
            elif command == "K":
                lines[row] = ""
            elif control == "\r":
                column = 0
            elif control == "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            elif text:
                lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
                column += len(text)
        while lines and not lines[-1]:
            lines.pop()
        return [line.rstrip() for line in lines]


def without_display() -> dict[str, str]:
    """The variables of this process but for those of a display, with this source tree on the path."""
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    root = str(Path(__file__).parents[1])
    return {**environment, "PYTHONPATH": os.pathsep.join([root, environment.get("PYTHONPATH", "")])}


class TerminalProgram:
    """A program in a terminal: what is typed into it, and what it writes."""

    def __init__(self, *command: str):
        import pty  # which Windows lacks

        # Both ends stay open, so that nothing is lost when the program ends.
        self._master, self._slave = pty.openpty()
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), self._slave)
        self.process = subprocess.Popen(command, env=without_display(), start_new_session=True, **streams)
        self._seen = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str, *, typing: str = "") -> None:
        """Wait until something is written after what was waited for before, and type meanwhile now and then."""
        deadline = time.monotonic() + PATIENCE
        while text not in self._seen:
            assert time.monotonic() < deadline, f"only {self._seen!r} came"
            self.type(typing)
            if select.select([self._master], [], [], 0.5)[0]:  # s, some steps
                self._seen += os.read(self._master, 4096).decode()
        self._seen = self._seen.partition(text)[2]

    def press_twice(self, key: str, answer: str, pause: float) -> None:
        """Press a key that has to be confirmed. A terminal reports no release: the second press has to come later."""
        self.type(key)
        self.wait_for(answer)
        time.sleep(pause)
        self.type(key)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)
