"""One controller in use: from what SDL tells of it to sticks and presses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.teleop.gamepad_mapping import PadMapping, Source
from gym_hil.teleop.gamepad_sdl import News
from gym_hil.teleop.input_state import Button

# SDL reports triggers at -1, or at 0 until they are first touched; both count as released.
TRIGGER_PRESSED = 0.1
TRIGGER_RELEASED = -0.1


class Pad:
    """A controller that is plugged in.

    Args:
        joystick: pygame's, open.
        mapping: where its sticks and buttons are; sources that it does not have are left out.
        press: called with each button that goes down, again if it went up in between.
        release: called with each button that comes up.
    """

    def __init__(
        self,
        joystick: Any,
        mapping: PadMapping,
        press: Callable[[Button], None],
        release: Callable[[Button], None],
    ):
        self._joystick, self._press, self._release = joystick, press, release
        self.instance: int = joystick.get_instance_id()
        self.name: str = joystick.get_name()
        self.mapping = mapping
        counts = {
            "axis": joystick.get_numaxes(),
            "button": joystick.get_numbuttons(),
            "hat": joystick.get_numhats(),
        }
        self._sticks = {key: source for key, source in mapping.sticks.items() if source.index < counts[source.kind]}
        self.buttons: Mapping[Button, Source] = {
            button: source for button, source in mapping.buttons.items() if source.index < counts[source.kind]
        }
        self.lacks = [stick for stick in mapping.sticks if stick not in self._sticks]
        self.lacks += [button.value for button in mapping.buttons if button not in self.buttons]
        # A button that is down while the controller is plugged in is no press.
        self._down = {button: self._is_down(source, False) for button, source in self.buttons.items()}
        self._doubted: set[Button] = set()

    def hear(self, news: News) -> None:
        """Take in what came since the last reading."""
        told = self._hear_buttons(news)
        told |= self._hear_axes(news)
        told |= self._hear_hats(news)
        self._compare(told)

    def sticks(self, deadzone: float) -> NDArray[np.float64]:
        """Where the sticks stand, as a motion.

        Args:
            deadzone: the part of each axis' range that counts as 0; the rest is stretched to the full range.

        Returns:
            (6,): x forward, y left, z up, each in [-1, 1], and no rotation.
        """
        motion = np.zeros(6)
        motion[0] = self._level("left_y", deadzone)
        motion[1] = 0.0 - self._level("left_x", deadzone)
        motion[2] = self._level("right_y", deadzone)
        return motion

    def raw(self) -> tuple[list[float], list[int], list[tuple[int, int]]]:
        """What SDL says at this moment: all axes, the numbers of the buttons that are down, all hats."""
        joystick = self._joystick
        axes = [joystick.get_axis(index) for index in range(joystick.get_numaxes())]
        down = [index for index in range(joystick.get_numbuttons()) if joystick.get_button(index)]
        return axes, down, [joystick.get_hat(index) for index in range(joystick.get_numhats())]

    def _level(self, stick: str, deadzone: float) -> float:
        source = self._sticks.get(stick)
        if source is None:
            return 0.0
        value = self._read(source)
        # 0.0 is added, here and above, so that there is no negative zero.
        return float(np.copysign(max(abs(value) - deadzone, 0.0) / (1.0 - deadzone), value)) + 0.0

    def _hear_buttons(self, news: News) -> set[Button]:
        mine = {s.index: button for button, s in self.buttons.items() if s.kind == "button"}
        presses = [mine[k] for instance, k in news.presses if instance == self.instance and k in mine]
        releases = Counter(mine[k] for instance, k in news.releases if instance == self.instance and k in mine)
        told = {*presses, *releases}
        for button in presses:
            if self._down[button]:  # it was released first
                releases[button] -= 1
            self._set(button, False)
            self._set(button, True)
        for button, left in releases.items():
            if left > 0:
                self._set(button, False)
        return told

    def _hear_axes(self, news: News) -> set[Button]:
        mine = [(button, source) for button, source in self.buttons.items() if source.kind == "axis"]
        told = set()
        for instance, axis, value in news.axes:
            for button, source in mine:
                if instance == self.instance and axis == source.index:
                    self._set(button, _pulled(source, value, self._down[button]))
                    told.add(button)
        return told

    def _hear_hats(self, news: News) -> set[Button]:
        mine = [(button, source) for button, source in self.buttons.items() if source.kind == "hat"]
        told = set()
        for instance, hat, value in news.hats:
            for button, source in mine:
                if instance == self.instance and hat == source.index:
                    self._set(button, _points(source, value))
                    told.add(button)
        return told

    def _compare(self, told: set[Button]) -> None:
        """Mend what is not as the events said, twice in a row: other code in this process has taken one."""
        doubted = set()
        for button, source in self.buttons.items():
            if button in told:
                continue
            down = self._is_down(source, self._down[button])
            if down == self._down[button]:
                continue
            if button in self._doubted:
                self._set(button, down)
            else:
                doubted.add(button)
        self._doubted = doubted

    def _set(self, button: Button, down: bool) -> None:
        if down != self._down[button]:
            self._down[button] = down
            (self._press if down else self._release)(button)

    def _is_down(self, source: Source, before: bool) -> bool:
        if source.kind == "button":
            return bool(self._joystick.get_button(source.index))
        if source.kind == "hat":
            return _points(source, self._joystick.get_hat(source.index))
        return _pulled(source, self._joystick.get_axis(source.index), before)

    def _read(self, source: Source) -> float:
        if source.kind != "axis":
            return float(self._is_down(source, False))
        # SDL's range is -32768 to 32767.
        return source.sign * max(min(self._joystick.get_axis(source.index) * 32768 / 32767, 1.0), -1.0)


def _pulled(source: Source, value: float, before: bool) -> bool:
    level = source.sign * value
    if source.half:
        level = 2 * max(level, 0.0) - 1
    return level > (TRIGGER_RELEASED if before else TRIGGER_PRESSED)


def _points(source: Source, value: tuple[int, int]) -> bool:
    x, y = value
    return bool(source.way & ((y > 0) * 1 | (x > 0) * 2 | (y < 0) * 4 | (x < 0) * 8))
