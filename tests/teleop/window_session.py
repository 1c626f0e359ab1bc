"""What an operator does in a real viewer window, each scene a function; to be run where there is an X server.

It has a process of its own, because GLFW stays with the first X server that it has met.

python -m tests.teleop.window_session   prints {scene: "" or what went wrong} as JSON in its last line
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np

import gym_hil  # noqa: F401
from gym_hil.teleop import Event
from tests.teleop.waiting import events_of, poll_until, wait_for
from tests.teleop.x_server import DIRECTIONS, GRIPPER, Fingers

STAY = np.array([0, 0, 0, 1], np.float32)
EVENTS = {"Return": Event.SUCCESS, "KP_Enter": Event.SUCCESS, "Escape": Event.FAILURE, "r": Event.RERECORD}


class Scene:
    """An environment with its window on the screen, and fingers for it."""

    def __init__(self, backend: str = "window", **options: Any):
        self.fingers = Fingers(os.environ["DISPLAY"])
        settings = {"device_options": {"backend": backend}, "reset_delay_seconds": 0, **options}
        self.env: Any = gym.make("gym_hil/PandaPickCubeKeyboard-v0", **settings)
        self.keyboard = self.env.get_wrapper_attr("device")
        self._screen = self.fingers._display
        self.other = self._screen.screen().root.create_window(0, 0, 8, 8, 0, 24)
        self.other.map()
        self.open()

    def open(self) -> None:
        self.env.reset(seed=0)
        wait_for(lambda: self.viewer is not None)
        self.focus()

    @property
    def viewer(self) -> Any:
        windows = self._screen.screen().root.query_tree().children
        return next((one for one in windows if "MuJoCo" in (one.get_wm_name() or "")), None)

    def focus(self, window: Any = None) -> None:
        from Xlib import X

        target = window or self.viewer

        def done() -> bool:
            self._screen.set_input_focus(target, X.RevertToParent, X.CurrentTime)
            return self._screen.get_input_focus().focus.id == target.id

        wait_for(done)

    def ask_to_close(self) -> None:
        """What the cross in the corner of a window does."""
        from Xlib.protocol import event

        names = ("WM_PROTOCOLS", "WM_DELETE_WINDOW")
        protocols, delete = (self._screen.intern_atom(name) for name in names)
        message = event.ClientMessage(window=self.viewer, client_type=protocols, data=(32, [delete, 0, 0, 0, 0]))
        self.viewer.send_event(message)
        self._screen.sync()

    def handle(self) -> Any:
        """MuJoCo's handle of the window."""
        layer = self.env
        while not hasattr(layer, "_window"):
            layer = layer.env
        return layer._window._handle

    def flags(self) -> list[int]:
        """What the viewer shows of the model."""
        self.handle().sync()
        return self.handle().opt.flags.tolist()

    def close(self) -> None:
        self.env.close()
        self.fingers.close()


@contextlib.contextmanager
def scene(**options: Any) -> Iterator[Scene]:
    one = Scene(**options)
    try:
        yield one
    finally:
        one.close()


def every_key_does_what_the_legend_says() -> None:
    with scene() as it:
        assert it.keyboard.backend == "window"
        it.fingers.tap("space")
        poll_until(it.keyboard, lambda command: command.engaged)
        for symbol, (component, sign) in DIRECTIONS.items():
            it.fingers.move(symbol, True)
            command = poll_until(it.keyboard, lambda command: bool(command.motion.any()))
            np.testing.assert_array_equal(command.motion, np.eye(6)[component] * sign, err_msg=symbol)
            it.fingers.move(symbol, False)
            poll_until(it.keyboard, lambda command: not command.motion.any())
        for symbol, gripper in GRIPPER.items():
            it.fingers.move(symbol, True)
            assert poll_until(it.keyboard, lambda command: command.gripper != 0).gripper == gripper, symbol
            it.fingers.move(symbol, False)
            poll_until(it.keyboard, lambda command: command.gripper == 0)
        for symbol, event in EVENTS.items():
            it.fingers.tap(symbol)
            assert events_of(it.keyboard, 1) == (event,), symbol


def held_key_moves_the_robot_until_it_is_released() -> None:
    with scene() as it:
        it.fingers.tap("space")
        it.fingers.move("Left", True)

        def acts(action: list[float]) -> Callable[[], bool]:
            def act() -> bool:
                info = it.env.step(STAY)[4]
                return info["is_intervention"] and info["action_intervention"].tolist() == action

            return act

        wait_for(acts([0, 1, 0, 1]))
        it.fingers.move("Left", False)
        wait_for(acts([0, 0, 0, 1]))


def random_taps_between_two_polls_are_delivered_exactly_once() -> None:
    with scene() as it:
        chance = random.Random(0)
        taps = [chance.choice(list(EVENTS)) for _ in range(300)]
        for symbol in taps:
            it.fingers.tap(symbol)
            time.sleep(0.002)  # GLFW takes two presses within the same millisecond for one that came twice
        assert events_of(it.keyboard, len(taps)) == tuple(EVENTS[symbol] for symbol in taps)


def lost_focus_releases_everything() -> None:
    with scene(intervention="hold") as it:
        for symbol in ("space", "Up", "f"):
            it.fingers.move(symbol, True)
        poll_until(it.keyboard, lambda command: command.engaged and bool(command.motion[0]) and command.gripper == 1)
        it.focus(it.other)
        command = poll_until(it.keyboard, lambda command: not command.engaged)
        poll_until(it.keyboard, lambda command: not command.motion.any() and command.gripper == 0)
        it.fingers.tap("Return")  # into the other window
        for symbol in ("space", "Up", "f"):
            it.fingers.move(symbol, False)
        it.focus()
        it.fingers.tap("r")
        assert events_of(it.keyboard, 1) == (Event.RERECORD,), command


def window_that_is_closed_releases_everything() -> None:
    with scene() as it:
        it.fingers.tap("space")
        it.fingers.move("Up", True)
        poll_until(it.keyboard, lambda command: command.engaged and command.motion[0] == 1)
        it.ask_to_close()
        command = poll_until(it.keyboard, lambda command: not command.engaged)
        assert not command.motion.any()
        it.fingers.move("Up", False)
        for _ in range(3):
            assert not it.env.step(STAY)[4]["is_intervention"]


def window_that_opens_again_is_heard() -> None:
    with scene(intervention="auto") as it:
        keyboard = it.keyboard
        it.fingers.move("Up", True)
        poll_until(keyboard, lambda command: command.motion[0] == 1)
        it.env.close()
        assert not keyboard.poll().motion.any()
        it.fingers.move("Up", False)
        it.open()
        it.keyboard = it.env.get_wrapper_attr("device")
        it.fingers.move("Up", True)
        poll_until(it.keyboard, lambda command: command.motion[0] == 1)
        it.fingers.move("Up", False)
        poll_until(it.keyboard, lambda command: command.motion[0] == 0)


def keys_of_the_legend_do_not_reach_the_viewer_and_others_do() -> None:
    with scene() as it:
        before = it.flags()
        for symbol in "eeadqgfwsr":
            it.fingers.tap(symbol)
        it.fingers.tap("Return")
        events_of(it.keyboard, 2)
        assert it.flags() == before
        it.fingers.tap("c")  # contact points
        wait_for(lambda: it.flags() != before)


def key_that_the_viewer_wants_for_itself_works_once_as_the_first_too() -> None:
    with scene() as it:
        before = it.flags()
        it.fingers.tap("c")
        it.fingers.tap("Return")
        events_of(it.keyboard, 1)
        assert it.flags() != before


def x11_and_the_window_do_not_count_twice() -> None:
    with scene(backend="auto") as it:
        assert it.keyboard.backend == "x11"
        before = it.flags()
        taps = ["r", "Return", "Escape", "r", "r", "Return"] * 20
        for symbol in taps:
            it.fingers.tap(symbol)
        for symbol in "eadqgf":
            it.fingers.tap(symbol)
        expected = tuple(EVENTS[symbol] for symbol in taps)
        assert events_of(it.keyboard, len(taps)) == expected
        it.fingers.tap("space")
        poll_until(it.keyboard, lambda command: command.engaged)
        assert it.flags() == before


def window_of_human_mode_is_heard() -> None:
    with scene(render_mode="human") as it:
        it.fingers.tap("r")
        assert events_of(it.keyboard, 1) == (Event.RERECORD,)


SCENES = [
    every_key_does_what_the_legend_says,
    held_key_moves_the_robot_until_it_is_released,
    random_taps_between_two_polls_are_delivered_exactly_once,
    lost_focus_releases_everything,
    window_that_is_closed_releases_everything,
    window_that_opens_again_is_heard,
    keys_of_the_legend_do_not_reach_the_viewer_and_others_do,
    key_that_the_viewer_wants_for_itself_works_once_as_the_first_too,
    x11_and_the_window_do_not_count_twice,
    window_of_human_mode_is_heard,
]


def main() -> None:
    warnings.simplefilter("ignore")
    outcomes = {}
    for play in SCENES:
        try:
            play()
            outcomes[play.__name__] = ""
        except Exception:
            outcomes[play.__name__] = traceback.format_exc()
    print(json.dumps(outcomes), flush=True)


if __name__ == "__main__":
    main()
