"""Waiting for what another thread or process does; how long it takes is not judged."""

from __future__ import annotations

import time
from collections.abc import Callable

from gym_hil.teleop import Device, Event, TeleopCommand

PATIENCE = 30.0  # s, many times what anything here takes


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def poll_until(device: Device, condition: Callable[[TeleopCommand], bool]) -> TeleopCommand:
    """The first command that meets the condition."""
    commands = []

    def met() -> bool:
        commands.append(device.poll())
        return condition(commands[-1])

    wait_for(met)
    return commands[-1]


def events_of(device: Device, number: int) -> tuple[Event, ...]:
    """The next events, and any that come too many."""
    events: list[Event] = []

    def all_came() -> bool:
        events.extend(device.poll().events)
        return len(events) >= number

    wait_for(all_came)
    return (*events, *device.poll().events)
