"""Several devices: the first that is engaged drives until it lets go, and no device's events are lost."""

import inspect

import pytest

from gym_hil.errors import ConfigurationError
from gym_hil.teleop import Button, Device, DeviceGroup, Event, InputDevice
from gym_hil.teleop.input_state import RESUME_WITHIN
from tests.teleop.clock import Clock


@pytest.fixture
def pads():
    devices = [InputDevice(clock=lambda: 0.0) for _ in range(3)]
    for number, device in enumerate(devices, start=1):
        device.inputs.set_motion([number / 10] * 6)
    return devices


def driver(group):
    command = group.poll()
    assert command.engaged == bool(command.motion.any())
    return round(10 * command.motion[0])


def test_first_engaged_wins_until_it_lets_go(pads):
    group = DeviceGroup(pads)
    assert driver(group) == 0
    pads[1].inputs.tap(Button.INTERVENE)
    assert driver(group) == 2
    pads[0].inputs.tap(Button.INTERVENE)
    assert driver(group) == 2
    pads[1].inputs.tap(Button.INTERVENE)
    assert driver(group) == 1
    pads[0].inputs.tap(Button.INTERVENE)
    assert driver(group) == 0


def test_driver_that_is_gone_for_good_hands_over():
    clock = Clock()
    pads = [InputDevice(clock=clock, silence_timeout=10) for _ in range(2)]
    group = DeviceGroup(pads)
    for number, pad in enumerate(pads, start=1):
        pad.inputs.set_motion([number / 10] * 6)
        pad.inputs.tap(Button.INTERVENE)
    assert driver(group) == 1
    pads[0].inputs.disconnect()
    assert group.poll().engaged
    clock.now += RESUME_WITHIN + 0.1
    assert driver(group) == 2


@pytest.mark.parametrize("nested", [False, True])
def test_group_is_on_the_page_if_one_of_its_devices_is(pads, nested):
    class Page(InputDevice):
        on_page = True

    page = DeviceGroup([Page()]) if nested else Page()
    assert DeviceGroup([pads[0], page]).on_page
    assert not DeviceGroup(pads).on_page


def test_press_of_one_who_has_to_wait_is_not_stored_up(pads):
    group = DeviceGroup(pads)
    pads[0].inputs.tap(Button.INTERVENE)
    pads[1].inputs.tap(Button.CLOSE)
    assert group.poll().gripper == 0
    pads[1].inputs.tap(Button.INTERVENE)
    pads[0].inputs.tap(Button.INTERVENE)
    assert group.poll().gripper == 0


def test_group_passes_everything_on(pads):
    class Pad(InputDevice):
        bindings = {"A": Button.OPEN}  # noqa: RUF012
        closed = False

        def close(self):
            self.closed = True

    named = Pad(clock=lambda: 0.0)
    group = DeviceGroup([*pads, named])
    group.set_intervention("hold")
    named.inputs.press(Button.INTERVENE)
    pads[0].inputs.tap(Button.FAILURE)
    named.inputs.tap(Button.RERECORD)
    assert group.pending == "ends as a failure at the next step"
    command = group.poll()
    assert (command.engaged, command.events) == (True, (Event.FAILURE, Event.RERECORD))
    named.inputs.press(Button.SUCCESS)
    group.reset()
    assert group.poll().events == ()
    assert group.legend == [("A", "open the gripper")]
    group.close()
    assert named.closed


def test_empty_group_is_refused():
    with pytest.raises(ConfigurationError, match="at least one"):
        DeviceGroup([])


def test_emergency_stop_of_any_device_holds_the_robot_that_another_one_drives(pads):
    group = DeviceGroup(pads)
    pads[1].inputs.tap(Button.INTERVENE)
    assert driver(group) == 2
    pads[0].inputs.tap(Button.STOP)
    command = group.poll()
    assert (command.stopped, command.engaged, command.motion.any(), command.gripper) == (True, True, False, 0)
    pads[0].inputs.tap(Button.STOP)
    assert driver(group) == 2


def test_request_for_help_reaches_every_device(pads):
    asked = []
    for pad in pads:
        pad.ask_for_help = asked.append
    DeviceGroup(pads).ask_for_help(True)
    assert asked == [True] * 3


@pytest.mark.parametrize("method", ["observe", "seed", "set_intervention", "set_controls", "ask_for_help"])
def test_methods_have_the_signatures_of_a_device(method):
    assert inspect.signature(getattr(DeviceGroup, method)) == inspect.signature(getattr(Device, method))
    assert getattr(DeviceGroup, method).__name__ == method
