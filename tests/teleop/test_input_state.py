"""What is pressed between two polls counts once; silence stops motion at once and the intervention after a while."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_hil.errors import ConfigurationError, DeviceError
from gym_hil.teleop import Button, Event, InputDevice, InputState
from gym_hil.teleop.input_state import (
    CONFIRM_WITHIN,
    CONFIRMED,
    DIRECTIONS,
    EVENTS,
    RESUME_WITHIN,
    SILENCE_TIMEOUT,
    apply_deadzone,
)
from tests.teleop.clock import Clock
from tests.teleop.hardware import PLAIN

STICK = [0.5, -0.25, 0, 0, 0, 1]
MODES = ["toggle", "stay", "hold", "auto"]


@pytest.fixture
def inputs(clock):
    return InputState(clock=clock)


@pytest.mark.parametrize("button", [button for button in EVENTS if button not in CONFIRMED])
def test_event_is_delivered_once_however_long_it_is_held(inputs, clock, button):
    inputs.tap(button)
    inputs.press(button)
    inputs.press(button)  # a key that repeats itself
    inputs.set_held([button])
    clock.now += 10  # silence
    assert [inputs.poll().events for _ in range(2)] == [(EVENTS[button],) * 2, ()]


def test_events_come_in_the_order_of_pressing(inputs):
    for button in (Button.RERECORD, Button.SUCCESS, Button.RERECORD, Button.FAILURE):
        inputs.tap(button)
    assert inputs.pending == "ends as a failure at the next step"  # the last decides
    assert inputs.poll().events == (Event.RERECORD, Event.SUCCESS, Event.RERECORD, Event.FAILURE)
    assert inputs.pending is None


@pytest.mark.parametrize("button", CONFIRMED)
def test_quit_and_delete_count_when_pressed_twice_and_say_so_meanwhile(inputs, clock, button):
    inputs.tap(button)
    assert inputs.poll().events == ()
    assert inputs.pending == CONFIRMED[button]
    clock.now += CONFIRM_WITHIN + 0.1
    assert inputs.pending is None
    inputs.tap(button)  # too late to be the second press
    assert inputs.poll().events == ()
    inputs.tap(button)
    assert inputs.poll().events == (EVENTS[button],)
    inputs.tap(button)
    assert inputs.poll().events == ()


def test_presses_of_two_buttons_confirm_neither(inputs):
    for button in (Button.QUIT, Button.DELETE_LAST, Button.QUIT):
        inputs.tap(button)
    assert inputs.poll().events == ()


@pytest.mark.parametrize("mode", MODES)
def test_emergency_stop_holds_still_until_it_is_released(clock, mode):
    inputs = InputState(mode, clock=clock)
    inputs.set_motion(STICK)
    inputs.press(Button.INTERVENE)
    assert inputs.poll().motion.any()
    inputs.tap(Button.STOP)
    inputs.tap(Button.FAILURE)
    command = inputs.poll()
    assert (command.engaged, command.stopped, command.gripper, command.motion.any()) == (True, True, 0, False)
    assert command.events == (Event.FAILURE,)
    inputs.reset()
    clock.now += 100  # silence
    assert inputs.poll().stopped
    inputs.tap(Button.STOP)
    command = inputs.poll()
    assert (command.stopped, command.engaged) == (False, False)


def test_operator_who_stays_drives_in_the_next_episode_too(inputs, clock):
    inputs.set_intervention("stay")
    inputs.tap(Button.INTERVENE)
    assert inputs.poll().engaged
    inputs.reset()
    assert inputs.poll().engaged
    clock.now += RESUME_WITHIN + 0.1
    assert not inputs.poll().engaged


def test_button_is_down_while_any_of_its_sources_is(inputs):
    inputs.press(Button.FORWARD, "w")
    inputs.press(Button.FORWARD, "up")
    inputs.release(Button.FORWARD, "w")
    assert [inputs.poll().motion[0] for _ in range(2)] == [1, 1]
    inputs.release(Button.FORWARD, "up")
    assert inputs.poll().motion[0] == 0
    assert inputs.press_count == 1


def test_newest_gripper_press_wins_and_acts_for_at_least_one_poll(inputs):
    inputs.press(Button.CLOSE)
    assert [inputs.poll().gripper for _ in range(2)] == [1, 1]
    inputs.tap(Button.OPEN)
    assert [inputs.poll().gripper for _ in range(2)] == [-1, 1]
    inputs.release(Button.CLOSE)
    assert inputs.poll().gripper == 0


@pytest.mark.parametrize("button", DIRECTIONS)
def test_tapped_direction_moves_for_one_poll(inputs, button):
    axis, sign = DIRECTIONS[button]
    inputs.tap(button)
    np.testing.assert_array_equal(inputs.poll().motion, sign * np.eye(6)[axis])
    assert not inputs.poll().motion.any()


def test_motion_is_the_latest_with_directions_added_and_clipped(inputs):
    inputs.set_motion([0.1] * 6)
    inputs.set_motion([0.9, -7, 0, 0, 0, 0])
    for button in (Button.FORWARD, Button.UP, Button.DOWN):
        inputs.press(button)
    np.testing.assert_array_equal(inputs.poll().motion, [1, -1, 0, 0, 0, 0])


@pytest.mark.parametrize("motion", [[0.0] * 5, [math.nan] * 6, [math.inf, 0, 0, 0, 0, 0]])
def test_invalid_motion_is_refused_and_changes_nothing(inputs, motion):
    inputs.set_motion(STICK)
    with pytest.raises(DeviceError, match="6 finite numbers"):
        inputs.set_motion(motion)
    inputs.poll().motion[:] = 9  # the command is the caller's own
    np.testing.assert_array_equal(inputs.poll().motion, STICK)


@pytest.mark.parametrize(
    ("mode", "reports", "engaged"),
    [
        ("toggle", ["tap", "", "tap", "", "tap tap", "UP"], [True, True, False, False, False, False]),
        ("hold", ["press", "", "release", "tap", "", "UP"], [True, True, False, True, False, False]),
        ("auto", ["UP", "", "", "", "", "CLOSE", "tap"], [True, True, True, True, False, True, True]),
        ("auto", ["tap", "press"], [False, False]),
    ],
)
def test_mode_decides_who_drives(clock, mode, reports, engaged):
    inputs, got = InputState(mode, clock=clock), []
    for words in reports:
        inputs.heartbeat()
        for word in words.split():
            if word.islower():
                getattr(inputs, word)(Button.INTERVENE)
            else:
                inputs.tap(Button[word])
        got.append(inputs.poll().engaged)
        clock.now += 0.125
    assert got == engaged


def drive(inputs):
    """Take over in any mode, with a stick and a button."""
    inputs.set_motion(STICK)
    inputs.set_held([Button.CLOSE, Button.INTERVENE])
    assert inputs.poll().engaged


def outcome(inputs):
    command = inputs.poll()
    return bool(command.motion.any()), command.gripper, command.engaged


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("says_so", [True, False], ids=["disconnect", "timeout"])
def test_silence_stops_at_once_and_ends_the_intervention_after_a_while(clock, mode, says_so):
    inputs = InputState(mode, clock=clock)
    drive(inputs)
    if says_so:
        inputs.disconnect()
    else:
        clock.now += SILENCE_TIMEOUT + 0.01
    assert outcome(inputs) == (False, 0, True)
    clock.now += RESUME_WITHIN - SILENCE_TIMEOUT - 0.02
    assert outcome(inputs) == (False, 0, True)
    clock.now += SILENCE_TIMEOUT + 0.04
    assert outcome(inputs) == (False, 0, False)


@pytest.mark.parametrize("mode", MODES)
def test_intervention_goes_on_when_the_device_comes_back_in_time(clock, mode):
    inputs = InputState(mode, clock=clock)
    drive(inputs)
    for _ in range(3):
        inputs.disconnect()
        clock.now += 0.9 * RESUME_WITHIN
        assert outcome(inputs) == (False, 0, True)
        inputs.set_motion(STICK)
        inputs.set_held([Button.CLOSE, Button.INTERVENE])
        assert outcome(inputs) == (True, 1, True)


@pytest.mark.parametrize("polled", [True, False])
def test_device_that_comes_back_too_late_does_not_drive(clock, inputs, polled):
    drive(inputs)
    clock.now += RESUME_WITHIN + 0.01
    if polled:
        assert outcome(inputs) == (False, 0, False)
    inputs.heartbeat()
    assert outcome(inputs) == (False, 0, False)


def test_held_button_stays_held_as_long_as_the_device_is_connected(clock):
    inputs = InputState("hold", clock=clock)
    inputs.press(Button.INTERVENE)
    inputs.set_motion(STICK)
    for _ in range(100):
        clock.now += 0.9 * SILENCE_TIMEOUT
        inputs.heartbeat()
        command = inputs.poll()
        assert command.engaged
        np.testing.assert_array_equal(command.motion, STICK)


def test_button_still_down_after_silence_is_no_new_press(clock, inputs):
    down = [Button.INTERVENE, Button.SUCCESS, Button.CLOSE]
    inputs.set_motion(STICK)
    inputs.set_held(down)
    inputs.poll()
    clock.now += 1
    inputs.heartbeat()
    assert outcome(inputs) == (False, 0, True)  # the first report restores neither motion nor buttons
    inputs.set_held(down)
    command = inputs.poll()
    assert (command.engaged, command.events, command.gripper) == (True, (), 1)
    inputs.set_held([])
    inputs.press(Button.SUCCESS)
    inputs.press(Button.INTERVENE)
    command = inputs.poll()
    assert (command.engaged, command.events) == (False, (Event.SUCCESS,))


@pytest.mark.parametrize("start", ["reset", "start_episode"])
def test_nothing_pressed_before_an_episode_counts_but_who_drives(inputs, start):
    for button in (Button.SUCCESS, Button.CLOSE, Button.UP, Button.INTERVENE):
        inputs.tap(button)
    getattr(inputs, start)()
    command = inputs.poll()
    assert (command.events, command.motion.any(), command.gripper) == ((), False, 0)
    assert command.engaged == (start == "start_episode")
    inputs.reset()
    assert not inputs.poll().engaged


def test_reset_leaves_held_buttons_held(clock):
    inputs = InputState("hold", clock=clock)
    for button in (Button.INTERVENE, Button.CLOSE, Button.UP, Button.SUCCESS):
        inputs.press(button)
    inputs.reset()
    command = inputs.poll()
    assert (command.engaged, command.gripper, command.motion[2]) == (True, 1, 1)
    assert command.events == ()


def test_unknown_mode_is_refused_and_keeps_the_old_one(inputs):
    with pytest.raises(ConfigurationError, match="'toggle', 'stay', 'hold', 'auto'"):
        inputs.set_intervention("sometimes")
    inputs.tap(Button.INTERVENE)
    assert inputs.poll().engaged
    inputs.set_intervention("hold")
    assert not inputs.poll().engaged


def test_presses_from_many_threads_are_all_delivered_once():
    inputs = InputState(clock=lambda: 0.0)
    delivered = []

    def press():
        for _ in range(500):
            inputs.tap(Button.SUCCESS)

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        delivered.extend(inputs.poll().events)
    delivered.extend(inputs.poll().events)
    assert len(delivered) == 2000


REPORTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["press", "release", "tap"]), st.sampled_from(PLAIN)),
        st.tuples(st.just("wait"), st.floats(0, 0.6)),
        st.tuples(st.sampled_from(["poll", "heartbeat"]), st.none()),
        st.tuples(st.just("set_motion"), st.lists(st.floats(-2, 2), min_size=6, max_size=6)),
    ),
    max_size=60,
)


@given(REPORTS)
def test_any_reports_deliver_every_press_once_and_silence_always_stops(reports):
    clock = Clock()
    inputs = InputState(clock=clock)
    pressed: list[Event] = []
    delivered: list[Event] = []
    down: set[Button] = set()
    last_report = -math.inf
    for what, value in [*reports, ("poll", None)]:
        if what == "wait":
            clock.now += value
            continue
        is_silent = clock.now - last_report > SILENCE_TIMEOUT
        if what == "poll":
            command = inputs.poll()
            delivered.extend(command.events)
            assert np.abs(command.motion).max() <= 1
            if is_silent:
                assert (bool(command.motion.any()), command.gripper) == (False, 0)
            if clock.now - last_report > RESUME_WITHIN:
                assert not command.engaged
            continue
        if is_silent:
            down.clear()
        last_report = clock.now
        if what == "tap" or (what == "press" and value not in down):
            pressed += [EVENTS[value]] if value in EVENTS else []
        if what == "press":
            down.add(value)
        elif what == "release":
            down.discard(value)
        getattr(inputs, what)(*() if value is None else (value,))
    assert delivered == pressed


@pytest.mark.parametrize(
    ("value", "expected"), [(0.05, 0.0), (-0.1, 0.0), (0.55, 0.5), (-0.55, -0.5), (1.0, 1.0), (-1.0, -1.0)]
)
def test_deadzone_is_cut_out_and_the_rest_stretched(value, expected):
    assert apply_deadzone(value, 0.1) == pytest.approx(expected)
    assert math.copysign(1, apply_deadzone(-0.05, 0.1)) == 1  # no negative zero


class Pad(InputDevice):
    bindings = {"left stick": "move in x and y", "RB": Button.INTERVENE, "Y": Button.SUCCESS}  # noqa: RUF012

    def read(self):
        self.inputs.tap(Button.SUCCESS)


def test_device_reads_before_it_answers_and_before_it_forgets():
    pad = Pad(clock=Clock())
    assert pad.poll().events == (Event.SUCCESS,)
    pad.reset()
    assert pad.inputs.poll().events == ()


def test_legend_comes_from_the_bindings_and_the_mode():
    pad = Pad()
    assert pad.describe().splitlines() == [
        "left stick  move in x and y",
        "RB          take over / hand back",
        "Y           end the episode as a success",
    ]
    pad.set_intervention("hold")
    assert ("RB", "drive while held") in pad.legend
