"""Where game controllers put their sticks and buttons in HID reports: a table, and the one function that reads by it.

Sources: SDL's drivers for the controllers of Sony, Microsoft and Nintendo (src/joystick/hidapi), Linux's hid-nintendo
for the range of the Switch controller's sticks, and published reports of a Logitech F310. A new controller is an entry
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

# Of a trigger's travel; between the two it stays what it was.
TRIGGER_PRESSED = 0.55
TRIGGER_RELEASED = 0.45
ANY_LENGTH = 1 << 16  # bytes
SONY, MICROSOFT, NINTENDO, LOGITECH = 0x054C, 0x045E, 0x057E, 0x046D  # USB vendor numbers


class Axis(NamedTuple):
    """A number in a report.

    Attributes:
        byte: where it starts.
        middle: the count at rest.
        reach: counts from there to full deflection; negative if the count falls when the stick goes right or up.
        bits: its length.
        shift: bits of the first byte that belong to something else.
    """

    byte: int
    middle: float
    reach: float
    bits: int = 8
    shift: int = 0

    def value(self, report: bytes) -> float:
        """The number as a share of full deflection, in [-1, 1]."""
        end = self.byte + (self.shift + self.bits + 7) // 8
        raw = int.from_bytes(report[self.byte : end], "little") >> self.shift & (1 << self.bits) - 1
        return min(max((raw - self.middle) / self.reach, -1.0), 1.0)


class Bit(NamedTuple):
    """A button in a report: the byte, and the bit as a mask."""

    byte: int
    mask: int

    def is_set(self, report: bytes) -> bool:
        """Whether it is down."""
        return bool(report[self.byte] & self.mask)


@dataclass(frozen=True)
class Layout:
    """One kind of report.

    Attributes:
        report: its number, which is its first byte; None where reports have none.
        lengths: bytes, shortest and longest.
        sticks: `left_x`, `left_y`, `right_y`; right and up are positive.
        triggers: `lt` and `rt` where they are axes.
        buttons: by the words of an Xbox controller: `rb`, `y`, `a`, `x`, and `lt`, `rt` where they are buttons.
        streams: True if it comes all the time, also from a controller that nobody touches.
        valid: a bit that is set in reports that carry the controls.
    """

    report: int | None
    lengths: tuple[int, int]
    sticks: Mapping[str, Axis]
    triggers: Mapping[str, Axis]
    buttons: Mapping[str, Bit]
    streams: bool = False
    valid: Bit | None = None

    def fits(self, report: bytes) -> bool:
        """Whether a report is of this kind."""
        if not self.lengths[0] <= len(report) <= self.lengths[1]:
            return False
        if self.report is not None and report[0] != self.report:
            return False
        return self.valid is None or self.valid.is_set(report)

    def moved(self, by: int, **changes: object) -> Layout:
        """The same controls `by` bytes further on, in another kind of report."""

        def move(fields: Mapping[str, Axis]) -> dict[str, Axis]:
            return {word: field._replace(byte=field.byte + by) for word, field in fields.items()}

        buttons = {word: bit._replace(byte=bit.byte + by) for word, bit in self.buttons.items()}
        moved = replace(self, sticks=move(self.sticks), triggers=move(self.triggers), buttons=buttons)
        return replace(moved, **changes)  # type: ignore[arg-type]


class Model(NamedTuple):
    """A controller: what it is called, and the kinds of report it may send."""

    name: str
    layouts: tuple[Layout, ...]


class Controls(NamedTuple):
    """What a report says.

    Attributes:
        sticks: see `Layout`, each in [-1, 1].
        down: the words of the buttons and triggers that are down.
        streams: see `Layout`.
    """

    sticks: dict[str, float]
    down: frozenset[str]
    streams: bool


def read_controls(model: Model, report: bytes, before: frozenset[str] = frozenset()) -> Controls | None:
    """What a report says.

    Args:
        model: of the controller that sent it.
        report: the number of the report first, where it has one.
        before: what was down before.

    Returns:
        The controls; None if the report is about something else, such as the battery.
    """
    layout = next((layout for layout in model.layouts if layout.fits(report)), None)
    if layout is None:
        return None
    down = {word for word, bit in layout.buttons.items() if bit.is_set(report)}
    for word, axis in layout.triggers.items():
        if axis.value(report) > (TRIGGER_RELEASED if word in before else TRIGGER_PRESSED):
            down.add(word)
    sticks = {word: axis.value(report) for word, axis in layout.sticks.items()}
    return Controls(sticks, frozenset(down), layout.streams)


def _byte_sticks(first: int) -> dict[str, Axis]:
    """Two sticks of one byte an axis, in the usual order; up counts down."""
    return {
        "left_x": Axis(first, 127.5, 127.5),
        "left_y": Axis(first + 1, 127.5, -127.5),
        "right_y": Axis(first + 3, 127.5, -127.5),
    }


def _word_sticks(first: int, reach: float) -> dict[str, Axis]:
    """The same with two bytes an axis."""
    return {
        "left_x": Axis(first, 32767.5, reach, 16),
        "left_y": Axis(first + 2, 32767.5, -reach, 16),
        "right_y": Axis(first + 6, 32767.5, -reach, 16),
    }


def _byte_triggers(first: int) -> dict[str, Axis]:
    return {"lt": Axis(first, 0, 255), "rt": Axis(first + 1, 0, 255)}


def _sony_buttons(first: int) -> dict[str, Bit]:
    """Square, cross and triangle beside the directional pad, and R1 in the byte after."""
    return {"x": Bit(first, 0x10), "a": Bit(first, 0x20), "y": Bit(first, 0x80), "rb": Bit(first + 1, 0x02)}


_DS4_USB = Layout(1, (11, ANY_LENGTH), _byte_sticks(1), _byte_triggers(8), _sony_buttons(5), streams=True)
_DS4_SIMPLE = replace(_DS4_USB, lengths=(10, 10), streams=False)  # Bluetooth, before anybody asks for more
_DS4_BLUETOOTH = _DS4_USB.moved(2, report=0x11, lengths=(78, ANY_LENGTH), valid=Bit(1, 0x80))
DUALSHOCK_4 = Model("DualShock 4", (_DS4_USB, _DS4_SIMPLE, _DS4_BLUETOOTH))

_DS5_USB = Layout(1, (64, 64), _byte_sticks(1), _byte_triggers(5), _sony_buttons(8), streams=True)
_DS5_BLUETOOTH = _DS5_USB.moved(1, report=0x31, lengths=(78, 78))
DUALSENSE = Model(
    "DualSense", (_DS5_USB, _DS5_BLUETOOTH, _DS4_SIMPLE, replace(_DS4_SIMPLE, lengths=(78, 78)))
)  # Windows fills the short report up with zeros

_XBOX_TRIGGERS = {"lt": Axis(9, 0, 1023, 10), "rt": Axis(11, 0, 1023, 10)}
_XBOX_NEW = Layout(
    1,
    (17, ANY_LENGTH),
    _word_sticks(1, 32767.5),
    _XBOX_TRIGGERS,
    {"a": Bit(14, 0x01), "x": Bit(14, 0x08), "y": Bit(14, 0x10), "rb": Bit(14, 0x80)},
)
_XBOX_OLD = replace(
    _XBOX_NEW,
    lengths=(16, 16),
    buttons={"a": Bit(14, 0x01), "x": Bit(14, 0x04), "y": Bit(14, 0x08), "rb": Bit(14, 0x20)},
)
XBOX_BLUETOOTH = Model("Xbox controller (Bluetooth)", (_XBOX_NEW, _XBOX_OLD))

_SWITCH_FULL = Layout(
    0x30,
    (12, ANY_LENGTH),
    # Not calibrated: the kernel's values for a controller that does not tell its own.
    {"left_x": Axis(6, 2000, 1500, 12), "left_y": Axis(7, 2000, 1500, 12, 4), "right_y": Axis(10, 2000, 1500, 12, 4)},
    {},
    {
        "x": Bit(3, 0x02),
        "y": Bit(3, 0x01),
        "a": Bit(3, 0x08),
        "rb": Bit(3, 0x40),
        "rt": Bit(3, 0x80),
        "lt": Bit(5, 0x80),
    },
    streams=True,
)
_SWITCH_SIMPLE = Layout(
    0x3F,
    (12, ANY_LENGTH),
    _word_sticks(4, 0.7 * 32767.5),  # the sticks do not reach the end of their numbers
    {},
    {
        "a": Bit(1, 0x02),
        "x": Bit(1, 0x08),
        "y": Bit(1, 0x04),
        "rb": Bit(1, 0x20),
        "lt": Bit(1, 0x40),
        "rt": Bit(1, 0x80),
    },
)
SWITCH_PRO = Model("Switch Pro Controller", (_SWITCH_FULL, _SWITCH_SIMPLE))

LOGITECH_DIRECTINPUT = Model(
    "Logitech gamepad (DirectInput)",
    (
        Layout(
            None,
            (8, 8),
            _byte_sticks(0),
            {},
            {
                "x": Bit(4, 0x10),
                "a": Bit(4, 0x20),
                "y": Bit(4, 0x80),
                "rb": Bit(5, 0x02),
                "lt": Bit(5, 0x04),
                "rt": Bit(5, 0x08),
            },
        ),
    ),
)

# Vendor and product -> controller.
CONTROLLERS: dict[tuple[int, int], Model] = {
    (SONY, 0x05C4): DUALSHOCK_4,
    (SONY, 0x09CC): DUALSHOCK_4,
    (SONY, 0x0CE6): DUALSENSE,
    (SONY, 0x0DF2): DUALSENSE,
    (MICROSOFT, 0x02E0): XBOX_BLUETOOTH,
    (MICROSOFT, 0x02FD): XBOX_BLUETOOTH,
    (MICROSOFT, 0x0B05): XBOX_BLUETOOTH,
    (MICROSOFT, 0x0B13): XBOX_BLUETOOTH,
    (MICROSOFT, 0x0B20): XBOX_BLUETOOTH,
    (MICROSOFT, 0x0B22): XBOX_BLUETOOTH,
    (NINTENDO, 0x2009): SWITCH_PRO,
    (LOGITECH, 0xC216): LOGITECH_DIRECTINPUT,  # F310, Dual Action
    (LOGITECH, 0xC218): LOGITECH_DIRECTINPUT,  # F510, RumblePad 2
}
