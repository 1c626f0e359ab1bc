"""Which numbers of an action the operator's command sets, for environments with any `Box` action."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.envs.mujoco_env import check_action
from gym_hil.errors import ConfigurationError, InvalidActionError
from gym_hil.imports import import_function, is_function_name
from gym_hil.teleop import TeleopCommand
from gym_hil.teleop.operator import is_limit, neutral_action

AXES = ("x", "y", "z", "rx", "ry", "rz")  # of `TeleopCommand.motion`
GRIPPER = "gripper"
LAST = "last"
# Length of an action -> the map that is assumed where none is given.
GUESSES = {
    3: "x=0,y=1,z=2",
    4: "x=0,y=1,z=2,gripper=3",
    6: "x=0,y=1,z=2,rx=3,ry=4,rz=5",
    7: "x=0,y=1,z=2,rx=3,ry=4,rz=5,gripper=6",
}
SYNTAX = (
    "expected terms with commas between, such as x=0,y=-1*0.05,z=2,gripper=3 or gripper=3:OPEN:CLOSE; "
    "see docs/your_environment.md"
)

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_HOLD = rf"(?::(?P<hold>{LAST}|[\w.]*\[\d+\]))?"
_AXIS_TERM = re.compile(rf"(?P<sign>-?)(?P<index>\d+)(?:\*(?P<scale>{_NUMBER}))?{_HOLD}")
_GRIPPER_TERM = re.compile(rf"(?P<sign>-?)(?P<index>\d+)(?::(?P<open>{_NUMBER}):(?P<close>{_NUMBER}))?{_HOLD}")


@dataclass(frozen=True)
class AxisTerm:
    """How one axis of the operator's motion sets a number of the action.

    Attributes:
        index: of the number.
        sign: -1 if the number falls along the axis.
        scale: what full speed adds to the number; None to reach the limit.
        hold: what motion is added to: None for the neutral value, "last" for the last executed one, `key[i]` for that,
            beginning at each reset with this number of the observation.
    """

    index: int
    sign: int = 1
    scale: float | None = None
    hold: str | None = None


@dataclass(frozen=True)
class GripperTerm:
    """How the operator's gripper command sets a number of the action.

    Attributes:
        index: of the number.
        open: value that opens; None for the smallest.
        close: value that closes; None for the largest.
        is_reversed: whether the smallest closes and the largest opens.
        hold: the value where the operator asks for neither; see `AxisTerm`.
    """

    index: int
    open: float | None = None
    close: float | None = None
    is_reversed: bool = False
    hold: str | None = None


class ActionMap:
    """Which numbers of an action the operator's motion and gripper set.

    A map is written as terms with commas between, or as a mapping of the same names and values:

    - `x=0`, and so `y`, `z`, and `rx`, `ry`, `rz` for rotation: the motion along x sets number 0. At full speed it goes
      from its neutral value to the nearer limit, or by 1 where it has none. `x=-0` reverses it, `x=0*0.05` goes by
      0.05.
    - `gripper=3`: the smallest value of number 3 opens, the largest closes (-1 and 1 where it has no limits), the
      neutral one leaves the gripper as it is. `gripper=-3` reverses it, `gripper=3:0.08:0` opens by 0.08 and closes
      by 0.
    - `x=0*0.05:last`: the motion changes the value of the last step, for actions that say where to go and not how fast.
      `gripper=3:0.08:0:last`, or `gripper=3:last`, keeps the last command. At a reset such a number is neutral, or
      open; `x=0*0.05:agent_pos[0]` begins instead with that number of the observation (`[0]` of a plain vector).
    - `4=0.3`: the neutral value of number 4. Without it: the middle of the limits; where one is missing, 0 or the limit
      nearest to 0.

    Example:
        >>> from gym_hil import ActionMap
        >>> ActionMap("x=0, y=-1, z=2, gripper=-3")
        ActionMap('x=0,y=-1,z=2,gripper=-3')

    Args:
        terms: see above.

    Raises:
        ConfigurationError: a term is of another form, or two set the same number.
    """

    def __init__(self, terms: str | Mapping[str, Any]):
        pairs = _split(terms) if isinstance(terms, str) else [(str(name), str(value)) for name, value in terms.items()]
        self._text = ",".join(f"{name}={value}" for name, value in pairs)
        self.axes: dict[str, AxisTerm] = {}
        self.gripper: GripperTerm | None = None
        self.neutral: dict[int, float] = {}
        for name, value in pairs:
            self._add(name, value)
        indices = [term.index for term in self.axes.values()] + ([self.gripper.index] if self.gripper else [])
        if not indices or len(set(indices)) < len(indices):
            problem = "two terms set the same number" if indices else "nothing sets a number"
            raise ConfigurationError(f"The action map is {self._text!r}: {problem}; {SYNTAX}.")

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"ActionMap({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActionMap) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def _add(self, name: str, value: str) -> None:
        match: re.Match[str] | None = None
        if name in AXES and name not in self.axes and (match := _AXIS_TERM.fullmatch(value)):
            scale = None if match["scale"] is None else float(match["scale"])
            if scale is None or scale > 0:
                self.axes[name] = AxisTerm(int(match["index"]), -1 if match["sign"] else 1, scale, match["hold"])
                return
        elif name == GRIPPER and self.gripper is None and (match := _GRIPPER_TERM.fullmatch(value)):
            opened, closed = (None if match[end] is None else float(match[end]) for end in ("open", "close"))
            if not (match["sign"] and match["open"]):
                self.gripper = GripperTerm(int(match["index"]), opened, closed, bool(match["sign"]), match["hold"])
                return
        elif name.isdecimal() and int(name) not in self.neutral and re.fullmatch(_NUMBER, value):
            self.neutral[int(name)] = float(value)
            return
        raise ConfigurationError(f"The action map is {self._text!r}: {name}={value} cannot be read; {SYNTAX}.")


# What `action_map=` takes besides None: terms, a map, `module:function`, a function of the command.
ActionMapLike: TypeAlias = str | Mapping[str, Any] | ActionMap | Callable[[TeleopCommand], ArrayLike]


class FittedMap:
    """An action map on an action space. Motion below `threshold`, a share of full speed, counts as none.

    Attributes:
        gripper: index of the gripper's number, its value for open and for closed; None where the map has no gripper.
        full_speed: what a step at full speed adds to the numbers of x, y and z; 1 where the map has none.
        full_rotation_speed: the minimum that it adds to those of the rotation; None without all three.

    Raises:
        ConfigurationError: the map does not fit.
    """

    def __init__(self, action_map: ActionMap, space: gym.spaces.Box, threshold: float = 0.0):
        self._map, self._threshold = action_map, threshold
        self._low, self._high = action_limits(space)
        size = space.shape[0]
        grip = action_map.gripper
        terms: list[AxisTerm | GripperTerm] = [*action_map.axes.values(), *([grip] if grip else [])]
        for index in [*(term.index for term in terms), *action_map.neutral]:
            if index >= size:
                raise self._misfit(f"there is no number {index} in {space}; they are counted from 0")
        self._neutral = np.clip(neutral_action(space), self._low, self._high)
        for index, value in action_map.neutral.items():
            self._neutral[index] = self._within(index, value)
        self.gripper: tuple[int, float, float] | None = None
        if grip is not None:
            ends = [
                float(limit) if is_limit(limit) else default
                for limit, default in ((self._low[grip.index], -1.0), (self._high[grip.index], 1.0))
            ]
            opened, closed = reversed(ends) if grip.is_reversed else ends
            opened = opened if grip.open is None else self._within(grip.index, grip.open)
            closed = closed if grip.close is None else self._within(grip.index, grip.close)
            if opened == closed:
                raise self._misfit(f"the gripper opens and closes by the same value {opened:g}")
            self.gripper = (grip.index, opened, closed)
            if grip.hold is not None and grip.index not in action_map.neutral:
                self._neutral[grip.index] = opened
        speed = {axis: term.scale or self._reach(term.index, 1.0) for axis, term in action_map.axes.items()}
        self._scale = np.array([term.sign * speed[axis] for axis, term in action_map.axes.items()])
        self._motion = [AXES.index(axis) for axis in action_map.axes]
        self.moves = frozenset(self._motion)  # components of `TeleopCommand.motion` that change anything
        self._indices = [term.index for term in action_map.axes.values()]
        self._kept = [term.index for term in terms if term.hold is not None]
        self._measured = [(term.index, term.hold) for term in terms if term.hold not in (None, LAST)]
        for axis, term in action_map.axes.items():
            speed[axis] = min(speed[axis], self._reach(term.index, np.inf))
        self.full_speed = (speed.get("x", 1.0), speed.get("y", 1.0), speed.get("z", 1.0))
        turns = {"rx", "ry", "rz"} <= set(speed)
        self.full_rotation_speed = min(speed[axis] for axis in ("rx", "ry", "rz")) if turns else None

    def start(self, observation: Any, info: dict[str, Any]) -> NDArray[np.float32]:
        """The action before the first of an episode; a ConfigurationError if the observation lacks its number."""
        action = self._neutral.copy()
        for index, source in self._measured:
            try:
                action[index] = _pick(observation, source)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise self._misfit(f"the observation has no number {source} ({error!r})") from error
        return np.clip(action, self._low, self._high)

    def idle(self, last: NDArray[np.float32]) -> NDArray[np.float32]:
        """The action that changes nothing, by that of the step before, (n,)."""
        action = self._neutral.copy()
        if self._kept:
            action[self._kept] = last[self._kept]
        return action

    def action(self, command: TeleopCommand, last: NDArray[np.float32]) -> NDArray[np.float32]:
        """The action for a command, by that of the step before, (n,)."""
        action = self.idle(last)
        if self._indices:
            motion = command.motion[self._motion]
            action[self._indices] += np.where(np.abs(motion) < self._threshold, 0.0, motion) * self._scale
        if self.gripper is not None and command.gripper:
            index, opened, closed = self.gripper
            action[index] = closed if command.gripper > 0 else opened
        return np.minimum(np.maximum(action, self._low), self._high)

    def _reach(self, index: int, unlimited: float) -> float:
        """How far it is from a number's neutral value to the nearer limit; `unlimited` without one."""
        low, neutral, high = self._low[index], self._neutral[index], self._high[index]
        ways = [abs(float(limit) - float(neutral)) for limit in (low, high) if is_limit(limit) and limit != neutral]
        return min(ways, default=unlimited)

    def _within(self, index: int, value: float) -> float:
        low, high = self._low[index], self._high[index]
        if not low - 1e-6 <= value <= high + 1e-6:
            raise self._misfit(f"number {index} cannot be {value:g}; it lies between {low:g} and {high:g}")
        return float(min(max(value, low), high))

    def _misfit(self, problem: str) -> ConfigurationError:
        return ConfigurationError(f"The action map {str(self._map)!r} does not fit: {problem}.")


class FunctionMap:
    """A function from the operator's command to the action; the same interface as `FittedMap`.

    With an empty command it returns the action that changes nothing. May have a method `reset(observation, info)`,
    called at each reset.
    """

    gripper: tuple[int, float, float] | None = None
    moves = frozenset(range(len(AXES)))
    full_speed = (1.0, 1.0, 1.0)
    full_rotation_speed: float | None = None

    def __init__(self, function: Callable[[TeleopCommand], ArrayLike], space: gym.spaces.Box):
        self._function = function
        self._low, self._high = action_limits(space)

    def start(self, observation: Any, info: dict[str, Any]) -> NDArray[np.float32]:
        if hasattr(self._function, "reset"):
            self._function.reset(observation, info)
        return self.idle(self._low)

    def idle(self, last: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.action(TeleopCommand(), last)

    def action(self, command: TeleopCommand, last: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            return check_action(self._function(command), self._low, self._high)
        except InvalidActionError as error:
            raise InvalidActionError(f"The action map {self._function!r} returned what is no action: {error}") from None


def fit_action_map(
    action_map: ActionMapLike | None, env: gym.Env[Any, Any], *, threshold: float = 0.0
) -> FittedMap | FunctionMap:
    """The map from the operator's command to an environment's action.

    Args:
        action_map: terms, see `ActionMap`; a function, see `FunctionMap`; or the name of one, `module:function`, where
            a class is called with the environment first. None to guess it from the action's length.
        env: its action space decides.
        threshold: motion below this share of full speed counts as none.

    Raises:
        ConfigurationError: the action space is no `Box` of one dimension, the map does not fit, or cannot be guessed.
    """
    space = check_action_space(env)
    chosen = choose_action_map(action_map, env)
    if isinstance(chosen, ActionMap):
        return FittedMap(chosen, space, threshold)
    return FunctionMap(chosen(env) if isinstance(chosen, type) else chosen, space)


def choose_action_map(action_map: ActionMapLike | None, env: gym.Env[Any, Any]) -> ActionMap | Callable[..., Any]:
    """The map or the function that was given, named or guessed; see `fit_action_map`."""
    if action_map is None:
        return guess_action_map(env)
    if isinstance(action_map, str) and is_function_name(action_map):
        return import_function(action_map, role="action map")  # type: ignore[no-any-return]
    if isinstance(action_map, (str, Mapping)):
        return ActionMap(action_map)
    if not isinstance(action_map, ActionMap) and not callable(action_map):
        raise ConfigurationError(f"The action map is {action_map!r}; expected a function, or terms: {SYNTAX}.")
    return action_map


def guess_action_map(env: gym.Env[Any, Any], scales: Mapping[str, float | None] = MappingProxyType({})) -> ActionMap:
    """The map that is assumed for an environment by the length of its action: 3, 4, 6 or 7 numbers.

    `scales` say what full speed adds to the number of an axis. A ConfigurationError for another action.
    """
    space = check_action_space(env)
    size = space.shape[0]
    if size not in GUESSES:
        raise ConfigurationError(
            f"What an action of {size} numbers, {space}, does cannot be guessed. Say which of them the operator moves "
            "by an action map, such as x=0,y=1,gripper=2, or by a function from a TeleopCommand to an action "
            "(action_map=..., --action-map); see docs/your_environment.md."
        )
    terms = dict(_split(GUESSES[size]))
    return ActionMap({name: f"{term}*{scales[name]}" if scales.get(name) else term for name, term in terms.items()})


def check_action_space(env: gym.Env[Any, Any]) -> gym.spaces.Box:
    """The action space, if it is a `Box` of one dimension with real numbers; else a ConfigurationError."""
    space = env.action_space
    if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1 or space.dtype.kind != "f" or not space.shape[0]:
        raise ConfigurationError(
            f"The action space of {env.unwrapped} is {space}; an operator needs a Box of one dimension with real "
            "numbers. Put a gymnasium.ActionWrapper with such an action_space around the environment."
        )
    return space


def action_limits(space: gym.spaces.Box) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Smallest and largest action that float32 has within a space, each (n,).

    What is executed is float32 in any space, so that what info reports and datasets keep is exactly that.
    """
    low, high = space.low.astype(np.float32), space.high.astype(np.float32)
    low = np.where(low < space.low, np.nextafter(low, np.float32(np.inf)), low)
    return low, np.where(high > space.high, np.nextafter(high, np.float32(-np.inf)), high)


def _split(text: str) -> list[tuple[str, str]]:
    pairs = [part.partition("=") for part in text.split(",")]
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def _pick(observation: Any, source: str) -> float:
    """The number that `key.key[i]` names; `[i]` for an observation that is a vector."""
    path, _, index = source.removesuffix("]").partition("[")
    for key in path.split(".") if path else ():
        observation = observation[key]
    return float(observation[int(index)])
