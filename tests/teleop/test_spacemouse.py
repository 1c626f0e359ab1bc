"""A SpaceMouse from its bytes to the arm."""

import gc
import struct
import sys
import threading

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gym_hil  # noqa: F401
from gym_hil.errors import ConfigurationError
from gym_hil.teleop import Button, Event
from gym_hil.teleop.hid_reports import read_controls
from gym_hil.teleop.spacemouse import AXES, CONNEXION, FEW_KEYS_LAYOUTS, LOGITECH, MULTI_AXIS_CONTROLLER, SpaceMouse
from tests.teleop.clock import Clock
from tests.teleop.fake_hid import FakeHid
from tests.teleop.waiting import wait_for

COMPACT = (CONNEXION, 0xC635, "SpaceMouse Compact", MULTI_AXIS_CONTROLLER)
PRO = (LOGITECH, 0xC62B, "SpaceMouse Pro", MULTI_AXIS_CONTROLLER)
RIGHT, BACK, DOWN = range(3)  # what the cap's axes count


def axes(number, *counts):
    return struct.pack(f"<B{len(counts)}h", number, *counts)


def push(axis, counts):
    return axes(1, *(counts if k == axis else 0 for k in range(3)))


def turn(axis, counts):
    return axes(2, *(counts if k == axis else 0 for k in range(3)))


REST = [axes(1, 0, 0, 0), axes(2, 0, 0, 0)]
LEFT_KEY, RIGHT_KEY, BOTH_KEYS, NO_KEY = "03 01 00", "03 02 00", "03 03 00", "03 00 00"


@pytest.fixture
def unit(bus):
    return bus.plug(*COMPACT)


@pytest.fixture
def mouse(unit, clock):
    mouse = SpaceMouse(clock=clock)
    yield mouse
    mouse.close()


def cap(layouts, *reports):
    """The cap's axes after some reports, in the robot's base frame."""
    axes = {}
    for report in reports:
        axes.update(read_controls(layouts, report).axes)
    return [axes.get(name, 0.0) for name in AXES]


def test_reports_of_a_model_are_understood():
    # Published with CloudCompare's pull request 2339, from a Compact: right and down with a tilt.
    reports = [bytes.fromhex(report) for report in ("02 20 00 00 00 17 00", "01 12 00 00 00 f8 00")]
    np.testing.assert_allclose(np.array(cap(FEW_KEYS_LAYOUTS, *reports)) * 350, [0, -18, -248, 0, -32, -23], atol=1e-9)
    report = axes(1, 35, 70, 105, 140, 175, 210)  # newer models send six axes in one report
    np.testing.assert_allclose(cap(FEW_KEYS_LAYOUTS, report), [-0.2, -0.1, -0.3, -0.5, -0.4, -0.6])


@pytest.mark.parametrize(
    ("report", "component"),
    [
        pytest.param(push(BACK, -350), 0, id="pushing away moves forward"),
        pytest.param(push(RIGHT, -350), 1, id="pushing left moves left"),
        pytest.param(push(DOWN, -350), 2, id="lifting moves up"),
        pytest.param(turn(BACK, -350), 3, id="tilting to the right turns about forward"),
        pytest.param(turn(RIGHT, -350), 4, id="tilting away turns about left"),
        pytest.param(turn(DOWN, -350), 5, id="twisting counter-clockwise turns about up"),
    ],
)
def test_cap_moves_the_hand_the_same_way(mouse, unit, report, component):
    unit.send(report)
    np.testing.assert_array_equal(mouse.poll().motion, np.eye(6)[component])


def test_touching_the_cap_takes_over_and_leaving_it_lets_go(mouse, unit, clock):
    unit.send(push(DOWN, -35))  # within the dead zone
    assert not mouse.poll().engaged
    unit.send(push(DOWN, -70))
    command = mouse.poll()
    assert (command.engaged, command.motion[2]) == (True, pytest.approx(0.1 / 0.9))
    unit.send(*REST)
    assert mouse.poll().engaged
    clock.now += 0.6
    assert not mouse.poll().engaged
    unit.send(push(BACK, -350))
    assert mouse.poll().motion[0] == 1
    clock.now += 0.3  # a deflected cap that stops reporting is out of reach
    assert not mouse.poll().motion.any()


@pytest.mark.parametrize(
    ("model", "close", "open_", "none"),
    [(COMPACT, LEFT_KEY, RIGHT_KEY, NO_KEY), (PRO, "03 00 10 00 00", "03 00 20 00 00", "03 00 00 00 00")],
)
def test_buttons_close_and_open_the_gripper(bus, clock, model, close, open_, none):
    unit = bus.plug(*model)
    mouse = SpaceMouse(clock=clock)
    unit.send(close)
    for _ in range(3):
        assert mouse.poll().gripper == 1
        clock.now += 10  # held without further reports
    unit.send(open_)
    assert mouse.poll().gripper == -1
    unit.send(close, none)
    assert [mouse.poll().gripper, mouse.poll().gripper] == [1, 0]
    mouse.close()


@pytest.mark.parametrize("mode", ["auto", "toggle", "stay", "hold"])
@pytest.mark.parametrize("last", [LEFT_KEY, RIGHT_KEY])
def test_both_buttons_are_the_emergency_stop_in_every_mode(mouse, unit, mode, last):
    mouse.set_intervention(mode)
    assert ("both buttons", Button.STOP.value) in mouse.legend
    for stopped in (True, False):
        unit.send(BOTH_KEYS, last, NO_KEY)  # they never come up at once
        command = mouse.poll()
        assert (command.stopped, command.gripper, command.events) == (stopped, 0, ())
        assert not mouse.poll().motion.any()


def test_side_buttons_delete_and_quit_while_stopped(mouse, unit, clock):
    unit.send(BOTH_KEYS, NO_KEY)
    for key, event in ((LEFT_KEY, Event.DELETE_LAST), (RIGHT_KEY, Event.QUIT)):
        unit.send(key, NO_KEY)
        assert mouse.poll().events == ()
        assert "press again" in mouse.pending
        unit.send(key, NO_KEY)
        assert mouse.poll().events == (event,)
    for _ in range(2):  # stopped and released in a hurry: the first of two buttons does not count alone
        unit.send(LEFT_KEY, BOTH_KEYS, NO_KEY)
        assert mouse.poll().events == ()
    assert mouse.poll().stopped
    assert mouse.pending is None


def test_left_button_takes_over_where_touching_does_not_and_the_right_one_grips(mouse, unit):
    mouse.set_intervention("toggle")
    assert ("left button", "take over / hand back") in mouse.legend
    unit.send(push(BACK, -350))
    assert not mouse.poll().engaged
    unit.send(LEFT_KEY, NO_KEY, RIGHT_KEY, NO_KEY)
    command = mouse.poll()
    assert (command.engaged, command.gripper, command.motion[0]) == (True, 1, 1)
    unit.send(RIGHT_KEY, NO_KEY)
    assert mouse.poll().gripper == -1
    mouse.set_intervention("hold")
    for key, engaged in ((LEFT_KEY, True), (NO_KEY, False)):
        unit.send(key)
        assert mouse.poll().engaged == engaged


def test_keys_of_a_big_model_decide_about_episodes(bus, clock):
    unit = bus.plug(*PRO)
    mouse = SpaceMouse(clock=clock)
    assert ("key 3", Button.SUCCESS.value) in mouse.legend
    ends = {"03 00 40": Event.SUCCESS, "03 00 80": Event.FAILURE, "03 10 00": Event.RERECORD}
    for key, event in ends.items():
        unit.send(f"{key} 00 00", "03 00 00 00 00")
        assert mouse.poll().events == (event,)
    for key, event in {"03 00 00 80 00": Event.DELETE_LAST, "03 00 00 00 02": Event.QUIT}.items():
        unit.send(key, "03 00 00 00 00", key)
        assert mouse.poll().events == (event,)
    unit.send("03 00 00 40 00")
    assert mouse.poll().stopped
    mouse.close()


def test_reports_are_read_between_polls(mouse, unit):
    unit.send(LEFT_KEY, NO_KEY, *[push(BACK, -350)] * 200)
    wait_for(lambda: not unit.queue)
    command = mouse.poll()
    assert (command.gripper, command.motion[0]) == (1, 1.0)


def test_unplugging_lets_go_is_told_once_and_plugging_in_works_again(mouse, unit, bus, clock, caplog):
    unit.send(push(BACK, -350), LEFT_KEY)
    assert mouse.poll().engaged
    bus.unplug(unit)
    engaged = []
    for _ in range(20):
        command = mouse.poll()
        assert (command.motion.any(), command.gripper) == (False, 0)
        engaged.append(command.engaged)
        clock.now += 0.5
    assert engaged == [True] * 5 + [False] * 15
    assert [record.message for record in caplog.records] == [
        "The SpaceMouse Compact is gone: all its buttons count as released. Waiting for it to come back."
    ]
    bus.plug(*COMPACT).send(push(BACK, -350), LEFT_KEY)
    mouse.poll()
    command = mouse.poll()
    assert (command.motion[0], command.gripper, command.engaged) == (1, 1, True)


@pytest.mark.parametrize("forgotten", [True, False])
def test_closed_or_forgotten_mouse_stops_reading(unit, clock, forgotten):
    mouse = SpaceMouse(clock=clock)
    if not forgotten:
        mouse.close()
        mouse.close()
        unit.send(push(BACK, -350))
        clock.now += 10
        assert not mouse.poll().engaged
    del mouse
    gc.collect()
    wait_for(lambda: "gym_hil SpaceMouse" not in [thread.name for thread in threading.enumerate()])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="udev is Linux's")
def test_missing_mouse_is_told_once_and_one_without_permission_gets_a_moment(bus, clock, caplog):
    mouse = SpaceMouse(clock=clock)
    first = bus.looks
    for _ in range(100):
        clock.now += 0.125
        assert not mouse.poll().engaged
    assert bus.looks == 13 * first  # once a second
    unit = bus.plug(*COMPACT, openable=False)
    clock.now += 1
    mouse.poll()
    assert mouse.connected is None
    assert [record.message.split(";")[0] for record in caplog.records] == ["There is no SpaceMouse"]
    clock.now += 1
    mouse.poll()
    assert 'KERNEL=="hidraw*", KERNELS=="*:256F:C635.*", MODE="0660", TAG+="uaccess"' in caplog.text
    unit.openable = True
    clock.now += 1
    mouse.poll()
    assert caplog.records[-1].message == "SpaceMouse Compact is used."
    mouse.close()


@pytest.mark.parametrize(
    ("entry", "taken"),
    [
        ((LOGITECH, 0xC077, "USB Optical Mouse", (1, 2)), False),
        ((CONNEXION, 0xC656, "CadMouse", (1, 2)), False),
        ((LOGITECH, 0xC626, "SpaceNavigator", (0, 0)), True),
        ((LOGITECH, 0xC077, "USB Optical Mouse", (0, 0)), False),
        ((CONNEXION, 0xC6FF, "a later model", MULTI_AXIS_CONTROLLER), True),
    ],
)
def test_only_a_spacemouse_is_taken_for_one(bus, clock, entry, taken):
    bus.plug(*entry)
    mouse = SpaceMouse(clock=clock)
    assert (mouse.connected is not None) == taken
    mouse.close()


@pytest.mark.parametrize("deadzone", [-0.1, 1.0, float("nan")])
def test_impossible_dead_zone_is_refused(bus, deadzone):
    with pytest.raises(ConfigurationError, match="deadzone is"):
        SpaceMouse(deadzone=deadzone)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(st.sampled_from([0, 1, 2, 3]), st.none(), st.binary(min_size=1, max_size=20)), max_size=60))
def test_every_press_of_both_buttons_switches_exactly_once_whatever_else_comes(reports):
    with pytest.MonkeyPatch.context() as patch:
        unit = FakeHid().install(patch).plug(*COMPACT)
        mouse = SpaceMouse(clock=Clock())
    presses, before = 0, 0
    for report in [*reports, None]:
        if report is None:
            command = mouse.poll()
            assert command.stopped == (presses % 2 == 1)
            assert np.abs(command.motion).max() <= 1
        elif isinstance(report, int):
            unit.send([3, report, 0])
            presses += report == 3 and before != 3
            before = report
        elif report[:1] != b"\x03":
            unit.send(report)
    mouse.close()


def test_cap_moves_and_turns_the_arm(unit):
    name = "gym_hil/PandaPickCubeSpaceMouse-v0"
    env = gym.make(name, use_viewer=False, reset_delay_seconds=0, orientation=True)
    env.reset(seed=0)
    start = env.unwrapped.tcp_position.copy()
    for _ in range(8):
        unit.send(push(RIGHT, -350))
        info = env.step(np.zeros(7, np.float32))[4]
        assert info["is_intervention"]
    moved = env.unwrapped.tcp_position - start
    assert moved[1] > 0.1
    assert np.abs(moved[[0, 2]]).max() < 0.03
    unit.send(push(RIGHT, 0), turn(DOWN, -350))
    action = env.step(np.zeros(7, np.float32))[4]["action_intervention"]
    assert action[5] > 0
    np.testing.assert_allclose(action, [0, 0, 0, 0, 0, action[5], 1])
    env.close()
