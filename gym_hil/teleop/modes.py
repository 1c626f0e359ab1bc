"""When an operator takes over and lets go: the three intervention modes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from gym_hil.errors import ConfigurationError

RELEASE_DELAY = 0.5  # s without input after which `auto` lets go


class InterventionMode(ABC):
    """Decides from the intervention button and the inputs whether the operator drives."""

    legend: ClassVar[str]  # what the intervention button does in this mode

    @abstractmethod
    def update(self, *, presses: int, held: bool, moving: bool, now: float) -> bool:
        """Take in one poll.

        Args:
            presses: how often the button was pressed since the last poll.
            held: whether it is down.
            moving: whether there is any motion or gripper input.
            now: s, monotonic.

        Returns:
            True while the operator drives.
        """

    def end(self) -> None:  # noqa: B027
        """End the intervention, because the episode is over or the device has been silent for too long."""


class Toggle(InterventionMode):
    """One press takes over, the next one hands back."""

    legend = "take over / hand back"

    def __init__(self) -> None:
        self._engaged = False

    def update(self, *, presses: int, held: bool, moving: bool, now: float) -> bool:
        self._engaged ^= presses % 2 == 1
        return self._engaged

    def end(self) -> None:
        self._engaged = False


class Hold(InterventionMode):
    """The operator drives while the button is down. A press and release between two polls counts for one poll."""

    legend = "drive while held"

    def update(self, *, presses: int, held: bool, moving: bool, now: float) -> bool:
        return held or presses > 0


class Auto(InterventionMode):
    """Any motion or gripper input takes over, and `RELEASE_DELAY` without any hands back. The button does nothing."""

    legend = "not needed: any motion takes over"

    def __init__(self) -> None:
        self._last_input: float | None = None  # s; None while the policy drives

    def update(self, *, presses: int, held: bool, moving: bool, now: float) -> bool:
        if moving:
            self._last_input = now
        elif self._last_input is not None and now - self._last_input >= RELEASE_DELAY:
            self._last_input = None
        return self._last_input is not None

    def end(self) -> None:
        self._last_input = None


MODES: dict[str, type[InterventionMode]] = {"toggle": Toggle, "hold": Hold, "auto": Auto}


def make_mode(mode: str) -> InterventionMode:
    """Make a mode by its name.

    Raises:
        ConfigurationError: no mode has that name.
    """
    if mode not in MODES:
        raise ConfigurationError(f"intervention is {mode!r}; expected one of {', '.join(map(repr, MODES))}.")
    return MODES[mode]()
