"""How to read HID reports: where axes and buttons are in them, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

# Of a trigger's travel; between the two it stays what it was.
TRIGGER_PRESSED, TRIGGER_RELEASED = 0.55, 0.45
ANY_LENGTH = 1 << 16  # bytes


class Axis(NamedTuple):
    """A number in a report."""

    byte: int  # where it starts
    middle: float  # the count at rest
    reach: float  # counts from there to full deflection; negative if the count falls towards right, up or forward
    bits: int = 8
    shift: int = 0  # bits of the first byte that belong to something else
    signed: bool = False

    def value(self, report: bytes) -> float:
        """The number as a fraction of full deflection, in [-1, 1]."""
        end = self.byte + (self.shift + self.bits + 7) // 8
        count = int.from_bytes(report[self.byte : end], "little", signed=self.signed)
        if not self.signed:
            count = count >> self.shift & (1 << self.bits) - 1
        return min(max((count - self.middle) / self.reach, -1.0), 1.0)


class Bit(NamedTuple):
    """A button in a report: the byte, and the bit as a mask."""

    byte: int
    mask: int

    def is_set(self, report: bytes) -> bool:
        """Whether the button is down; bytes that the report does not have are 0."""
        return self.byte < len(report) and bool(report[self.byte] & self.mask)


@dataclass(frozen=True)
class Layout:
    """One kind of report."""

    number: int | None  # of the report, which is its first byte; None where reports have none
    lengths: tuple[int, int]  # bytes, minimum and maximum
    axes: Mapping[str, Axis] = field(default_factory=dict)  # right, up and forward are positive
    triggers: Mapping[str, Axis] = field(default_factory=dict)  # buttons that are axes
    buttons: Mapping[str, Bit] = field(default_factory=dict)
    streams: bool = False  # whether it comes all the time, also from an untouched device
    valid: Bit | None = None  # is set in reports that carry the controls

    def fits(self, report: bytes) -> bool:
        """Whether a report is of this kind."""
        return (
            self.lengths[0] <= len(report) <= self.lengths[1]
            and (self.number is None or report[0] == self.number)
            and (self.valid is None or self.valid.is_set(report))
        )

    def shifted(self, by: int, **changes: Any) -> Layout:
        """The same controls `by` bytes further on, in another kind of report."""

        def shift(parts: Mapping[str, Any]) -> dict[str, Any]:
            return {name: part._replace(byte=part.byte + by) for name, part in parts.items()}

        parts = {"axes": shift(self.axes), "triggers": shift(self.triggers), "buttons": shift(self.buttons)}
        return replace(self, **{**parts, **changes})


class Controls(NamedTuple):
    """What one report says."""

    axes: dict[str, float]  # those that the report has, each in [-1, 1]
    down: frozenset[str] | None  # buttons and triggers that are down; None if the report has none
    streams: bool  # see `Layout`


def read_controls(layouts: Sequence[Layout], report: bytes, before: frozenset[str] = frozenset()) -> Controls | None:
    """Read a report of a device with these layouts; None if it is about something else, such as the battery.

    The report begins with its number, where it has one; `before` is what was down before.
    """
    layout = next((layout for layout in layouts if layout.fits(report)), None)
    if layout is None:
        return None
    down = {name for name, bit in layout.buttons.items() if bit.is_set(report)}
    for name, axis in layout.triggers.items():
        if axis.value(report) > (TRIGGER_RELEASED if name in before else TRIGGER_PRESSED):
            down.add(name)
    axes = {name: axis.value(report) for name, axis in layout.axes.items()}
    return Controls(axes, frozenset(down) if layout.buttons else None, layout.streams)
