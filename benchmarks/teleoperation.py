"""Minutes of driving in real time by people who never come to rest: two pages of the console and a gamepad at once.

python -m benchmarks.teleoperation [--minutes 10] [--seed 0]
"""

import argparse
import contextlib
import io
import json
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import psutil

import gym_hil  # noqa: F401  # registers the ids
from benchmarks.row import Row
from gym_hil.cli.teleop import drive
from gym_hil.console import Console
from gym_hil.console import server as console_module
from gym_hil.pacing import Pacer
from gym_hil.teleop import Device, Event, TeleopCommand

MINUTES = 10.0
WARM_UP = 60.0  # s until memory counts, or a third of the time if that is less
LATE_BAR = 0.005
GROWTH_MB = 4.0  # what the allocator may keep for itself, and the console's history of episodes
PAD_RATE = 60.0  # changes a second
TAPS, REPLUGS = 2.0, 1 / 30  # a second, by chance
BUTTONS = range(6)  # of the pad: A, B, X, Y, LB, RB
# Does nothing but wait, for as long: what is late here is the machine's fault.
_IDLE = """
import sys
from gym_hil.pacing import Pacer
pacer = Pacer(0.1)
for _ in range(int(sys.argv[1])):
    pacer.wait()
print(pacer.report())
"""


class Outcome(NamedTuple):
    """What came of it.

    Attributes:
        pacer: how the pace was kept.
        idle: the report of a loop beside it that did nothing.
        episodes: lines that tell how an episode ended.
        driven: steps that an operator made.
        memory: MB after the warm-up and at the end, each a median.
        errors: what was logged as an error, or ended a thread.
        done: what the pages and the pad did, counted.
    """

    pacer: Pacer
    idle: str
    episodes: int
    driven: int
    memory: tuple[float, float]
    errors: list[str]
    done: dict[str, int]


def teleoperation(quick: bool = False) -> Row:
    """Driving at 10 Hz with random input from two pages and a gamepad."""
    minutes = 0.1 if quick else MINUTES
    outcome = run(minutes, seed=0)
    late = outcome.pacer.late_steps / outcome.pacer.steps
    growth = outcome.memory[1] - outcome.memory[0]
    words = (
        f"{outcome.pacer.report()} (an idle loop beside it: {outcome.idle}); {len(outcome.errors)} exceptions, memory "
        f"{outcome.memory[0]:.0f} to {outcome.memory[1]:.0f} MB"
    )
    met = not outcome.errors and late < LATE_BAR and growth <= GROWTH_MB
    bar = f"no exception, memory +{GROWTH_MB:.0f} MB at most, late steps under {LATE_BAR:.1%}"
    return Row(f"{minutes:g} min of driving, two pages and a gamepad at once", bar, words, met)


def run(minutes: float, seed: int) -> Outcome:
    """Drive for some minutes."""
    watch = _Watch(60 * minutes)
    errors: list[str] = []
    with (
        _errors_noted(errors),
        _console() as console,
        _pages(console.url, seed) as page_counts,
        _pad(seed) as pad_counts,
    ):
        env = gym.make(
            "gym_hil/PandaPickCube-v1", device=["web", "gamepad", watch], image_obs=True, reset_delay_seconds=0
        )
        told = io.StringIO()
        with _idle(minutes) as idle, contextlib.redirect_stdout(told):
            pacer = drive(_Counted(env, watch), seed=seed)
        env.close()
    episodes = told.getvalue().splitlines()[:-1]
    return Outcome(pacer, idle[0], len(episodes), watch.driven, watch.memory(), errors, {**page_counts, **pad_counts})


class _Watch(Device):
    """Quits when the time is over, and looks at the memory until then."""

    human = False

    def __init__(self, seconds: float):
        self._seconds, self._process = seconds, psutil.Process()
        self._start: float | None = None
        self._samples: list[tuple[float, int]] = []
        self.driven = 0

    def poll(self) -> TeleopCommand:
        now = time.monotonic()
        if self._start is None:
            self._start = now
        after = now - self._start
        if not self._samples or after >= self._samples[-1][0] + 1:
            self._samples.append((after, self._process.memory_info().rss))
        return TeleopCommand(events=(Event.QUIT,) if after >= self._seconds else ())

    def memory(self) -> tuple[float, float]:
        """MB, medians of a while after the warm-up and of as long a while at the end."""
        warm_up = min(WARM_UP, self._seconds / 3)
        while_ = warm_up / 2
        after = [rss for at, rss in self._samples if warm_up <= at < warm_up + while_]
        end = [rss for at, rss in self._samples if at >= self._seconds - while_]
        return float(np.median(after)) / 1e6, float(np.median(end)) / 1e6


class _Counted(gym.Wrapper):
    """Counts the steps that an operator made."""

    def __init__(self, env: gym.Env, watch: _Watch):
        super().__init__(env)
        self._watch = watch

    def step(self, action: np.ndarray) -> tuple:
        result = self.env.step(action)
        self._watch.driven += result[4]["is_intervention"]
        return result


@contextlib.contextmanager
def _errors_noted(errors: list[str]) -> Iterator[None]:
    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            errors.append(self.format(record))

    def note(failed: threading.ExceptHookArgs) -> None:
        errors.append(f"{failed.thread}: {failed.exc_value!r}")

    notes, hook = Notes(logging.ERROR), threading.excepthook
    quiet = logging.getLogger("gym_hil")
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # the gamepad tells of each time that it was unplugged
    logging.getLogger().addHandler(notes)
    threading.excepthook = note
    try:
        yield
    finally:
        threading.excepthook = hook
        logging.getLogger().removeHandler(notes)
        quiet.setLevel(level)


@contextlib.contextmanager
def _console() -> Iterator[Console]:
    """A console of its own."""
    shared, console = console_module._shared, Console(port=0)
    console_module._shared = console
    try:
        yield console
    finally:
        console.close()
        console_module._shared = shared


@contextlib.contextmanager
def _pages(url: str, seed: int) -> Iterator[dict[str, int]]:
    """Two pages; what they did is known afterwards."""
    counts: dict[str, int] = {}
    command = [sys.executable, "-m", "benchmarks.restless_pages", url, str(seed)]
    pages = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield counts
        if pages.poll() is not None:
            raise RuntimeError(f"The pages have ended early, with status {pages.returncode}.")
        out, _ = pages.communicate(timeout=30)
        counts.update(json.loads(out))
    finally:
        pages.kill()
        pages.communicate()


@contextlib.contextmanager
def _idle(minutes: float) -> Iterator[list[str]]:
    """A loop that only waits, in a process of its own; its report is known afterwards."""
    reports: list[str] = []
    command = [sys.executable, "-c", _IDLE, str(round(600 * minutes))]
    loop = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield reports
        out, _ = loop.communicate(timeout=60)
        reports.append(out.strip())
    finally:
        loop.kill()
        loop.communicate()


@contextlib.contextmanager
def _pad(seed: int) -> Iterator[Counter[str]]:
    """A gamepad that is never still, and is unplugged now and then; without one where SDL cannot make it."""
    from gym_hil.teleop.gamepad_sdl import JOYSTICKS
    from tests.teleop.conftest import NoListener
    from tests.teleop.virtual_pad import VirtualPad

    listener = NoListener()
    JOYSTICKS.add(listener)  # SDL has to run before the pad is there
    counts: Counter[str] = Counter()
    over = threading.Event()
    rng = np.random.default_rng([seed, 1])

    def play() -> None:
        pad = VirtualPad()
        sticks = np.zeros(6)
        while not over.wait(1 / PAD_RATE):
            sticks = np.clip(sticks + rng.normal(0.0, 0.2, 6), -1.0, 1.0)
            for axis, value in enumerate(sticks):
                pad.axis(axis, float(value))
            if rng.random() < TAPS / PAD_RATE:
                # Ends of episodes are rarer than the rest.
                pad.tap(int(rng.choice(BUTTONS, p=[0.02, 0.3, 0.02, 0.02, 0.3, 0.34])))
                counts["taps"] += 1
            if rng.random() < REPLUGS / PAD_RATE:
                pad.unplug()
                over.wait(rng.uniform(0.1, 2.0))
                pad = VirtualPad()
                counts["replugs"] += 1
        pad.unplug()

    thread = threading.Thread(target=play, name="restless gamepad")
    thread.start()
    try:
        yield counts
    finally:
        over.set()
        thread.join()
        JOYSTICKS.discard(listener)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and tell what came of it; exit status 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.teleoperation", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    outcome = run(options.minutes, options.seed)
    late = outcome.pacer.late_steps / outcome.pacer.steps
    growth = outcome.memory[1] - outcome.memory[0]
    print(outcome.pacer.report())
    print(f"an idle loop beside it: {outcome.idle}")
    print(f"{outcome.episodes} episodes, {outcome.driven} steps by an operator; {outcome.done}")
    print(f"memory {outcome.memory[0]:.1f} MB after the warm-up, {outcome.memory[1]:.1f} MB at the end")
    print(f"exceptions: {outcome.errors or 'none'}")
    return int(bool(outcome.errors) or late >= LATE_BAR or growth > GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main())
