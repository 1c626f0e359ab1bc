"""The one list of input devices. Ids, command-line choices, `gym-hil doctor` and the table in docs follow from it."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gym_hil.errors import ConfigurationError, UnknownDeviceError
from gym_hil.imports import import_function, is_function_name, running_user_code
from gym_hil.teleop.device import Device
from gym_hil.teleop.group import DeviceGroup
from gym_hil.teleop.modes import InterventionMode


@dataclass(frozen=True)
class DeviceEntry:
    """One kind of input device."""

    target: str  # `module:Class`; imported when the device is made
    control: str | None  # suffix of the environment ids that use it, such as "Gamepad"; None for a device without ids
    summary: str  # what it is, for help texts and docs
    extra: str | None = None  # extra of `gym-hil` that it needs
    viewer: bool = False  # whether its ids open the viewer
    orientation: bool = False  # whether the action has a rotation vector by default
    selectable: bool = True  # whether commands and the trainer offer it; False where the constructor needs arguments

    def load(self) -> type[Device]:
        """Import the device's class."""
        module, name = self.target.split(":")
        return getattr(importlib.import_module(module), name)


DEVICES: dict[str, DeviceEntry] = {
    "gamepad": DeviceEntry(
        "gym_hil.teleop.gamepad:Gamepad", "Gamepad", "game controller (Xbox, PlayStation, Switch, ...)", viewer=True
    ),
    "keyboard": DeviceEntry(
        "gym_hil.teleop.keyboard:Keyboard", "Keyboard", "keyboard of a desktop or a terminal", viewer=True
    ),
    "spacemouse": DeviceEntry(
        "gym_hil.teleop.spacemouse:SpaceMouse", "SpaceMouse", "six-axis mouse by 3Dconnexion", viewer=True
    ),
    "gamepad_hid": DeviceEntry(
        "gym_hil.teleop.gamepad_hid:GamepadHid", None, "game controller read as raw HID, where SDL has no access to it"
    ),
    "web": DeviceEntry(
        "gym_hil.console.web_device:WebDevice", "Web", "web page with keys, gamepad, mouse and touch", extra="web"
    ),
    "meta_quest": DeviceEntry(
        "gym_hil.console.headset:Headset",
        "MetaQuest",
        "headset with WebXR (Meta Quest, ...), or a phone in the hand",
        extra="web",
        orientation=True,
    ),
    "xr": DeviceEntry(
        "gym_hil.console.headset:Headset", None, "another name of `meta_quest`", extra="web", orientation=True
    ),
    "scripted": DeviceEntry(
        "gym_hil.teleop.scripted.operator:ScriptedOperator", "Scripted", "scripted operator that solves the task"
    ),
    "sequence": DeviceEntry(
        "gym_hil.teleop.sequence:SequenceDevice", None, "replay of a list of commands", selectable=False
    ),
    "policy": DeviceEntry(
        "gym_hil.policies.operator:PolicyOperator", None, "policy that plays the operator", selectable=False
    ),
}


def selectable_devices() -> tuple[str, ...]:
    """Names of the devices that commands and the trainer offer."""
    return tuple(name for name, entry in DEVICES.items() if entry.selectable)


def find_device_class(name: str) -> type[Device] | Callable[..., Device]:
    """The class of a device by its name in `DEVICES`, or the function `module:function` that makes it.

    A function, which is called with the environment, is taken for one of a human's device; set its attribute `human` to
    False if it is not.

    Raises:
        UnknownDeviceError: no device has that name.
        ConfigurationError: there is no such function.
    """
    if name in DEVICES:
        return DEVICES[name].load()
    if not is_function_name(name):
        raise UnknownDeviceError(
            f"There is no input device {name!r}; available are {_names()}, and a class or function of yours as "
            "MODULE:FUNCTION."
        )
    return import_function(name, role="device")


def device_name(device: Device) -> str:
    """The name in `DEVICES` of a device's class; the name of the class if it is not in the list."""
    cls = type(device)
    target = f"{cls.__module__}:{cls.__qualname__}"
    return next((name for name, entry in DEVICES.items() if entry.target == target), cls.__name__)


def turns_by_default(device: str | Device) -> bool:
    """Whether the action has a rotation vector by default, because the device is made for it."""
    entry = DEVICES.get(device if isinstance(device, str) else device_name(device))
    return entry is not None and entry.orientation


def make_device(
    device: str | Device | Sequence[str | Device], *, env: Any = None, intervention: str | None = None, **options: Any
) -> Device:
    """Make an input device.

    Args:
        device: a name in `DEVICES`, `module:function`, or a device, or several of these to be used together. A name of
            the page is left out where another entry takes the same page's input: `meta_quest` takes that of `web`, too.
        env: the environment that it will drive; some devices look at it.
        intervention: `toggle`, `stay`, `hold` or `auto`; None leaves the device's own, which is `toggle` unless it was
            made with another.
        **options: for the constructors of devices given by name; of several, each gets those that it has.

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
        InterventionMode(intervention)  # an unknown mode is an error for devices without one too
    classes = {entry: find_device_class(entry) for entry in entries if isinstance(entry, str)}
    entries = _each_page_once(entries, classes)
    known = {name: _option_names(cls) for name, cls in classes.items()}
    for option in options:
        if not any(option in keys for keys in known.values()):
            raise ConfigurationError(f"No device given by name has the option {option!r}; options are {known}.")
    made: list[Device] = []
    with contextlib.ExitStack() as opened:  # closes those that were made where one cannot be made
        for entry in entries:
            if isinstance(entry, str):
                own = {key: options[key] for key in options if key in known[entry]}
                entry = _make(entry, classes[entry], env, own)
                opened.callback(entry.close)
            made.append(entry)
        opened.pop_all()
    together = made[0] if isinstance(device, (str, Device)) else DeviceGroup(made)
    if intervention is not None:
        together.set_intervention(intervention)
    return together


def _each_page_once(entries: Sequence[str | Device], classes: Mapping[str, Any]) -> list[str | Device]:
    """The entries without names of the console's page whose input another entry takes, too."""
    kinds = [classes[entry] if isinstance(entry, str) else type(entry) for entry in entries]

    def is_taken(number: int) -> bool:
        kind = kinds[number]
        if not (isinstance(entries[number], str) and isinstance(kind, type) and getattr(kind, "on_page", False)):
            return False
        # Of several names of one class the first stays.
        later = [
            other
            for other, entry in zip(kinds[number + 1 :], entries[number + 1 :], strict=True)
            if other is not kind or isinstance(entry, Device)
        ]
        return any(isinstance(other, type) and issubclass(other, kind) for other in kinds[:number] + later)

    return [entry for number, entry in enumerate(entries) if not is_taken(number)]


def _make(name: str, maker: Any, env: Any, options: dict[str, Any]) -> Device:
    make = maker.for_env if isinstance(maker, type) and issubclass(maker, Device) else maker
    if name in DEVICES:
        return make(env, **options)
    advice = "It is called with the environment, a class of devices by its method for_env."
    with running_user_code(f"The device {name} cannot be made", advice):
        device = make(env, **options)
    if not isinstance(device, Device):
        raise ConfigurationError(f"The device {name} returns {type(device).__name__}; expected a gym_hil.Device.")
    return device


def _option_names(maker: Any) -> list[str]:
    """Names of the options that a class or function takes, besides the environment."""
    parameters = inspect.signature(maker).parameters
    names = [key for key, parameter in parameters.items() if parameter.kind is not parameter.VAR_KEYWORD]
    if isinstance(maker, type) and len(names) < len(parameters):
        names += _option_names(maker.__mro__[1])
    return [key for key in names if key != "env"]


def _names() -> str:
    return ", ".join(map(repr, DEVICES))
