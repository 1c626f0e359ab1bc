"""Real time: control steps that start at regular intervals, however long each of them takes."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

from gym_hil.errors import ConfigurationError, check

TOLERANCE = 0.1  # of dt, delay up to which a step does not count as late
DEFAULT_FPS = 10.0  # steps per second of an environment that says nothing
CATCH_UP = 1.0  # of dt, delay from which a new schedule starts instead of catching up


def sleep(seconds: float) -> None:
    """Sleep to within about a millisecond, also with Python 3.10 on Windows.

    There `time.sleep` wakes up by the system's tick of 15.6 ms, unless the process asks for a shorter one. From Python
    3.11 on it has a timer of its own. Source: the documentation of `time.sleep` and of Windows' `timeBeginPeriod`.
    """
    if sys.platform == "win32" and sys.version_info < (3, 11):
        import ctypes

        ctypes.windll.winmm.timeBeginPeriod(1)
        try:
            time.sleep(seconds)
        finally:
            ctypes.windll.winmm.timeEndPeriod(1)
    else:
        time.sleep(seconds)


def find_control_dt(env: Any, fps: float | None = None) -> float:
    """How long a step of any Gymnasium environment takes on a real robot, in s; a ConfigurationError if not positive.

    Without `fps`, steps per second, it is what the environment says: `control_dt`, else `metadata["render_fps"]`, else
    `DEFAULT_FPS`.
    """
    control_dt = env.get_wrapper_attr("control_dt") if env.has_wrapper_attr("control_dt") else None
    if control_dt is None or fps is not None:
        rate = fps if fps is not None else env.metadata.get("render_fps") or DEFAULT_FPS
        if not 0 < rate < math.inf:
            raise ConfigurationError(
                f"The environment makes {rate!r} steps a second; expected more than 0. Give fps=..."
            )
        control_dt = 1 / rate
    return float(control_dt)


class Pacer:
    """Keeps a loop at one step every `dt`.

    Step n starts n times `dt` after the first one, so that delays of sleeps and steps do not add up:

    ```python
    pacer = Pacer(env.unwrapped.control_dt)
    while not done:
        observation, reward, terminated, truncated, info = env.step(action)
        done = terminated or truncated
        pacer.wait()
    print(pacer.report())
    ```

    A loop that is behind by less than one step catches up. One that is further behind (a debugger, a suspended
    computer, steps that always take too long) starts a new schedule: operators do not expect a robot that rushes to
    make up for lost time. Pauses and resets are not delays: see `leave_out` and `restart`.

    Args:
        dt: s, from the start of one step to the start of the next.
        clock: returns s, and never goes back.
        sleep: sleeps for a number of s.

    Attributes:
        steps: number of steps, one for each `wait`.
        late_steps: number of steps after which the next one started too late.
        worst_delay: maximum delay of a step, in s.

    Raises:
        ConfigurationError: `dt` is not a positive number of seconds.
    """

    def __init__(
        self, dt: float, *, clock: Callable[[], float] = time.perf_counter, sleep: Callable[[float], None] = sleep
    ):
        check(0 < dt < math.inf, "dt", dt, "seconds, more than 0")
        self.dt = dt
        self._clock, self._sleep = clock, sleep
        self.steps = self.late_steps = 0
        self.worst_delay = 0.0  # s
        self._running = 0.0  # s, from the start to the last wait, without what was left out
        self._last = clock()  # when the last wait was over, later by what was left out since
        self._origin, self._slots = self._last, 0  # when the schedule began, and how many steps it has seen

    @property
    def rate(self) -> float:
        """Steps per second, without the time that was left out; 0 before the first step."""
        return self.steps / self._running if self._running > 0 else 0.0

    def wait(self) -> bool:
        """Sleep until the next step is due. Call it at the end of each step.

        Returns:
            True if the next step starts late, by more than the tolerance, because this one took too long or the
            computer woke up too late.
        """
        self._slots += 1
        due = self._origin + self._slots * self.dt
        while (left := due - self._clock()) > 0:
            self._sleep(left)
        now = self._clock()
        self.steps += 1
        self._running += max(0.0, now - self._last)
        self._last = now
        delay = now - due
        self.worst_delay = max(self.worst_delay, delay)
        late = delay > TOLERANCE * self.dt
        self.late_steps += late
        if delay >= CATCH_UP * self.dt:
            self._origin, self._slots = now, 0
        return late

    def leave_out(self, seconds: float) -> None:
        """Do not count some seconds since the last `wait`, such as an operator's pause: the schedule moves by it."""
        self._origin += seconds
        self._last += seconds

    def restart(self) -> None:
        """Start a step now, and do not count the time since the last `wait`, such as that of a reset."""
        self._origin, self._slots = self._clock(), 0
        self._last = self._origin

    def report(self) -> str:
        """One line: how many steps, at what rate, how many of them late and by how much at most."""
        if not self.steps:
            return "no steps"
        late = "none late"
        if self.late_steps:
            share = self.late_steps / self.steps
            late = f"{self.late_steps} late ({share:.1%}), the worst by {1000 * self.worst_delay:.0f} ms"
        return f"{self.steps} steps at {self.rate:.2f} Hz of {1 / self.dt:.2f} Hz, {late}"
