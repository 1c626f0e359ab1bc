"""What a process does that was started to work for another one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def obey_parent() -> None:
    """End with the parent, however that ends, and leave Ctrl-C to it.

    Ctrl-C goes to all processes of a terminal. The parent hears it, and has its children finish what must not be lost.
    A parent that is killed says nothing; its children would stay for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True, name="hil-parent-watch").start()


@contextmanager
def deaf() -> Iterator[None]:
    """Processes that are started meanwhile do not hear Ctrl-C, not even before they come to `obey_parent`."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # What is blocked here is inherited, and what comes meanwhile is heard afterwards.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
