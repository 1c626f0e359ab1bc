"""Game controllers that SDL can read, plugged in at any time."""

from __future__ import annotations

import contextlib
import logging
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.teleop.controller_config import (
    DEFAULT_INVERSION,
    FALLBACK,
    ControllerConfig,
    load_controller_config,
    load_controller_configs,
)
from gym_hil.teleop.gamepad_sdl import JOYSTICKS, JoystickEvents
from gym_hil.teleop.input_state import DEADZONE, Button, InputDevice, InputState, apply_deadzone, check_deadzone

logger = logging.getLogger(__name__)

HELP = "See docs/devices.md#gamepad."
# Stick axis, whether the turn button is held -> component of the motion, and its sign. A stick turns the hand as a
# SpaceMouse's cap does: pushed forward it tilts forward.
STICKS: dict[tuple[str, bool], tuple[int, float]] = {
    ("left_y", False): (0, 1.0),
    ("left_x", False): (1, -1.0),
    ("right_y", False): (2, 1.0),
    ("left_x", True): (3, 1.0),
    ("left_y", True): (4, 1.0),
    ("right_x", True): (5, -1.0),
}
BINDINGS: dict[str, Button] = {
    "rb": Button.INTERVENE,
    "lb": Button.TURN,
    "lt": Button.CLOSE,
    "rt": Button.OPEN,
    "y": Button.SUCCESS,
    "a": Button.FAILURE,
    "x": Button.RERECORD,
    "b": Button.STOP,
    "back": Button.DELETE_LAST,
    "start": Button.QUIT,
}
# Rows of the legend; those of the sticks that turn begin with the turn button.
STICK_LEGEND = (("left stick", "move forward, back, left, right"), ("right stick, up and down", "move up, down"))
TURN_LEGEND = (
    ("left stick", "tilt the hand forward, back, left, right"),
    ("right stick, left and right", "turn the hand left, right"),
)
# What is printed on the buttons of a PlayStation controller.
PLAYSTATION_NAMES = ("PS3", "PS4", "PS5", "Sony", "DualSense", "DualShock")
PLAYSTATION_LABELS = {
    **{"lt": "L2", "rt": "R2", "lb": "L1", "rb": "R1", "y": "triangle", "a": "cross", "x": "square", "b": "circle"},
    **{"back": "Share", "start": "Options"},
}
# Names of the controller configuration -> SDL's.
SDL_NAMES = {
    "left_x": "leftx",
    "left_y": "lefty",
    "right_x": "rightx",
    "right_y": "righty",
    "lt": "lefttrigger",
    "rt": "righttrigger",
    "lb": "leftshoulder",
    "rb": "rightshoulder",
    **{name: name for name in ("a", "b", "x", "y", "back", "start")},
}
# SDL reports triggers at -1, or at 0 until they are first touched; both count as released.
TRIGGER_PRESSED, TRIGGER_RELEASED = 0.1, -0.1
RUMBLE = 0.7, 1.0, 400  # strong and weak motor, as shares of full strength, and ms
_SDL_SOURCE = re.compile(r"(?P<half>[+-]?)a(?P<axis>\d+)(?P<flip>~?)|b(?P<button>\d+)")


@dataclass(frozen=True)
class Source:
    """An axis or a button of a joystick: its number; of an axis the sign, and whether only its positive half counts."""

    is_axis: bool
    index: int
    sign: float = 1.0
    half: bool = False

    def is_down(self, value: float, was_down: bool) -> bool:
        """Whether it counts as pressed, by its value and whether it was before: an axis has a hysteresis."""
        if not self.is_axis:
            return bool(value)
        level = self.sign * value
        if self.half:
            level = 2 * max(level, 0.0) - 1
        return level > (TRIGGER_RELEASED if was_down else TRIGGER_PRESSED)


class Pad:
    """One controller that is plugged in: an open joystick of pygame, and where a configuration's controls are on it.

    `origin` says where the mapping is from; `rank` is 0 if the configuration file has the controller's name, 1 if SDL
    knows the controller, else 2.

    Attributes:
        config: the mapping as an entry of a configuration file, as far as it can be expressed there.
        missing: what the joystick does not have, for messages.
        order: of several controllers, the one with the lowest is used.
        can_drive: whether it has every stick that moves, and the intervention button.
    """

    def __init__(self, joystick: Any, sources: Mapping[str, Source], origin: str, rank: int):
        self._joystick, self.origin = joystick, origin
        self.instance: int = joystick.get_instance_id()
        self.name: str = joystick.get_name()
        self.config = {
            "axes": {name: source.index for name, source in sources.items() if source.is_axis},
            "buttons": {name: source.index for name, source in sources.items() if not source.is_axis},
            "axis_inversion": {name: source.sign < 0 for name, source in sources.items() if name in DEFAULT_INVERSION},
        }
        numbers = {True: joystick.get_numaxes(), False: joystick.get_numbuttons()}
        self.sources = {name: source for name, source in sources.items() if source.index < numbers[source.is_axis]}
        self._buttons = {button: self.sources[name] for name, button in BINDINGS.items() if name in self.sources}
        lacking = sources.keys() - self.sources.keys()
        self.missing = [stick for stick in dict.fromkeys(name for name, _ in STICKS) if stick in lacking]
        self.missing += [button.value for name, button in BINDINGS.items() if name in lacking]
        moving = [name for name, turning in STICKS if not turning]
        self.can_drive = Button.INTERVENE in self._buttons and all(stick in self.sources for stick in moving)
        self.order = not self.can_drive, rank
        # A button that is down while the controller is plugged in is no press.
        self._down = {button: source.is_down(self._value(source), False) for button, source in self._buttons.items()}
        self._doubted: set[Button] = set()

    def handle(self, events: JoystickEvents, inputs: InputState) -> None:
        """Report to `inputs` what has changed since the previous events."""
        presses = [button for instance, index in events.presses for button in self._at(instance, False, index)]
        releases = Counter(button for instance, index in events.releases for button in self._at(instance, False, index))
        reported = {*presses, *releases}
        for button in presses:
            if self._down[button]:  # it was released first
                releases[button] -= 1
            self._set(button, False, inputs)
            self._set(button, True, inputs)
        for button in [button for button, left in releases.items() if left > 0]:
            self._set(button, False, inputs)
        for instance, index, value in events.movements:
            for button in self._at(instance, True, index):
                self._set(button, self._buttons[button].is_down(value, self._down[button]), inputs)
                reported.add(button)
        # What differs from the events twice in a row: other code in this process has taken an event.
        differing = {
            button
            for button, source in self._buttons.items()
            if button not in reported and source.is_down(self._value(source), self._down[button]) != self._down[button]
        }
        for button in differing & self._doubted:
            self._set(button, not self._down[button], inputs)
        self._doubted = differing - self._doubted

    def motion(self, deadzone: float, *, can_turn: bool) -> NDArray[np.float64]:
        """The sticks as a motion (6,), see `stick_motion`; a rotation while the turn button is held, if `can_turn`."""

        def level(stick: str) -> float:
            source = self.sources.get(stick)
            if source is None:
                return 0.0
            # SDL's range is -32768 to 32767; some joysticks have a button in the place of a stick's axis.
            return apply_deadzone(source.sign * max(min(self._value(source) * 32768 / 32767, 1.0), -1.0), deadzone)

        return stick_motion(level, turning=can_turn and self._down.get(Button.TURN, False))

    def rumble(self) -> None:
        """Rumble, if there is a motor."""
        self._joystick.rumble(*RUMBLE)

    def raw(self) -> tuple[list[float], list[int]]:
        """What SDL reports now: all axes, and the numbers of the buttons that are down."""
        joystick = self._joystick
        axes = [joystick.get_axis(index) for index in range(joystick.get_numaxes())]
        return axes, [index for index in range(joystick.get_numbuttons()) if joystick.get_button(index)]

    def _at(self, instance: int, is_axis: bool, index: int) -> list[Button]:
        if instance != self.instance:
            return []
        return [
            button for button, source in self._buttons.items() if (source.is_axis, source.index) == (is_axis, index)
        ]

    def _set(self, button: Button, down: bool, inputs: InputState) -> None:
        if down != self._down[button]:
            self._down[button] = down
            (inputs.press if down else inputs.release)(button)

    def _value(self, source: Source) -> float:
        return (self._joystick.get_axis if source.is_axis else self._joystick.get_button)(source.index)


class Gamepad(InputDevice):
    """The best gamepad that is plugged in.

    It need not be there from the start, and may go and come back. A controller that `controller_config.json` has by
    name is preferred to one that only SDL knows, and that to any other joystick, which is used with the entry
    `default`. One without an intervention button or sticks, such as a touch screen, is used for want of a better one
    and replaced when that is plugged in. A thread reads the controller, so that a press between two polls counts.

    Args:
        controller_config_path: a mapping file of your own instead of the bundled `controller_config.json`.
        deadzone: the part of a stick's range that counts as 0; the rest is stretched to the full range.
        intervention: `toggle`, `stay`, `hold` or `auto`.
        clock: s, monotonic.

    Attributes:
        pad: the gamepad in use; None while there is none.

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
        # A gamepad reports nothing while nothing changes, and SDL reports when it is gone: no timeout.
        super().__init__(intervention=intervention, silence_timeout=math.inf, clock=clock)
        self._deadzone = check_deadzone(deadzone)
        self._configs = load_controller_configs(controller_config_path)
        self._config_path = controller_config_path
        self.pad: Pad | None = None
        self._warned = False  # that there is no gamepad
        self._closed = False
        JOYSTICKS.add(self)
        JOYSTICKS.read()

    @property
    def connected(self) -> str | None:
        """The name of the gamepad in use; None while there is none."""
        pad = self.pad
        return None if pad is None else pad.name

    def read(self) -> None:
        if self._closed:
            return
        JOYSTICKS.read()
        pad = self.pad
        if pad is not None:
            self.inputs.set_motion(pad.motion(self._deadzone, can_turn=self.can_turn))
        elif not self._warned:
            self._warned = True
            logger.warning("No gamepad is connected; until one is plugged in there is no intervention. %s", HELP)

    def ask_for_help(self, on: bool) -> None:
        """Rumble when the policy asks for help."""
        pad = self.pad
        if on and pad is not None:
            with contextlib.suppress(RuntimeError):  # pygame's, of a joystick that is gone
                pad.rumble()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            JOYSTICKS.discard(self)
            self.pad = None
            self.inputs.disconnect(end_intervention=True)

    def on_events(self, events: JoystickEvents) -> None:
        """Take in what SDL reports; called from the thread that reads, or during a poll."""
        pad = self.pad
        there = [joystick.get_instance_id() for _, joystick in _joysticks(events.count)] if events.changed else None
        if pad is not None and there is not None and pad.instance not in there:
            self.on_disconnect()
            self._warned = True
            logger.warning("The gamepad %s is gone: its buttons count as released. Waiting for a gamepad.", pad.name)
        elif pad is not None:
            pad.handle(events, self.inputs)
        if events.count and (self.pad is None or (events.changed and not self.pad.can_drive)):
            self._connect(events.count)

    def on_disconnect(self) -> None:
        """Release everything: the gamepad is gone, or SDL was shut down."""
        self.pad = None
        self.inputs.disconnect()

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """Names are those on the gamepad in use."""
        is_playstation = any(part in (self.connected or "") for part in PLAYSTATION_NAMES)
        return pad_legend(self.label, PLAYSTATION_LABELS if is_playstation else {}, self.inputs.idle_buttons)

    def _connect(self, count: int) -> None:
        """Use the joystick that can drive and whose mapping is known best; keep the present one if none is better."""
        before = self.pad
        best = min(self._pads(count), key=lambda pad: pad.order, default=None)
        if best is None or (before is not None and best.order >= before.order):
            return
        self.pad = best
        if before is not None:
            self.inputs.set_held(())
            logger.warning("The gamepad %s is used instead of %s, which cannot drive.", best.name, before.name)
        level = logging.WARNING if self._warned else logging.INFO  # as loud as the message that there is none
        logger.log(level, "Gamepad %s is used, with the mapping of %s.", best.name, best.origin)
        if best.missing:
            logger.warning("The gamepad %s has no controls for: %s. %s", best.name, ", ".join(best.missing), HELP)

    def _pads(self, count: int) -> Iterator[Pad]:
        for index, joystick in _joysticks(count):
            name = joystick.get_name()
            if name in self._configs and name != FALLBACK:
                origin = f"[{name!r}] in {self._config_path or 'the bundled file'}"
                yield Pad(joystick, _sources_in_file(self._configs[name]), origin, 0)
            elif database := _sdl_database_entry(index):
                yield Pad(joystick, _sources_in_database(database), "SDL's database of game controllers", 1)
            else:
                config = self._configs.get(FALLBACK) or load_controller_config(FALLBACK)
                origin = f"[{FALLBACK!r}], because its name is not known"
                yield Pad(joystick, _sources_in_file(config), origin, 2)


def stick_motion(level: Callable[[str], float], *, turning: bool) -> NDArray[np.float64]:
    """The sticks of a game controller as a motion (6,): x forward, y left, z up, and a rotation vector about these.

    `level` says how far a stick axis of `STICKS` is pushed right or up, in [-1, 1]; `turning`, the turn button is held.
    """
    motion = np.zeros(6)
    for (stick, turns), (component, sign) in STICKS.items():
        if turns == turning:
            motion[component] = sign * level(stick) + 0.0
    return motion


def pad_legend(
    label: Callable[[Button], str], names: Mapping[str, str], idle: Collection[Button] = ()
) -> list[tuple[str, str]]:
    """Sticks and buttons of a game controller and what they do.

    Args:
        label: the text of a button.
        names: what is printed on the controller's buttons, where it is not the name of an Xbox controller.
        idle: buttons that do nothing.
    """

    def printed(name: str) -> str:
        return names.get(name, name.upper())

    turn = next(name for name, button in BINDINGS.items() if button is Button.TURN)
    turns = [] if Button.TURN in idle else [(f"{printed(turn)} + {stick}", action) for stick, action in TURN_LEGEND]
    buttons = [
        (printed(name), label(button)) for name, button in BINDINGS.items() if button not in {*idle, Button.TURN}
    ]
    return [*STICK_LEGEND, *turns, *buttons]


def gamepad_attached() -> bool:
    """Whether a joystick is attached that can drive."""
    with contextlib.closing(Gamepad()) as gamepad:
        return gamepad.pad is not None and gamepad.pad.can_drive


def _sources_in_file(config: ControllerConfig) -> dict[str, Source]:
    inverted = config["axis_inversion"]
    axes = {name: Source(True, at, -1.0 if inverted.get(name) else 1.0) for name, at in config["axes"].items()}
    return {**axes, **{name: Source(False, index) for name, index in config["buttons"].items()}}


def _sources_in_database(database: Mapping[str, str]) -> dict[str, Source]:
    """Where controls are, by SDL's names of them and where they are: `{"a": "b0", "lefttrigger": "+a2", ...}`."""
    found = {}
    for name, sdl_name in SDL_NAMES.items():
        match = _SDL_SOURCE.fullmatch(database.get(sdl_name, ""))
        if match is not None and match["button"]:
            found[name] = Source(False, int(match["button"]))
        elif match is not None:
            sign = -1.0 if (match["half"] == "-") != bool(match["flip"]) else 1.0
            # SDL counts down as positive.
            sign = -sign if name.endswith("_y") else sign
            found[name] = Source(True, int(match["axis"]), sign, half=bool(match["half"]))
    return found


def _sdl_database_entry(index: int) -> dict[str, str]:
    """SDL's names of a joystick's controls, and where they are; empty if SDL does not know the joystick.

    pygame and pygame-ce document SDL's database under this name with an underscore only, and it may change; without it
    a controller needs an entry in the configuration file.
    """
    try:
        from pygame._sdl2 import controller

        if not controller.get_init():
            controller.init()
        if not controller.is_controller(index):
            return {}
        opened = controller.Controller(index)
        try:
            return dict(opened.get_mapping())
        finally:
            opened.quit()
    except (ImportError, AttributeError, RuntimeError):  # pygame's errors are RuntimeErrors
        return {}


def _joysticks(count: int) -> Iterator[tuple[int, Any]]:
    """Number and pygame's object of each joystick that can be opened."""
    import pygame

    for index in range(count):
        # One may have been unplugged since they were counted, or may not be opened by this user.
        try:
            joystick = pygame.joystick.Joystick(index)
        except pygame.error:
            continue
        yield index, joystick
