"""The SpaceMouse: a cap that is pushed, lifted, tilted and twisted, and the gripper that follows it.

Sources: the report descriptors of a SpaceNavigator and a SpaceMouse Wireless as published by the project
AndunHH/spacemouse, which also measured the times between reports; the device lists of spacenavd, MeshLib and
PySpaceMouse, the last also for the keys of big models; HID Usage Tables, 4.2, for the directions of the axes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from gym_hil.teleop.hid_device import HidDevice
from gym_hil.teleop.hid_reports import ANY_LENGTH, Axis, Bit, Controls, Layout
from gym_hil.teleop.input_state import DEADZONE, SILENCE_TIMEOUT, Button

LOGITECH, CONNEXION = 0x046D, 0x256F  # 3Dconnexion belonged to Logitech when the first models were made
MULTI_AXIS_CONTROLLER = (0x01, 0x08)  # usage page and usage of every SpaceMouse, and of nothing else
FULL_SCALE = 350.0  # counts at the end of the cap's travel
AXES = ("x", "y", "z", "turn_x", "turn_y", "turn_z")  # in the robot's base frame

# Vendor and product of the models that some systems report without a usage.
MODELS = {
    *((LOGITECH, product) for product in (0xC603, 0xC605, 0xC606, 0xC621, 0xC623, 0xC625, 0xC626, 0xC627, 0xC628)),
    *((LOGITECH, product) for product in (0xC629, 0xC62B, 0xC640)),
    *((CONNEXION, product) for product in (0xC62E, 0xC62F, 0xC631, 0xC632, 0xC633, 0xC635, 0xC638, 0xC63A, 0xC641)),
    *((CONNEXION, product) for product in (0xC652, 0xC658)),
}
# Models with many keys have the ones called 1 and 2 at other bits than the two keys of the small models.
MANY_KEYS = {0xC62B, 0xC631, 0xC632, 0xC633, 0xC638, 0xC652}


def _axes(names: Sequence[str], first: int) -> dict[str, Axis]:
    """Three axes of 2 bytes each; the cap counts right, towards the operator and down."""
    places = (first + 2, first, first + 4)
    return {name: Axis(byte, 0, -FULL_SCALE, 16, signed=True) for name, byte in zip(names, places, strict=True)}


# Older models send translation and rotation in two reports, newer ones all six axes in the first.
_TRANSLATION, _ROTATION = _axes(AXES[:3], 1), _axes(AXES[3:], 1)
_MOTION = (
    Layout(1, (13, ANY_LENGTH), {**_TRANSLATION, **_axes(AXES[3:], 7)}),
    Layout(1, (7, 12), _TRANSLATION),
    Layout(2, (7, ANY_LENGTH), _ROTATION),
)
_KEYS = {"left": Bit(1, 0x01), "right": Bit(1, 0x02)}
FEW_KEYS_LAYOUTS = (*_MOTION, Layout(3, (2, ANY_LENGTH), buttons=_KEYS))
MANY_KEYS_LAYOUTS = (
    *_MOTION,
    Layout(3, (2, ANY_LENGTH), buttons={**_KEYS, "key 1": Bit(2, 0x10), "key 2": Bit(2, 0x20)}),
)


class SpaceMouse(HidDevice):
    """A SpaceMouse by 3Dconnexion; see `HidDevice`.

    The operator sits behind the robot: pushing the cap away moves forward. Touching the cap takes over, because the
    mode is `auto` by default, in which both buttons together are the emergency stop; in the other modes they are the
    intervention button. Success, failure and the rest come from a second device, as in
    `device=["spacemouse", "keyboard"]`.
    """

    noun = "SpaceMouse"
    vendors = (CONNEXION, LOGITECH)
    bindings: ClassVar[Mapping[str, Button | str]] = {
        "push or lift the cap": "move that way",
        "tilt or twist the cap": Button.TURN,
        "left button": Button.CLOSE,
        "right button": Button.OPEN,
        "both buttons": Button.INTERVENE,
    }
    _both = False

    def __init__(
        self, *, intervention: str = "auto", deadzone: float = DEADZONE, clock: Callable[[], float] = time.monotonic
    ):
        super().__init__(intervention=intervention, deadzone=deadzone, clock=clock)

    def label(self, meaning: Button | str) -> str:
        return "turn that way" if meaning is Button.TURN else super().label(meaning)

    def layouts_of(self, entry: Mapping[str, Any]) -> Sequence[Layout] | None:
        usage, model = (entry.get("usage_page", 0), entry.get("usage", 0)), (entry["vendor_id"], entry["product_id"])
        # Without a usage only a known model is sure to be no ordinary mouse.
        if usage != MULTI_AXIS_CONTROLLER and (usage != (0, 0) or model not in MODELS):
            return None
        return MANY_KEYS_LAYOUTS if entry["product_id"] in MANY_KEYS else FEW_KEYS_LAYOUTS

    def on_connect(self, vendor: int) -> None:
        self._both = False

    def on_controls(self, controls: Controls, axes: Mapping[str, float]) -> None:
        if controls.down is None:
            self.inputs.set_motion([axes.get(name, 0.0) for name in AXES])
        else:
            self.inputs.set_held(self._held(controls.down))

    def on_idle(self, seconds: float, axes: dict[str, float]) -> None:
        # A deflected cap reports every 8 to 16 ms. If it stops, the last report was lost or the radio is out of reach.
        if seconds > SILENCE_TIMEOUT and any(axes.values()):
            axes.clear()
            self.inputs.set_motion([0.0] * 6)

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        meanings, idle = {**self.bindings, "both buttons": self._both_are}, self.inputs.idle_buttons
        return [(control, self.label(meaning)) for control, meaning in meanings.items() if meaning not in idle]

    @property
    def _both_are(self) -> Button:
        return Button.STOP if self.inputs.intervention == "auto" else Button.INTERVENE

    def _held(self, keys: frozenset[str]) -> set[Button]:
        close, open_ = bool(keys & {"left", "key 1"}), bool(keys & {"right", "key 2"})
        # Two keys never come up at once: after both were down, the second one to come up means nothing.
        self._both = (close and open_) or (self._both and (close or open_))
        if self._both:
            return {self._both_are} if close and open_ else set()
        return ({Button.CLOSE} if close else set()) | ({Button.OPEN} if open_ else set())
