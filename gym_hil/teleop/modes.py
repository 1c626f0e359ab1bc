"""When an operator takes over and lets go: the three intervention modes."""

from __future__ import annotations

import math

from gym_hil.errors import ConfigurationError

RELEASE_DELAY = 0.5  # s without input after which `auto` lets go
# Mode -> what the intervention button does in it.
MODES = {
    "toggle": "take over / hand back",
    "hold": "drive while held",
    "auto": "not needed: any motion takes over",
}


class InterventionMode:
    """Decides from the intervention button and the inputs whether the operator drives.

    In `toggle` one press takes over and the next one hands back. In `hold` the operator drives while the button is
    down; a press and release between two polls counts for one poll. In `auto` any motion or gripper input takes over,
    and `RELEASE_DELAY` without any hands back.

    Attributes:
        engaged: True while the operator drives.

    Raises:
        ConfigurationError: no mode has that name.
    """

    def __init__(self, name: str):
        if name not in MODES:
            raise ConfigurationError(f"intervention is {name!r}; expected one of {', '.join(map(repr, MODES))}.")
        self._name, self.legend = name, MODES[name]
        self.engaged, self._last_input = False, -math.inf  # s

    def update(self, *, presses: int, held: bool, moving: bool, now: float) -> bool:
        """Take in one poll: presses since the last one, whether the button is held, any motion, and the time in s."""
        if self._name == "toggle":
            self.engaged ^= presses % 2 == 1
        elif self._name == "hold":
            self.engaged = held or presses > 0
        else:
            self._last_input = now if moving else self._last_input
            self.engaged = now - self._last_input < RELEASE_DELAY
        return self.engaged

    def end(self) -> None:
        """End the intervention, because the episode is over or the device has been silent for too long."""
        self.engaged, self._last_input = False, -math.inf  # s
