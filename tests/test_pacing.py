import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_hil.errors import ConfigurationError
from gym_hil.pacing import Pacer


class Time:
    """A clock that advances by sleeping and working only, and may sleep a little too long."""

    def __init__(self, oversleep=0.0):
        self.now, self.oversleep, self.slept = 100.0, oversleep, 0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.slept += 1
        self.now += max(seconds + self.oversleep, 0.0002)

    def work(self, seconds):
        self.now += seconds


def make_pacer(dt=0.1, oversleep=0.0, **options):
    clock = Time(oversleep)
    return Pacer(dt, clock=clock, sleep=clock.sleep, **options), clock


def test_errors_of_sleeping_do_not_add_up():
    pacer, clock = make_pacer(oversleep=0.004)
    for _ in range(100):
        clock.work(0.03)
        assert not pacer.wait()
    assert clock.now == pytest.approx(100 + 100 * 0.1 + 0.004)
    assert pacer.rate == pytest.approx(10, rel=1e-3)


def test_a_sleep_that_ends_early_is_continued():
    pacer, clock = make_pacer(oversleep=-0.0004)
    pacer.wait()
    assert clock.now >= 100.1
    assert clock.slept > 1


def test_a_short_delay_is_made_up_for():
    pacer, clock = make_pacer()
    clock.work(0.15)
    assert pacer.wait()
    clock.work(0.02)
    assert not pacer.wait()
    assert clock.now == pytest.approx(100.2)
    assert (pacer.steps, pacer.late_steps) == (2, 1)
    assert pacer.worst_delay == pytest.approx(0.05)


def test_a_long_stall_is_not_made_up_for():
    pacer, clock = make_pacer()
    clock.work(30)
    assert pacer.wait()
    for step in range(1, 4):
        assert not pacer.wait()
        assert clock.now == pytest.approx(130 + 0.1 * step)
    assert pacer.late_steps == 1


@pytest.mark.parametrize("left_out", [True, False])
def test_time_that_is_left_out_is_neither_late_nor_counted(left_out):
    pacer, clock = make_pacer()
    pacer.wait()
    clock.work(5)
    if left_out:
        pacer.leave_out(5)
    else:
        pacer.restart()
    clock.work(0.05)
    assert not pacer.wait()
    assert clock.now == pytest.approx(105.2)
    assert pacer.rate == pytest.approx(10)


@given(dt=st.floats(0.005, 1.0), works=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60))
def test_steps_are_never_closer_than_they_may_be(dt, works):
    pacer, clock = make_pacer(dt)
    begun, late = [clock.now], 0
    for work in works:
        clock.work(work * dt)
        late += pacer.wait()
        begun.append(clock.now)
    assert (pacer.steps, pacer.late_steps) == (len(works), late)
    # The schedule allows k steps within k times dt, and one more to make up for a delay.
    for number, start in enumerate(begun):
        for later, end in enumerate(begun[number:]):
            assert end - start >= (later - 1) * dt - 1e-9
    assert pacer.rate * dt <= 1 + 1e-9


def test_the_report_tells_rate_and_late_steps():
    pacer, clock = make_pacer()
    assert pacer.report() == "no steps"
    pacer.wait()
    assert pacer.report() == "1 steps at 10.00 Hz of 10.00 Hz, none late"
    clock.work(0.134)
    pacer.wait()
    assert "1 late (50.0%), the worst by 34 ms" in pacer.report()


@pytest.mark.parametrize("dt", [0, -0.1, float("inf"), float("nan")])
def test_a_step_of_no_length_is_refused(dt):
    with pytest.raises(ConfigurationError, match="dt is"):
        Pacer(dt)


@pytest.mark.skipif(sys.platform == "win32", reason="CPU time comes in ticks of 15.6 ms")
def test_it_sleeps_for_real_and_burns_no_core():
    pacer = Pacer(0.1)
    start, before = time.perf_counter(), time.thread_time()
    for _ in range(3):
        pacer.wait()
    assert time.perf_counter() - start >= 0.3
    assert time.thread_time() - before < 0.15
