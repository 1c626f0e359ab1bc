"""Devices by name."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gym_hil.cli import doctor, main
from gym_hil.errors import ConfigurationError, UnknownDeviceError
from gym_hil.registration import Version, register_task
from gym_hil.teleop import DEVICES, Button, Device, DeviceEntry, DeviceGroup, InputDevice, TeleopCommand, make_device
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


class Pedals(Device):
    """A device that drives forward all the time."""

    human = False

    def poll(self) -> TeleopCommand:
        return TeleopCommand(np.eye(6)[0], engaged=True)


def made_for(env: Any, pushes: int = 0) -> Device:
    """A user's function; see the tests below."""
    return SequenceDevice([[1, 0, 0, 0]] * pushes)


def no_device(env: Any) -> int:
    return 1 // env.zero


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch) -> str:
    """This module, as one that can be imported by name."""
    monkeypatch.setitem(sys.modules, "users_devices", sys.modules[__name__])
    return "users_devices"


def test_a_class_or_function_of_the_user_makes_a_device(users: str) -> None:
    options = {"pushes": 1}
    env = gym.make("gym_hil/PandaPickCube-v1", device=[f"{users}:made_for", f"{users}:Pedals"], device_options=options)
    group = env.get_wrapper_attr("device")
    assert [type(device) for device in group.devices] == [SequenceDevice, Pedals]
    assert group.devices[0].poll().engaged
    env.close()


def test_a_function_that_makes_no_device_is_an_error(users: str) -> None:
    with pytest.raises(ConfigurationError, match=r"AttributeError: .*zero.*test_registry.py, line \d+"):
        make_device(f"{users}:no_device")
    with pytest.raises(ConfigurationError, match=r"returns UserDict; expected a gym_hil\.Device"):
        make_device("collections:UserDict", env={})
    with pytest.raises(ConfigurationError, match=r"TypeError.*commands.*for_env"):
        make_device("gym_hil.teleop.sequence:SequenceDevice")


@pytest.fixture
def pedals(monkeypatch: pytest.MonkeyPatch) -> DeviceEntry:
    """A new device, added by its one line, with ids made from it."""
    entry = DeviceEntry(f"{__name__}:Pedals", "Pedals", "two foot pedals")
    monkeypatch.setitem(DEVICES, "pedals", entry)
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    version = Version(3, {})
    register_task("PandaPedalled", "gym_hil.envs:PandaPickCubeGymEnv", [version])
    return entry


def test_a_new_device_has_ids(pedals: DeviceEntry) -> None:
    env = gym.make("gym_hil/PandaPedalledPedals-v0")
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[4]["is_intervention"]
    env.close()


def test_a_new_device_can_be_chosen_for_a_command(pedals: DeviceEntry, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["teleop", "--help"])
    assert "pedals" in capsys.readouterr().out
    assert main(["teleop", "--device", "pedals", "--no-viewer", "--episodes", "1", "--max-episode-steps", "2"]) == 0
    assert "2 steps, 2 of them yours" in capsys.readouterr().out


def test_a_new_device_can_be_chosen_for_training(pedals: DeviceEntry) -> None:
    pytest.importorskip("torch", reason="needs the extra `train`")
    from hil_trainer.config import OperatorConfig, TrainConfig
    from hil_trainer.rollout.env import RolloutEnv

    env = RolloutEnv(TrainConfig(operator=OperatorConfig(device="pedals"), demos="0"))
    env.reset(seed=0)
    assert env.step(np.zeros(env.actions, np.float32)).is_intervention
    env.close()


def test_a_new_device_is_checked_by_the_doctor(pedals: DeviceEntry) -> None:
    check = next(check for check in doctor.device_checks() if check.name == "device pedals")
    assert check.look() == doctor.Finding(True, pedals.summary)


def test_the_docs_list_every_device() -> None:
    page = (Path(__file__).parents[2] / "docs" / "devices.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    listed = [row for name, entry in DEVICES.items() for row in rows if row.startswith(table_row(name, entry))]
    assert listed == rows[: len(DEVICES)]


def table_row(name: str, entry: DeviceEntry) -> str:
    control = "" if entry.control is None else f"`{entry.control}`"
    extra = "" if entry.extra is None else f"`{entry.extra}`"
    return f"| `{name}` | {control} | {entry.summary} | {extra} |".replace("|  |", "| |")


@dataclass
class Lever(Device):
    """A device that is equal to others, and so has no hash."""

    name: str

    def poll(self) -> TeleopCommand:
        return TeleopCommand()


def test_devices_need_no_hash_and_equal_ones_are_two() -> None:
    levers = [Lever("left"), Lever("left")]
    group = make_device([*levers, "web"])
    assert isinstance(group, DeviceGroup)
    assert len(group.devices) == 3
    assert group.devices[0] is levers[0]
    assert group.devices[1] is levers[1]
    group.close()


def test_name_that_is_given_twice_makes_two_devices_except_on_the_page() -> None:
    group = make_device(["sequence", "web", "sequence", "web"], commands=[])
    assert isinstance(group, DeviceGroup)
    assert [type(device).__name__ for device in group.devices] == ["SequenceDevice", "WebDevice", "SequenceDevice"]
    group.close()
