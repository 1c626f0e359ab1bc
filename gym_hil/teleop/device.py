"""The input device protocol: one question, `poll()`, and one answer, `TeleopCommand`."""

from __future__ import annotations

import copy
import enum
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from gym_hil.errors import DeviceError


class Event(enum.Enum):
    """What an operator can decide about an episode."""

    SUCCESS = "success"
    FAILURE = "failure"
    RERECORD = "rerecord"
    DELETE_LAST = "delete_last"
    QUIT = "quit"


@dataclass(frozen=True, slots=True, eq=False)
class TeleopCommand:
    """Operator command for one control step.

    Attributes:
        motion: (6,) float64, translation and rotation rate as fractions of full speed, each in [-1, 1]. In the robot's
            base frame: x forward, y left, z up.
        gripper: -1 opens, 0 leaves, +1 closes.
        engaged: True while the operator is driving.
        events: events since the previous poll, in order, each once.
        action: the action itself, in the environment's action space, in place of motion and gripper; from devices that
            act as a policy does.
        stopped: True while an emergency stop holds the robot still; the operator counts as engaged then.
    """

    motion: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))
    gripper: int = 0
    engaged: bool = False
    events: tuple[Event, ...] = ()
    action: NDArray[Any] | None = None
    stopped: bool = False


class Device(ABC):
    """Something an operator, human or scripted, drives the robot with.

    `poll` returns at once: a device reports the present state and never makes the environment wait.

    A device is pickled as its constructor arguments. When an environment is deep-copied, its device is copied with it
    and serves the copy; hardware cannot be copied (`InputDevice`).

    Attributes:
        human: whether a human drives; False for devices that need no time to get ready.
        on_page: whether the device is the console's page, so that the environment has to be shown there.
    """

    human: bool = True
    on_page: bool = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        device = super().__new__(cls)
        device._constructor = (args, kwargs)
        return device

    _constructor: tuple[tuple[Any, ...], dict[str, Any]]

    @classmethod
    def for_env(cls, env: Any, **options: Any) -> Device:
        """Make the device for an environment; devices that observe it override this.

        Args:
            env: the wrapped environment that the device will drive, or None.
            **options: the constructor's.
        """
        return cls(**options)

    @abstractmethod
    def poll(self) -> TeleopCommand:
        """The operator's command now, with the events since the last poll. Called once a control step."""

    # The rest is optional.

    def reset(self) -> None:  # noqa: B027
        """Forget pending presses and end the intervention; a button that is held stays held. Called at each reset."""

    def start_episode(self) -> None:  # noqa: B027
        """Forget what was pressed since the reset, except the intervention button. Called before the first poll.

        The operator may take over before the first step; everything else that is pressed by then counts for nothing.
        """

    def observe(self, observation: Any, reward: float) -> None:  # noqa: B027
        """See what the environment has returned: after each reset, with a reward of 0.0, and after each step."""

    def seed(self, seed: int) -> None:  # noqa: B027
        """Restart the random generator, as `env.reset(seed=...)` does."""

    def set_intervention(self, mode: str) -> None:  # noqa: B027
        """Choose the intervention mode: `toggle`, `stay`, `hold` or `auto`."""

    def set_controls(self, axes: Collection[int], *, has_gripper: bool) -> None:  # noqa: B027
        """Set what the environment can do; other controls are then ignored, and the legend leaves them out.

        Args:
            axes: components of `TeleopCommand.motion` that change anything.
            has_gripper: whether the gripper's command does.
        """

    def ask_for_help(self, on: bool) -> None:  # noqa: B027
        """The policy that acts asks for help from now on, or no longer: draw the operator's attention."""

    def close(self) -> None:  # noqa: B027
        """Release the hardware. Closing twice does no harm."""

    @property
    def present(self) -> bool:
        """Whether the operator is there, as far as the device can know."""
        return True

    @property
    def pending(self) -> str | None:
        """What was pressed and has not taken effect yet, in words; None for nothing."""
        return None

    @property
    def way_there(self) -> str:
        """What an operator has to know to drive on the page, besides its link."""
        return "the page shows what does what"

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """Controls and what each of them does, in the order to be shown."""
        return ()

    def describe(self) -> str:
        """The legend as text, one line for each control."""
        width = max((len(control) for control, _ in self.legend), default=0)
        return "\n".join(f"{control:<{width}}  {action}" for control, action in self.legend)

    def __deepcopy__(self, memo: dict[int, Any]) -> Device:
        if not is_copying_env(memo):
            return self
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        vars(copied).update(copy.deepcopy(vars(self), memo))
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        args, kwargs = self._constructor
        if any(isinstance(value, gym.Env) for value in (*args, *kwargs.values())):
            raise DeviceError(
                f"A {type(self).__name__} made for one environment cannot be pickled; give gym.make its name as "
                "device=, and the environment that is unpickled makes its own."
            )
        return _make, (type(self), args, kwargs)


def is_copying_env(memo: dict[int, Any]) -> bool:
    """Whether `copy.deepcopy` copies an environment, and not the constructor arguments in an `EnvSpec`.

    Gymnasium copies an `EnvSpec` for each wrapper; there, the same device is meant.
    """
    return any(isinstance(copied, gym.Env) for copied in list(memo.values()))


def _make(cls: type[Device], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Device:
    return cls(*args, **kwargs)
