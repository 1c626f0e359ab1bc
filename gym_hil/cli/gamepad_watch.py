"""What a gamepad sends, live: for finding out which axis and which button of it is which."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from os import PathLike
from typing import TextIO

from gym_hil.errors import DeviceError
from gym_hil.teleop.device import TeleopCommand
from gym_hil.teleop.gamepad import Gamepad, Pad

PERIOD = 0.05  # s between looks


def watch_gamepad(
    seconds: float = math.inf, *, controller_config_path: str | PathLike[str] | None = None, out: TextIO | None = None
) -> None:
    """Show a gamepad's name, its entry for a configuration file, and its values whenever they change, until Ctrl-C."""
    out = sys.stdout if out is None else out
    end = time.monotonic() + seconds
    shown, line = None, ""
    with (
        contextlib.closing(Gamepad(controller_config_path=controller_config_path)) as gamepad,
        contextlib.suppress(KeyboardInterrupt),
    ):
        while time.monotonic() < end:
            command = gamepad.poll()
            pad = gamepad.pad
            if pad is not None and pad is not shown:
                print(introduction(pad), file=out)
                shown = pad
            if pad is not None and (new := f"{values(pad)}  ->  {meaning(command)}") != line:
                # On a terminal the line is written over.
                print(f"\r\033[K{new}" if out.isatty() else new, end="" if out.isatty() else "\n", file=out, flush=True)
                line = new
            time.sleep(PERIOD)
    if shown is None:
        raise DeviceError("No gamepad was plugged in. On Linux its /dev/input/event* must be readable.")


def introduction(pad: Pad) -> str:
    """A gamepad's name, and its entry for a configuration file."""
    sections = ",\n".join(f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in pad.config.items())
    return (
        f"{pad.name}, with the mapping of {pad.origin}.\n"
        "To change it, put this into a file for controller_config_path, and correct what is wrong:\n"
        f"{{\n  {json.dumps(pad.name)}: {{\n{sections}\n  }}\n}}\n"
        "Move its sticks and press its buttons; Ctrl-C ends."
    )


def values(pad: Pad) -> str:
    """What SDL says of a gamepad at this moment."""
    axes, down = pad.raw()
    parts = ["axes " + " ".join(f"{index}:{value:+.1f}" for index, value in enumerate(axes))]
    parts.append("buttons " + (" ".join(map(str, down)) or "-"))
    return "  ".join(parts)


def meaning(command: TeleopCommand) -> str:
    """What comes of it."""
    motion = " ".join(f"{axis}:{value:+.1f}" for axis, value in zip("xyz", command.motion[:3], strict=True))
    parts = [motion, {1: "closes", -1: "opens"}.get(command.gripper, ""), "engaged" if command.engaged else ""]
    return " ".join(part for part in [*parts, *(event.value for event in command.events)] if part)
