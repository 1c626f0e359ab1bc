"""The operator of an environment as options: which device, when it drives, and where the robot is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil import display
from gym_hil.display import ConsoleOptions
from gym_hil.errors import ConfigurationError, DeviceError, UnknownDeviceError
from gym_hil.imports import is_function_name
from gym_hil.teleop.device import Device
from gym_hil.teleop.group import DeviceGroup
from gym_hil.teleop.registry import device_name, find_device_class, make_device, selectable_devices

AUTO = "auto"
UNLIMITED = 1e9  # bounds beyond it, mostly infinity or the largest float, limit nothing


@dataclass(frozen=True)
class OperatorOptions:
    """Who drives an environment besides the policy."""

    # `auto`, a name in `DEVICES`, `module:function` for one of your own, names with commas between, a `Device`, or a
    # sequence of these to be used together; None for no operator.
    device: str | Device | Sequence[str | Device] | None = AUTO
    intervention: str | None = None  # `toggle`, `stay`, `hold` or `auto`; None leaves the device's own
    # Whether the action has a rotation vector; None for what the task needs, or the device is made for.
    orientation: bool | None = None
    controller_config: str | PathLike[str] | None = None  # mapping file for gamepads; None for the bundled one
    viewer: bool | None = None  # whether to open MuJoCo's viewer; None opens it where there is a display
    device_options: Mapping[str, Any] = field(default_factory=dict)  # constructor arguments for devices given by name
    console: ConsoleOptions | None = None  # how the web console is reached; None for its defaults

    @property
    def devices(self) -> tuple[str | Device, ...]:
        """The devices one by one, as they were given; empty for no operator."""
        if self.device is None:
            return ()
        given = [self.device] if isinstance(self.device, (str, Device)) else list(self.device)
        names = [entry.split(",") if isinstance(entry, str) else [entry] for entry in given]
        return tuple(entry.strip() if isinstance(entry, str) else entry for entries in names for entry in entries)

    def check(self) -> None:
        """Refuse, with an UnknownDeviceError, devices that commands and the trainer do not offer."""
        for entry in self.devices:
            if isinstance(entry, str) and entry not in operator_choices() and not is_function_name(entry):
                raise UnknownDeviceError(
                    f"There is no device {entry!r}; choose from {', '.join(operator_choices())}, or name a class or "
                    "function of yours as MODULE:FUNCTION."
                )

    def resolve(self) -> OperatorOptions:
        """The same options with every device named once and a device in place of `auto`.

        Raises:
            UnknownDeviceError: no device has that name.
            DeviceError: `auto` finds nothing to drive with.
        """
        self.check()
        if self.device is None:
            return self
        found: list[str | Device] = []
        for entry in self.devices:
            one = find_device() if entry == AUTO else entry
            if one not in found:
                found.append(one)
        return replace(self, device=found[0] if len(found) == 1 else tuple(found))

    def env_kwargs(self) -> dict[str, Any]:
        """Arguments for `gym.make` of an id without a control, such as `gym_hil/PandaPickCube-v1`.

        Raises:
            UnknownDeviceError: no device has that name.
            DeviceError: `auto` finds nothing to drive with.
            ConfigurationError: an option does not go with the device.
        """
        resolved = self.resolve()
        devices = resolved.devices
        names = ", ".join(entry if isinstance(entry, str) else device_name(entry) for entry in devices) or "None"
        kwargs: dict[str, Any] = {
            "device": list(devices) if len(devices) > 1 else resolved.device,
            "intervention": self.intervention,
        }
        if self.orientation is not None:
            kwargs["orientation"] = self.orientation
        if self.device_options:
            kwargs["device_options"] = dict(self.device_options)
        if self.controller_config is not None:
            if "gamepad" not in devices:
                raise ConfigurationError(
                    f"A controller configuration is for a gamepad, but the device is {names}: plug one in, or choose "
                    "the device gamepad."
                )
            kwargs["controller_config_path"] = self.controller_config
        on_page = any(getattr(_class_of(entry), "on_page", False) for entry in devices)
        if not on_page and self.viewer is not False and devices:
            # Without a display the environment uses the console in the viewer's place.
            on_page = display.uses_console() and any(getattr(_class_of(entry), "human", True) for entry in devices)
            kwargs["use_viewer"] = on_page or display.missing_display() is None
        if self.console is not None and self.console.given():
            if not on_page:
                raise ConfigurationError(f"{self.console.flags}: for the web console, but the device is {names}.")
            kwargs["console"] = self.console
        return kwargs

    def make_device(self, env: Any) -> Device | None:
        """Make the device for an environment that will ask it; None for no operator.

        Raises:
            UnknownDeviceError: no device has that name.
            ConfigurationError: an option is unknown, or there is no device that could use it.
        """
        options = dict(self.device_options)
        if self.device is None:
            if options or self.intervention is not None:
                raise ConfigurationError("intervention and device_options need a device; name one with device=.")
            return None
        entries = [find_device() if entry == AUTO else entry for entry in self.devices]
        alone = isinstance(self.device, (str, Device)) and len(entries) == 1
        if self.controller_config is not None and "gamepad" in entries:
            options["controller_config_path"] = self.controller_config
        return make_device(entries[0] if alone else entries, env=env, intervention=self.intervention, **options)


def operator_choices() -> tuple[str, ...]:
    """What commands and the trainer take as a device's name."""
    return (AUTO, *selectable_devices())


def find_device() -> str:
    """The best device: an attached gamepad, else a keyboard with a display, else the page; a DeviceError without."""
    from gym_hil.teleop.gamepad import gamepad_attached

    if gamepad_attached():
        return "gamepad"
    if display.missing_display() is None:
        return "keyboard"
    if display.console_installed():
        return "web"
    raise DeviceError(
        "There is nothing to drive with: no gamepad is attached, no window can open, and the web console is not "
        "installed. Get it by pip install 'gym-hil[web]', plug a gamepad in, or use the keys of this terminal, over "
        "ssh too, by --device keyboard."
    )


def introduce(env: gym.Env[Any, Any]) -> str:
    """What an operator has to know before the first step: the devices, what does what, and how to see the robot."""
    device: Device = env.get_wrapper_attr("device")
    lines = []
    for one in device.devices if isinstance(device, DeviceGroup) else (device,):
        model = getattr(one, "connected", None)
        lines.append(f"Device: {device_name(one)}" + (f" ({model})" if isinstance(model, str) else ""))
        # The page has a legend of its own, and its link is printed when the console starts.
        text = one.way_there if one.on_page else one.describe()
        lines += [f"  {line}" for line in text.splitlines()]
    unseen = None if env.has_wrapper_attr("channel") else display.missing_display()
    if unseen and device.human:
        if display.console_installed():
            lines.append(f"{unseen} To see the robot in a browser, add the device web.")
        else:
            lines.append(f"{unseen} To see the robot in a browser: pip install 'gym-hil[web]'.")
    return "\n".join(lines)


def neutral_action(space: gym.spaces.Box) -> NDArray[np.float32]:
    """The action that moves nothing, for when no policy acts: the middle of each number's limits.

    Where a limit is missing, that is 0, or the limit that is nearest to 0.
    """
    bounded = is_limit(space.low) & is_limit(space.high)
    low, high = np.where(bounded, space.low, 0), np.where(bounded, space.high, 0)
    return np.where(bounded, (low + high) / 2, np.clip(0, space.low, space.high)).astype(np.float32)


def is_limit(value: Any) -> Any:
    """Whether a bound of a space limits anything; that of every element of an array."""
    return np.abs(value) < UNLIMITED


def seconds_paused(env: gym.Env[Any, Any]) -> float:
    """How long the console's pause has held the robot still so far, in s."""
    return float(env.get_wrapper_attr("seconds_paused")) if env.has_wrapper_attr("seconds_paused") else 0.0


def _class_of(entry: str | Device) -> Any:
    """What knows whether a device is on the page and whether it is for a human: the device itself, or its class."""
    return find_device_class(entry) if isinstance(entry, str) else entry
