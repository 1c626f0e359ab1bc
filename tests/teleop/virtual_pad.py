"""A true SDL joystick that no hardware is needed for."""

from __future__ import annotations

import ctypes
import itertools
from pathlib import Path
from typing import Any

import pytest

_PRODUCTS = itertools.count(1)
UNKNOWN = 0
GAME_CONTROLLER = 1  # SDL knows what the axes and buttons of this kind are


_Rumble = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint16, ctypes.c_uint16)


class _Description(ctypes.Structure):
    """SDL_VirtualJoystickDesc of SDL 2.24 and later."""

    _fields_ = [
        *((name, ctypes.c_uint16) for name in ("version", "type", "naxes", "nbuttons", "nhats", "vendor", "product")),
        ("padding", ctypes.c_uint16),
        ("button_mask", ctypes.c_uint32),
        ("axis_mask", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        *((name, ctypes.c_void_p) for name in ("userdata", "update", "player")),
        ("rumble", _Rumble),
        *((name, ctypes.c_void_p) for name in ("triggers", "led", "effect")),
    ]


def _sdl() -> Any:
    """The very SDL that pygame has loaded."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split()[-1]
        if Path(path).name.startswith("libSDL2-2"):
            sdl = ctypes.CDLL(path)
            sdl.SDL_JoystickOpen.restype = ctypes.c_void_p
            sdl.SDL_GetError.restype = ctypes.c_char_p
            return sdl
    pytest.skip("pygame's SDL was not found, so there can be no virtual joystick")


class VirtualPad:
    """A joystick that does what a test says. SDL learns of it at its next reading, or at `flush`."""

    def __init__(
        self, name: str = "Xbox 360 Controller", *, axes: int = 6, buttons: int = 17, hats: int = 1, kind: int = UNKNOWN
    ):
        self._sdl = _sdl()
        self.name = name
        self.rumbles: list[tuple[int, int]] = []  # strengths of the motors, as they were set
        self._description = _Description(
            version=1,
            type=kind,
            naxes=axes,
            nbuttons=buttons,
            nhats=hats,
            vendor=0x1234,
            product=next(_PRODUCTS),  # so that a mapping of one is for no other
            name=name.encode(),
            rumble=_Rumble(lambda _, low, high: self.rumbles.append((low, high)) or 0),
        )
        self._open(self._attach())
        self._plugged = True

    def axis(self, index: int, value: float) -> None:
        number = ctypes.c_int16(round(value * 32767) if value > 0 else round(value * 32768))
        self._check(self._sdl.SDL_JoystickSetVirtualAxis(self._joystick, index, number))

    def button(self, index: int, down: bool) -> None:
        self._check(self._sdl.SDL_JoystickSetVirtualButton(self._joystick, index, ctypes.c_uint8(down)))

    def flush(self) -> None:
        """Have SDL note the present state, as it does with each report of a real controller."""
        self._sdl.SDL_JoystickUpdate()

    def tap(self, index: int) -> None:
        for down in (True, False):
            self.button(index, down)
            self.flush()

    def pull_and_let_go(self, axis: int) -> None:
        for value in (1.0, -1.0):
            self.axis(axis, value)
            self.flush()

    def unplug(self) -> None:
        if not self._plugged:
            return
        self._plugged = False
        self._sdl.SDL_JoystickClose(self._joystick)
        for index in range(self._sdl.SDL_NumJoysticks()):
            if self._sdl.SDL_JoystickGetDeviceInstanceID(index) == self._instance:
                self._check(self._sdl.SDL_JoystickDetachVirtual(index))
                return

    def revive(self) -> None:
        """Be there again after SDL was shut down and started anew; some versions keep virtual joysticks."""
        self._open(0 if self._sdl.SDL_NumJoysticks() else self._attach())

    def add_mapping(self, words: str) -> None:
        """Teach SDL what this joystick has: `"a:b0,leftx:a0,"`."""

        class Guid(ctypes.Structure):
            _fields_ = [("data", ctypes.c_uint8 * 16)]

        self._sdl.SDL_JoystickGetGUID.restype = Guid
        guid = self._sdl.SDL_JoystickGetGUID(self._joystick)
        text = f"{bytes(guid.data).hex()},{self.name},{words}"
        self._check(self._sdl.SDL_GameControllerAddMapping(text.encode()))

    def _attach(self) -> int:
        return self._check(self._sdl.SDL_JoystickAttachVirtualEx(ctypes.byref(self._description)))

    def _open(self, index: int) -> None:
        self._joystick = ctypes.c_void_p(self._sdl.SDL_JoystickOpen(index))
        self._instance = self._sdl.SDL_JoystickInstanceID(self._joystick)

    def _check(self, result: int) -> int:
        if result < 0:
            raise RuntimeError(self._sdl.SDL_GetError().decode())
        return result
