"""The hardware of every device, real or as near to it as a program gets: buttons, keys and sticks that can be moved."""

from __future__ import annotations

import itertools
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import gymnasium as gym
import pytest

import gym_hil  # noqa: F401
from gym_hil.teleop import Button, Event, InputDevice
from gym_hil.teleop.gamepad import BINDINGS, Gamepad
from gym_hil.teleop.input_state import CONFIRMED
from gym_hil.teleop.keyboard import BUTTON_KEYS, KEYS, Keyboard
from tests.teleop.waiting import poll_until, wait_for

# Buttons of which every press counts at once and by itself.
PLAIN = [button for button in Button if button is not Button.STOP and button not in CONFIRMED]
PAD_BUTTONS = {button: name for name, button in BINDINGS.items() if button in PLAIN}
SYMBOLS = {
    "enter": "Return",
    "keypad_enter": "Return",
    "esc": "Escape",
    "shift_l": "Shift_L",
    "shift_r": "Shift_R",
    "ctrl_l": "Control_L",
    "ctrl_r": "Control_R",
    **{key: key.capitalize() for key in ("up", "down", "left", "right")},
}
CHARACTERS = {"space": " ", "enter": "\r", "esc": "\x1b"}


class Hardware(ABC):
    """The controls of a device."""

    device: InputDevice
    buttons: Sequence[Button]  # that the device has
    releases = True  # whether the device reports releases

    @abstractmethod
    def move(self, button: Button, down: bool) -> None:
        """Press or release."""

    def push(self, down: bool) -> None:
        """Ask for full speed forward, or for nothing."""
        self.move(Button.FORWARD, down)

    def make_env(self) -> Any:
        """An environment that the device drives."""
        return gym.make("gym_hil/PandaPickCube-v0", device=self.device, max_episode_steps=100_000)

    def close(self) -> None:
        self.device.close()


class GamepadHardware(Hardware):
    """A virtual joystick of the real SDL."""

    buttons = tuple(PAD_BUTTONS)

    def __init__(self) -> None:
        from gym_hil.teleop.controller_config import load_controller_config
        from tests.teleop.virtual_pad import VirtualPad

        self._entry = load_controller_config("Xbox 360 Controller")
        self.device = Gamepad()  # first, because it starts SDL
        self._new = VirtualPad
        self.plug()

    def plug(self) -> None:
        self.pad = self._new()
        wait_for(lambda: self.device.connected is not None)  # type: ignore[attr-defined]

    def unplug(self) -> None:
        self.pad.unplug()

    def move(self, button: Button, down: bool) -> None:
        word = PAD_BUTTONS[button]
        if word in self._entry["buttons"]:
            self.pad.button(self._entry["buttons"][word], down)
        else:
            self.pad.axis(self._entry["axes"][word], 1.0 if down else -1.0)
        self.pad.flush()

    def push(self, down: bool) -> None:
        self.pad.axis(self._entry["axes"]["left_y"], -1.0 if down else 0.0)
        self.pad.flush()

    def close(self) -> None:
        self.pad.unplug()
        super().close()


class HidHardware(Hardware):
    """Reports of a device on a bus that is not there."""

    def __init__(self, product: Sequence[Any]):
        from tests.teleop.fake_hid import FakeHid

        self._patch = pytest.MonkeyPatch()
        self.unit = FakeHid().install(self._patch).plug(*product)

    def close(self) -> None:
        super().close()
        self._patch.undo()


# Byte and bit of each button of a Logitech F310, and its report at rest; see tests/teleop/test_gamepad_hid.py.
F310_BITS = {
    **{"x": (4, 0x10), "a": (4, 0x20), "b": (4, 0x40), "y": (4, 0x80), "lb": (5, 0x01), "rb": (5, 0x02)},
    **{"lt": (5, 0x04), "rt": (5, 0x08), "back": (5, 0x10), "start": (5, 0x20)},
}
F310_REST = "80 7f 80 7f 08 00 00 ff"


class GamepadHidHardware(HidHardware):
    """Reports of a Logitech F310."""

    buttons = tuple(PAD_BUTTONS)

    def __init__(self) -> None:
        from gym_hil.teleop.gamepad_hid import GamepadHid

        super().__init__((0x046D, 0xC216, "Logitech F310"))
        self.device = GamepadHid()
        self._report = bytearray.fromhex(F310_REST)
        self.unit.send(bytes(self._report))
        wait_for(lambda: not self.unit.queue)

    def move(self, button: Button, down: bool) -> None:
        byte, bit = F310_BITS[PAD_BUTTONS[button]]
        self._report[byte] = self._report[byte] | bit if down else self._report[byte] & ~bit
        self.unit.send(bytes(self._report))

    def push(self, down: bool) -> None:
        self._report[1] = 0 if down else 0x7F
        self.unit.send(bytes(self._report))


class SpaceMouseHardware(HidHardware):
    """Reports of a SpaceMouse Enterprise. Its side buttons, of which the left one takes over, count as they come up."""

    buttons = (Button.SUCCESS, Button.FAILURE, Button.RERECORD)
    _MASKS: ClassVar[dict[Button, int]] = {  # of the two bytes with keys
        Button.INTERVENE: 0x0100,
        Button.RERECORD: 0x1000,
        Button.SUCCESS: 0x0040,
        Button.FAILURE: 0x0080,
    }

    def __init__(self) -> None:
        from gym_hil.teleop.spacemouse import CONNEXION, MULTI_AXIS_CONTROLLER, SpaceMouse

        super().__init__((CONNEXION, 0xC633, "SpaceMouse Enterprise", MULTI_AXIS_CONTROLLER))
        self.device = SpaceMouse(intervention="toggle")
        self._keys = 0

    def move(self, button: Button, down: bool) -> None:
        self._keys = self._keys | self._MASKS[button] if down else self._keys & ~self._MASKS[button]
        self.unit.send(f"03 {self._keys >> 8:02x} {self._keys & 0xFF:02x} 00 00 00 00")

    def push(self, down: bool) -> None:
        self.unit.send("01 0000 a2fe 0000" if down else "01 0000 0000 0000")  # 350 counts away from the operator


class PynputHardware(Hardware):
    """Keys of an X server without a screen; a button is pressed with each of its keys in turn."""

    buttons = tuple(button for button in BUTTON_KEYS if button in PLAIN)

    def __init__(self, auto_repeat: bool = False) -> None:
        from tests.teleop.x_server import Fingers, Server

        self._keys = {button: itertools.cycle(keys) for button, keys in BUTTON_KEYS.items()}
        self._down: dict[Button, str] = {}
        self._server = Server(auto_repeat=auto_repeat)
        os.environ["DISPLAY"] = self._server.display
        os.environ.pop("WAYLAND_DISPLAY", None)
        self._fingers = Fingers(self._server.display)
        self.device = Keyboard(backend="pynput")
        # pynput says that it is ready a moment before it is.
        while not self.device.poll().events:
            self._fingers.tap("r")
            time.sleep(0.01)
        self._fingers.tap("Return")  # when its event has come, everything before it has
        poll_until(self.device, lambda command: Event.SUCCESS in command.events)

    def move(self, button: Button, down: bool) -> None:
        key = self._down[button] = next(self._keys[button]) if down else self._down[button]
        self._fingers.move(SYMBOLS.get(key, key), down)

    def type(self, letter: str) -> None:
        """Press a letter's key and keep it down."""
        self._fingers.move(letter, True)

    def close(self) -> None:
        super().close()
        self._fingers.close()
        self._server.stop()


class TerminalHardware(Hardware):
    """Characters typed into a pseudo-terminal. It knows no releases, so a key is up when it has been still."""

    buttons = tuple(button for button in BUTTON_KEYS if button in PLAIN)
    releases = False
    PARALLEL = 10  # terminals, because each sequence waits for the keys to be up

    def __init__(self) -> None:
        import pty

        self._master, self._slave = pty.openpty()
        before, sys.stdin = sys.stdin, SimpleNamespace(fileno=lambda: self._slave)  # type: ignore[assignment]
        try:
            self.device = Keyboard(backend="terminal")
        finally:
            sys.stdin = before
        self._letters = {button: key for key, button in KEYS.items() if len(key) == 1}

    def move(self, button: Button, down: bool) -> None:
        if down:
            key = self._letters.get(button, BUTTON_KEYS[button][0])
            self.type(CHARACTERS.get(key, key))

    def type(self, characters: str) -> None:
        """Type characters."""
        os.write(self._master, characters.encode())

    def close(self) -> None:
        super().close()
        os.close(self._master)
        os.close(self._slave)


DEVICES: dict[str, Callable[[], Hardware]] = {
    "gamepad": GamepadHardware,
    "gamepad_hid": GamepadHidHardware,
    "spacemouse": SpaceMouseHardware,
    "keyboard pynput": PynputHardware,
    "keyboard terminal": TerminalHardware,
}
