"""The SpaceMouse: a cap that is pushed, lifted, tilted and twisted, and the arm that follows it.

Sources: the report descriptors of a SpaceNavigator and a SpaceMouse Wireless as published by the project
AndunHH/spacemouse, which also measured the times between reports; the device lists of spacenavd, MeshLib and
PySpaceMouse, the last also for the keys of big models; HID Usage Tables, 4.2, for the directions of the axes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from gym_hil.teleop.hid_device import DEADZONE, HidDevice
from gym_hil.teleop.input_state import SILENCE_TIMEOUT, Button

LOGITECH, CONNEXION = 0x046D, 0x256F  # 3Dconnexion belonged to Logitech when the first models were made
MULTI_AXIS_CONTROLLER = (0x01, 0x08)  # usage page and usage of every SpaceMouse, and of nothing else
FULL_SCALE = 350.0  # counts at the end of the cap's travel

# Vendor and product -> model.
MODELS: dict[tuple[int, int], str] = {
    (LOGITECH, 0xC603): "SpaceMouse Plus XT",
    (LOGITECH, 0xC605): "CADman",
    (LOGITECH, 0xC606): "SpaceMouse Classic",
    (LOGITECH, 0xC621): "Spaceball 5000",
    (LOGITECH, 0xC623): "SpaceTraveler",
    (LOGITECH, 0xC625): "SpacePilot",
    (LOGITECH, 0xC626): "SpaceNavigator",
    (LOGITECH, 0xC627): "SpaceExplorer",
    (LOGITECH, 0xC628): "SpaceNavigator for Notebooks",
    (LOGITECH, 0xC629): "SpacePilot Pro",
    (LOGITECH, 0xC62B): "SpaceMouse Pro",
    (LOGITECH, 0xC640): "NuLOOQ",
    (CONNEXION, 0xC62E): "SpaceMouse Wireless (cabled)",
    (CONNEXION, 0xC62F): "SpaceMouse Wireless receiver",
    (CONNEXION, 0xC631): "SpaceMouse Pro Wireless (cabled)",
    (CONNEXION, 0xC632): "SpaceMouse Pro Wireless receiver",
    (CONNEXION, 0xC633): "SpaceMouse Enterprise",
    (CONNEXION, 0xC635): "SpaceMouse Compact",
    (CONNEXION, 0xC638): "SpaceMouse Pro Wireless Bluetooth Edition (cabled)",
    (CONNEXION, 0xC63A): "SpaceMouse Wireless Bluetooth Edition",
    (CONNEXION, 0xC641): "SpaceMouse USB",
    (CONNEXION, 0xC652): "3Dconnexion Universal Receiver",
    (CONNEXION, 0xC658): "SpaceMouse Wireless",
}
# Models with many keys have the ones called 1 and 2 at other bits than the two keys of the small models.
MANY_KEYS = {0xC62B, 0xC631, 0xC632, 0xC633, 0xC638, 0xC652}
LEFT, RIGHT = 1 << 0, 1 << 1
KEY_1, KEY_2 = 1 << 12, 1 << 13

TRANSLATION, ROTATION, KEYS = 1, 2, 3  # report numbers


class SpaceMouseDecoder:
    """What the reports of a SpaceMouse say.

    Older models send translation and rotation in two reports, newer ones all six axes in the first.

    Attributes:
        motion: (6,) float64, translation and rotation vector in the robot's base frame, each in [-1, 1].
        keys: a bit for each key that is down.
    """

    def __init__(self) -> None:
        self.motion = np.zeros(6)
        self.keys = 0

    def take(self, report: bytes) -> int | None:
        """Take in a report, the number of the report first.

        Returns:
            The report's number, or None if it says nothing about axes or keys.
        """
        if len(report) >= 7 and report[0] in (TRANSLATION, ROTATION):
            if report[0] == ROTATION:
                self.motion[3:] = _in_base_frame(report[1:7])
            else:
                self.motion[:3] = _in_base_frame(report[1:7])
                if len(report) >= 13:
                    self.motion[3:] = _in_base_frame(report[7:13])
            return report[0]
        if len(report) >= 2 and report[0] == KEYS:
            self.keys = int.from_bytes(report[1:5], "little")
            return KEYS
        return None


class SpaceMouse(HidDevice):
    """A SpaceMouse by 3Dconnexion.

    The operator sits behind the robot: pushing the cap away from oneself moves forward. Success, failure and re-record
    come from a second device, as in `device=["spacemouse", "keyboard"]`.

    Args:
        intervention: `auto`: touching the cap takes over. With `toggle` and `hold` both buttons together are the
            intervention button.
        deadzone: the part of an axis' range that counts as 0; the rest is stretched to the full range.
        clock: s, never goes back.

    Raises:
        ConfigurationError: the dead zone is not in [0, 1).
        DeviceError: hidapi is not installed.
    """

    noun = "SpaceMouse"
    vendors = (CONNEXION, LOGITECH)
    bindings: ClassVar[Mapping[str, Button | str]] = {
        "push or lift the cap": "move that way",
        "tilt or twist the cap": "turn that way, with orientation=True",
        "left button": Button.CLOSE,
        "right button": Button.OPEN,
        "both buttons": Button.INTERVENE,
    }

    def __init__(
        self,
        *,
        intervention: str = "auto",
        deadzone: float = DEADZONE,
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__(intervention=intervention, deadzone=deadzone, clock=clock)

    def wants(self, entry: Mapping[str, Any]) -> bool:
        """See `HidDevice.wants`."""
        usage = (entry.get("usage_page", 0), entry.get("usage", 0))
        # Some systems do not tell the usage; then only a known model is sure to be no ordinary mouse.
        return usage == MULTI_AXIS_CONTROLLER or (
            usage == (0, 0) and (entry["vendor_id"], entry["product_id"]) in MODELS
        )

    def opened(self, vendor: int, product: int) -> None:
        """See `HidDevice.opened`."""
        many = product in MANY_KEYS
        self._close_keys, self._open_keys = (LEFT | KEY_1, RIGHT | KEY_2) if many else (LEFT, RIGHT)
        self._decoder = SpaceMouseDecoder()
        self._both = False

    def take(self, report: bytes) -> None:
        """See `HidDevice.take`."""
        number = self._decoder.take(report)
        if number == KEYS:
            self.inputs.set_held(self._held(self._decoder.keys))
        elif number is not None:
            self.inputs.set_motion([self.level(value) for value in self._decoder.motion.tolist()])

    def wait(self, seconds: float) -> None:
        """See `HidDevice.wait`."""
        # A deflected cap reports every 8 to 16 ms. If it stops, the last report was lost or the radio is out of reach.
        if seconds > SILENCE_TIMEOUT and self._decoder.motion.any():
            self._decoder.motion[:] = 0
            self.inputs.set_motion(self._decoder.motion)

    def _held(self, keys: int) -> set[Button]:
        close, open_ = bool(keys & self._close_keys), bool(keys & self._open_keys)
        # Two keys never come up at once: after both were down, the second one to come up means nothing.
        self._both = (close and open_) or (self._both and (close or open_))
        if self._both:
            return {Button.INTERVENE} if close and open_ else set()
        return ({Button.CLOSE} if close else set()) | ({Button.OPEN} if open_ else set())


def _in_base_frame(axes: bytes) -> Any:
    """Three axes as the robot counts them.

    Args:
        axes: three signed numbers of 2 bytes: right, towards the operator, down.

    Returns:
        (3,) forward, left, up, each in [-1, 1].
    """
    right, back, down = np.frombuffer(axes, "<i2").astype(np.float64)
    return np.clip(np.array([-back, -right, -down]) / FULL_SCALE, -1.0, 1.0)
