"""The operator's side: what a person wants, from whatever is in their hands."""

from gym_hil.teleop.device import Device, Event, TeleopCommand
from gym_hil.teleop.group import DeviceGroup
from gym_hil.teleop.intervention import MODES
from gym_hil.teleop.latch import Button, Latch, LatchedDevice
from gym_hil.teleop.registry import DEVICES, make_device

__all__ = [
    "DEVICES",
    "MODES",
    "Button",
    "Device",
    "DeviceGroup",
    "Event",
    "Latch",
    "LatchedDevice",
    "TeleopCommand",
    "make_device",
]
