"""A gamepad and the virtual joysticks that it finds; a bus of HID devices; a clock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gym_hil.teleop.gamepad import Gamepad
from gym_hil.teleop.gamepad_sdl import JOYSTICKS
from tests.teleop.clock import Clock
from tests.teleop.fake_hid import FakeHid
from tests.teleop.virtual_pad import VirtualPad


class NoListener:
    """Keeps SDL running for virtual joysticks that are there before a gamepad is made."""

    connected = None

    def on_events(self, events: Any) -> None:
        pass

    def on_disconnect(self) -> None:
        pass


@pytest.fixture
def sdl() -> Iterator[None]:
    if sys.platform != "linux":
        pytest.skip("the virtual joystick is looked up in /proc")
    listener = NoListener()
    JOYSTICKS.add(listener)
    yield
    JOYSTICKS.discard(listener)


@pytest.fixture
def plug(sdl: None) -> Iterator[Callable[..., VirtualPad]]:
    pads = []

    def plug_in(*args: Any, **kwargs: Any) -> VirtualPad:
        pads.append(VirtualPad(*args, **kwargs))
        return pads[-1]

    yield plug_in
    for pad in pads:
        pad.unplug()


@pytest.fixture
def make(sdl: None) -> Iterator[Callable[..., Gamepad]]:
    made = []

    def make_gamepad(**kwargs: Any) -> Gamepad:
        made.append(Gamepad(**kwargs))
        return made[-1]

    yield make_gamepad
    for gamepad in made:
        gamepad.close()


@pytest.fixture
def pad(plug: Callable[..., VirtualPad]) -> VirtualPad:
    return plug()


@pytest.fixture
def gamepad(pad: VirtualPad, make: Callable[..., Gamepad]) -> Gamepad:
    return make()


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> FakeHid:
    return FakeHid().install(monkeypatch)


@pytest.fixture
def clock() -> Clock:
    return Clock()
