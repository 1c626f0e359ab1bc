"""What every input device promises: one question, `poll()`, and one answer, `TeleopCommand`."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Event(enum.Enum):
    """What an operator can say about an episode."""

    SUCCESS = "success"
    FAILURE = "failure"
    RERECORD = "rerecord"
    QUIT = "quit"


def _still() -> NDArray[np.float64]:
    return np.zeros(6)


@dataclass(frozen=True, slots=True, eq=False)
class TeleopCommand:
    """What an operator wants during one control step.

    Attributes:
        motion: (6,) float64, translation and rotation rate as fractions of full speed, each in [-1, 1]. In the robot's
            base frame: x forward, y left, z up.
        gripper: -1 opens, 0 leaves, +1 closes.
        engaged: True while the operator is driving.
        events: what was pressed since the previous poll, in order, each press once.
    """

    motion: NDArray[np.float64] = field(default_factory=_still)
    gripper: int = 0
    engaged: bool = False
    events: tuple[Event, ...] = ()


class Device(ABC):
    """Something an operator, real or scripted, drives the robot with.

    A device only ever answers about the present moment, so it never makes the environment wait.
    """

    human: bool = True  # False for devices that need no time to get ready
    on_page: bool = False  # True for the console's page, which has to show what it drives

    @classmethod
    def for_env(cls, env: Any, **options: Any) -> Device:
        """Make the device for an environment; devices that have to see it override this.

        Args:
            env: the wrapped environment that the device will drive, or None.
            **options: the constructor's.
        """
        return cls(**options)

    @abstractmethod
    def poll(self) -> TeleopCommand:
        """What the operator wants right now, and what was pressed since the last poll. Called once a control step."""

    # What follows is for devices that need it; the others have nothing to do.

    def reset(self) -> None:  # noqa: B027
        """Forget pending events and end the intervention, but never let go of a held button. Called at each reset."""

    def seed(self, seed: int) -> None:  # noqa: B027
        """Start chance over, as `env.reset(seed=...)` does; for devices that draw random numbers."""

    def set_intervention(self, mode: str) -> None:  # noqa: B027
        """Choose when the operator takes over: `toggle`, `hold` or `auto`; for devices with a button for it."""

    def close(self) -> None:  # noqa: B027
        """Give back what the device holds. Closing twice does no harm."""

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """What to touch, and what it does, in the order to be shown."""
        return ()

    def describe(self) -> str:
        """The legend as text, a line for each entry."""
        width = max((len(control) for control, _ in self.legend), default=0)
        return "\n".join(f"{control:<{width}}  {action}" for control, action in self.legend)

    def __deepcopy__(self, memo: dict[int, Any]) -> Device:
        # Gymnasium copies constructor arguments into `env.spec`; a second handle to the same thing in an operator's
        # hands is all that a copy can mean.
        return self
