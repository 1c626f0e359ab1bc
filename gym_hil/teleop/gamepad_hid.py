"""A game controller read as raw HID reports, for where SDL has no access to it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from gym_hil.teleop.gamepad import PLAYSTATION_WORDS, STICK_LEGEND
from gym_hil.teleop.gamepad_mapping import BINDINGS
from gym_hil.teleop.hid_device import HELP, HidDevice
from gym_hil.teleop.hid_reports import CONTROLLERS, SONY, Controls, read_controls
from gym_hil.teleop.input_state import SILENCE_TIMEOUT

logger = logging.getLogger(__name__)

STRANGE_REPORTS = 50  # without a known one among them, after which that is told


class GamepadHid(HidDevice):
    """A game controller of the table in `hid_reports`, with the same sticks, buttons and events as with SDL.

    Args:
        intervention: `toggle`, `hold` or `auto`.
        deadzone: the part of a stick's range that counts as 0; the rest is stretched to the full range.
        clock: s, never goes back.

    Raises:
        ConfigurationError: the dead zone is not in [0, 1).
        DeviceError: hidapi is not installed.
    """

    noun = "game controller that can be read by HID"
    vendors = tuple(sorted({vendor for vendor, _ in CONTROLLERS}))

    def wants(self, entry: Mapping[str, Any]) -> bool:
        """See `HidDevice.wants`."""
        return (entry["vendor_id"], entry["product_id"]) in CONTROLLERS

    def opened(self, vendor: int, product: int) -> None:
        """See `HidDevice.opened`."""
        self._vendor, self._model = vendor, CONTROLLERS[vendor, product]
        self._controls: Controls | None = None
        self._ignored: frozenset[str] | None = None
        self._strange = 0

    def take(self, report: bytes) -> None:
        """See `HidDevice.take`."""
        before = self._controls.down if self._controls is not None else frozenset()
        controls = read_controls(self._model, report, before)
        if controls is None:
            self._wonder(report)
            return
        self._controls = controls
        # A button that is down while the controller is plugged in is no press.
        self._ignored = controls.down if self._ignored is None else self._ignored & controls.down
        sticks = {stick: self.level(value) for stick, value in controls.sticks.items()}
        self.inputs.set_motion([sticks["left_y"], 0.0 - sticks["left_x"], sticks["right_y"], 0.0, 0.0, 0.0])
        down = controls.down - self._ignored
        self.inputs.set_held(button for word, button in BINDINGS.items() if word in down)

    def wait(self, seconds: float) -> None:
        """See `HidDevice.wait`."""
        # Silence says nothing about a controller that reports changes only.
        if seconds > SILENCE_TIMEOUT and self._controls is not None and self._controls.streams:
            self._controls = None
            self.inputs.silence()

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """See `Device.legend`. The names are those on the controller in use."""
        words = PLAYSTATION_WORDS if self.connected and self._vendor == SONY else {}
        buttons = [(words.get(word, word.upper()), self._words(button)) for word, button in BINDINGS.items()]
        return [*STICK_LEGEND, *buttons]

    def _wonder(self, report: bytes) -> None:
        """Say so if a controller sends nothing that is known."""
        self._strange += 1
        if self._strange == STRANGE_REPORTS and self._controls is None:
            logger.warning(
                "The %s sends reports that are not known (number %#x, %d bytes). %s",
                self.connected,
                report[0],
                len(report),
                HELP,
            )
