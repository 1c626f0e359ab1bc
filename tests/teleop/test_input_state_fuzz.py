"""Whatever is pressed in whatever order, each press counts once and silence stops everything."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_hil.teleop import Button, Event, InputState
from gym_hil.teleop.input_state import EVENTS, SILENCE_TIMEOUT
from tests.teleop.clock import Clock

REPORTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["press", "release", "tap"]), st.sampled_from(list(Button))),
        st.tuples(st.just("wait"), st.floats(0, 0.6)),
        st.tuples(st.sampled_from(["poll", "heartbeat"]), st.none()),
        st.tuples(st.just("move"), st.lists(st.floats(-2, 2), min_size=6, max_size=6)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(REPORTS)
def test_every_press_is_delivered_exactly_once_and_silence_always_stops(reports: list) -> None:
    clock = Clock()
    latch = InputState(clock=clock)
    pressed: list[Event] = []
    delivered: list[Event] = []
    down: set[Button] = set()
    last_word = -math.inf

    def hear() -> None:
        nonlocal last_word
        if clock.now - last_word > SILENCE_TIMEOUT:
            down.clear()
        last_word = clock.now

    def poll() -> None:
        command = latch.poll()
        delivered.extend(command.events)
        assert np.abs(command.motion).max() <= 1
        if clock.now - last_word > SILENCE_TIMEOUT:
            assert not command.motion.any()
            assert (command.gripper, command.engaged) == (0, False)

    for what, value in reports:
        if what == "poll":
            poll()
        elif what == "wait":
            clock.now += value
        else:
            hear()
        if what == "heartbeat":
            latch.heartbeat()
        elif what == "move":
            latch.set_motion(value)
        elif what in ("press", "tap"):
            if value in EVENTS and (what == "tap" or value not in down):
                pressed.append(EVENTS[value])
            if what == "press":
                down.add(value)
            getattr(latch, what)(value)
        elif what == "release":
            down.discard(value)
            latch.release(value)
    poll()
    assert delivered == pressed


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.sampled_from([Button.CLOSE, Button.OPEN, Button.UP]))
def test_button_tapped_between_polls_acts_for_exactly_one_poll(taps: list[int], button: Button) -> None:
    latch = InputState(clock=Clock())
    for count in taps:
        for _ in range(count):
            latch.tap(button)
        command = latch.poll()
        assert (command.gripper != 0 or command.motion.any()) == (count > 0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_toggle_counts_every_press(taps: list[int]) -> None:
    latch = InputState(clock=Clock())
    total = 0
    for count in taps:
        for _ in range(count):
            latch.tap(Button.INTERVENE)
        total += count
        latch.heartbeat()
        assert latch.poll().engaged == (total % 2 == 1)
