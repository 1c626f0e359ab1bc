"""Game controllers read as raw HID reports, for where SDL has no access to them.

Sources: SDL's drivers for the controllers of Sony, Microsoft and Nintendo (src/joystick/hidapi), Linux's hid-nintendo
for the range of the Switch controller's sticks, and published reports of a Logitech F310. A new controller is an entry
in `CONTROLLERS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gym_hil.teleop.gamepad import BINDINGS, PLAYSTATION_LABELS, pad_legend, stick_motion
from gym_hil.teleop.hid_device import HidDevice
from gym_hil.teleop.hid_reports import ANY_LENGTH, Axis, Bit, Controls, Layout
from gym_hil.teleop.input_state import SILENCE_TIMEOUT, Button

SONY, MICROSOFT, NINTENDO, LOGITECH = 0x054C, 0x045E, 0x057E, 0x046D  # USB vendor numbers


def _sticks(first: int, size: int = 1, reach: float | None = None) -> dict[str, Axis]:
    """Two sticks in the usual order with `size` bytes an axis; up counts down."""
    middle = (256**size - 1) / 2
    reach = middle if reach is None else reach
    return {
        "left_x": Axis(first, middle, reach, 8 * size),
        "left_y": Axis(first + size, middle, -reach, 8 * size),
        "right_x": Axis(first + 2 * size, middle, reach, 8 * size),
        "right_y": Axis(first + 3 * size, middle, -reach, 8 * size),
    }


def _triggers(left: int, right: int, bits: int = 8) -> dict[str, Axis]:
    return {"lt": Axis(left, 0, (1 << bits) - 1, bits), "rt": Axis(right, 0, (1 << bits) - 1, bits)}


def _bits(byte: int, **masks: int) -> dict[str, Bit]:
    return {name: Bit(byte, mask) for name, mask in masks.items()}


def _sony_buttons(first: int) -> dict[str, Bit]:
    """The four buttons beside the directional pad; L1, R1, Share and Options in the byte after."""
    after = _bits(first + 1, lb=0x01, rb=0x02, back=0x10, start=0x20)
    return {**_bits(first, x=0x10, a=0x20, b=0x40, y=0x80), **after}


_DS4_USB = Layout(1, (11, ANY_LENGTH), _sticks(1), _triggers(8, 9), _sony_buttons(5), streams=True)
_DS4_SIMPLE = replace(_DS4_USB, lengths=(10, 10), streams=False)  # Bluetooth, until the host asks for more
_DS4_BLUETOOTH = _DS4_USB.shifted(2, number=0x11, lengths=(78, ANY_LENGTH), valid=Bit(1, 0x80))
DUALSHOCK_4 = (_DS4_USB, _DS4_SIMPLE, _DS4_BLUETOOTH)

_DS5_USB = Layout(1, (64, 64), _sticks(1), _triggers(5, 6), _sony_buttons(8), streams=True)
_DS5_BLUETOOTH = _DS5_USB.shifted(1, number=0x31, lengths=(78, 78))
# Windows fills the short report up with zeros.
DUALSENSE = (_DS5_USB, _DS5_BLUETOOTH, _DS4_SIMPLE, replace(_DS4_SIMPLE, lengths=(78, 78)))

# The firmwares of 2019, 4.7 and 4.8, have View elsewhere, where later ones have Share.
_XBOX_BUTTONS = {**_bits(14, a=0x01, b=0x02, x=0x08, y=0x10, lb=0x40, rb=0x80), **_bits(15, back=0x04, start=0x08)}
_XBOX_NEW = Layout(1, (17, ANY_LENGTH), _sticks(1, 2), _triggers(9, 11, 10), _XBOX_BUTTONS)
_XBOX_OLD = replace(
    _XBOX_NEW,
    lengths=(16, 16),
    buttons=_bits(14, a=0x01, b=0x02, x=0x04, y=0x08, lb=0x10, rb=0x20, back=0x40, start=0x80),
)
XBOX_BLUETOOTH = (_XBOX_NEW, _XBOX_OLD)

_SWITCH_FULL = Layout(
    0x30,
    (12, ANY_LENGTH),
    # Not calibrated: the kernel's values for a controller that does not report its own.
    {
        "left_x": Axis(6, 2000, 1500, 12),
        "left_y": Axis(7, 2000, 1500, 12, 4),
        "right_x": Axis(9, 2000, 1500, 12),
        "right_y": Axis(10, 2000, 1500, 12, 4),
    },
    buttons={
        **_bits(3, x=0x02, y=0x01, a=0x08, b=0x04, rb=0x40, rt=0x80),
        **_bits(4, back=0x01, start=0x02),
        **_bits(5, lb=0x40, lt=0x80),
    },
    streams=True,
)
_SWITCH_SIMPLE = Layout(
    0x3F,
    (12, ANY_LENGTH),
    _sticks(4, 2, 0.7 * 32767.5),  # the sticks do not reach the end of their numbers
    buttons={
        **_bits(1, a=0x02, b=0x01, x=0x08, y=0x04, lb=0x10, rb=0x20, lt=0x40, rt=0x80),
        **_bits(2, back=0x01, start=0x02),
    },
)
SWITCH_PRO = (_SWITCH_FULL, _SWITCH_SIMPLE)

LOGITECH_DIRECTINPUT = (
    Layout(
        None,
        (8, 8),
        _sticks(0),
        buttons={
            **_bits(4, x=0x10, a=0x20, b=0x40, y=0x80),
            **_bits(5, lb=0x01, rb=0x02, lt=0x04, rt=0x08, back=0x10, start=0x20),
        },
    ),
)

# Vendor and product -> controller.
CONTROLLERS: dict[tuple[int, int], Sequence[Layout]] = {
    **dict.fromkeys(((SONY, 0x05C4), (SONY, 0x09CC)), DUALSHOCK_4),
    **dict.fromkeys(((SONY, 0x0CE6), (SONY, 0x0DF2)), DUALSENSE),
    **{(MICROSOFT, product): XBOX_BLUETOOTH for product in (0x02E0, 0x02FD, 0x0B05, 0x0B13, 0x0B20, 0x0B22)},
    (NINTENDO, 0x2009): SWITCH_PRO,
    (LOGITECH, 0xC216): LOGITECH_DIRECTINPUT,  # F310, Dual Action
    (LOGITECH, 0xC218): LOGITECH_DIRECTINPUT,  # F510, RumblePad 2
}


class GamepadHid(HidDevice):
    """A game controller of `CONTROLLERS`, with the same sticks, buttons and events as with SDL; see `HidDevice`."""

    noun = "game controller that can be read by HID"
    vendors = tuple(sorted({vendor for vendor, _ in CONTROLLERS}))
    _vendor = 0
    _down_at_start: frozenset[str] | None = None

    def layouts_of(self, entry: Mapping[str, Any]) -> Sequence[Layout] | None:
        return CONTROLLERS.get((entry["vendor_id"], entry["product_id"]))

    def on_connect(self, vendor: int) -> None:
        self._vendor, self._down_at_start = vendor, None

    def on_controls(self, controls: Controls, axes: Mapping[str, float]) -> None:
        down = controls.down or frozenset()
        # A button that is down while the controller is plugged in is no press.
        self._down_at_start = down if self._down_at_start is None else self._down_at_start & down
        held = [button for name, button in BINDINGS.items() if name in down - self._down_at_start]
        self.inputs.set_motion(stick_motion(axes.__getitem__, turning=self.can_turn and Button.TURN in held))
        self.inputs.set_held(held)

    def on_idle(self, seconds: float, axes: dict[str, float]) -> None:
        # Silence means nothing for a controller that reports changes only.
        if seconds > SILENCE_TIMEOUT and self._controls is not None and self._controls.streams:
            self._controls = None
            self.inputs.disconnect()

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """Names are those on the controller in use."""
        names = PLAYSTATION_LABELS if self.connected and self._vendor == SONY else {}
        return pad_legend(self.label, names, self.inputs.idle_buttons)
