"""Random and timed movements of the hands of every device, and what came of them.

python -m tests.teleop.playing presses NAME SEQUENCES     random presses and releases; prints a `Tally` as JSON
python -m tests.teleop.playing reaction NAME TRIALS       from the hand to the action; prints delays in steps as JSON
python -m tests.teleop.playing replug gamepad TIMES       prints what went wrong as JSON
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
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gym_hil.pacing import Pacer
from gym_hil.teleop import Button
from gym_hil.teleop.input_state import DIRECTIONS, EVENTS, GRIPPER
from gym_hil.teleop.keyboard_terminal import RELEASE_AFTER
from tests.teleop.hands import DEVICES, GamepadHands, Hands
from tests.teleop.waiting import poll_until, wait_for

MOST_MOVES = 6  # of a hand within one control step


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
        self._noted: int = hands.device.inputs._count
        self.tally = Tally(0, 0, [])

    def play(self) -> None:
        """One sequence within one control step."""
        hands, latch = self._hands, self._hands.device.inputs
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
