"""Threads that share the work on several environments."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor


class WorkThreads:
    """Threads that do some work for each of `count` environments, the next one in the next free thread.

    It pays for work that releases Python's lock, such as `mj_step` and the rasteriser. `threads` includes the calling
    one, which alone works on the environment of number `main`, with a device or a window; None for one per core.
    """

    def __init__(self, count: int, *, threads: int | None = None, main: int | None = None):
        self._main = main
        self._helpers = min(_cores() if threads is None else threads, count) - 1
        self._pool = ThreadPoolExecutor(self._helpers, "environments") if self._helpers > 0 else None

    def run(self, work: Callable[[int], None], indices: Sequence[int]) -> None:
        """Call `work` with each index, and wait until all is done.

        Raises:
            Exception: one that the work has raised; calls that had begun have returned by then, others are left out.
        """
        mine = [index for index in indices if index == self._main]
        queue = iter([index for index in indices if index != self._main])

        def share() -> None:
            for index in queue:  # threads may share the iterator of a list: taking from it is one instruction
                work(index)

        helpers = [] if self._pool is None else [self._pool.submit(share) for _ in range(self._helpers)]
        try:
            for index in mine:
                work(index)
            share()
        finally:
            failures = [helper.exception() for helper in helpers]
        for failure in failures:
            if failure is not None:
                raise failure

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
