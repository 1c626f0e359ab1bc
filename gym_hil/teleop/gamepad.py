"""A gamepad that SDL can read: any that is plugged in, whenever it is."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

from gym_hil.errors import ConfigurationError
from gym_hil.teleop.controller_config import FALLBACK, load_controller_config, load_controller_configs
from gym_hil.teleop.gamepad_mapping import BINDINGS, PadMapping, mapping_from_config, mapping_from_sdl
from gym_hil.teleop.gamepad_pad import Pad
from gym_hil.teleop.gamepad_sdl import JOYSTICKS, News
from gym_hil.teleop.input_state import InputDevice

logger = logging.getLogger(__name__)

DEADZONE = 0.1  # of a stick's range
HELP = "See docs/devices.md#gamepad."
STICK_LEGEND = (("left stick", "move forward, back, left, right"), ("right stick, up and down", "move up, down"))
# What is printed on the buttons of a PlayStation controller.
PLAYSTATION_NAMES = ("PS3", "PS4", "PS5", "Sony", "DualSense", "DualShock")
PLAYSTATION_WORDS = {"lt": "L2", "rt": "R2", "rb": "R1", "y": "triangle", "a": "cross", "x": "square"}


class Gamepad(InputDevice):
    """The first gamepad that is plugged in.

    It need not be there from the start, and may go and come back. One that `controller_config.json` knows by name is
    preferred to one that only SDL knows, and that to any other joystick; the last is used with the entry `default`.
    A press counts even if it is over before the next poll: a thread reads the gamepad all the time.

    Args:
        controller_config_path: a mapping file of one's own instead of the bundled `controller_config.json`.
        deadzone: the part of a stick's range that counts as 0; the rest is stretched to the full range.
        intervention: `toggle`, `hold` or `auto`.
        clock: s, never goes back.

    Raises:
        ControllerConfigError: the file is missing or has a wrong entry.
        ConfigurationError: an argument has a value that cannot work.
        DeviceError: SDL does not start.
    """

    def __init__(
        self,
        *,
        controller_config_path: str | PathLike[str] | None = None,
        deadzone: float = DEADZONE,
        intervention: str = "toggle",
        clock: Callable[[], float] = time.monotonic,
    ):
        # A pad tells nothing while nothing changes, and SDL tells when it is gone: silence means nothing.
        super().__init__(intervention=intervention, silence_timeout=math.inf, clock=clock)
        if not 0 <= deadzone < 1:
            raise ConfigurationError(f"deadzone is {deadzone!r}; expected 0 or more and less than 1.")
        self._deadzone = deadzone
        self._configs = load_controller_configs(controller_config_path)
        self._config_path = controller_config_path
        self._pad: Pad | None = None
        self._count = 0  # joysticks at the last look
        self._missed = False  # whether its absence was told
        self._closed = False
        JOYSTICKS.add(self)
        JOYSTICKS.read()
        if self._pad is None:
            self._missed = True
            logger.warning(
                "No gamepad is connected; it is used as soon as it is plugged in. Nobody intervenes until then. %s",
                HELP,
            )

    @property
    def connected(self) -> str | None:
        """The name of the gamepad in use; None while there is none."""
        pad = self._pad
        return None if pad is None else pad.name

    @property
    def pad(self) -> Pad | None:
        """The gamepad in use."""
        return self._pad

    @property
    def busy(self) -> bool:
        """Whether a gamepad is in use."""
        return self._pad is not None

    def read(self) -> None:
        """See `InputDevice.read`."""
        if self._closed:
            return
        JOYSTICKS.read()
        pad = self._pad
        if pad is not None:
            self.inputs.set_motion(pad.sticks(self._deadzone))

    def close(self) -> None:
        """Let go of the gamepad."""
        if not self._closed:
            self._closed = True
            JOYSTICKS.discard(self)
            self.lose()

    def hear(self, news: News) -> None:
        """Take in what SDL tells; called from the thread that reads, or during a poll."""
        pad = self._pad
        if pad is not None and self._is_gone(pad, news):
            self.lose()
            self._missed = True
            logger.warning("The gamepad %s is gone: everything is let go of. Waiting for it, or another.", pad.name)
        elif pad is not None:
            pad.hear(news)
        if self._pad is None and news.count:
            self._connect(news.count)
        self._count = news.count

    def lose(self) -> None:
        """Let go of everything."""
        self._pad = None
        self.inputs.silence()

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """See `Device.legend`. The names are those on the gamepad in use."""
        name = self.connected or ""
        words = PLAYSTATION_WORDS if any(part in name for part in PLAYSTATION_NAMES) else {}
        buttons = [(words.get(word, word.upper()), self._words(button)) for word, button in BINDINGS.items()]
        return [*STICK_LEGEND, *buttons]

    def _is_gone(self, pad: Pad, news: News) -> bool:
        """Whether it was unplugged, also if nobody said so because other code took the news out of pygame's queue."""
        if news.removed is not None and (pad.instance in news.removed or news.count >= self._count):
            return pad.instance in news.removed
        return pad.instance not in [joystick.get_instance_id() for _, joystick in _joysticks(news.count)]

    def _connect(self, count: int) -> None:
        """Use the joystick that is known best."""
        found = [(*self._mapping(index, joystick), joystick) for index, joystick in _joysticks(count)]
        if not found:
            return
        _, mapping, joystick = min(found, key=lambda entry: entry[0])
        self._pad = pad = Pad(joystick, mapping, self.inputs.press, self.inputs.release)
        level = logging.WARNING if self._missed else logging.INFO  # whoever read of its absence wants to know
        logger.log(level, "Gamepad %s is used, with the mapping of %s.", pad.name, pad.mapping.origin)
        if pad.lacks:
            logger.warning("The gamepad %s has nothing for: %s. %s", pad.name, ", ".join(pad.lacks), HELP)

    def _mapping(self, index: int, joystick: Any) -> tuple[int, PadMapping]:
        """The mapping of a joystick, and how well it is known: 0 by our file, 1 by SDL, 2 by nobody."""
        name = joystick.get_name()
        if name in self._configs and name != FALLBACK:
            origin = f"[{name!r}] in {self._config_path or 'the bundled file'}"
            return 0, mapping_from_config(self._configs[name], origin)
        database = sdl_database_entry(index)
        if database:
            return 1, mapping_from_sdl(database)
        config = self._configs.get(FALLBACK) or load_controller_config(FALLBACK)
        return 2, mapping_from_config(config, f"[{FALLBACK!r}], because its name is not known")


def sdl_database_entry(index: int) -> dict[str, str]:
    """What SDL knows of a joystick: its words for sticks and buttons, and where they are.

    Args:
        index: the joystick's number, from 0.

    Returns:
        The entry; empty if SDL does not know the joystick.
    """
    from pygame._sdl2 import controller

    if not controller.is_controller(index):
        return {}
    opened = controller.Controller(index)
    try:
        return dict(opened.get_mapping())
    finally:
        opened.quit()


def _joysticks(count: int) -> list[tuple[int, Any]]:
    """Number and pygame's object of each joystick that can be opened."""
    import pygame

    found = []
    for index in range(count):
        # One may have been unplugged since they were counted, or may not be opened by this user.
        with contextlib.suppress(pygame.error):
            found.append((index, pygame.joystick.Joystick(index)))
    return found
