"""Noticing that another thread has come to a standstill."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

STANDSTILL = 1.0  # s; a thread that draws in software may well wait for half a second


class ThreadWatch:
    """Tells whether a thread still runs now and then, or waits for something that does not come.

    Linux counts how often a thread was given the processor: the third number in its `schedstat` (Linux kernel,
    Documentation/scheduler/sched-stats). Where there is no such count, a thread passes for running.

    Args:
        thread: its number in the operating system, from `threading.get_native_id`.
        standstill: s without the processor, after which it no longer counts as running.
        clock: s, never goes back.
    """

    def __init__(self, thread: int, *, standstill: float = STANDSTILL, clock: Callable[[], float] = time.monotonic):
        self._path = Path(f"/proc/self/task/{thread}/schedstat")
        self._standstill, self._clock = standstill, clock
        self._turns, self._since = self._count(), clock()

    def runs(self) -> bool:
        """Whether it has run of late."""
        turns, now = self._count(), self._clock()
        if turns is None or turns != self._turns:
            self._turns, self._since = turns, now
        return now - self._since < self._standstill

    def _count(self) -> int | None:
        try:
            return int(self._path.read_text().split()[2])
        except (OSError, IndexError, ValueError):
            return None
