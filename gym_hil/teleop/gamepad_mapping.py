"""Which axes and buttons of a game controller are its sticks and buttons, from our file or from SDL's database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gym_hil.teleop.controller_config import ControllerConfig
from gym_hil.teleop.input_state import Button

STICKS = ("left_x", "left_y", "right_y")  # right_x has nothing to do
BINDINGS: dict[str, Button] = {
    "rb": Button.INTERVENE,
    "lt": Button.CLOSE,
    "rt": Button.OPEN,
    "y": Button.SUCCESS,
    "a": Button.FAILURE,
    "x": Button.RERECORD,
}
# Our words -> SDL's.
SDL_WORDS = {
    "left_x": "leftx",
    "left_y": "lefty",
    "right_x": "rightx",
    "right_y": "righty",
    "lt": "lefttrigger",
    "rt": "righttrigger",
    "lb": "leftshoulder",
    "rb": "rightshoulder",
    **{word: word for word in ("a", "b", "x", "y", "back", "start")},
}
_SDL_SOURCE = re.compile(r"(?P<half>[+-]?)a(?P<axis>\d+)(?P<flip>~?)|b(?P<button>\d+)|h(?P<hat>\d+)\.(?P<way>\d+)")


@dataclass(frozen=True)
class Source:
    """A part of a joystick whose state can be asked for.

    Attributes:
        kind: `axis`, `button` or `hat`.
        index: its number.
        sign: of an axis, -1.0 if it is read the other way round.
        half: of an axis, True if only its positive half (after the sign) counts.
        way: of a hat, the direction: 1 up, 2 right, 4 down, 8 left.
    """

    kind: str
    index: int
    sign: float = 1.0
    half: bool = False
    way: int = 0


@dataclass(frozen=True)
class PadMapping:
    """Where the sticks and buttons of one controller are.

    Attributes:
        sticks: the source of each of `STICKS`; right and up are positive.
        buttons: the source of each of `BINDINGS`.
        origin: where this is known from, for people.
        entry: the same as an entry for a configuration file, as far as one can say it.
    """

    sticks: Mapping[str, Source] = field(default_factory=dict)
    buttons: Mapping[Button, Source] = field(default_factory=dict)
    origin: str = ""
    entry: Mapping[str, Any] = field(default_factory=dict)


def mapping_from_config(config: ControllerConfig, origin: str) -> PadMapping:
    """A mapping from an entry of `controller_config.json`."""
    inverted = config["axis_inversion"]
    sticks = {
        stick: Source("axis", config["axes"][stick], -1.0 if inverted.get(stick, False) else 1.0) for stick in STICKS
    }
    buttons = {}
    for word, button in BINDINGS.items():
        if word in config["buttons"]:
            buttons[button] = Source("button", config["buttons"][word])
        elif word in config["axes"]:
            buttons[button] = Source("axis", config["axes"][word], -1.0 if inverted.get(word, False) else 1.0)
    return PadMapping(sticks, buttons, origin, dict(config))


def mapping_from_sdl(database: Mapping[str, str]) -> PadMapping:
    """A mapping from an entry of SDL's database of game controllers.

    Args:
        database: SDL's words for what a controller has, and where it is: `{"a": "b0", "lefttrigger": "+a2", ...}`.
    """
    sources = {word: source for word, text in database.items() if (source := _source(text)) is not None}
    sticks = {}
    for stick in STICKS:
        source = sources.get(SDL_WORDS[stick])
        if source is not None:
            # SDL counts down as positive.
            sticks[stick] = replace(source, sign=-source.sign) if stick.endswith("_y") else source
    buttons = {button: sources[SDL_WORDS[word]] for word, button in BINDINGS.items() if SDL_WORDS[word] in sources}
    return PadMapping(sticks, buttons, "SDL's database of game controllers", _config_from_sdl(database))


def _config_from_sdl(database: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    axes, buttons, inversion = {}, {}, {}
    for word, sdl_word in SDL_WORDS.items():
        source = _source(database.get(sdl_word, ""))
        if source is None or source.kind == "hat":
            continue
        if source.kind == "button":
            buttons[word] = source.index
            continue
        axes[word] = source.index
        if word not in ("lt", "rt"):
            inversion[word] = (source.sign < 0) != word.endswith("_y")
    return {"axes": axes, "buttons": buttons, "axis_inversion": inversion}


def _source(text: str) -> Source | None:
    match = _SDL_SOURCE.fullmatch(text)
    if match is None:
        return None
    if match["button"]:
        return Source("button", int(match["button"]))
    if match["hat"]:
        return Source("hat", int(match["hat"]), way=int(match["way"]))
    sign = -1.0 if (match["half"] == "-") != bool(match["flip"]) else 1.0
    return Source("axis", int(match["axis"]), sign, half=bool(match["half"]))
