"""Input devices by name. A new device is one line in `DEVICES`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from typing import Any

from gym_hil.errors import ConfigurationError, UnknownDeviceError
from gym_hil.teleop.device import Device
from gym_hil.teleop.group import DeviceGroup
from gym_hil.teleop.modes import make_mode

# Name -> module and class; imported when somebody asks for it.
DEVICES: dict[str, str] = {
    "gamepad": "gym_hil.teleop.gamepad:Gamepad",
    "gamepad_hid": "gym_hil.teleop.gamepad_hid:GamepadHid",
    "keyboard": "gym_hil.teleop.keyboard:Keyboard",
    "scripted": "gym_hil.teleop.scripted.operator:ScriptedOperator",
    "sequence": "gym_hil.teleop.sequence:SequenceDevice",
    "spacemouse": "gym_hil.teleop.spacemouse:SpaceMouse",
    "web": "gym_hil.console.device:WebDevice",
}


def make_device(
    device: str | Device | Sequence[str | Device],
    *,
    env: Any = None,
    intervention: str | None = None,
    **options: Any,
) -> Device:
    """Make an input device.

    Args:
        device: a name in `DEVICES`, or a device, or several of these to be used together.
        env: the environment that it will drive; some devices look at it.
        intervention: `toggle`, `hold` or `auto`; None leaves the device's own, which is `toggle` unless it was made
            with another.
        **options: for the constructors of devices given by name; of several, each gets those that it knows.

    Returns:
        The device; a `DeviceGroup` of several.

    Raises:
        UnknownDeviceError: no device has that name.
        ConfigurationError: an option or the mode of intervention is unknown.
    """
    if isinstance(device, (str, Device)):
        entries: Sequence[str | Device] = [device]
    elif isinstance(device, Sequence):
        entries = device
    else:
        raise UnknownDeviceError(f"device is {device!r}; expected a name ({_names()}), a Device, or a list of these.")
    if intervention is not None:
        make_mode(intervention)  # also where no device has a use for it, a mode that does not exist is an error
    classes = {entry: _find(entry) for entry in entries if isinstance(entry, str)}
    known = {name: [key for key in inspect.signature(cls).parameters if key != "env"] for name, cls in classes.items()}
    for option in options:
        if not any(option in keys for keys in known.values()):
            raise ConfigurationError(f"No device given by name has the option {option!r}; options are {known}.")
    devices = [
        classes[entry].for_env(env, **{key: options[key] for key in options if key in known[entry]})
        if isinstance(entry, str)
        else entry
        for entry in entries
    ]
    made = devices[0] if isinstance(device, (str, Device)) else DeviceGroup(devices)
    if intervention is not None:
        made.set_intervention(intervention)
    return made


def _find(name: str) -> type[Device]:
    if name not in DEVICES:
        raise UnknownDeviceError(f"There is no input device {name!r}; available are {_names()}.")
    module, class_name = DEVICES[name].split(":")
    return getattr(importlib.import_module(module), class_name)


def _names() -> str:
    return ", ".join(map(repr, DEVICES))
