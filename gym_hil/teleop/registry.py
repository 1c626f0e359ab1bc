"""Input devices by name. A new device is one line in `DEVICES`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from typing import Any

from gym_hil.errors import ConfigurationError, UnknownDeviceError
from gym_hil.teleop.device import Device
from gym_hil.teleop.group import DeviceGroup

# Name -> module and class; imported when somebody asks for it.
DEVICES: dict[str, str] = {
    "scripted": "gym_hil.teleop.scripted:ScriptedPerson",
    "sequence": "gym_hil.teleop.sequence:SequenceDevice",
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
        **options: for the constructor of a device given by name.

    Returns:
        The device; a `DeviceGroup` of several.

    Raises:
        UnknownDeviceError: no device has that name.
        ConfigurationError: an option or the mode of intervention is unknown.
    """
    if isinstance(device, Device):
        if options:
            raise ConfigurationError(
                f"{', '.join(options)} cannot be set on a {type(device).__name__} that exists; make it with that value."
            )
        made = device
    elif isinstance(device, str):
        made = _make_by_name(device, env, options)
    elif isinstance(device, Sequence):
        made = DeviceGroup([make_device(one, env=env, **(options if isinstance(one, str) else {})) for one in device])
    else:
        raise UnknownDeviceError(f"device is {device!r}; expected a name ({_names()}), a Device, or a list of these.")
    if intervention is not None:
        made.set_intervention(intervention)
    return made


def _make_by_name(name: str, env: Any, options: dict[str, Any]) -> Device:
    if name not in DEVICES:
        raise UnknownDeviceError(f"There is no input device {name!r}; available are {_names()}.")
    module, class_name = DEVICES[name].split(":")
    cls: type[Device] = getattr(importlib.import_module(module), class_name)
    known = [key for key in inspect.signature(cls).parameters if key != "env"]
    for option in options:
        if option not in known:
            raise ConfigurationError(f"The device {name!r} has no option {option!r}; it knows {', '.join(known)}.")
    return cls.for_env(env, **options)


def _names() -> str:
    return ", ".join(map(repr, DEVICES))
