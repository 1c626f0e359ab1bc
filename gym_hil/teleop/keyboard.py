"""The keyboard, read by pynput or from a terminal."""

from __future__ import annotations

import importlib
import logging
import math
import os
import sys
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import ClassVar

from gym_hil.errors import DeviceError, MissingExtraError, check_choice
from gym_hil.teleop.input_state import Button, InputDevice, InputState

logger = logging.getLogger(__name__)

# Button -> names of its keys, in the order of the legend. Letters are for keyboards and terminals without the others.
BUTTON_KEYS: dict[Button, tuple[str, ...]] = {
    Button.INTERVENE: ("space",),
    Button.FORWARD: ("up", "w"),
    Button.BACK: ("down", "s"),
    Button.LEFT: ("left", "a"),
    Button.RIGHT: ("right", "d"),
    Button.UP: ("shift_r", "e"),
    Button.DOWN: ("shift_l", "q"),
    Button.TURN_Y_PLUS: ("i",),
    Button.TURN_Y_MINUS: ("k",),
    Button.TURN_Z_PLUS: ("j",),
    Button.TURN_Z_MINUS: ("l",),
    Button.TURN_X_MINUS: ("u",),
    Button.TURN_X_PLUS: ("o",),
    Button.CLOSE: ("ctrl_l", "f"),
    Button.OPEN: ("ctrl_r", "g"),
    Button.SUCCESS: ("enter", "keypad_enter"),
    Button.FAILURE: ("esc",),
    Button.RERECORD: ("r",),
    Button.STOP: ("backspace",),
    Button.DELETE_LAST: ("x",),
    Button.QUIT: ("p",),
}
KEYS = {key: button for button, keys in BUTTON_KEYS.items() for key in keys}
MODIFIERS = frozenset({"shift_l", "shift_r", "ctrl_l", "ctrl_r"})
SIDES = {"l": "left", "r": "right"}

BACKENDS = {
    "pynput": "gym_hil.teleop.keyboard_pynput:PynputBackend",
    "terminal": "gym_hil.teleop.keyboard_terminal:TerminalBackend",
}
AUTO = "auto"
HELP = "See docs/devices.md#keyboard."


class KeyBackend(ABC):
    """A way to read the keyboard; reports presses and releases to `inputs` from a thread of its own.

    Raises:
        DeviceError: it does not work here.
        MissingExtraError: a package is missing.
    """

    name: ClassVar[str]
    title: ClassVar[str]  # where the keys are typed, for messages
    missing_keys: ClassVar[frozenset[str]] = frozenset()  # keys that it cannot report

    def __init__(self, inputs: InputState):
        self.inputs = inputs

    @abstractmethod
    def is_alive(self) -> bool:
        """Whether keys are being reported."""

    @abstractmethod
    def close(self) -> None:
        """Stop reading, and leave everything as it was before.

        May run as a finaliser, in any thread, so it takes no lock that is held while objects are allocated.
        """

    def press(self, key: str) -> None:
        """Report that a key is down; keys without a meaning are ignored."""
        if key in KEYS:
            self.inputs.press(KEYS[key], key)

    def release(self, key: str) -> None:
        """Report that a key is up."""
        if key in KEYS:
            self.inputs.release(KEYS[key], key)


class Keyboard(InputDevice):
    """A keyboard.

    Arrows and letters move, Shift and Ctrl move up and down and the gripper, other letters turn; `describe()` lists all
    keys.

    Args:
        backend: `pynput` reads the keys typed into any window, `terminal` those typed into the terminal that the
            program was started from. `auto` takes the first that works: `pynput` where there is a display, then
            `terminal`; in a Wayland session, where pynput sees the keys of some windows only, the other way round.
            Where neither works, `auto` warns once, and no key is read.
        intervention: `toggle`, `stay`, `hold` or `auto`.
        clock: s, monotonic.

    Raises:
        ConfigurationError: no back end has that name.
        MissingExtraError: the back end that was asked for needs a package which is not installed.
        DeviceError: the back end that was asked for does not work here.
    """

    def __init__(
        self, *, backend: str = AUTO, intervention: str = "toggle", clock: Callable[[], float] = time.monotonic
    ):
        # A held key may not report for long; `KeyBackend.is_alive` says whether keys are still read.
        super().__init__(intervention=intervention, silence_timeout=math.inf, clock=clock)
        check_choice("backend", backend, (AUTO, *BACKENDS))
        self._backend = _first_that_works(self.inputs) if backend == AUTO else _open(backend, self.inputs)
        self._was_alive = True
        # Also when the program ends or drops this device, so that no terminal is left without its echo.
        self._close = weakref.finalize(self, self._backend.close) if self._backend is not None else None

    @property
    def backend(self) -> str | None:
        """How keys are read: `pynput` or `terminal`; None where neither works."""
        return None if self._backend is None else self._backend.name

    def read(self) -> None:
        if self._close is None or not self._close.alive or self._backend is None:
            return
        alive = self._backend.is_alive()
        if not alive:
            self.inputs.disconnect()
        if alive != self._was_alive:
            self._was_alive = alive
            logger.warning(
                "Keys are read again from %s." if alive else "Keys are no longer read from %s: all count as released.",
                self._backend.title,
            )

    def close(self) -> None:
        if self._close is not None:
            self._close()
        self.inputs.disconnect(end_intervention=True)

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """Keys that the back end cannot report are left out."""
        missing = frozenset() if self._backend is None else self._backend.missing_keys
        return key_legend(self.label, missing, self.inputs.idle_buttons)

    def describe(self) -> str:
        """Where the keys are typed, and the legend."""
        title = "nowhere: no keyboard can be read here" if self._backend is None else self._backend.title
        return f"keys from {title}\n{super().describe()}"


def key_legend(
    label: Callable[[Button], str], missing: Collection[str] = (), idle: Collection[Button] = ()
) -> list[tuple[str, str]]:
    """The keys of each button that is not idle, except the missing keys, and what they do: the label of the button."""
    hidden = {*missing, "keypad_enter"}
    return [
        (" or ".join(_label(key) for key in keys if key not in hidden), label(button))
        for button, keys in BUTTON_KEYS.items()
        if button not in idle
    ]


def _label(key: str) -> str:
    """What is printed on a key."""
    name, _, side = key.partition("_")
    return f"{SIDES[side]} {name.capitalize()}" if side else name.capitalize()


def _open(name: str, inputs: InputState) -> KeyBackend:
    module, class_name = BACKENDS[name].split(":")
    backend: KeyBackend = getattr(importlib.import_module(module), class_name)(inputs)
    logger.info("Keys are read from %s.", backend.title)
    return backend


def _first_that_works(inputs: InputState) -> KeyBackend | None:
    names = ["pynput", "terminal"]
    if sys.platform not in ("darwin", "win32"):
        if not os.environ.get("DISPLAY"):
            names = ["terminal"]
        elif os.environ.get("WAYLAND_DISPLAY"):
            names = ["terminal", "pynput"]
    problems = [] if "pynput" in names else ["there is no X server, as DISPLAY is not set"]
    for name in names:
        try:
            return _open(name, inputs)
        except (DeviceError, MissingExtraError) as error:
            problems.append(str(error).rstrip("."))
    logger.warning(
        "No keyboard can be read here: %s. Start the program from a terminal, or where there is a display with pip "
        "install 'gym-hil[pynput]', or use the device web. %s",
        "; ".join(problems),
        HELP,
    )
    return None
