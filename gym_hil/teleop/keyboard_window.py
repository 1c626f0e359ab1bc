"""Keys typed into the environment's own viewer window, while it has the focus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gym_hil.errors import DeviceError
from gym_hil.teleop.keyboard_keys import KEYS, Keys, KeySource

# The window's names for keys -> ours; the others are the same.
NAMES = {
    "left_shift": "shift_l",
    "right_shift": "shift_r",
    "left_control": "ctrl_l",
    "right_control": "ctrl_r",
    "kp_enter": "keypad_enter",
    "escape": "esc",
}


class KeyWindow(Protocol):
    """A window that tells of its keys, as the attribute `window_keys` of an environment does."""

    @property
    def problem(self) -> str | None:
        """Why no window can open here, or None if one can."""

    @property
    def is_open(self) -> bool:
        """Whether there is a window to type into, and it still takes keys in."""

    def listen(self, listener: Callable[[str, bool], bool]) -> None:
        """Tell somebody of every key and whether it went down; an answer of True keeps it from the window."""

    def forget(self, listener: Callable[[str, bool], bool]) -> None:
        """Tell somebody no longer."""


class WindowKeys(KeySource):
    """Listens to a window. It may open later; while it is closed nothing is down.

    The keys of the legend do not reach MuJoCo's viewer, where letters switch parts of the image on and off.

    Args:
        keys: is told what is pressed; None if keys are heard in another way, and only kept from the viewer.
        window: to listen to.

    Raises:
        DeviceError: no window can open here.
    """

    title = "the focused viewer window"

    def __init__(self, keys: Keys | None, window: KeyWindow):
        if window.problem is not None:
            raise DeviceError(window.problem)
        self._keys, self._window = keys, window
        self._down: set[str] = set()
        window.listen(self._hear)

    def alive(self) -> bool:
        """See `KeySource.alive`."""
        if self._window.is_open:
            return True
        self._let_go()
        return False

    def close(self) -> None:
        """See `KeySource.close`."""
        self._window.forget(self._hear)
        self._let_go()

    def _hear(self, key: str, down: bool) -> bool:
        key = NAMES.get(key, key)
        if key not in KEYS:
            return False
        if self._keys is not None:
            if down:
                self._down.add(key)
                self._keys.press(key)
            else:
                self._down.discard(key)
                self._keys.release(key)
        return True

    def _let_go(self) -> None:
        for key in list(self._down):
            self._hear(key, False)
