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
_MORE_KEYS = {
    "key R": Bit(1, 0x10),
    "key 1": Bit(2, 0x10),
    "key 2": Bit(2, 0x20),
    "key 3": Bit(2, 0x40),
    "key 4": Bit(2, 0x80),
    "key Esc": Bit(3, 0x40),
    "key Alt": Bit(3, 0x80),
    "key Ctrl": Bit(4, 0x02),
}
MANY_KEYS_LAYOUTS = (*_MOTION, Layout(3, (2, ANY_LENGTH), buttons={**_KEYS, **_MORE_KEYS}))

# The keys that count as the left and the right button.
_SIDES = {"left": {"left", "key 1"}, "right": {"right", "key 2"}}
# What the other keys of big models do.
_MORE_BINDINGS = {
    "key 3": Button.SUCCESS,
    "key 4": Button.FAILURE,
    "key R": Button.RERECORD,
    "key Esc": Button.STOP,
    "key Alt": Button.DELETE_LAST,
    "key Ctrl": Button.QUIT,
}
# The side buttons while the emergency stop is on.
_STOPPED_BINDINGS = {"left": Button.DELETE_LAST, "right": Button.QUIT}


class SpaceMouse(HidDevice):
    """A SpaceMouse by 3Dconnexion; see `HidDevice`.

    The operator sits behind the robot: pushing the cap away moves forward. Touching the cap takes over, because the
    mode is `auto` by default; in the other modes the left button does, and the right one closes and opens the gripper
    in turn. Both together are the emergency stop. While it is on, the left one deletes and the right one quits.
    Success, failure and re-record are keys of big models, else of a second device, as in
    `device=["spacemouse", "keyboard"]`.
    """

    noun = "SpaceMouse"
    vendors = (CONNEXION, LOGITECH)
    bindings: ClassVar[Mapping[str, Button | str]] = {
        "push or lift the cap": "move that way",
        "tilt or twist the cap": Button.TURN,
        "left button": Button.CLOSE,
        "right button": Button.OPEN,
        "both buttons": Button.STOP,
        **{f"{side} button, while stopped": button for side, button in _STOPPED_BINDINGS.items()},
    }
    _down: frozenset[str] = frozenset()  # side buttons
    _both = False  # whether both were down since one of them went down
    _next_grip = Button.CLOSE

    def __init__(
        self, *, intervention: str = "auto", deadzone: float = DEADZONE, clock: Callable[[], float] = time.monotonic
    ):
        super().__init__(intervention=intervention, deadzone=deadzone, clock=clock)

    def label(self, meaning: Button | str) -> str:
        if meaning is Button.CLOSE and not self._touch_takes_over:
            return f"{meaning.value}, and open it with the next press"
        return "turn that way" if meaning is Button.TURN else super().label(meaning)

    def layouts_of(self, entry: Mapping[str, Any]) -> Sequence[Layout] | None:
        usage, model = (entry.get("usage_page", 0), entry.get("usage", 0)), (entry["vendor_id"], entry["product_id"])
        # Without a usage only a known model is sure to be no ordinary mouse.
        if usage != MULTI_AXIS_CONTROLLER and (usage != (0, 0) or model not in MODELS):
            return None
        return MANY_KEYS_LAYOUTS if entry["product_id"] in MANY_KEYS else FEW_KEYS_LAYOUTS

    def on_connect(self, vendor: int) -> None:
        self._down, self._both = frozenset(), False

    def on_controls(self, controls: Controls, axes: Mapping[str, float]) -> None:
        if controls.down is None:
            self.inputs.set_motion([axes.get(name, 0.0) for name in AXES])
        else:
            self._take_keys(controls.down)

    def on_idle(self, seconds: float, axes: dict[str, float]) -> None:
        # A deflected cap reports every 8 to 16 ms. If it stops, the last report was lost or the radio is out of reach.
        if seconds > SILENCE_TIMEOUT and any(axes.values()):
            axes.clear()
            self.inputs.set_motion([0.0] * 6)

    def reset(self) -> None:
        super().reset()
        self._next_grip = Button.CLOSE  # a new episode starts with an open gripper

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        meanings, idle = dict(self.bindings), self.inputs.idle_buttons
        if not self._touch_takes_over:
            meanings |= {"left button": Button.INTERVENE, "right button": Button.CLOSE}
        if self._layouts is MANY_KEYS_LAYOUTS:
            meanings |= _MORE_BINDINGS
        return [(control, self.label(meaning)) for control, meaning in meanings.items() if meaning not in idle]

    @property
    def _touch_takes_over(self) -> bool:
        return self.inputs.intervention == "auto"

    def _take_keys(self, keys: frozenset[str]) -> None:
        down = frozenset(side for side, names in _SIDES.items() if keys & names)
        came_up, self._down = self._down - down, down
        alone = came_up if not self._both and not down else frozenset()
        # Two buttons never come up at once: after both were down, the second one to come up means nothing.
        self._both = len(down) == 2 or (self._both and bool(down))
        held = {button for key, button in _MORE_BINDINGS.items() if key in keys}
        if len(down) == 2:
            held.add(Button.STOP)
        elif not self._both and not self.inputs.stopped:
            if self._touch_takes_over:
                held.update(Button.CLOSE if side == "left" else Button.OPEN for side in down)
            elif self.inputs.intervention == "hold" and "left" in down:
                held.add(Button.INTERVENE)
        self.inputs.set_held(held)
        for side in alone:
            self._release_alone(side)

    def _release_alone(self, side: str) -> None:
        """Do what a side button does as it comes up, where it must not count as the first of an emergency stop."""
        if self.inputs.stopped:
            self.inputs.tap(_STOPPED_BINDINGS[side])
        elif self._touch_takes_over:
            return
        elif side == "right":
            self.inputs.tap(self._next_grip)
            self._next_grip = Button.OPEN if self._next_grip is Button.CLOSE else Button.CLOSE
        elif self.inputs.intervention != "hold":
            self.inputs.tap(Button.INTERVENE)
