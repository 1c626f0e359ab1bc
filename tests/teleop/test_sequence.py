"""A list of commands, one a poll."""

import numpy as np
import pytest

from gym_hil.errors import ConfigurationError
from gym_hil.teleop import Event, TeleopCommand
from gym_hil.teleop.sequence import SequenceDevice


def test_commands_come_one_a_poll_and_then_it_lets_go():
    event = TeleopCommand(events=(Event.SUCCESS,))
    device = SequenceDevice([[0.5, 0, -1, 1], [0, 0, 0, 0.1, 0.2, 0.3, -1], event])
    first, second, third, fourth = (device.poll() for _ in range(4))
    np.testing.assert_array_equal(first.motion, [0.5, 0, -1, 0, 0, 0])
    assert (first.gripper, first.engaged) == (1, True)
    np.testing.assert_array_equal(second.motion, [0, 0, 0, 0.1, 0.2, 0.3])
    assert (second.gripper, second.engaged) == (-1, True)
    assert third is event
    assert not fourth.engaged
    device.reset()
    assert device.poll() is first
    assert device.describe() == "replay of 3  one command a step"


@pytest.mark.parametrize("row", [[1, 0, 0], [0, 0, 0, np.nan], [2, 0, 0, 0], [0] * 6])
def test_row_that_is_no_command_is_refused_by_its_number(row):
    with pytest.raises(ConfigurationError, match=r"commands\[1\]"):
        SequenceDevice([[0, 0, 0, 0], row])
