"""Keys from a real X server without a screen, pressed by its own XTEST extension."""

from __future__ import annotations

import gc
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_hil  # noqa: F401
from gym_hil.errors import DeviceError, MissingExtraError
from gym_hil.teleop import Event
from gym_hil.teleop.keyboard import Keyboard
from tests.teleop.waiting import events_of, poll_until, wait_for
from tests.teleop.x_server import DIRECTIONS, GRIPPER, Fingers, Server

pytest.importorskip("Xlib", reason="python-xlib is not installed")
if shutil.which("Xvfb") is None:
    pytest.skip("Xvfb is not installed", allow_module_level=True)

EVENTS = {"Return": Event.SUCCESS, "Escape": Event.FAILURE, "r": Event.RERECORD}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """One that a test may break."""
    server = Server()
    monkeypatch.setenv("DISPLAY", server.display)
    yield server
    server.stop()


@pytest.fixture
def fingers(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fingers]:
    monkeypatch.setenv("DISPLAY", server.display)
    fingers = Fingers(server.display)
    yield fingers
    for symbol in (*DIRECTIONS, *GRIPPER, *EVENTS, "space"):
        fingers.move(symbol, False)
    fingers.close()


@pytest.fixture
def make(fingers: Fingers) -> Iterator[Callable[..., Keyboard]]:
    made = []

    def make_keyboard(**options: Any) -> Keyboard:
        made.append(Keyboard(**options))
        return made[-1]

    yield make_keyboard
    for keyboard in made:
        keyboard.close()


def test_every_key_does_what_the_legend_says(fingers: Fingers, make: Callable[..., Keyboard]) -> None:
    keyboard = make()
    assert keyboard.backend == "x11"
    fingers.tap("space")
    poll_until(keyboard, lambda command: command.engaged)
    for symbol, (component, sign) in DIRECTIONS.items():
        fingers.move(symbol, True)
        command = poll_until(keyboard, lambda command: bool(command.motion.any()))
        np.testing.assert_array_equal(command.motion, np.eye(6)[component] * sign, err_msg=symbol)
        fingers.move(symbol, False)
        poll_until(keyboard, lambda command: not command.motion.any())
    for symbol, gripper in GRIPPER.items():
        fingers.move(symbol, True)
        assert poll_until(keyboard, lambda command: command.gripper != 0).gripper == gripper, symbol
        fingers.move(symbol, False)
        poll_until(keyboard, lambda command: command.gripper == 0)
    for symbol, event in EVENTS.items():
        fingers.tap(symbol)
        assert events_of(keyboard, 1) == (event,), symbol
    fingers.tap("space")
    poll_until(keyboard, lambda command: not command.engaged)


def test_letters_are_heard_while_shift_is_held(fingers: Fingers, make: Callable[..., Keyboard]) -> None:
    keyboard = make()
    fingers.move("Shift_R", True)
    fingers.move("w", True)
    poll_until(keyboard, lambda command: bool(command.motion[0] == 1 and command.motion[2] == 1))
    fingers.move("Shift_R", False)
    poll_until(keyboard, lambda command: bool(command.motion[0] == 1 and command.motion[2] == 0))
    fingers.move("w", False)
    poll_until(keyboard, lambda command: not command.motion.any())


def test_random_taps_are_delivered_exactly_once(fingers: Fingers, make: Callable[..., Keyboard]) -> None:
    keyboard = make()
    chance = random.Random(0)
    taps = [chance.choice(list(EVENTS)) for _ in range(1000)]
    for symbol in taps:
        fingers.tap(symbol)
    assert events_of(keyboard, len(taps)) == tuple(EVENTS[symbol] for symbol in taps)


def test_held_key_is_one_press_and_stays_held(fingers: Fingers, make: Callable[..., Keyboard]) -> None:
    keyboard = make(intervention="hold")
    fingers.move("space", True)
    fingers.move("Up", True)
    fingers.move("Return", True)  # the last key pressed is the one that repeats itself
    poll_until(keyboard, lambda command: bool(command.motion.any()))
    time.sleep(1.0)  # Xvfb repeats keys after 0.66 s
    events = [keyboard.poll() for _ in range(3)]
    assert all(command.engaged and command.motion[0] == 1 for command in events)
    assert sum(len(command.events) for command in events) <= 1


def test_direction_holds_until_the_last_of_its_keys_is_up(fingers: Fingers, make: Callable[..., Keyboard]) -> None:
    keyboard = make()
    for symbol in ("w", "Up"):
        fingers.move(symbol, True)
    poll_until(keyboard, lambda command: bool(command.motion[0] == 1))
    fingers.tap("Return")
    fingers.move("w", False)
    fingers.tap("Return")
    events_of(keyboard, 2)
    assert keyboard.poll().motion[0] == 1
    fingers.move("Up", False)
    poll_until(keyboard, lambda command: bool(command.motion[0] == 0))


def test_key_that_was_down_before_is_no_press(fingers: Fingers, make: Callable[..., Keyboard]) -> None:
    fingers.move("Return", True)
    keyboard = make()
    time.sleep(1.0)  # it repeats itself meanwhile
    fingers.move("Return", False)
    fingers.tap("r")
    assert events_of(keyboard, 1) == (Event.RERECORD,)


def test_release_that_went_unheard_is_found(fingers: Fingers, make: Callable[..., Keyboard]) -> None:
    keyboard = make(backend="x11")
    keyboard._sources["x11"]._hear = lambda reply: None  # type: ignore[attr-defined]
    source: Any = keyboard._sources["x11"]
    (code,) = [code for code, key in source._names.items() if key == "up"]
    source._down[code] = time.monotonic()
    source._keys.press("up")
    poll_until(keyboard, lambda command: bool(command.motion[0] == 0))


def test_server_that_no_longer_answers_lets_go_of_everything(
    own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    fingers = Fingers(own_server.display)
    keyboard = Keyboard()
    fingers.tap("space")
    fingers.move("Up", True)
    poll_until(keyboard, lambda command: command.engaged and bool(command.motion[0] == 1))
    own_server.process.send_signal(signal.SIGSTOP)
    command = poll_until(keyboard, lambda command: not command.engaged)
    assert not command.motion.any()
    assert "no longer heard" in caplog.text
    own_server.process.send_signal(signal.SIGCONT)
    wait_for(lambda: keyboard.poll() is not None and "heard again" in caplog.text)
    assert not keyboard.poll().motion.any()  # held all the time, so this is no new press
    fingers.move("Up", False)
    fingers.move("Up", True)
    poll_until(keyboard, lambda command: bool(command.motion[0] == 1))
    keyboard.close()
    fingers.close()


def test_server_that_dies_lets_go_of_everything(own_server: Server) -> None:
    fingers = Fingers(own_server.display)
    keyboard = Keyboard()
    fingers.tap("space")
    fingers.move("Up", True)
    poll_until(keyboard, lambda command: command.engaged and bool(command.motion[0] == 1))
    own_server.process.kill()
    command = poll_until(keyboard, lambda command: not command.engaged)
    assert not command.motion.any()
    keyboard.close()
    fingers.close()


def test_closing_ends_the_threads_and_lets_go(fingers: Fingers, make: Callable[..., Keyboard]) -> None:
    keyboard = make()
    threads = keyboard._sources["x11"]._threads  # type: ignore[attr-defined]
    fingers.tap("space")
    fingers.move("Up", True)
    poll_until(keyboard, lambda command: command.engaged)
    keyboard.close()
    assert not any(thread.is_alive() for thread in threads)
    command = keyboard.poll()
    assert (command.engaged, bool(command.motion.any())) == (False, False)
    keyboard.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # python-xlib closes no failed socket
def test_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(DeviceError, match="X server :987 cannot be reached"):
        Keyboard(backend="x11")
    with pytest.raises(DeviceError, match=r"No keyboard can be heard here: .*:987.*docs/devices.md#keyboard"):
        Keyboard()
    gc.collect()


def test_no_display_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(DeviceError, match="DISPLAY is not set"):
        Keyboard(backend="x11")


def test_missing_package_is_named_with_its_extra(fingers: Fingers, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        for loaded in [key for key in sys.modules if key.split(".")[0] == "Xlib"]:
            patch.setitem(sys.modules, loaded, None)
        with pytest.raises(MissingExtraError, match=r"pip install 'gym-hil\[pynput\]'"):
            Keyboard(backend="x11")
        with pytest.raises(DeviceError, match=r"pip install 'gym-hil\[pynput\]'.*terminal"):
            Keyboard()


def test_registered_environment_is_driven(fingers: Fingers) -> None:
    env = gym.make("gym_hil/PandaPickCubeKeyboard-v0", use_viewer=False, reset_delay_seconds=0)
    env.reset(seed=0)
    fingers.tap("space")
    fingers.move("Left", True)
    fingers.move("Control_L", True)
    neutral = np.array([0, 0, 0, 1], dtype=np.float32)
    infos: list[dict[str, Any]] = []

    def driven() -> bool:
        infos.append(env.step(neutral)[4])
        return infos[-1]["is_intervention"] and infos[-1]["action_intervention"][3] == 2

    wait_for(driven)
    np.testing.assert_allclose(infos[-1]["action_intervention"], [0, 1, 0, 2])
    env.close()
