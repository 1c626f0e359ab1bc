"""Several devices at once: the first that is engaged drives until it lets go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from gym_hil.errors import ConfigurationError
from gym_hil.teleop.device import Device, TeleopCommand


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

    def reset(self) -> None:
        for device in self.devices:
            device.reset()

    def start_episode(self) -> None:
        for device in self.devices:
            device.start_episode()

    def observe(self, observation: Any, reward: float) -> None:
        for device in self.devices:
            device.observe(observation, reward)

    def seed(self, seed: int) -> None:
        for device in self.devices:
            device.seed(seed)

    def set_intervention(self, mode: str) -> None:
        for device in self.devices:
            device.set_intervention(mode)

    def set_controls(self, axes: Collection[int], *, has_gripper: bool) -> None:
        for device in self.devices:
            device.set_controls(axes, has_gripper=has_gripper)

    def ask_for_help(self, on: bool) -> None:
        for device in self.devices:
            device.ask_for_help(on)

    def close(self) -> None:
        for device in self.devices:
            device.close()

    @property
    def present(self) -> bool:
        return not self.human or any(device.present for device in self.devices if device.human)

    @property
    def pending(self) -> str | None:
        return next((device.pending for device in self.devices if device.pending is not None), None)

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        return [entry for device in self.devices for entry in device.legend]
