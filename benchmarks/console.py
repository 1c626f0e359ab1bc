"""The console: what it costs, how far behind the operator is, and minutes of driving by operators who never rest.

The pages are `benchmarks.pages`, a process of their own; drawing in a browser is left out.
"""

import contextlib
import io
import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import psutil

from benchmarks.report import Row
from gym_hil import GymRenderingSpec
from gym_hil.cli.teleop import drive
from gym_hil.console import Console, close_console, get_console
from gym_hil.pacing import Pacer
from gym_hil.teleop import Device, Event, TeleopCommand
from gym_hil.teleop.input_state import RESUME_WITHIN

PUBLISH_MS, HANDLED_MS, CPU_PERCENT, INPUT_MS, LOST_SECONDS = 0.3, 20.0, 8.0, 40.0, 0.3
FRAMES_PER_SECOND, SIDE = 30, 256
MINUTES = 5.0  # of driving
WARM_UP = 60.0  # s until memory counts, or a third of the time if that is less
LATE_SHARE = 0.005
GROWTH_MB = 4.0  # what the allocator may keep for itself, and the console's history of episodes
PAD_RATE = 60.0  # changes a second
TAPS, REPLUGS = 2.0, 1 / 30  # a second, by chance
TAP_SHARES = [0.02, 0.3, 0.02, 0.02, 0.3, 0.34]  # of A, B, X, Y, LB, RB; ends of episodes are rarer than the rest
STAY = np.array([0, 0, 0, 1], np.float32)


def console_publish(quick: bool = False) -> Row:
    """What showing a step on the console costs the environment's thread, with a page open."""
    measured = _watched(seconds=2 if quick else 20)
    times = np.array(measured["publish"]) * 1e3
    bar = f"at most {PUBLISH_MS} ms a step"
    words = f"{np.median(times):.3f} ms (p95 {np.percentile(times, 95):.3f} ms)"
    return Row("Console: publishing a step, a page open", bar, words, bool(np.median(times) <= PUBLISH_MS))


def console_handled(quick: bool = False) -> Row:
    """How long it takes until a page has handled what was published, and the server knows."""
    measured = _watched(seconds=2 if quick else 20)
    times = np.array(measured["handled"]) * 1e3
    p95 = np.percentile(times, 95)
    words = f"p50 {np.median(times):.1f} ms, p95 {p95:.1f} ms there and back, {len(times)} frames"
    return Row(
        "Console: state published to handled by the page", f"p95 at most {HANDLED_MS:.0f} ms", words, p95 <= HANDLED_MS
    )


def console_server(quick: bool = False) -> Row:
    """Processor time of the server's thread, JPEG encoding included."""
    measured = _watched(seconds=3 if quick else 20)
    percent = 100 * measured["server"]
    what = f"Console: server at {FRAMES_PER_SECOND} Hz with two {SIDE} px cameras"
    return Row(what, f"at most {CPU_PERCENT:.0f}% of a core", f"{percent:.1f}%", percent <= CPU_PERCENT)


def console_input(quick: bool = False) -> Row:
    """How old the newest input of a page is when a step uses it, at 10 steps a second."""
    measured = _watched(seconds=3 if quick else 30, rate=10)
    ages = np.array(measured["ages"])
    p95 = np.percentile(ages, 95)
    words = f"p50 {np.median(ages):.1f} ms, p95 {p95:.1f} ms, {len(ages)} steps"
    bar = f"p95 at most {INPUT_MS:.0f} ms beyond the control step"
    return Row("Console: input sent by the page to used by a step", bar, words, p95 <= INPUT_MS)


def console_lost(quick: bool = False) -> Row:
    """How long the robot goes on when the page is killed, or falls silent as when the Wi-Fi is lost."""
    repeats = 1 if quick else 10
    words, worst = [], 0.0
    for name, loss in (("killed", signal.SIGKILL), ("silent", signal.SIGSTOP)):
        times = [_lost(loss, wait=0.037 * repeat) for repeat in range(repeats)]
        off, still, settled = (max(column) for column in zip(*times, strict=True))
        worst = max(worst, still, off - RESUME_WITHIN)
        words.append(
            f"{name}: intervention off after {off:.2f} s, target still after {still:.2f} s, arm {settled:.2f} s"
        )
    return Row(
        "Console: page lost while moving",
        f"still after at most {LOST_SECONDS} s, handed back after {RESUME_WITHIN:.0f} s more",
        f"{'; '.join(words)} (worst of {repeats})",
        worst <= LOST_SECONDS,
    )


class Outcome(NamedTuple):
    """What came of driving.

    Attributes:
        pacer: how the pace was kept.
        driven: steps that an operator made.
        memory: MB after the warm-up and at the end, each a median.
        errors: what was logged as an error, or ended a thread.
        done: what the pages and the pad did, counted.
    """

    pacer: Pacer
    driven: int
    memory: tuple[float, float]
    errors: list[str]
    done: dict[str, int]


def teleoperation(quick: bool = False) -> Row:
    """Driving at 10 Hz with random input from two pages and a gamepad."""
    minutes = 0.1 if quick else MINUTES
    outcome = run(minutes, seed=0)
    before, after = outcome.memory
    words = f"{outcome.pacer.report()}; {len(outcome.errors)} exceptions, memory {before:.0f} to {after:.0f} MB"
    met = not outcome.errors and after - before <= GROWTH_MB
    met &= outcome.pacer.late_steps < LATE_SHARE * outcome.pacer.steps
    bar = f"no exception, memory +{GROWTH_MB:.0f} MB at most, late steps under {LATE_SHARE:.1%}"
    return Row(f"{minutes:g} min of driving, two pages and a gamepad at once", bar, words, met)


def run(minutes: float, seed: int) -> Outcome:
    """Drive for some minutes."""
    watch = _Watch(60 * minutes)
    with (
        _errors() as errors,
        _console() as console,
        _pages(console.url, seed=seed, count=2) as pages,
        _pad(seed) as pad_counts,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        devices = ["web", "gamepad", watch]
        env = gym.make("gym_hil/PandaPickCube-v1", device=devices, image_obs=True, reset_delay_seconds=0)
        with contextlib.closing(_Counted(env)) as counted:
            pacer = drive(counted, seed=seed)
        if pages.poll() is not None:
            raise RuntimeError(f"The pages have ended early, with status {pages.returncode}.")
        page_counts = json.loads(pages.communicate(timeout=30)[0])
    return Outcome(pacer, counted.driven, watch.memory(), errors, {**page_counts, **pad_counts})


def _lost(loss: signal.Signals, *, wait: float) -> tuple[float, float, float]:
    """Seconds from a loss until the intervention is off, the target is still, and the tool slower than 1 mm/s."""
    with _driven() as (_, env, page):
        base: Any = env.unwrapped
        start, step, lost = time.monotonic(), 0, None
        off = still = settled = 0.0
        while lost is None or time.monotonic() - lost < RESUME_WITHIN + 1.0:
            target, tool = base.tcp_target, base.tcp_position
            engaged = env.step(STAY)[4]["is_intervention"]
            now = time.monotonic()
            step += 1
            if lost is None and step == 5:
                time.sleep(wait)
                page.send_signal(loss)
                lost = time.monotonic()
            elif lost is not None:
                off = now - lost if engaged else off
                still = now - lost if np.abs(base.tcp_target - target).max() > 1e-9 else still
                settled = now - lost if np.linalg.norm(base.tcp_position - tool) > 1e-4 else settled
            time.sleep(max(0.0, start + step * 0.1 - time.monotonic()))
    return off, still, settled


def _watched(*, seconds: float, rate: float = FRAMES_PER_SECOND) -> dict[str, Any]:
    """Run an environment in real time with a page that watches and drives it."""
    publishing: list[float] = []  # s
    ages: list[float] = []  # ms
    with _driven() as (console, env, _):
        channel, device = env.get_wrapper_attr("channel"), env.get_wrapper_attr("device")
        publish, read = channel.publish, device.read

        def timed_publish(*arguments: Any) -> None:
            start = time.perf_counter()
            publish(*arguments)
            publishing.append(time.perf_counter() - start)

        def watched_read() -> None:
            read()
            if device.applied:
                ages.append(time.monotonic() * 1e3 - device.applied)

        channel.publish, device.read = timed_publish, watched_read
        busy, start = _server_seconds(), time.perf_counter()
        for step in range(round(seconds * rate)):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                env.reset()
            time.sleep(max(0.0, start + (step + 1) / rate - time.perf_counter()))
        server = (_server_seconds() - busy) / (time.perf_counter() - start)
        return {"publish": publishing, "handled": console.latencies, "server": server, "ages": ages}


@contextlib.contextmanager
def _driven() -> Iterator[tuple[Console, gym.Env, "subprocess.Popen[str]"]]:
    """A console of its own, an environment with images on it, and a page that has taken over."""
    with _console() as console:
        spec = GymRenderingSpec(SIDE, SIDE)
        env = gym.make("gym_hil/PandaPickCubeWeb-v1", image_obs=True, render_spec=spec, reset_delay_seconds=0)
        env.reset(seed=0)
        with _pages(console.url, seed=0, count=1) as page, contextlib.closing(env):
            while not env.step(STAY)[4]["is_intervention"]:
                time.sleep(0.02)
            yield console, env, page


@contextlib.contextmanager
def _console() -> Iterator[Console]:
    close_console()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # the link is for the pages alone
            console = get_console(port=0)
        yield console
    finally:
        close_console()


@contextlib.contextmanager
def _pages(url: str, *, seed: int, count: int) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.pages", url, str(seed), str(count)]
    pages = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield pages
    finally:
        pages.kill()
        pages.communicate()


def _server_seconds() -> float:
    """Processor time of the console's threads."""
    wanted = {thread.native_id for thread in threading.enumerate() if thread.name.startswith("gym-hil-console")}
    threads = psutil.Process().threads()
    return sum(thread.user_time + thread.system_time for thread in threads if thread.id in wanted)


class _Watch(Device):
    """Quits when the time is over, and looks at the memory until then."""

    human = False

    def __init__(self, seconds: float):
        self._seconds, self._process = seconds, psutil.Process()
        self._start: float | None = None
        self._samples: list[tuple[float, int]] = []

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

    driven = 0

    def step(self, action: np.ndarray) -> tuple:
        result = self.env.step(action)
        self.driven += result[4]["is_intervention"]
        return result


@contextlib.contextmanager
def _errors() -> Iterator[list[str]]:
    """What is logged as an error, and what ends a thread."""
    errors: list[str] = []
    notes = logging.Handler(logging.ERROR)
    notes.emit = lambda record: errors.append(record.getMessage())  # type: ignore[method-assign]
    hook, quiet = threading.excepthook, logging.getLogger("gym_hil")
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # the gamepad reports each time that it was unplugged
    logging.getLogger().addHandler(notes)
    threading.excepthook = lambda failed: errors.append(f"{failed.thread}: {failed.exc_value!r}")
    try:
        yield errors
    finally:
        threading.excepthook = hook
        logging.getLogger().removeHandler(notes)
        quiet.setLevel(level)


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
                pad.tap(int(rng.choice(len(TAP_SHARES), p=TAP_SHARES)))
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
