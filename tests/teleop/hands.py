"""Hands for every device: they move true buttons, keys and sticks, or what is as near to these as a program gets.

python -m tests.teleop.hands presses NAME SEQUENCES     random presses and releases; prints a `Tally` as JSON
python -m tests.teleop.hands reaction NAME TRIALS       from the hand to the action; prints delays in steps as JSON
python -m tests.teleop.hands replug gamepad TIMES       prints what went wrong as JSON
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_hil  # noqa: F401
from gym_hil.pacing import Pacer
from gym_hil.teleop import Button, LatchedDevice
from gym_hil.teleop.keyboard import Keyboard
from gym_hil.teleop.keyboard_keys import KEYS
from gym_hil.teleop.keyboard_terminal import RELEASE_AFTER
from gym_hil.teleop.latch import DIRECTIONS, EVENTS, GRIPPER
from tests.teleop.waiting import poll_until, wait_for

MOST_MOVES = 6  # of a hand within one control step
PAD_BUTTONS = {
    Button.INTERVENE: "rb",
    Button.CLOSE: "lt",
    Button.OPEN: "rt",
    Button.SUCCESS: "y",
    Button.FAILURE: "a",
    Button.RERECORD: "x",
}
SYMBOLS = {
    "enter": "Return",
    "esc": "Escape",
    "shift_l": "Shift_L",
    "shift_r": "Shift_R",
    "ctrl_l": "Control_L",
    "ctrl_r": "Control_R",
    **{key: key.capitalize() for key in ("up", "down", "left", "right")},
}
CHARACTERS = {"space": " ", "enter": "\r", "esc": "\x1b"}
# The first key of each button.
FIRST_KEYS = {button: key for key, button in reversed(KEYS.items())}


class Hands:
    """Move what a device has, one thing at a time."""

    device: LatchedDevice
    buttons: Sequence[Button]  # that the device has
    one_at_a_time = False  # whether two buttons together mean something else
    releases = True  # whether the device tells of releases
    env: Any = None  # one that the device needs

    def move(self, button: Button, down: bool) -> None:
        """Press or release."""
        raise NotImplementedError

    def push(self, down: bool) -> None:
        """Ask for full speed forward, or for nothing."""
        self.move(Button.FORWARD, down)

    def make_env(self) -> Any:
        """An environment that the device drives."""
        return self.env or gym.make("gym_hil/PandaPickCube-v0", device=self.device, max_episode_steps=100_000)

    def close(self) -> None:
        self.device.close()


class GamepadHands(Hands):
    """A virtual joystick of the real SDL."""

    buttons = tuple(PAD_BUTTONS)

    def __init__(self) -> None:
        from gym_hil.teleop.controller_config import load_controller_config
        from gym_hil.teleop.gamepad import Gamepad
        from tests.teleop.virtual_pad import VirtualPad

        self._entry = load_controller_config("Xbox 360 Controller")
        self.device = Gamepad()  # first, because it starts SDL
        self._new = VirtualPad
        self.plug()

    def plug(self) -> None:
        self.pad = self._new()
        wait_for(lambda: self.device.connected is not None)  # type: ignore[attr-defined]

    def unplug(self) -> None:
        self.pad.unplug()

    def move(self, button: Button, down: bool) -> None:
        word = PAD_BUTTONS[button]
        if word in self._entry["buttons"]:
            self.pad.button(self._entry["buttons"][word], down)
        else:
            self.pad.axis(self._entry["axes"][word], 1.0 if down else -1.0)
        self.pad.flush()

    def push(self, down: bool) -> None:
        self.pad.axis(self._entry["axes"]["left_y"], -1.0 if down else 0.0)
        self.pad.flush()

    def close(self) -> None:
        self.pad.unplug()
        super().close()


class HidHands(Hands):
    """Reports of a device on a bus that is not there."""

    def __init__(self, product: Sequence[Any]):
        from tests.teleop.fake_hid import FakeHid

        self._patch = pytest.MonkeyPatch()
        self.unit = FakeHid().install(self._patch).plug(*product)

    def close(self) -> None:
        super().close()
        self._patch.undo()


# Byte and bit of each button of a Logitech F310, and its report at rest; see tests/teleop/test_gamepad_hid.py.
F310_BITS = {"x": (4, 0x10), "a": (4, 0x20), "y": (4, 0x80), "rb": (5, 0x02), "lt": (5, 0x04), "rt": (5, 0x08)}
F310_REST = "80 7f 80 7f 08 00 00 ff"


class GamepadHidHands(HidHands):
    """Reports of a Logitech F310."""

    buttons = tuple(PAD_BUTTONS)

    def __init__(self) -> None:
        from gym_hil.teleop.gamepad_hid import GamepadHid

        super().__init__((0x046D, 0xC216, "Logitech F310"))
        self.device = GamepadHid()
        self._report = bytearray.fromhex(F310_REST)
        self.unit.send(bytes(self._report))
        wait_for(lambda: not self.unit.queue)

    def move(self, button: Button, down: bool) -> None:
        byte, bit = F310_BITS[PAD_BUTTONS[button]]
        self._report[byte] = self._report[byte] | bit if down else self._report[byte] & ~bit
        self.unit.send(bytes(self._report))

    def push(self, down: bool) -> None:
        self._report[1] = 0 if down else 0x7F
        self.unit.send(bytes(self._report))


class SpaceMouseHands(HidHands):
    """Reports of a SpaceMouse Compact; it has two buttons, and both together are a third."""

    buttons = (Button.CLOSE, Button.OPEN, Button.INTERVENE)
    one_at_a_time = True

    def __init__(self) -> None:
        from gym_hil.teleop.spacemouse import CONNEXION, MULTI_AXIS_CONTROLLER, SpaceMouse

        super().__init__((CONNEXION, 0xC635, "SpaceMouse Compact", MULTI_AXIS_CONTROLLER))
        self.device = SpaceMouse(intervention="toggle")

    def move(self, button: Button, down: bool) -> None:
        self.unit.send(f"03 0{self.buttons.index(button) + 1 if down else 0} 00")

    def push(self, down: bool) -> None:
        self.unit.send("01 0000 a2fe 0000" if down else "01 0000 0000 0000")  # 350 counts away from the person


class XHands(Hands):
    """Keys of an X server without a screen."""

    buttons = tuple(FIRST_KEYS)
    pause = 0.0  # s after each movement

    def __init__(self, backend: str):
        from tests.teleop.x_server import Fingers, Server

        self._server = Server()
        os.environ["DISPLAY"] = self._server.display
        os.environ.pop("WAYLAND_DISPLAY", None)
        self._fingers = Fingers(self._server.display)
        self.start(backend)

    def start(self, backend: str) -> None:
        self.device = Keyboard(backend=backend)
        if backend == "pynput":  # says that it is ready a moment before it is
            while not self.device.poll().events:
                self._fingers.tap("r")
                time.sleep(0.01)
            time.sleep(0.2)
            self.device.poll()

    def move(self, button: Button, down: bool) -> None:
        key = FIRST_KEYS[button]
        self._fingers.move(SYMBOLS.get(key, key), down)
        time.sleep(self.pause)

    def close(self) -> None:
        super().close()
        self._fingers.close()
        self._server.stop()


class WindowHands(XHands):
    """Keys typed into a viewer window."""

    pause = 0.002  # GLFW takes two presses within the same millisecond for one that came twice

    def start(self, backend: str) -> None:
        from tests.teleop.window_session import Scene

        self._scene = Scene(backend, max_episode_steps=100_000)
        self.env, self.device = self._scene.env, self._scene.keyboard

    def close(self) -> None:
        self._scene.close()
        self._fingers.close()
        self._server.stop()


class TerminalHands(Hands):
    """Characters typed into a pseudo-terminal. It knows no releases, so a key is up when it has been still."""

    buttons = tuple(FIRST_KEYS)
    releases = False
    PARALLEL = 10  # terminals, because each sequence waits for the keys to be up

    def __init__(self) -> None:
        import pty

        self._master, self._slave = pty.openpty()
        before, sys.stdin = sys.stdin, SimpleNamespace(fileno=lambda: self._slave)  # type: ignore[assignment]
        try:
            self.device = Keyboard(backend="terminal")
        finally:
            sys.stdin = before
        self._letters = {button: key for key, button in KEYS.items() if len(key) == 1}

    def move(self, button: Button, down: bool) -> None:
        if down:
            key = self._letters.get(button, FIRST_KEYS[button])
            os.write(self._master, CHARACTERS.get(key, key).encode())

    def close(self) -> None:
        super().close()
        os.close(self._master)
        os.close(self._slave)


DEVICES: dict[str, Callable[[], Hands]] = {
    "gamepad": GamepadHands,
    "gamepad_hid": GamepadHidHands,
    "spacemouse": SpaceMouseHands,
    "keyboard x11": lambda: XHands("x11"),
    "keyboard window": lambda: WindowHands("window"),
    "keyboard pynput": lambda: XHands("pynput"),
    "keyboard terminal": TerminalHands,
}


@dataclass
class Tally:
    """What came of random sequences.

    Attributes:
        sequences: how many there were, each within one control step.
        presses: in all.
        wrong: sequences that were not delivered exactly, each in words.
    """

    sequences: int
    presses: int
    wrong: list[str]


class Player:
    """Plays random sequences with one pair of hands, and knows what each must come to."""

    def __init__(self, hands: Hands, seed: int):
        self._hands, self._chance = hands, random.Random(seed)
        self._down: list[Button] = []
        self._engaged = False
        self._noted: int = hands.device.latch._count
        self.tally = Tally(0, 0, [])

    def play(self) -> None:
        """One sequence within one control step."""
        hands, latch = self._hands, self._hands.device.latch
        presses: list[Button] = []
        active = list(self._down)  # what acts in this step: what was pressed in it or is still down, newest last
        for button, down in self._moves():
            hands.move(button, down)
            if down:
                presses.append(button)
            if down or button not in presses:
                active = [one for one in active if one is not button] + [button] * down
        heard = {*self._down}

        def all_heard() -> bool:
            return latch._count >= self._noted + len(presses) and (not hands.releases or set(latch._held) == heard)

        # The command below must be the only poll, so what has come by now is looked up inside.
        with contextlib.suppress(AssertionError):
            wait_for(all_heard)
        self._noted += len(presses)
        self._engaged ^= presses.count(Button.INTERVENE) % 2 == 1
        motion = np.zeros(6)
        for button in active:
            if button in DIRECTIONS:
                axis, sign = DIRECTIONS[button]
                motion[axis] += sign
        grips = [button for button in active if button in GRIPPER]
        expected = (
            [EVENTS[button].value for button in presses if button in EVENTS],
            self._engaged,
            GRIPPER[grips[-1]] if grips else 0,
            motion.tolist(),
            self._noted,
        )
        command = hands.device.poll()
        events = [event.value for event in command.events]
        got = (events, bool(command.engaged), command.gripper, command.motion.tolist(), latch._count)
        if got != expected:
            self.tally.wrong.append(f"expected {expected}, got {got}")
            self._noted, self._engaged = latch._count, bool(command.engaged)
        if not hands.releases:
            time.sleep(RELEASE_AFTER)
            poll_until(hands.device, lambda command: not latch._held)
        self.tally.sequences += 1
        self.tally.presses += len(presses)

    def _moves(self) -> Iterator[tuple[Button, bool]]:
        hands, chance = self._hands, self._chance
        if not hands.releases:
            for button in chance.sample(list(hands.buttons), chance.randint(1, MOST_MOVES)):
                yield button, True
            return
        for _ in range(chance.randint(1, MOST_MOVES)):
            free = self._down if hands.one_at_a_time and self._down else hands.buttons
            button = chance.choice(list(free))
            if button in self._down:
                self._down.remove(button)
                yield button, False
            else:
                self._down.append(button)
                yield button, True


def play(name: str, sequences: int, seed: int = 0) -> Tally:
    """Press and release at random.

    Args:
        name: one of `DEVICES`.
        sequences: how many, each within one control step.
        seed: of the random choice.
    """
    number = min(getattr(DEVICES[name], "PARALLEL", 1), sequences)
    with contextlib.ExitStack() as stack:
        players = []
        for k in range(number):
            hands = stack.enter_context(contextlib.closing(DEVICES[name]()))
            players.append(Player(hands, seed + k))

        def play_share(k: int) -> None:
            for _ in range(len(range(k, sequences, number))):
                players[k].play()

        if number == 1:
            play_share(0)
        else:
            with concurrent.futures.ThreadPoolExecutor(number) as pool:
                list(pool.map(play_share, range(number)))
    tallies = [player.tally for player in players]
    return Tally(
        sum(tally.sequences for tally in tallies),
        sum(tally.presses for tally in tallies),
        [words for tally in tallies for words in tally.wrong],
    )


def react(name: str, trials: int, seed: int = 0) -> list[tuple[float, int]]:
    """From the hand to the action, at random moments of a loop in real time.

    Args:
        name: one of `DEVICES`.
        trials: how often to push and, where the device tells of it, to let go.
        seed: of the random moments.

    Returns:
        For each, what it took until the beginning of the step whose `action_intervention` carries it: the time in
        control steps, and how many steps had begun by then, this one included.
    """
    chance, delays = random.Random(seed), []
    with contextlib.closing(DEVICES[name]()) as hands:
        env = hands.make_env()
        env.reset(seed=0)
        dt = env.unwrapped.control_dt
        stay = np.array([0, 0, 0, 1], np.float32)
        hands.move(Button.INTERVENE, True)
        hands.move(Button.INTERVENE, False)
        wait_for(lambda: env.step(stay)[4]["is_intervention"])
        pacer = Pacer(dt)
        pushed = False
        for _ in range(trials * (2 if hands.releases else 1)):
            if not hands.releases:
                pushed = False
                while env.step(stay)[4]["action_intervention"][0] != 0:
                    pacer.wait()
            pushed = not pushed
            time.sleep(chance.random() * dt)
            moved = time.perf_counter()
            hands.push(pushed)
            begun, steps, carried = moved, 0, False
            while not carried:
                pacer.wait()
                begun, steps = time.perf_counter(), steps + 1
                carried = env.step(stay)[4]["action_intervention"][0] == float(pushed)
            delays.append(((begun - moved) / dt, steps))
        if hands.env is None:
            env.close()
    return delays


def replug(times: int, seed: int = 0) -> list[str]:
    """Pull a gamepad out and put it back in, at random moments of a loop in real time, with a stick and a button held.

    Args:
        times: how often.
        seed: of the random moments.

    Returns:
        What went wrong, in words.
    """
    chance, wrong = random.Random(seed), []
    stay = np.array([0, 0, 0, 1], np.float32)
    with contextlib.closing(GamepadHands()) as hands:
        env = hands.make_env()
        env.reset(seed=0)
        pacer = Pacer(env.unwrapped.control_dt)

        def step() -> tuple[bool, float]:
            pacer.wait()
            info = env.step(stay)[4]
            return info["is_intervention"], float(info["action_intervention"][0])

        for time_number in range(times):
            hands.move(Button.INTERVENE, True)
            hands.push(True)
            if (got := step()) != (True, 1.0):
                wrong.append(f"{time_number}: plugged in it gave {got}")
            time.sleep(chance.random() * pacer.dt / 2)
            hands.unplug()
            if (got := step()) != (False, 0.0):
                wrong.append(f"{time_number}: unplugged it gave {got}")
            time.sleep(chance.random() * pacer.dt / 2)
            hands.plug()
            if (got := step()) != (False, 0.0):
                wrong.append(f"{time_number}: untouched it gave {got}")
        env.close()
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["presses", "reaction", "replug"])
    parser.add_argument("name", choices=DEVICES)
    parser.add_argument("number", type=int)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.what == "presses":
        result: Any = asdict(play(options.name, options.number))
    elif options.what == "reaction":
        result = react(options.name, options.number)
    else:
        result = replug(options.number)
    print(json.dumps(result), flush=True)
    os._exit(0)  # pynput leaves threads behind


if __name__ == "__main__":
    main()
