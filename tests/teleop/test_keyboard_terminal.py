"""Keys typed into a pseudo-terminal."""

import contextlib
import gc
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gym_hil.teleop import Event, InputState
from gym_hil.teleop.keyboard import Keyboard
from gym_hil.teleop.keyboard_terminal import TerminalBackend, keys_in
from tests.teleop.waiting import PATIENCE, events_of, poll_until, wait_for


class Terminal:
    """A terminal: `type` into it."""

    def __init__(self):
        self._master, self.slave = pty.openpty()
        self._open = True

    def type(self, text):
        os.write(self._master, text.encode())

    def read_until(self, text):
        seen = ""
        while text not in seen:
            assert select.select([self._master], [], [], PATIENCE)[0], f"only {seen!r} came"
            seen += os.read(self._master, 1024).decode()

    @property
    def settings(self):
        return termios.tcgetattr(self.slave)

    @property
    def echoes(self):
        return bool(self.settings[3] & termios.ECHO and self.settings[3] & termios.ICANON)

    def hang_up(self):
        if self._open:
            self._open = False
            os.close(self._master)

    def close(self):
        self.hang_up()
        os.close(self.slave)


@pytest.fixture
def terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: terminal.slave))
    monkeypatch.delenv("DISPLAY", raising=False)
    yield terminal
    terminal.close()


@pytest.fixture
def keyboard(terminal):
    with contextlib.closing(Keyboard()) as keyboard:
        yield keyboard


def run_in(terminal, code):
    """A Python program whose controlling terminal this is."""
    take_terminal = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    # A shell that runs the tests in the background has them ignore these, and children inherit that.
    heed_signals = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", take_terminal + heed_signals + code],
        stdin=terminal.slave,
        stdout=terminal.slave,
        env=environment,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("text", "keys", "rest"),
    [
        ("wasdqefgrijkluo", list("wasdqefgrijkluo"), ""),
        ("WR \r\n", ["w", "r", "space", "enter", "enter"], ""),
        ("\x1b[A\x1b[B\x1b[C\x1b[D\x1bOA\x1bOD", ["up", "down", "right", "left", "up", "left"], ""),
        ("\x1b[1;2A", ["up"], ""),  # with Shift
        ("\x1b[3~\x1b[15~\x1bOPw", ["w"], ""),  # Delete, F5, F1
        ("\x1b\x1b[A\x1bw", ["esc", "up", "esc", "w"], ""),
        ("x~é\x7f", ["x", "backspace"], ""),
        *(("w" + rest, ["w"], rest) for rest in ("\x1b", "\x1b[", "\x1b[1;", "\x1bO")),
    ],
)
def test_characters_mean_keys_and_the_beginning_of_a_sequence_is_kept(text, keys, rest):
    assert keys_in(text) == (keys, rest)


@pytest.fixture
def backend(terminal):
    """One that only gets characters from the test."""
    backend = TerminalBackend(InputState(silence_timeout=1000.0))
    yield backend
    backend.close()


def hold(backend, key, seconds, delay):
    """What a keyboard sends for a held key: a character, a pause of `delay`, then 30 characters a second."""
    typed = 0.0
    for now in np.arange(seconds + 1.0, step=0.01):
        if typed <= now < seconds:
            backend.type(key, now)
            typed = now + (1 / 30 if typed else delay)
        backend.release_idle(now)
        yield now


@pytest.mark.parametrize("delay", [0.25, 0.66])
@pytest.mark.parametrize("seconds", [0.1, 0.51, 3.0])
@pytest.mark.parametrize("key", ["space", "enter"])
def test_held_key_counts_once(backend, key, seconds, delay):
    for _ in hold(backend, key, seconds, delay):
        pass
    assert backend.inputs.press_count == 1
    assert not backend.inputs.held


@pytest.mark.parametrize(("period", "counted"), [(0.9, 6), (0.5, 3)])
def test_key_that_is_typed_again_and_again_counts_again(backend, period, counted):
    for now in np.arange(6 * period, step=0.01):
        if round(now % period, 2) in (0, period):
            backend.type("enter", now)
        backend.release_idle(now)
    assert backend.inputs.press_count == counted


def test_held_direction_moves_but_for_the_pause_before_it_repeats(backend):
    moves = {round(now, 2): backend.inputs.poll().motion[0] for now in hold(backend, "w", 2.0, 0.5)}
    assert all(moves[now] == 1 for now in moves if now < 0.2 or 0.5 <= now < 2.0)
    assert all(moves[now] == 0 for now in moves if 0.21 < now < 0.49 or now > 2.25)


def test_what_is_typed_moves_and_decides(keyboard, terminal):
    terminal.type("r\r f\x1b")
    assert events_of(keyboard, 3) == (Event.RERECORD, Event.SUCCESS, Event.FAILURE)
    poll_until(keyboard, lambda command: command.gripper == 0)
    for text, component, sign in (("\x1b[A", 0, 1), ("s", 0, -1), ("\x1b[D", 1, 1), ("d", 1, -1), ("q", 2, -1)):
        terminal.type(text)
        command = poll_until(keyboard, lambda command: bool(command.motion.any()))
        assert command.engaged
        np.testing.assert_array_equal(command.motion, np.eye(6)[component] * sign)
        poll_until(keyboard, lambda command: not command.motion.any())
    settings = terminal.settings  # something else changes the mode of the terminal
    settings[3] |= termios.ICANON | termios.ECHO
    termios.tcsetattr(terminal.slave, termios.TCSANOW, settings)
    wait_for(lambda: not terminal.echoes)
    terminal.type("g")
    assert poll_until(keyboard, lambda command: command.gripper != 0).gripper == -1


def test_automatic_choice_and_the_legend_say_that_it_is_the_terminal(keyboard):
    assert keyboard.backend == "terminal"
    legend = dict(keyboard.legend)
    assert legend["E"] == "move up"
    assert legend["Up or W"] == "move forward"
    assert not [control for control in legend if "Shift" in control or "Ctrl" in control]
    assert keyboard.describe().startswith("keys from this terminal\n")


def test_terminal_is_restored(terminal):
    before = terminal.settings
    keyboard = Keyboard()
    assert not terminal.echoes
    keyboard.close()
    keyboard.close()
    assert terminal.settings == before
    assert terminal.echoes


def test_keyboard_that_its_own_thread_collects_restores_the_terminal(terminal):
    keyboard: Any = Keyboard(backend="terminal")
    backend = keyboard._backend
    keyboard.cycle = keyboard
    backend.press = lambda key: gc.collect()  # in the thread that reads
    del keyboard
    assert not terminal.echoes
    terminal.type("w")
    wait_for(lambda: not backend.is_alive())
    assert terminal.echoes


def test_terminal_that_hangs_up_lets_go_of_everything(keyboard, terminal, caplog, monkeypatch):
    monkeypatch.setattr("gym_hil.teleop.input_state.RESUME_WITHIN", 0.5)
    terminal.type(" ")
    poll_until(keyboard, lambda command: command.engaged)
    terminal.type("w")
    poll_until(keyboard, lambda command: command.motion[0] == 1)
    terminal.hang_up()
    poll_until(keyboard, lambda command: not command.motion.any())
    wait_for(lambda: "no longer read" in caplog.text or bool(keyboard.poll().events))
    poll_until(keyboard, lambda command: not command.engaged)


MAKE = """
import os, signal, sys, time
from gym_hil.teleop.keyboard import Keyboard
keyboard = Keyboard()
print("ready", flush=True)
"""


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("", 0),
        ("raise RuntimeError('on purpose')", 1),
        ("sys.exit(3)", 3),
        ("del keyboard", 0),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGHUP)", -signal.SIGHUP),
        ("time.sleep(60)", None),  # until Ctrl-C
    ],
)
def test_terminal_is_restored_however_the_program_ends(ending, status):
    terminal = Terminal()
    before = terminal.settings
    program = run_in(terminal, MAKE + "sys.stderr = open(os.devnull, 'w')\n" + ending)
    terminal.read_until("ready")
    if status is None:
        terminal.type("\x03")
    result = program.wait(PATIENCE)
    assert terminal.settings == before
    assert result == status if status is not None else result != 0
    terminal.close()


def test_program_in_the_background_does_not_touch_its_terminal():
    terminal = Terminal()
    program = run_in(
        terminal,
        """
import os
from gym_hil.errors import DeviceError
from gym_hil.teleop.keyboard import Keyboard
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    try:
        Keyboard(backend="terminal")
    except DeviceError as error:
        os._exit(7 if "background" in str(error) else 1)
    os._exit(2)
_, status = os.waitpid(child, os.WUNTRACED)
print("status", os.waitstatus_to_exitcode(status), flush=True)
""",
    )
    terminal.read_until("status 7")
    assert program.wait(PATIENCE) == 0
    assert terminal.echoes
    terminal.close()
