"""What holds for every device."""

import copy

import numpy as np
import pytest

from gym_hil.teleop import Device, TeleopCommand


class Silent(Device):
    def poll(self) -> TeleopCommand:
        return TeleopCommand()


def test_command_of_nobody_is_still() -> None:
    command = TeleopCommand()
    np.testing.assert_array_equal(command.motion, np.zeros(6))
    assert (command.gripper, command.engaged, command.events) == (0, False, ())


def test_command_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        TeleopCommand().gripper = 1  # type: ignore[misc]


def test_device_needs_nothing_but_an_answer() -> None:
    device = Silent.for_env(None)
    device.reset()
    device.seed(3)
    device.set_intervention("hold")
    device.close()
    assert device.describe() == ""
    assert not device.poll().engaged


def test_copy_of_a_device_is_the_device() -> None:
    device = Silent()
    assert copy.deepcopy({"device": device})["device"] is device
