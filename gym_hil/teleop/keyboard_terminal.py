"""Keys typed into the terminal that the program was started from, also over ssh.

A terminal reports characters, not keys: a held key is one character, a pause of 0.25 to 0.66 s, then the same character
about 30 times a second. So a key counts as down from its first character until none has come for a while.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from gym_hil.errors import DeviceError
from gym_hil.teleop.input_state import DIRECTIONS, GRIPPER, InputState
from gym_hil.teleop.keyboard import KEYS, MODIFIERS, KeyBackend

RELEASE_AFTER = 0.2  # s without its character, after which a key that moves is up; a slow line may delay one
# The same for keys of which every press counts. It is longer than the pause before a held key repeats itself, which X
# servers and consoles set to 0.25 to 0.66 s.
COUNTED_RELEASE_AFTER = 0.75
REPEAT_PERIOD = 0.12  # s; the same character so soon is the held key repeating itself
ESCAPE_WAIT = 0.05  # s in which the rest of a sequence follows its Esc
TICK = 0.02  # s
BACKGROUND_TICK = 0.2  # s between looks for whether the program is in the foreground again
SIGNALS = ("SIGTERM", "SIGHUP")  # end the process without running `finally`

_LETTERS = [key for key in KEYS if len(key) == 1]
CHARACTERS = {
    **{" ": "space", "\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace"},
    **{letter: key for key in _LETTERS for letter in (key, key.upper())},
}
ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
_TOKEN = re.compile(r"\x1b(?:\[[0-9;:?]*(?P<csi>[^0-9;:?])|O(?P<ss3>.))|(?P<one>.)", re.DOTALL)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-9;:?]*|O)?")


def keys_in(text: str) -> tuple[list[str], str]:
    """The keys that a terminal's characters stand for, and a rest that may be the beginning of an escape sequence."""
    keys, start = [], 0
    while start < len(text) and not _UNFINISHED.fullmatch(text, start):
        token = _TOKEN.match(text, start)
        assert token is not None  # it matches any character
        start = token.end()
        arrow = token["csi"] or token["ss3"]
        key = ARROWS.get(arrow) if arrow else "esc" if token["one"] == "\x1b" else CHARACTERS.get(token["one"])
        if key is not None:
            keys.append(key)
    return keys, text[start:]


class TerminalBackend(KeyBackend):
    """Reads keys from the terminal at standard input, which shows no characters meanwhile. Ctrl-C works as ever."""

    name = "terminal"
    title = "this terminal"
    missing_keys = MODIFIERS

    def __init__(self, inputs: InputState):
        super().__init__(inputs)
        try:
            import termios
        except ImportError as error:
            raise DeviceError("Terminals of this operating system do not report single keys.") from error
        try:
            self._input = sys.stdin.fileno()
            self._before = termios.tcgetattr(self._input)
        except (OSError, ValueError, AttributeError, termios.error) as error:
            raise DeviceError("Standard input is not a terminal; over ssh, use ssh -t.") from error
        if not _in_foreground(self._input):
            raise DeviceError("The program runs in the background, where it may not read from its terminal.")
        self._termios = termios
        self._process = os.getpid()
        self._down: dict[str, float] = {}  # key -> s, when it was last known to be down
        self._last: dict[str, float] = {}  # key -> s, when its character last came
        self._wake, self._waker = os.pipe()
        self._handlers: dict[int, Callable[[int, FrameType | None], None]] = {}
        self._is_open = True
        self._restore_on_signals()
        self._set_unbuffered()
        self._thread = threading.Thread(target=self._run, name="gym_hil keyboard", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()  # it ends when the terminal is closed

    def close(self) -> None:
        if not self._is_open or os.getpid() != self._process:
            return
        self._is_open = False
        os.write(self._waker, b"x")
        if threading.current_thread() is not self._thread:  # it is when the thread itself runs the finaliser
            self._thread.join()
            os.close(self._wake)
            os.close(self._waker)
        self._restore()
        for number, handler in self._handlers.items():
            # From another thread, or where the program has set a handler of its own, it stays and does no harm.
            if signal.getsignal(number) == handler:
                with contextlib.suppress(ValueError):
                    signal.signal(number, signal.SIG_DFL)

    def type(self, key: str, now: float) -> None:
        """Take in the character of a key at a time in s."""
        before, self._last[key] = self._last.get(key, -math.inf), now
        # A character 0.25 to 0.75 s after a press may be the first repetition of a held key: it counts for nothing.
        if key not in self._down or not self._counts(key) or now - before <= REPEAT_PERIOD:
            self._down[key] = now
            self.press(key)

    def release_idle(self, now: float) -> None:
        """Release the keys whose characters have not come for a while, at a time in s."""
        for key, last in list(self._down.items()):
            if now - last >= (COUNTED_RELEASE_AFTER if self._counts(key) else RELEASE_AFTER):
                del self._down[key]
                self.release(key)

    @staticmethod
    def _counts(key: str) -> bool:
        """Whether each press of a key counts, and not how long it is down."""
        return KEYS[key] not in DIRECTIONS and KEYS[key] not in GRIPPER

    def _run(self) -> None:
        try:
            self._read_until_closed()
        finally:
            if self._is_open:
                self.release_idle(math.inf)

    def _read_until_closed(self) -> None:
        rest, rest_since = "", 0.0
        while True:
            ready, _, _ = select.select([self._input, self._wake], [], [], TICK)
            now = time.monotonic()
            if self._wake in ready:
                return
            if not _in_foreground(self._input):
                # To read would stop the whole program.
                self.release_idle(math.inf)
                if select.select([self._wake], [], [], BACKGROUND_TICK)[0]:
                    return
                continue
            self._set_unbuffered()
            if self._input in ready:
                try:
                    read = os.read(self._input, 4096)
                except OSError:
                    return
                if not read:
                    return
                keys, rest = keys_in(rest + read.decode("utf-8", errors="replace"))
                rest_since = now
                for key in keys:
                    self.type(key, now)
            elif rest and now - rest_since > ESCAPE_WAIT:
                if rest == "\x1b":
                    self.type("esc", now)
                rest = ""
            self.release_idle(now)

    def _set_unbuffered(self) -> None:
        """Have the terminal deliver each character at once, without echo; Ctrl-Z and fg undo that."""
        termios = self._termios
        if not self._is_open:
            return
        with contextlib.suppress(termios.error):  # the next read finds that it is gone
            settings: list[Any] = termios.tcgetattr(self._input)
            if not settings[3] & (termios.ICANON | termios.ECHO):
                return
            settings[3] &= ~(termios.ICANON | termios.ECHO)
            settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._input, termios.TCSANOW, settings)

    def _restore(self) -> None:
        # A program in the background that sets its terminal is stopped.
        if _in_foreground(self._input):
            with contextlib.suppress(self._termios.error):
                self._termios.tcsetattr(self._input, self._termios.TCSANOW, self._before)

    def _restore_on_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return

        def end(number: int, frame: FrameType | None) -> None:
            if os.getpid() == self._process:
                self._restore()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        for number in (getattr(signal, name) for name in SIGNALS):
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, end)
                self._handlers[number] = end


def _in_foreground(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # not the terminal that controls this program, so everyone may read it
        return True
