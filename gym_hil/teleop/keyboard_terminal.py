"""Keys typed into the terminal that the program was started from, also over ssh.

A terminal tells of characters, not of keys: a held key is the same character again and again. So a key counts as down
from its first character until none has come for a while, which leaves a short gap before a held key starts to repeat.
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
from gym_hil.teleop.keyboard_keys import MODIFIERS, Keys, KeySource

RELEASE_AFTER = 0.2  # s without its character, after which a key is up; a slow line may delay one
REPEATS_WITHIN = 0.12  # s; the same character so soon is the key repeating itself, later it is a new press
ESCAPE_WAIT = 0.05  # s in which the rest of a sequence follows its Esc
TICK = 0.02  # s
BACKGROUND_TICK = 0.2  # s between looks for whether the program is in the foreground again
SIGNALS = ("SIGTERM", "SIGHUP")  # end the process without a chance to tidy up

CHARACTERS = {
    " ": "space",
    "\r": "enter",
    "\n": "enter",
    **{letter: letter for letter in "wasdqefgr"},
    **{letter.upper(): letter for letter in "wasdqefgr"},
}
ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
_TOKEN = re.compile(r"\x1b(?:\[[0-9;:?]*(?P<csi>[^0-9;:?])|O(?P<ss3>.))|(?P<one>.)", re.DOTALL)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-9;:?]*|O)?")


def keys_in(text: str) -> tuple[list[str], str]:
    """Names of the keys in what came from a terminal.

    Args:
        text: as it was read.

    Returns:
        The keys that mean something, and a rest that may be the beginning of a sequence.
    """
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


class TypedKeys:
    """Makes presses and releases of characters that come while a key is down.

    Args:
        keys: is told.
    """

    def __init__(self, keys: Keys):
        self._keys = keys
        self._last: dict[str, float] = {}  # key -> s, when its character last came

    def type(self, key: str, now: float) -> None:
        """Take in a character.

        Args:
            key: the name of its key.
            now: s.
        """
        if now - self._last.get(key, -math.inf) > REPEATS_WITHIN:
            self._keys.release(key)
        self._keys.press(key)
        self._last[key] = now

    def let_go(self, now: float, after: float = RELEASE_AFTER) -> None:
        """Release the keys whose characters have not come for a while.

        Args:
            now: s.
            after: s.
        """
        for key in [key for key, last in self._last.items() if now - last >= after]:
            del self._last[key]
            self._keys.release(key)


class TerminalKeys(KeySource):
    """Reads keys from the terminal at standard input, which shows no characters meanwhile. Ctrl-C works as ever.

    Args:
        keys: is told what is pressed.

    Raises:
        DeviceError: standard input is no terminal, or the program runs in the background.
    """

    title = "this terminal"
    unheard = MODIFIERS

    def __init__(self, keys: Keys):
        try:
            import termios
        except ImportError as error:
            raise DeviceError("Terminals of this operating system cannot tell of single keys.") from error
        try:
            self._input = sys.stdin.fileno()
            self._before = termios.tcgetattr(self._input)
        except (OSError, ValueError, AttributeError, termios.error) as error:
            raise DeviceError("Standard input is not a terminal; over ssh, use ssh -t.") from error
        if not _in_foreground(self._input):
            raise DeviceError("The program runs in the background, where it may not read from its terminal.")
        self._keys, self._termios = keys, termios
        self._process = os.getpid()
        self._typed = TypedKeys(keys)
        self._wake, self._waker = os.pipe()
        self._handlers: dict[int, Callable[[int, FrameType | None], None]] = {}
        self._open = True
        self._restore_on_signals()
        self._listen_to_keys()
        self._thread = threading.Thread(target=self._run, name="gym_hil keyboard", daemon=True)
        self._thread.start()

    def alive(self) -> bool:
        """See `KeySource.alive`. It ends when the terminal is closed."""
        return self._thread.is_alive()

    def close(self) -> None:
        """See `KeySource.close`."""
        if not self._open or os.getpid() != self._process:
            return
        self._open = False
        os.write(self._waker, b"x")
        self._thread.join()
        os.close(self._wake)
        os.close(self._waker)
        self._restore()
        for number, handler in self._handlers.items():
            # From another thread, or if somebody has put in one of theirs, it stays as it is and does no harm.
            if signal.getsignal(number) == handler:
                with contextlib.suppress(ValueError):
                    signal.signal(number, signal.SIG_DFL)

    def _run(self) -> None:
        try:
            self._read_until_closed()
        finally:
            self._keys.release_all()

    def _read_until_closed(self) -> None:
        rest, rest_since = "", 0.0
        while True:
            ready, _, _ = select.select([self._input, self._wake], [], [], TICK)
            now = time.monotonic()
            if self._wake in ready:
                return
            if not _in_foreground(self._input):
                # To read would stop the whole program.
                self._typed.let_go(now, after=0.0)
                if select.select([self._wake], [], [], BACKGROUND_TICK)[0]:
                    return
                continue
            self._listen_to_keys()
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
                    self._typed.type(key, now)
            elif rest and now - rest_since > ESCAPE_WAIT:
                if rest == "\x1b":
                    self._typed.type("esc", now)
                rest = ""
            self._typed.let_go(now)

    def _listen_to_keys(self) -> None:
        """Have the terminal hand over each character at once; after Ctrl-Z and fg it has forgotten that."""
        termios = self._termios
        with contextlib.suppress(termios.error):  # the next reading finds that it is gone
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
    except OSError:  # not the terminal that controls this program, so anybody may read it
        return True
