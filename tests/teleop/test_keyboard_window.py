"""Keys typed into a real viewer window on an X server without a screen, and into one that a test plays."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from gym_hil.errors import ConfigurationError, DeviceError
from gym_hil.rendering.window import HEARS_KEYS
from gym_hil.teleop import Event
from gym_hil.teleop.keyboard import Keyboard
from gym_hil.teleop.keyboard_window import NAMES
from tests.docs.test_devices import Silence
from tests.teleop import window_session
from tests.teleop.waiting import events_of
from tests.teleop.x_server import Server

STALLED = """
import os, signal, warnings
from gym_hil.teleop import Button
from tests.teleop.hands import WindowHands
from tests.teleop.waiting import poll_until

warnings.simplefilter("ignore")
hands = WindowHands("window")
keyboard, server = hands.device, hands._server.process
hands.move(Button.INTERVENE, True)
hands.move(Button.INTERVENE, False)
hands.move(Button.FORWARD, True)
poll_until(keyboard, lambda command: command.engaged and command.motion[0] == 1)
server.send_signal(signal.SIGSTOP)
command = poll_until(keyboard, lambda command: not command.engaged)
assert not command.motion.any()
server.send_signal(signal.SIGCONT)
hands.move(Button.FORWARD, False)
poll_until(keyboard, lambda command: not command.motion.any() and keyboard._heard)
hands.move(Button.FORWARD, True)
poll_until(keyboard, lambda command: command.motion[0] == 1)
hands.close()
print("let go")
"""


class Window:
    """A window that a test types into."""

    problem: str | None = None

    def __init__(self) -> None:
        self.is_open = True
        self.listeners: list[Callable[[str, bool], bool]] = []

    def listen(self, listener: Callable[[str, bool], bool]) -> None:
        self.listeners.append(listener)

    def forget(self, listener: Callable[[str, bool], bool]) -> None:
        self.listeners.remove(listener)

    def key(self, name: str, down: bool) -> list[bool]:
        return [listener(name, down) for listener in self.listeners]

    def tap(self, name: str) -> None:
        self.key(name, True)
        self.key(name, False)


@pytest.fixture
def window() -> Window:
    return Window()


@pytest.fixture
def keyboard(window: Window) -> Keyboard:
    return Keyboard(backend="window", window=window, intervention="hold")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    _need_an_x_server()
    server = Server()
    try:
        result = subprocess.run(
            [sys.executable, "-m", "tests.teleop.window_session"],
            env={key: value for key, value in os.environ.items() if key != "WAYLAND_DISPLAY"}
            | {"DISPLAY": server.display},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        server.stop()
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("scene", [scene.__name__ for scene in window_session.SCENES])
def test_real_window(outcomes: dict[str, str], scene: str) -> None:
    assert outcomes[scene] == ""


@pytest.mark.skipif(sys.platform != "linux", reason="the standstill of a thread is seen on Linux")
def test_window_that_stands_still_holds_no_key() -> None:
    _need_an_x_server()
    result = subprocess.run(
        [sys.executable, "-c", STALLED], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120
    )
    assert result.stdout == "let go\n", result.stderr


def test_window_that_is_closed_holds_no_key(
    window: Window, keyboard: Keyboard, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("space", "up", "left_control"):
        window.key(key, True)
    command = keyboard.poll()
    assert (command.engaged, command.motion[0], command.gripper) == (True, 1, 1)
    window.is_open = False
    command = keyboard.poll()
    assert (command.engaged, command.motion.any(), command.gripper) == (False, False, 0)
    assert "no longer heard" in caplog.text
    window.is_open = True
    for key in ("space", "up"):
        window.key(key, True)
    command = keyboard.poll()
    assert (command.engaged, command.motion[0], command.gripper) == (True, 1, 0)


def test_press_just_before_the_window_is_closed_still_counts_once(window: Window, keyboard: Keyboard) -> None:
    window.tap("enter")
    window.is_open = False
    assert keyboard.poll().events == (Event.SUCCESS,)
    assert keyboard.poll().events == ()


def test_keys_without_a_meaning_are_left_to_the_viewer(window: Window, keyboard: Keyboard) -> None:
    assert window.key("tab", True) == [False]
    assert all(window.key(name, True) == [True] for name in NAMES)


def test_closed_keyboard_hears_nothing_more(window: Window, keyboard: Keyboard) -> None:
    window.key("up", True)
    keyboard.close()
    assert not window.listeners
    assert not keyboard.poll().motion.any()


def test_place_without_a_display_is_named(window: Window) -> None:
    window.problem = "There is no display."
    with pytest.raises(DeviceError, match="There is no display"):
        Keyboard(backend="window", window=window)


def test_back_end_without_a_window_says_where_to_find_one() -> None:
    with pytest.raises(ConfigurationError, match=r"window=env\.unwrapped\.window_keys"):
        Keyboard(backend="window")


def test_environment_gives_its_window(window: Window) -> None:
    env = SimpleNamespace(unwrapped=SimpleNamespace(window_keys=window))
    keyboard = Keyboard.for_env(env, backend="window")
    window.tap("r")
    assert keyboard.poll().events == (Event.RERECORD,)


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_window_is_chosen_where_keys_cannot_be_heard_everywhere(
    window: Window, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, platform: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with open(os.devnull) as nothing, caplog.at_level(logging.INFO):
        monkeypatch.setattr(sys, "stdin", nothing)
        keyboard = Keyboard(window=window)
    assert keyboard.backend == "window"
    assert "heard from the focused viewer window" in caplog.text


def test_window_and_terminal_are_heard_together(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: slave))
    monkeypatch.delenv("DISPLAY", raising=False)
    keyboard = Keyboard(window=window)
    assert keyboard.backend == "window+terminal"
    assert any("Shift" in control for control, _ in keyboard.legend)
    window.tap("r")
    os.write(master, b"\r")
    assert set(events_of(keyboard, 2)) == {Event.RERECORD, Event.SUCCESS}
    keyboard.close()
    os.close(master)
    os.close(slave)


def test_keys_heard_in_every_window_are_kept_from_the_viewer_but_not_counted_again(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gym_hil.teleop.keyboard.BACKENDS", {"x11": Silence})
    keyboard = Keyboard(backend="x11", window=window)
    assert window.key("enter", True) == [True]
    assert keyboard.poll().events == ()
    keyboard.close()
    assert not window.listeners


def test_viewer_keeps_its_keys_where_only_the_terminal_drives(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_hil.teleop.keyboard.BACKENDS", {"terminal": Silence})
    keyboard = Keyboard(backend="terminal", window=window)
    assert window.key("w", True) == []
    keyboard.close()


def _need_an_x_server() -> None:
    pytest.importorskip("Xlib", reason="python-xlib is not installed")
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    if not HEARS_KEYS:
        pytest.skip("MuJoCo 3 cannot hear keys in its window safely")
