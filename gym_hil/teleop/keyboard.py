"""The keyboard, heard in whatever way works here."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
import weakref
from collections.abc import Callable, Sequence

from gym_hil.errors import ConfigurationError, DeviceError, MissingExtraError
from gym_hil.teleop.keyboard_keys import KEYS, LABELS, Keys, KeySource
from gym_hil.teleop.keyboard_pynput import PynputKeys
from gym_hil.teleop.keyboard_terminal import TerminalKeys
from gym_hil.teleop.keyboard_x11 import X11Keys
from gym_hil.teleop.latch import Button, LatchedDevice

logger = logging.getLogger(__name__)

BACKENDS: dict[str, Callable[[Keys], KeySource]] = {"x11": X11Keys, "pynput": PynputKeys, "terminal": TerminalKeys}
AUTO = "auto"
HELP = "See docs/devices.md#keyboard."


class Keyboard(LatchedDevice):
    """A keyboard.

    Arrows and letters move, Shift and Ctrl move up and down and the gripper; `describe()` tells all of it. When keys
    are no longer heard, all of them count as released.

    Args:
        backend: `x11` and `pynput` hear keys in every window, `terminal` those typed into the terminal that the program
            was started from. `auto` takes the first of these that works: `x11` where there is an X server, `pynput` on
            macOS and Windows, `terminal`.
        intervention: `toggle`, `hold` or `auto`.
        clock: s, never goes back.

    Raises:
        ConfigurationError: no back end has that name.
        MissingExtraError: a back end was asked for that needs a package which is not installed.
        DeviceError: keys cannot be heard here.
    """

    def __init__(
        self,
        *,
        backend: str = AUTO,
        intervention: str = "toggle",
        clock: Callable[[], float] = time.monotonic,
    ):
        # A key that is held may say nothing for long; `KeySource.alive` tells whether anybody listens.
        super().__init__(intervention=intervention, silence_timeout=math.inf, clock=clock)
        if backend != AUTO and backend not in BACKENDS:
            raise ConfigurationError(f"backend is {backend!r}; expected one of {', '.join(map(repr, _names()))}.")
        self._keys = Keys(self.latch)
        self._source = _first_that_works(self._keys) if backend == AUTO else BACKENDS[backend](self._keys)
        self._heard = True
        # Also when the program ends or forgets this device, so that no terminal is left without its echo.
        self._closing = weakref.finalize(self, self._source.close)
        logger.info("Keys are heard from %s.", self._source.title)

    @property
    def backend(self) -> str:
        """How keys are heard: `x11`, `pynput` or `terminal`."""
        return next(name for name, source in BACKENDS.items() if source is type(self._source))

    def read(self) -> None:
        """See `LatchedDevice.read`."""
        if not self._closing.alive:
            return
        heard = self._source.alive()
        if not heard:
            self.latch.silence()
        if heard != self._heard:
            self._heard = heard
            logger.warning(
                "Keys are heard again from %s."
                if heard
                else "Keys are no longer heard from %s: all count as released.",
                self._source.title,
            )

    def close(self) -> None:
        """Stop to listen."""
        self._closing()
        self.latch.silence()

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """See `Device.legend`. Keys that cannot be heard are left out."""
        labels: dict[Button, list[str]] = {}
        for key, button in KEYS.items():
            if key in LABELS and key not in self._source.unheard:
                labels.setdefault(button, []).append(LABELS[key])
        return [(" or ".join(keys), self._words(button)) for button, keys in labels.items()]

    def describe(self) -> str:
        """How keys are heard, and the legend."""
        return f"keys from {self._source.title}:\n{super().describe()}"


def _names() -> list[str]:
    return [AUTO, *BACKENDS]


def _first_that_works(keys: Keys) -> KeySource:
    if sys.platform in ("darwin", "win32"):
        names = ["pynput", "terminal"]
    else:
        names = ["x11", "terminal"] if os.environ.get("DISPLAY") else ["terminal"]
    problems = []
    for name in names:
        try:
            return BACKENDS[name](keys)
        except (DeviceError, MissingExtraError) as error:
            problems.append(str(error).rstrip("."))
    if names == ["terminal"]:
        problems.append("DISPLAY is not set, so there is no X server")
    raise DeviceError(
        f"No keyboard can be heard here: {'; '.join(problems)}. Start the program from a terminal, or where there is a "
        f"display with pip install 'gym-hil[pynput]', or use another device. {HELP}"
    )
