"""Devices by name."""

import pytest

from gym_hil.errors import ConfigurationError, UnknownDeviceError
from gym_hil.teleop import DEVICES, Button, DeviceGroup, InputDevice, make_device
from gym_hil.teleop.sequence import SequenceDevice


def test_name_makes_its_device_with_the_options() -> None:
    device = make_device("sequence", commands=[[1, 0, 0, 0]])
    assert isinstance(device, SequenceDevice)
    assert device.poll().engaged


def test_device_is_taken_as_it_is() -> None:
    pad = InputDevice(intervention="hold", clock=lambda: 0.0)
    assert make_device(pad) is pad
    pad.inputs.press(Button.INTERVENE)
    assert [pad.poll().engaged, pad.poll().engaged] == [True, True]


def test_mode_of_intervention_is_passed_on() -> None:
    pad = InputDevice(clock=lambda: 0.0)
    make_device(pad, intervention="auto")
    pad.inputs.press(Button.UP)
    assert pad.poll().engaged


def test_list_makes_a_group_and_each_gets_the_options_it_knows() -> None:
    pad = InputDevice()
    group = make_device([pad, "sequence"], commands=[])
    assert isinstance(group, DeviceGroup)
    assert group.devices[0] is pad
    assert isinstance(group.devices[1], SequenceDevice)


@pytest.mark.parametrize("device", ["telepathy", ["sequence", "telepathy"], "Sequence"])
def test_unknown_name_lists_the_available_ones(device: object) -> None:
    with pytest.raises(UnknownDeviceError, match="'scripted', 'sequence'"):
        make_device(device, commands=[])  # type: ignore[arg-type]


def test_thing_that_is_no_device_is_refused() -> None:
    with pytest.raises(UnknownDeviceError, match="expected a name"):
        make_device(7)  # type: ignore[arg-type]


def test_unknown_option_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'speed'.*commands"):
        make_device("sequence", commands=[], speed=3)


def test_options_cannot_be_set_on_a_device_that_exists() -> None:
    with pytest.raises(ConfigurationError, match="No device given by name"):
        make_device(InputDevice(), silence_timeout=1)


def test_unknown_mode_is_refused_even_where_it_has_no_use() -> None:
    with pytest.raises(ConfigurationError, match="'sometimes'"):
        make_device("sequence", commands=[], intervention="sometimes")


def test_a_new_device_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEVICES, "pad", "gym_hil.teleop.input_state:InputDevice")
    assert isinstance(make_device("pad", intervention="hold"), InputDevice)
