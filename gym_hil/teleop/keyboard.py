"""The keyboard, heard in whatever way works here."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from gym_hil.errors import ConfigurationError, DeviceError, MissingExtraError
from gym_hil.teleop.input_state import Button, InputDevice
from gym_hil.teleop.keyboard_keys import KEYS, LABELS, Keys, KeySource
from gym_hil.teleop.keyboard_pynput import PynputKeys
from gym_hil.teleop.keyboard_terminal import TerminalKeys
from gym_hil.teleop.keyboard_window import KeyWindow, WindowKeys
from gym_hil.teleop.keyboard_x11 import X11Keys

logger = logging.getLogger(__name__)

BACKENDS: dict[str, Callable[[Keys], KeySource]] = {"x11": X11Keys, "pynput": PynputKeys, "terminal": TerminalKeys}
WINDOW = "window"
EVERYWHERE = ("x11", "pynput")  # hear what is typed into any window
AUTO = "auto"
HELP = "See docs/devices.md#keyboard."


class Keyboard(InputDevice):
    """A keyboard.

    Arrows and letters move, Shift and Ctrl move up and down and the gripper; `describe()` tells all of it. When keys
    are no longer heard, all of them count as released.

    Args:
        backend: `x11` and `pynput` hear keys in every window, `window` those typed into the environment's viewer,
            `terminal` those typed into the terminal that the program was started from. `auto` takes the first of these
            that works: `x11` where there is an X server, `pynput` on macOS and Windows, then `window` and `terminal`
            together. In a Wayland session, where an X server does not hear every window, `x11` comes last.
        window: whose keys to hear: `env.unwrapped.window_keys`. An environment that makes its keyboard by name gives
            its own.
        intervention: `toggle`, `hold` or `auto`.
        clock: s, never goes back.

    Raises:
        ConfigurationError: no back end has that name, or `window` is missing.
        MissingExtraError: a back end was asked for that needs a package which is not installed.
        DeviceError: keys cannot be heard here.
    """

    def __init__(
        self,
        *,
        backend: str = AUTO,
        window: KeyWindow | None = None,
        intervention: str = "toggle",
        clock: Callable[[], float] = time.monotonic,
    ):
        # A key that is held may say nothing for long; `KeySource.alive` tells whether anybody listens.
        super().__init__(intervention=intervention, silence_timeout=math.inf, clock=clock)
        if backend not in (AUTO, WINDOW, *BACKENDS):
            names = ", ".join(map(repr, (AUTO, "x11", "pynput", WINDOW, "terminal")))
            raise ConfigurationError(f"backend is {backend!r}; expected one of {names}.")
        if backend == WINDOW and window is None:
            raise ConfigurationError(
                "The back end 'window' needs a window: give the environment device='keyboard', or the keyboard "
                f"window=env.unwrapped.window_keys. {HELP}"
            )
        keys = Keys(self.inputs)
        self._sources = _that_work(keys, window) if backend == AUTO else {backend: _make(backend, keys, window)}
        self._heard = True
        closings = [source.close for source in self._sources.values()]
        if window is not None and window.problem is None and any(name in EVERYWHERE for name in self._sources):
            # A key typed into the viewer drives already, and must not switch its image about as well.
            closings.append(WindowKeys(None, window).close)
        # Also when the program ends or forgets this device, so that no terminal is left without its echo.
        self._closing = weakref.finalize(self, _close, closings)
        logger.info("Keys are heard from %s.", self._title)

    @classmethod
    def for_env(cls, env: Any, **options: Any) -> Keyboard:
        """See `Device.for_env`."""
        return cls(**{"window": getattr(getattr(env, "unwrapped", None), "window_keys", None), **options})

    @property
    def backend(self) -> str:
        """How keys are heard: `x11`, `pynput`, `window`, `terminal` or `window+terminal`."""
        return "+".join(self._sources)

    def read(self) -> None:
        """See `InputDevice.read`."""
        if not self._closing.alive:
            return
        listening = [source.alive() for source in self._sources.values()]  # each, for that may let go of keys
        heard = any(listening)
        if not heard:
            self.inputs.silence()
        if heard != self._heard:
            self._heard = heard
            logger.warning(
                "Keys are heard again from %s."
                if heard
                else "Keys are no longer heard from %s: all count as released.",
                self._title,
            )

    def close(self) -> None:
        """Stop to listen."""
        self._closing()
        self.inputs.silence()

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """See `Device.legend`. Keys that cannot be heard are left out."""
        unheard = frozenset.intersection(*(source.unheard for source in self._sources.values()))
        labels: dict[Button, list[str]] = {}
        for key, button in KEYS.items():
            if key in LABELS and key not in unheard:
                labels.setdefault(button, []).append(LABELS[key])
        return [(" or ".join(keys), self._words(button)) for button, keys in labels.items()]

    def describe(self) -> str:
        """How keys are heard, and the legend."""
        return f"keys from {self._title}:\n{super().describe()}"

    @property
    def _title(self) -> str:
        return " or ".join(source.title for source in self._sources.values())


def _make(name: str, keys: Keys, window: KeyWindow | None) -> KeySource:
    return WindowKeys(keys, window) if name == WINDOW and window is not None else BACKENDS[name](keys)


def _close(closings: Sequence[Callable[[], None]]) -> None:
    for close in closings:
        close()


def _that_work(keys: Keys, window: KeyWindow | None) -> dict[str, KeySource]:
    """The ways of the first group in which one works.

    A key is typed into one window only, so the ways of a group never hear the same one; those that hear keys in every
    window are groups of their own.
    """
    focused = ["terminal"] if window is None else [WINDOW, "terminal"]
    groups = [focused]
    if sys.platform in ("darwin", "win32"):
        groups = [["pynput"], focused]
    elif os.environ.get("DISPLAY"):
        groups = [focused, ["x11"]] if os.environ.get("WAYLAND_DISPLAY") else [["x11"], focused]
    problems = []
    for group in groups:
        sources = {}
        for name in group:
            try:
                sources[name] = _make(name, keys, window)
            except (DeviceError, MissingExtraError) as error:
                problems.append(str(error).rstrip("."))
        if sources:
            return sources
    if groups == [focused] and window is None:
        problems.append("DISPLAY is not set, so there is no X server")
    raise DeviceError(
        f"No keyboard can be heard here: {'; '.join(problems)}. Start the program from a terminal, or where there is a "
        f"display with pip install 'gym-hil[pynput]', or use another device. {HELP}"
    )
