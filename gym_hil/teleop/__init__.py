"""Teleoperation: input devices, and the operator's command of each control step."""

from gym_hil.teleop.device import Device, Event, TeleopCommand
from gym_hil.teleop.group import DeviceGroup
from gym_hil.teleop.input_state import Button, InputDevice, InputState
from gym_hil.teleop.modes import MODES
from gym_hil.teleop.registry import DEVICES, DeviceEntry, make_device

__all__ = [
    "DEVICES",
    "MODES",
    "Button",
    "Device",
    "DeviceEntry",
    "DeviceGroup",
    "Event",
    "InputDevice",
    "InputState",
    "TeleopCommand",
    "make_device",
]
