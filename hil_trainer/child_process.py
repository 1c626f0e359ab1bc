"""Child processes that end with their parent and leave Ctrl-C to it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def exit_with_parent() -> None:
    """Exit when the parent exits, however it does, and ignore Ctrl-C. To be called by the child.

    Ctrl-C goes to all processes of a terminal. The parent handles it, and lets its children finish what must not be
    lost. A parent that is killed cannot do this; its children would stay for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_after_parent, daemon=True, name="hil-parent-watch").start()


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Start child processes in here, so that Ctrl-C does not reach them before they call `exit_with_parent`."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # The signal mask is inherited. A signal that comes meanwhile is delivered to this process afterwards.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
