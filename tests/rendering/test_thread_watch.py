"""Threads that run and threads that wait for ever."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from gym_hil.rendering.thread_watch import ThreadWatch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux counts a thread's turns")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def watch_thread(beat: float | None) -> tuple[list[bool], list[bool]]:
    """What is said of a thread that wakes up every so often or never: within the time allowed, and after it."""
    stop, ready, number = threading.Event(), threading.Event(), []

    def run() -> None:
        number.append(threading.get_native_id())
        ready.set()
        while not stop.wait(beat):
            pass

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    time.sleep(0.05)
    clock = Clock()
    watch = ThreadWatch(number[0], standstill=1.0, clock=clock)
    answers = []
    for _ in range(4):
        clock.now += 0.4
        time.sleep(0.02)
        answers.append(watch.runs())
    stop.set()
    thread.join()
    return answers[:2], answers[2:]


def test_thread_that_wakes_up_now_and_then_runs() -> None:
    assert watch_thread(0.001) == ([True, True], [True, True])


def test_thread_that_waits_for_ever_stands_still_after_a_while() -> None:
    assert watch_thread(None) == ([True, True], [False, False])


def test_thread_that_nobody_counts_passes_for_running() -> None:
    clock = Clock()
    watch = ThreadWatch(2**30, clock=clock)
    clock.now = 1000.0
    assert watch.runs()
