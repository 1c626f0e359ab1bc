"""What holds for every device: the optional methods, and what becomes of it in a copied or pickled environment."""

from __future__ import annotations

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest

import gym_hil  # noqa: F401
from gym_hil.errors import DeviceError
from gym_hil.teleop import Device, DeviceGroup, InputDevice, TeleopCommand, make_device
from gym_hil.teleop.sequence import SequenceDevice


class Silent(Device):
    def __init__(self, answer: int = 0):
        self.answer = answer

    def poll(self) -> TeleopCommand:
        return TeleopCommand(gripper=self.answer)


def test_command_of_an_unused_device_is_still() -> None:
    command = TeleopCommand()
    np.testing.assert_array_equal(command.motion, np.zeros(6))
    assert (command.gripper, command.engaged, command.events) == (0, False, ())
    with pytest.raises(AttributeError):
        command.gripper = 1  # type: ignore[misc]


def test_only_poll_is_required() -> None:
    device = Silent.for_env(None, answer=1)
    device.reset()
    device.seed(3)
    device.set_intervention("hold")
    device.close()
    assert device.describe() == ""
    assert device.poll().gripper == 1


def test_copied_constructor_arguments_mean_the_same_device() -> None:
    device = Silent()
    assert copy.deepcopy({"device": device})["device"] is device


def make_env(device: object) -> gym.Env:
    return gym.make("gym_hil/PandaPickCube-v1", device=device)


@pytest.mark.parametrize("as_list", [False, True])
def test_scripted_operator_of_a_copied_environment_serves_the_copy(as_list: bool) -> None:
    env = make_env(["scripted"] if as_list else "scripted")
    for seed in range(3):
        env.reset(seed=seed)
        for _ in range(5):
            env.step(env.action_space.sample())
        copied = copy.deepcopy(env)
        for one in (copied, env):  # the copy first: the original has not moved on meanwhile
            info: dict = {}
            while not info.get("succeed"):
                *_, truncated, info = one.step(one.action_space.sample())
                assert info["is_intervention"]
                assert not truncated
        copied.close()
    env.close()


def test_environment_with_a_humans_device_says_that_it_cannot_be_copied() -> None:
    env = make_env([InputDevice(), SequenceDevice([[1, 0, 0, 0]])])
    env.reset(seed=0)
    with pytest.raises(DeviceError, match="This InputDevice cannot be copied with its environment"):
        copy.deepcopy(env)
    env.close()


def test_device_is_pickled_as_its_constructor_arguments() -> None:
    group = make_device([Silent(answer=1), SequenceDevice(iter([[1, 0, 0, 0]]))])
    group.poll()
    fresh = pickle.loads(pickle.dumps(group))
    assert isinstance(fresh, DeviceGroup)
    assert fresh.devices[0].poll().gripper == 1
    assert fresh.devices[1].poll().engaged  # from its first command


def test_device_that_observes_an_environment_is_not_pickled_without_it() -> None:
    env = make_env("scripted")
    with pytest.raises(DeviceError, match="ScriptedOperator made for one environment cannot be pickled"):
        pickle.dumps(env.get_wrapper_attr("device"))
    env.close()
