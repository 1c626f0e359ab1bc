"""A device that replays a list of commands, one a poll."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from gym_hil.errors import ConfigurationError
from gym_hil.teleop.device import Device, TeleopCommand


class SequenceDevice(Device):
    """Plays commands from the first to the last in each episode, and lets go after the last.

    Args:
        commands: each a `TeleopCommand`, or a row of numbers that drives: (4,) x, y, z and gripper, or (7,) with a
            rotation vector before the gripper. Motion in fractions of full speed; gripper -1 opens, 0 leaves, +1
            closes.

    Raises:
        ConfigurationError: a row has another length, a value that is not finite, or motion outside [-1, 1].
    """

    human = False

    def __init__(self, commands: Iterable[TeleopCommand | ArrayLike]):
        self._commands = [_command(k, entry) for k, entry in enumerate(commands)]
        self._next = 0
        self._constructor = ((self._commands,), {})  # `commands` may be an iterator that is used up

    def poll(self) -> TeleopCommand:
        if self._next >= len(self._commands):
            return TeleopCommand()
        self._next += 1
        return self._commands[self._next - 1]

    def reset(self) -> None:
        self._next = 0

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        return [(f"replay of {len(self._commands)}", "one command a step")]


def _command(number: int, entry: TeleopCommand | ArrayLike) -> TeleopCommand:
    if isinstance(entry, TeleopCommand):
        return entry
    row = np.asarray(entry, dtype=np.float64)
    if row.shape not in ((4,), (7,)) or not (np.abs(row) <= 1).all():
        raise ConfigurationError(
            f"commands[{number}] is {entry!r}; expected a TeleopCommand, or 4 or 7 numbers within [-1, 1]: "
            "x, y, z, a rotation vector if there are 7, gripper."
        )
    motion = np.zeros(6)
    motion[: len(row) - 1] = row[:-1]
    return TeleopCommand(motion, int(np.rint(row[-1])), engaged=True)
