"""What is pressed between two polls counts once; a device that goes silent lets go of everything."""

import math
import threading

import numpy as np
import pytest

from gym_hil.errors import ConfigurationError, DeviceError
from gym_hil.teleop import Button, Event, InputDevice, InputState
from gym_hil.teleop.input_state import DIRECTIONS, EVENTS, SILENCE_TIMEOUT
from tests.teleop.clock import Clock

STICK = [0.5, -0.25, 0, 0, 0, 1]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def latch(clock: Clock) -> InputState:
    return InputState(clock=clock)


@pytest.mark.parametrize("button", EVENTS)
def test_event_pressed_and_released_between_two_polls_is_delivered_once(latch: InputState, button: Button) -> None:
    latch.press(button)
    latch.release(button)
    assert latch.poll().events == (EVENTS[button],)
    assert latch.poll().events == ()


def test_held_event_button_is_delivered_once(latch: InputState) -> None:
    latch.press(Button.SUCCESS)
    assert [latch.poll().events for _ in range(3)] == [(Event.SUCCESS,), (), ()]


def test_events_come_in_the_order_of_pressing(latch: InputState) -> None:
    for button in (Button.RERECORD, Button.QUIT, Button.RERECORD, Button.FAILURE):
        latch.tap(button)
    assert latch.poll().events == (Event.RERECORD, Event.QUIT, Event.RERECORD, Event.FAILURE)


def test_key_that_repeats_itself_is_one_press(latch: InputState) -> None:
    for _ in range(5):
        latch.press(Button.SUCCESS)
    assert latch.poll().events == (Event.SUCCESS,)


@pytest.mark.parametrize(("button", "direction"), [(Button.OPEN, -1), (Button.CLOSE, 1)])
def test_gripper_press_shorter_than_a_step_acts_for_one_poll(latch: InputState, button: Button, direction: int) -> None:
    latch.tap(button)
    assert [latch.poll().gripper for _ in range(2)] == [direction, 0]


def test_held_gripper_button_acts_until_released(latch: InputState) -> None:
    latch.press(Button.CLOSE)
    assert [latch.poll().gripper for _ in range(3)] == [1, 1, 1]
    latch.release(Button.CLOSE)
    assert latch.poll().gripper == 0


def test_gripper_button_pressed_last_wins_and_the_held_one_comes_back(latch: InputState) -> None:
    latch.press(Button.CLOSE)
    latch.poll()
    latch.tap(Button.OPEN)
    assert [latch.poll().gripper for _ in range(2)] == [-1, 1]


@pytest.mark.parametrize("button", DIRECTIONS)
def test_tapped_direction_moves_for_one_poll(latch: InputState, button: Button) -> None:
    axis, sign = DIRECTIONS[button]
    expected = np.zeros(6)
    expected[axis] = sign
    latch.tap(button)
    np.testing.assert_array_equal(latch.poll().motion, expected)
    assert not latch.poll().motion.any()


def test_opposite_directions_cancel(latch: InputState) -> None:
    latch.press(Button.LEFT)
    latch.press(Button.RIGHT)
    assert not latch.poll().motion.any()


def test_motion_is_the_latest_and_stays_within_full_speed(latch: InputState) -> None:
    latch.set_motion([0.1] * 6)
    latch.set_motion([0.9, -7, 0, 0, 0, 0])
    latch.press(Button.FORWARD)
    np.testing.assert_array_equal(latch.poll().motion, [1, -1, 0, 0, 0, 0])


@pytest.mark.parametrize("motion", [[0.0] * 5, [math.nan] * 6, [math.inf, 0, 0, 0, 0, 0]])
def test_motion_that_is_no_motion_is_refused_and_changes_nothing(latch: InputState, motion: list[float]) -> None:
    latch.set_motion(STICK)
    with pytest.raises(DeviceError, match="6 finite numbers"):
        latch.set_motion(motion)
    np.testing.assert_array_equal(latch.poll().motion, STICK)


def test_command_is_the_callers_own(latch: InputState) -> None:
    latch.set_motion(STICK)
    latch.poll().motion[:] = 9
    np.testing.assert_array_equal(latch.poll().motion, STICK)


def test_toggle_switches_with_each_press_however_short(latch: InputState) -> None:
    latch.tap(Button.INTERVENE)
    assert latch.poll().engaged
    assert latch.poll().engaged
    latch.tap(Button.INTERVENE)
    assert not latch.poll().engaged


def test_hold_engages_while_held_and_at_least_for_one_poll(clock: Clock) -> None:
    latch = InputState("hold", clock=clock)
    latch.press(Button.INTERVENE)
    assert [latch.poll().engaged for _ in range(3)] == [True] * 3
    latch.release(Button.INTERVENE)
    assert not latch.poll().engaged
    latch.tap(Button.INTERVENE)
    assert [latch.poll().engaged for _ in range(2)] == [True, False]


@pytest.mark.parametrize("button", [Button.UP, Button.CLOSE])
def test_auto_engages_on_any_motion_or_gripper_input(clock: Clock, button: Button) -> None:
    latch = InputState("auto", clock=clock)
    latch.tap(button)
    engaged = []
    for _ in range(7):
        engaged.append(latch.poll().engaged)
        clock.now += 0.125
        latch.heartbeat()
    assert engaged == [True] * 4 + [False] * 3


@pytest.mark.parametrize("mode", ["toggle", "hold", "auto"])
def test_silence_stops_motion_gripper_and_intervention(clock: Clock, mode: str) -> None:
    latch = InputState(mode, clock=clock)
    latch.set_motion(STICK)
    latch.press(Button.CLOSE)
    latch.press(Button.INTERVENE)
    assert latch.poll().engaged
    clock.now += SILENCE_TIMEOUT + 0.01
    command = latch.poll()
    assert not command.motion.any()
    assert (command.gripper, command.engaged) == (0, False)


def test_held_button_stays_held_as_long_as_the_device_is_alive(clock: Clock) -> None:
    latch = InputState("hold", clock=clock)
    latch.press(Button.INTERVENE)
    latch.set_motion(STICK)
    for _ in range(100):
        clock.now += 0.9 * SILENCE_TIMEOUT
        latch.heartbeat()
        command = latch.poll()
        assert command.engaged
        np.testing.assert_array_equal(command.motion, STICK)


def test_first_word_after_silence_brings_nothing_back(clock: Clock, latch: InputState) -> None:
    latch.set_motion(STICK)
    latch.press(Button.CLOSE)
    latch.tap(Button.INTERVENE)
    clock.now += 1
    latch.heartbeat()
    command = latch.poll()
    assert not command.motion.any()
    assert (command.gripper, command.engaged) == (0, False)


def test_event_pressed_before_the_silence_is_still_delivered(clock: Clock, latch: InputState) -> None:
    latch.tap(Button.FAILURE)
    clock.now += 10
    assert latch.poll().events == (Event.FAILURE,)


def test_device_that_says_it_is_gone_is_silent_at_once(latch: InputState) -> None:
    latch.set_motion(STICK)
    latch.tap(Button.INTERVENE)
    latch.silence()
    command = latch.poll()
    assert not command.motion.any()
    assert not command.engaged


def test_device_that_never_spoke_is_silent(latch: InputState) -> None:
    assert not latch.poll().engaged


def test_reset_clears_what_is_pending_and_ends_the_intervention(latch: InputState) -> None:
    latch.tap(Button.INTERVENE)
    latch.poll()
    latch.tap(Button.SUCCESS)
    latch.tap(Button.CLOSE)
    latch.tap(Button.UP)
    latch.reset()
    command = latch.poll()
    assert command.events == ()
    assert (command.gripper, command.engaged) == (0, False)
    assert not command.motion.any()


def test_reset_drops_a_pending_press_of_the_toggle(latch: InputState) -> None:
    latch.tap(Button.INTERVENE)
    latch.reset()
    assert not latch.poll().engaged


def test_reset_does_not_let_go_of_held_buttons(clock: Clock) -> None:
    latch = InputState("hold", clock=clock)
    latch.press(Button.INTERVENE)
    latch.press(Button.CLOSE)
    latch.press(Button.UP)
    latch.press(Button.SUCCESS)
    latch.reset()
    command = latch.poll()
    assert (command.engaged, command.gripper, command.motion[2]) == (True, 1, 1)
    assert command.events == ()


def test_states_are_as_good_as_changes(latch: InputState) -> None:
    latch.set_held([Button.CLOSE, Button.SUCCESS])
    latch.set_held([Button.CLOSE, Button.SUCCESS])
    latch.set_held([])
    command = latch.poll()
    assert (command.gripper, command.events) == (1, (Event.SUCCESS,))
    assert latch.poll().gripper == 0


def test_button_still_down_after_silence_is_no_new_press(clock: Clock, latch: InputState) -> None:
    down = [Button.INTERVENE, Button.SUCCESS, Button.CLOSE]
    latch.set_held(down)
    latch.poll()
    clock.now += 1
    assert not latch.poll().engaged
    latch.set_held(down)
    command = latch.poll()
    assert (command.engaged, command.events, command.gripper) == (False, (), 1)
    latch.set_held([])
    latch.set_held(down)
    command = latch.poll()
    assert (command.engaged, command.events) == (True, (Event.SUCCESS,))


def test_button_pressed_anew_after_silence_counts(clock: Clock, latch: InputState) -> None:
    latch.press(Button.SUCCESS)
    latch.poll()
    clock.now += 1
    latch.press(Button.SUCCESS)
    assert latch.poll().events == (Event.SUCCESS,)


def test_unknown_mode_is_refused_and_keeps_the_old_one(latch: InputState) -> None:
    with pytest.raises(ConfigurationError, match="'sometimes'"):
        InputState("sometimes")
    with pytest.raises(ConfigurationError, match="'toggle', 'hold', 'auto'"):
        latch.set_intervention("sometimes")
    latch.tap(Button.INTERVENE)
    assert latch.poll().engaged


def test_changing_the_mode_lets_go(latch: InputState) -> None:
    latch.tap(Button.INTERVENE)
    assert latch.poll().engaged
    latch.set_intervention("hold")
    assert not latch.poll().engaged


def test_presses_from_many_threads_are_all_delivered_once() -> None:
    latch = InputState(clock=lambda: 0.0)
    delivered = []

    def press() -> None:
        for _ in range(500):
            latch.tap(Button.SUCCESS)

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        delivered.extend(latch.poll().events)
    delivered.extend(latch.poll().events)
    assert len(delivered) == 2000


class Pad(InputDevice):
    bindings = {"left stick": "move in x and y", "RB": Button.INTERVENE, "Y": Button.SUCCESS}  # noqa: RUF012

    def read(self) -> None:
        self.inputs.tap(Button.SUCCESS)


def test_device_reads_before_it_answers() -> None:
    assert Pad(clock=Clock()).poll().events == (Event.SUCCESS,)


def test_legend_comes_from_the_bindings_and_the_mode() -> None:
    pad = Pad()
    assert pad.describe().splitlines() == [
        "left stick  move in x and y",
        "RB          take over / hand back",
        "Y           end the episode as a success",
    ]
    pad.set_intervention("hold")
    assert ("RB", "drive while held") in pad.legend
