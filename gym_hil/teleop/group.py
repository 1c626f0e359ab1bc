"""Several devices at once: the first that is engaged drives until it lets go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gym_hil.errors import ConfigurationError
from gym_hil.teleop.device import Device, TeleopCommand


def _for_all(method: str) -> Any:
    """A method of a group that calls that of each of its devices."""

    def call(group: DeviceGroup, *args: Any, **kwargs: Any) -> None:
        for device in group.devices:
            getattr(device, method)(*args, **kwargs)

    return call


class DeviceGroup(Device):
    """One device or more that share one robot.

    The first device that is engaged drives until it lets go; then the next one that is engaged, in the order given. The
    events of all devices are delivered, whichever drives, and the emergency stop of any of them holds the robot still.
    """

    def __init__(self, devices: Sequence[Device]):
        if not devices:
            raise ConfigurationError("A group of devices needs at least one device; use device=None to have no device.")
        self.devices = tuple(devices)
        self.human = any(device.human for device in self.devices)
        self.on_page = any(device.on_page for device in self.devices)
        self._driver: int | None = None

    def poll(self) -> TeleopCommand:
        commands = [device.poll() for device in self.devices]
        if self._driver is None or not commands[self._driver].engaged:
            self._driver = next((k for k, command in enumerate(commands) if command.engaged), None)
        events = tuple(event for command in commands for event in command.events)
        if any(command.stopped for command in commands):
            return TeleopCommand(engaged=True, events=events, stopped=True)
        if self._driver is None:
            return TeleopCommand(events=events)
        return replace(commands[self._driver], events=events)

    reset = _for_all("reset")
    start_episode = _for_all("start_episode")
    observe = _for_all("observe")
    seed = _for_all("seed")
    set_intervention = _for_all("set_intervention")
    set_controls = _for_all("set_controls")
    ask_for_help = _for_all("ask_for_help")
    close = _for_all("close")

    @property
    def present(self) -> bool:
        return not self.human or any(device.present for device in self.devices if device.human)

    @property
    def pending(self) -> str | None:
        return next((device.pending for device in self.devices if device.pending is not None), None)

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        return [entry for device in self.devices for entry in device.legend]
