"""When an operator takes over and lets go: the intervention modes."""

from __future__ import annotations

import math

from gym_hil.errors import check_choice

RELEASE_DELAY = 0.5  # s without input after which `auto` lets go
# Mode -> what the intervention button does in it.
MODES = {
    "toggle": "take over / hand back",
    "stay": "take over / hand back, also for the next episodes",
    "hold": "drive while held",
    "auto": "not needed: any motion takes over",
}


class InterventionMode:
    """Decides from the intervention button and the inputs whether the operator drives.

    In `toggle` one press takes over and the next one, or the end of the episode, hands back. `stay` is the same, but
    the operator who drives goes on driving in the next episode. In `hold` the operator drives while the button is
    down; a press and release between two polls counts for one poll. In `auto` any motion or gripper input takes over,
    and `RELEASE_DELAY` without any hands back.

    Attributes:
        name: of the mode.
        engaged: True while the operator drives.

    Raises:
        ConfigurationError: no mode has that name.
    """

    def __init__(self, name: str):
        check_choice("intervention", name, MODES)
        self.name, self.legend = name, MODES[name]
        self.engaged, self._last_input = False, -math.inf  # s

    def update(self, *, presses: int, held: bool, moving: bool, now: float) -> bool:
        """Take in one poll: presses since the last one, whether the button is held, any motion, and the time in s."""
        if self.name in ("toggle", "stay"):
            self.engaged ^= presses % 2 == 1
        elif self.name == "hold":
            self.engaged = held or presses > 0
        else:
            self._last_input = now if moving else self._last_input
            self.engaged = now - self._last_input < RELEASE_DELAY
        return self.engaged

    def reset(self) -> None:
        """End the intervention at the end of an episode, except in the mode `stay`."""
        if self.name != "stay":
            self.end()

    def end(self) -> None:
        """End the intervention, because the device has been silent for too long."""
        self.engaged, self._last_input = False, -math.inf  # s
