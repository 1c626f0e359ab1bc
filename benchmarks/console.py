"""The console: what it costs, and how far behind the operator is.

The page is `benchmarks.console_page`, a process of its own; drawing in a browser is left out.
"""

import contextlib
import io
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import psutil

from benchmarks.report import Row
from gym_hil import GymRenderingSpec
from gym_hil.console import Console, close_console, get_console
from gym_hil.teleop.input_state import RESUME_WITHIN

PUBLISH_MS, HANDLED_MS, CPU_PERCENT, INPUT_MS, LOST_SECONDS = 0.3, 20.0, 8.0, 40.0, 0.3
FRAMES_PER_SECOND, SIDE = 30, 256
STAY = np.array([0, 0, 0, 1], np.float32)


def console_publish(quick: bool = False) -> Row:
    """What showing a step on the console costs the environment's thread, with a page open."""
    median, p95 = np.percentile(_watched(2 if quick else 20)["publish"], [50, 95]) * 1e3
    words = f"{median:.3f} ms (p95 {p95:.3f} ms)"
    return Row(
        "Console: publishing a step, a page open", f"at most {PUBLISH_MS} ms a step", words, median <= PUBLISH_MS
    )


def console_handled(quick: bool = False) -> Row:
    """How long it takes until a page has handled what was published, and the server knows."""
    times = _watched(2 if quick else 20)["handled"]
    median, p95 = np.percentile(times, [50, 95]) * 1e3
    words = f"p50 {median:.1f} ms, p95 {p95:.1f} ms there and back, {len(times)} frames"
    bar = f"p95 at most {HANDLED_MS:.0f} ms"
    return Row("Console: state published to handled by the page", bar, words, p95 <= HANDLED_MS)


def console_server(quick: bool = False) -> Row:
    """Processor time of the server's thread, JPEG encoding included."""
    percent = 100 * _watched(3 if quick else 20)["server"]
    what = f"Console: server at {FRAMES_PER_SECOND} Hz with two {SIDE} px cameras"
    return Row(what, f"at most {CPU_PERCENT:.0f}% of a core", f"{percent:.1f}%", percent <= CPU_PERCENT)


def console_input(quick: bool = False) -> Row:
    """How old the newest input of a page is when a step uses it, at 10 steps a second."""
    ages = _watched(3 if quick else 30, rate=10)["ages"]
    median, p95 = np.percentile(ages, [50, 95])
    words = f"p50 {median:.1f} ms, p95 {p95:.1f} ms, {len(ages)} steps"
    bar = f"p95 at most {INPUT_MS:.0f} ms beyond the control step"
    return Row("Console: input sent by the page to used by a step", bar, words, p95 <= INPUT_MS)


def console_lost(quick: bool = False) -> Row:
    """How long the robot goes on when the page is killed, or falls silent as when the Wi-Fi is lost."""
    repeats = 1 if quick else 10
    words, worst = [], 0.0
    for name, loss in (("killed", signal.SIGKILL), ("silent", signal.SIGSTOP)):
        off, still, settled = np.max([_lost(loss, wait=0.037 * repeat) for repeat in range(repeats)], axis=0)
        worst = max(worst, still, off - RESUME_WITHIN)
        words += [f"{name}: intervention off after {off:.2f} s, target still after {still:.2f} s, arm {settled:.2f} s"]
    bar = f"still after at most {LOST_SECONDS} s, handed back after {RESUME_WITHIN:.0f} s more"
    measured = f"{'; '.join(words)} (worst of {repeats})"
    return Row("Console: page lost while moving", bar, measured, worst <= LOST_SECONDS)


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


def _watched(seconds: float, *, rate: float = FRAMES_PER_SECOND) -> dict[str, Any]:
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
def _driven() -> Iterator[tuple[Console, gym.Env, "subprocess.Popen[bytes]"]]:
    """A console of its own, an environment with images on it, and a page that has taken over."""
    with contextlib.ExitStack() as stack:
        console, spec = stack.enter_context(own_console()), GymRenderingSpec(SIDE, SIDE)
        env = gym.make("gym_hil/PandaPickCubeWeb-v1", image_obs=True, render_spec=spec, reset_delay_seconds=0)
        env.reset(seed=0)
        page = subprocess.Popen([sys.executable, "-m", "benchmarks.console_page", console.url])
        stack.callback(page.wait)
        stack.callback(page.kill)
        stack.callback(env.close)
        while not env.step(STAY)[4]["is_intervention"]:
            time.sleep(0.02)
        yield console, env, page


@contextlib.contextmanager
def own_console() -> Iterator[Console]:
    """The console that environments share, of this benchmark's own."""
    close_console()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # the link is for the pages alone
            console = get_console(port=0)
        yield console
    finally:
        close_console()


def _server_seconds() -> float:
    """Processor time of the console's threads."""
    wanted = {thread.native_id for thread in threading.enumerate() if thread.name.startswith("gym-hil-console")}
    threads = psutil.Process().threads()
    return sum(thread.user_time + thread.system_time for thread in threads if thread.id in wanted)
