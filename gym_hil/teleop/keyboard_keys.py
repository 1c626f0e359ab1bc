"""Which key means what, and what every way of hearing keys has in common."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import ClassVar

from gym_hil.teleop.input_state import Button, InputState

# Name of a key -> what it does, in the order of the legend. Letters are for keyboards and terminals without the others.
KEYS: dict[str, Button] = {
    "space": Button.INTERVENE,
    "up": Button.FORWARD,
    "w": Button.FORWARD,
    "down": Button.BACK,
    "s": Button.BACK,
    "left": Button.LEFT,
    "a": Button.LEFT,
    "right": Button.RIGHT,
    "d": Button.RIGHT,
    "shift_r": Button.UP,
    "e": Button.UP,
    "shift_l": Button.DOWN,
    "q": Button.DOWN,
    "ctrl_l": Button.CLOSE,
    "f": Button.CLOSE,
    "ctrl_r": Button.OPEN,
    "g": Button.OPEN,
    "enter": Button.SUCCESS,
    "keypad_enter": Button.SUCCESS,
    "esc": Button.FAILURE,
    "r": Button.RERECORD,
}
MODIFIERS = frozenset({"shift_l", "shift_r", "ctrl_l", "ctrl_r"})
# Name of a key -> what is printed on it.
LABELS: dict[str, str] = {
    **{key: key.upper() for key in KEYS if len(key) == 1},
    "space": "Space",
    "up": "Up",
    "down": "Down",
    "left": "Left",
    "right": "Right",
    "shift_r": "right Shift",
    "shift_l": "left Shift",
    "ctrl_l": "left Ctrl",
    "ctrl_r": "right Ctrl",
    "enter": "Enter",
    "esc": "Esc",
}


class Keys:
    """Turns keys into buttons: a button is down while any of its keys is, and a key that repeats itself is one press.

    May be told from any thread.
    """

    def __init__(self, latch: InputState):
        self._latch = latch
        self._lock = threading.Lock()
        self._down: set[str] = set()

    def press(self, key: str) -> None:
        """Report that a key is down; keys without a meaning are ignored."""
        if key not in KEYS:
            return
        with self._lock:
            if key not in self._down:
                self._down.add(key)
                self._latch.press(KEYS[key])

    def release(self, key: str) -> None:
        """Report that a key is up."""
        with self._lock:
            if key in self._down:
                self._down.remove(key)
                if KEYS[key] not in {KEYS[other] for other in self._down}:
                    self._latch.release(KEYS[key])

    def release_all(self) -> None:
        """Report that no key is down."""
        for key in list(self._down):
            self.release(key)


class KeySource(ABC):
    """A way of hearing keys. It tells a `Keys` what it hears, from a thread of its own.

    Its constructor takes the `Keys`.

    Raises:
        DeviceError: this way does not work here.
        MissingExtraError: a package is missing.
    """

    title: ClassVar[str]  # how it hears, for people
    unheard: ClassVar[frozenset[str]] = frozenset()  # keys that it cannot tell of

    @abstractmethod
    def alive(self) -> bool:
        """Whether keys are heard at this moment. If not, nothing is down any longer."""

    @abstractmethod
    def close(self) -> None:
        """Stop to listen, and leave everything as it was before."""
