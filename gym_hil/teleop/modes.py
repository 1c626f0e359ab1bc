"""When an operator takes over and lets go: the three modes of intervention."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from gym_hil.errors import ConfigurationError

LET_GO_AFTER = 0.5  # s without input, in mode `auto`


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
            now: s, of a clock that never goes back.

        Returns:
            True while the operator drives.
        """

    @abstractmethod
    def end(self) -> None:
        """Let go, because the episode is over or the device has gone silent."""


class Toggle(InterventionMode):
    """A press takes over, the next one hands back."""

    legend = "take over / hand back"

    def __init__(self) -> None:
        self._engaged = False

    def update(self, *, presses: int, held: bool, moving: bool, now: float) -> bool:
        """See `InterventionMode.update`."""
        self._engaged ^= presses % 2 == 1
        return self._engaged

    def end(self) -> None:
        """See `InterventionMode.end`."""
        self._engaged = False


class Hold(InterventionMode):
    """The operator drives while the button is down. A press too short to be seen down counts for one poll."""

    legend = "drive while held"

    def update(self, *, presses: int, held: bool, moving: bool, now: float) -> bool:
        """See `InterventionMode.update`."""
        return held or presses > 0

    def end(self) -> None:
        """Nothing to do: a button that is still held still counts."""


class Auto(InterventionMode):
    """Any motion or gripper input takes over, and half a second without any lets go. The button does nothing."""

    legend = "not needed: any motion takes over"

    def __init__(self) -> None:
        self._last: float | None = None  # s, when there was input while engaged

    def update(self, *, presses: int, held: bool, moving: bool, now: float) -> bool:
        """See `InterventionMode.update`."""
        if moving:
            self._last = now
        elif self._last is not None and now - self._last >= LET_GO_AFTER:
            self._last = None
        return self._last is not None

    def end(self) -> None:
        """See `InterventionMode.end`."""
        self._last = None


MODES: dict[str, type[InterventionMode]] = {"toggle": Toggle, "hold": Hold, "auto": Auto}


def make_mode(mode: str) -> InterventionMode:
    """Make a mode by its name.

    Raises:
        ConfigurationError: no mode has that name.
    """
    if mode not in MODES:
        raise ConfigurationError(f"intervention is {mode!r}; expected one of {', '.join(map(repr, MODES))}.")
    return MODES[mode]()
