"""Random and timed presses on the hardware of every device, and what came of them.

python -m tests.teleop.exercise presses NAME SEQUENCES     random presses and releases; prints a `Tally` as JSON
python -m tests.teleop.exercise reaction NAME TRIALS       from the hand to the action; prints delays in steps as JSON
python -m tests.teleop.exercise reset NAME BUTTONS        prints what was pressed before a reset and counted after it
python -m tests.teleop.exercise replug gamepad TIMES       prints what went wrong as JSON
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import random
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gym_hil.pacing import Pacer
from gym_hil.teleop import Button
from gym_hil.teleop.input_state import DIRECTIONS, EVENTS, GRIPPER
from gym_hil.teleop.keyboard_terminal import COUNTED_RELEASE_AFTER
from tests.teleop.hardware import DEVICES, GamepadHardware, Hardware
from tests.teleop.waiting import poll_until, wait_for

MOST_MOVES = 6  # of a hand within one control step


@dataclass
class Tally:
    """What came of random sequences."""

    sequences: int  # each within one control step
    presses: int  # in all
    wrong: list[str]  # sequences that were not delivered exactly, each in words


class Player:
    """Plays random sequences on one device, and knows the command that each must lead to."""

    def __init__(self, hardware: Hardware, seed: int):
        self._hardware, self._chance = hardware, random.Random(seed)
        self._down: list[Button] = []
        self._engaged = False
        self._noted: int = hardware.device.inputs.press_count
        self.tally = Tally(0, 0, [])

    def play(self) -> None:
        """One sequence within one control step."""
        hardware, inputs = self._hardware, self._hardware.device.inputs
        presses: list[Button] = []
        active = list(self._down)  # what acts in this step: what was pressed in it or is still down, newest last
        for button, down in self._moves():
            hardware.move(button, down)
            if down:
                presses.append(button)
            if down or button not in presses:
                active = [one for one in active if one is not button] + [button] * down
        down = {*self._down}

        def all_reported() -> bool:
            return inputs.press_count >= self._noted + len(presses) and (not hardware.releases or inputs.held == down)

        # The command below must be the only poll, so what has come by now is looked up inside.
        with contextlib.suppress(AssertionError):
            wait_for(all_reported)
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
        command = hardware.device.poll()
        events = [event.value for event in command.events]
        got = (events, bool(command.engaged), command.gripper, command.motion.tolist(), inputs.press_count)
        if got != expected:
            self.tally.wrong.append(f"expected {expected}, got {got}")
            self._noted, self._engaged = inputs.press_count, bool(command.engaged)
        if not hardware.releases:
            time.sleep(COUNTED_RELEASE_AFTER)
            poll_until(hardware.device, lambda command: not inputs.held)
        self.tally.sequences += 1
        self.tally.presses += len(presses)

    def _moves(self) -> Iterator[tuple[Button, bool]]:
        hardware, chance = self._hardware, self._chance
        if not hardware.releases:
            for button in chance.sample(list(hardware.buttons), chance.randint(1, MOST_MOVES)):
                yield button, True
            return
        for _ in range(chance.randint(1, MOST_MOVES)):
            button = chance.choice(list(hardware.buttons))
            if button in self._down:
                self._down.remove(button)
                yield button, False
            else:
                self._down.append(button)
                yield button, True


def play(name: str, sequences: int, seed: int = 0) -> Tally:
    """Press and release at random, in so many sequences within one control step each."""
    number = min(getattr(DEVICES[name], "PARALLEL", 1), sequences)
    with contextlib.ExitStack() as stack:
        players = []
        for k in range(number):
            hardware = stack.enter_context(contextlib.closing(DEVICES[name]()))
            players.append(Player(hardware, seed + k))

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
    """Push and, where the device reports it, release so often at random moments of a loop in real time.

    Returns:
        For each, what it took until the beginning of the step whose `action_intervention` carries it: the time in
        control steps, and how many steps had begun by then, this one included.
    """
    chance, delays = random.Random(seed), []
    with contextlib.closing(DEVICES[name]()) as hardware:
        env = hardware.make_env()
        env.reset(seed=0)
        dt = env.unwrapped.control_dt
        stay = np.array([0, 0, 0, 1], np.float32)
        env.step(stay)  # what is pressed counts from the first step on
        hardware.move(Button.INTERVENE, True)
        hardware.move(Button.INTERVENE, False)
        wait_for(lambda: env.step(stay)[4]["is_intervention"])
        pacer = Pacer(dt)
        pushed = False
        for _ in range(trials * (2 if hardware.releases else 1)):
            if not hardware.releases:
                pushed = False
                while env.step(stay)[4]["action_intervention"][0] != 0:
                    pacer.wait()
            pushed = not pushed
            time.sleep(chance.random() * dt)
            moved = time.perf_counter()
            hardware.push(pushed)
            begun, steps, carried = moved, 0, False
            while not carried:
                pacer.wait()
                begun, steps = time.perf_counter(), steps + 1
                carried = env.step(stay)[4]["action_intervention"][0] == float(pushed)
            delays.append(((begun - moved) / dt, steps))
        env.close()
    return delays


def replug(times: int, seed: int = 0) -> list[str]:
    """Pull a gamepad out and put it back in, at random moments of a loop in real time, with a stick held.

    Returns:
        What went wrong, in words.
    """
    chance, wrong = random.Random(seed), []
    stay = np.array([0, 0, 0, 1], np.float32)
    with contextlib.closing(GamepadHardware()) as hardware:
        env = hardware.make_env()
        env.reset(seed=0)
        env.step(stay)
        pacer = Pacer(env.unwrapped.control_dt)

        def step() -> tuple[bool, float]:
            pacer.wait()
            info = env.step(stay)[4]
            return info["is_intervention"], float(info["action_intervention"][0])

        hardware.move(Button.INTERVENE, True)
        hardware.move(Button.INTERVENE, False)
        for time_number in range(times):
            hardware.push(True)
            if (got := step()) != (True, 1.0):
                wrong.append(f"{time_number}: plugged in it gave {got}")
            time.sleep(chance.random() * pacer.dt / 2)
            hardware.unplug()
            if (got := step()) != (True, 0.0):
                wrong.append(f"{time_number}: unplugged it gave {got}")
            time.sleep(chance.random() * pacer.dt / 2)
            hardware.plug()
            if (got := step()) != (True, 0.0):
                wrong.append(f"{time_number}: untouched it gave {got}")
        env.close()
    return wrong


def press_before_reset(name: str, number: int, seed: int = 0) -> list[str]:
    """Press so many random buttons before a reset; returns those that count all the same after it."""
    chance, wrong = random.Random(seed), []
    with contextlib.closing(DEVICES[name]()) as hardware:
        inputs = hardware.device.inputs
        for button in chance.sample(list(hardware.buttons), min(number, len(hardware.buttons))):
            count = inputs.press_count
            hardware.move(button, True)
            hardware.move(button, False)
            wait_for(lambda count=count: inputs.press_count > count)  # type: ignore[misc]
            wait_for(lambda: not inputs.held)
            hardware.device.reset() if button is Button.INTERVENE else hardware.device.start_episode()
            command = hardware.device.poll()
            if command.engaged or command.events or command.gripper or command.motion.any():
                wrong.append(button.name)
    return wrong


def tally(name: str, sequences: int) -> dict[str, Any]:
    """What came of random sequences, as JSON has it."""
    return asdict(play(name, sequences))


ACTIONS: dict[str, Callable[[str, int], Any]] = {
    "presses": tally,
    "reaction": react,
    "reset": press_before_reset,
    "replug": lambda name, times: replug(times),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=ACTIONS)
    parser.add_argument("name", choices=DEVICES)
    parser.add_argument("number", type=int)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(json.dumps(ACTIONS[options.what](options.name, options.number)), flush=True)
    os._exit(0)  # pynput leaves threads behind


if __name__ == "__main__":
    main()
