"""Who drives, as commands ask for it: `gym-hil teleop` and `gym-hil record` take the same options.

A command calls `add_operator_arguments`, then `operator_options` for the arguments of `gym.make`, and `introduce` for
what an operator has to know before the first step.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil import display
from gym_hil.cli.console_options import add_console_arguments, console_options, words_of
from gym_hil.errors import ConfigurationError, DeviceError, UnknownDeviceError
from gym_hil.teleop import MODES, Device, DeviceGroup

AUTO = "auto"
DEVICES = ("gamepad", "keyboard", "spacemouse", "gamepad_hid", "web", "scripted")


def add_operator_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options about who drives."""
    parser.add_argument(
        "--device",
        action="append",
        metavar="NAME",
        help=f"{AUTO}, {', '.join(DEVICES)}; several, with commas or one by one, share the robot ({AUTO})",
    )
    parser.add_argument(
        "--intervention", choices=list(MODES), help="when you drive: see docs/operating.md (the device's own: toggle)"
    )
    parser.add_argument("--orientation", action="store_true", help="turn the gripper too, with a SpaceMouse")
    parser.add_argument(
        "--controller-config", metavar="FILE", help="your own mapping of a gamepad; see docs/devices.md"
    )
    parser.add_argument("--no-viewer", action="store_true", help="open no window")
    add_console_arguments(parser)


def operator_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Turn the options about who drives into arguments for `gym.make`.

    The console is started here where one is needed; it prints its link. `close_console` ends it.

    Args:
        arguments: of a parser that was given to `add_operator_arguments`.

    Returns:
        `device`, `intervention`, `orientation`, and where they apply `controller_config_path` and `use_viewer`, for an
        id without a control, such as `gym_hil/PandaPickCube-v1`.

    Raises:
        UnknownDeviceError: no device has that name.
        DeviceError: `auto` finds nothing to drive with.
        ConfigurationError: an option does not go with the device.
        MissingExtraError: the console is asked for without its extra.
    """
    devices = choose_devices(arguments.device or [AUTO])
    options: dict[str, Any] = {"device": devices if len(devices) > 1 else devices[0]}
    options |= {"intervention": arguments.intervention, "orientation": arguments.orientation}
    if arguments.controller_config is not None:
        if "gamepad" not in devices:
            raise ConfigurationError(
                f"--controller-config is for a gamepad, but the device is {', '.join(devices)}: plug one in, or give "
                "--device gamepad."
            )
        options["controller_config_path"] = arguments.controller_config
    for_console = console_options(arguments)
    on_page = "web" in devices
    if not on_page and not arguments.no_viewer:
        shown_by_page = display.uses_console() and devices != ["scripted"]
        # The environment puts the page in the window's place by itself.
        options["use_viewer"] = shown_by_page or display.missing_display() is None
        on_page = shown_by_page
    if on_page:
        _start_console(for_console)
    elif for_console:
        raise ConfigurationError(
            f"{words_of(for_console)}: for the web console, but the device is {', '.join(devices)}."
        )
    return options


def choose_devices(names: Sequence[str]) -> list[str]:
    """Understand which devices an operator wants.

    Args:
        names: each a device's name, `auto`, or several with commas between.

    Returns:
        Names of devices, each once; what `auto` stands for here in its place.

    Raises:
        UnknownDeviceError: no device has that name.
        DeviceError: `auto` finds nothing to drive with.
    """
    words = [word.strip() for name in names for word in name.split(",") if word.strip()]
    for word in words:
        if word not in (AUTO, *DEVICES):
            raise UnknownDeviceError(f"There is no device {word!r}; choose from {AUTO}, {', '.join(DEVICES)}.")
    if not words:
        raise UnknownDeviceError(f"No device is named; choose from {AUTO}, {', '.join(DEVICES)}.")
    return list(dict.fromkeys(find_device() if word == AUTO else word for word in words))


def find_device() -> str:
    """What an operator can best drive with here: `gamepad`, `keyboard` or `web`.

    A gamepad that is attached; else the keyboard of whoever sees the window; else the web console.

    Raises:
        DeviceError: there is nothing.
    """
    if _gamepads():
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


def introduce(env: gym.Env[Any, Any], names: str | Sequence[str]) -> str:
    """What an operator has to know: with what they drive, what does what, and how to see the robot.

    Args:
        env: made with the arguments of `operator_options`.
        names: its `device`.
    """
    device: Device = env.get_wrapper_attr("device")
    devices = device.devices if isinstance(device, DeviceGroup) else (device,)
    lines = []
    for name, one in zip([names] if isinstance(names, str) else names, devices, strict=True):
        model = getattr(one, "connected", None)
        lines.append(f"Device: {name}" + (f" ({model})" if isinstance(model, str) else ""))
        # The page shows its own, and its link is printed when the console starts.
        text = "the page shows what does what" if name == "web" else one.describe()
        lines += [f"  {line}" for line in text.splitlines()]
    unseen = None if env.has_wrapper_attr("channel") else display.missing_display()
    if unseen and device.human:
        lines.append(f"{unseen} To see the robot in a browser: pip install 'gym-hil[web]'.")
    return "\n".join(lines)


def neutral_action(space: gym.spaces.Box) -> NDArray[np.float32]:
    """The action that stays where it is, for when nobody drives.

    Args:
        space: the environment's; what is in the middle moves nothing.
    """
    return ((space.low + space.high) / 2).astype(np.float32)


def seconds_paused(env: gym.Env[Any, Any]) -> float:
    """How long the console's pause has held the robot still so far, in s; no delay of the loop."""
    return float(env.get_wrapper_attr("seconds_paused")) if env.has_wrapper_attr("seconds_paused") else 0.0


def close_console() -> None:
    """Stop this process's console if one was started here; the pages learn of it and the port is free."""
    while _consoles:
        _consoles.pop().close()


_consoles: list[Any] = []


def _start_console(options: Mapping[str, Any]) -> None:
    from gym_hil.console import get_console

    _consoles.append(get_console(**options))


def _gamepads() -> int:
    """How many joysticks are attached."""
    from gym_hil.teleop.gamepad_sdl import JOYSTICKS

    class Counter:
        count, busy = 0, False

        def hear(self, news: Any) -> None:
            self.count = news.count

        def lose(self) -> None:
            self.count = 0

    counter = Counter()
    JOYSTICKS.add(counter)
    try:
        JOYSTICKS.read()
    finally:
        JOYSTICKS.discard(counter)
    return counter.count
