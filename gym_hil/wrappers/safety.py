"""Limits for real robots: a workspace, a largest step, and a watchdog that holds the robot still."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.envs.mujoco_env import check_action
from gym_hil.errors import ConfigurationError, InvalidStepError, check
from gym_hil.imports import describe_error
from gym_hil.teleop.operator import neutral_action
from gym_hil.wrappers.action_map import action_limits, check_action_space
from gym_hil.wrappers.base import OperatorWrapper, record_arguments, unshare


class SafetyWrapper(OperatorWrapper):
    """Limits the actions of policies and operators before they reach a robot.

    It goes next to the robot, inside of `gym_hil.wrap`. Info has `executed_action`, what was sent to the robot, and
    `safety`, a tuple of what was limited: "workspace", "step", and "watchdog" if the robot was held before this step.

    It is no substitute for the robot's own limits and its emergency stop: it runs in the same process as everything
    else, and ends with it.

    Args:
        env: an environment whose action is a `Box` of one dimension.
        max_step: how much a number of the action may change in a step, one value or (n,): from the neutral action, or
            with `absolute` from the action before. None for no limit.
        workspace: (2, k), lower and upper corner. Where the robot is outside, it can move back in only. None for no
            limit.
        position: function of the observation; where the robot is, (k,), in the units of the workspace. Needed for a
            workspace without `absolute`; with it, the first step of an episode begins there.
        numbers: which k numbers of the action move the robot in the workspace.
        unit: how far an action of 1 moves the robot.
        absolute: whether the action says where to go, and not how far.
        watchdog: s after the end of a step after which the robot is held if no other step begins; None for none. It is
            also held at the end of an episode and when the environment is closed.
        hold: holds the robot still; called in a thread of its own, never during a step. None for the environment's
            method `hold`.

    Raises:
        ConfigurationError: an argument has a value that cannot work, or there is nothing that could hold the robot.
    """

    NOT_COPIED = ("_watchdog",)

    @record_arguments("hold", "position")
    def __init__(
        self,
        env: gym.Env[Any, Any],
        *,
        max_step: ArrayLike | None = None,
        workspace: ArrayLike | None = None,
        position: Callable[[Any], ArrayLike] | None = None,
        numbers: Sequence[int] = (0, 1, 2),
        unit: float = 1.0,
        absolute: bool = False,
        watchdog: float | None = 0.3,
        hold: Callable[[], Any] | None = None,
    ):
        super().__init__(env)
        space = check_action_space(env)
        self._low, self._high = action_limits(space)
        self._neutral = neutral_action(space)
        self._numbers, self._unit, self._absolute = list(numbers), unit, absolute
        self._max_step = None if max_step is None else np.broadcast_to(np.asarray(max_step, float), space.shape)
        check(self._max_step is None or (self._max_step >= 0).all(), "max_step", max_step, "0 or more")
        if workspace is not None and any(not 0 <= number < space.shape[0] for number in self._numbers):
            raise ConfigurationError(f"numbers is {numbers!r}; the action has the numbers 0 to {space.shape[0] - 1}.")
        check(np.isfinite(unit) and unit, "unit", unit, "how far an action of 1 moves the robot")
        self._position: Callable[[Any], ArrayLike] | None = unshare(position)
        self._workspace = None if workspace is None else np.asarray(workspace, dtype=float)
        if self._workspace is not None:
            count = len(self._numbers)
            fits = self._workspace.shape == (2, count) and (self._workspace[0] < self._workspace[1]).all()
            expected = f"the lower and the upper corner, each of {count} numbers (numbers=...)"
            check(fits, "workspace", workspace, expected)
            if position is None and not absolute:
                raise ConfigurationError("A workspace needs position=..., a function that finds it in an observation.")
        fits = watchdog is None or 0 < watchdog < np.inf
        check(fits, "watchdog", watchdog, "seconds, more than 0, or None")
        self._seconds = watchdog
        self._hold: Callable[[], Any] | None = unshare(hold) or getattr(env.unwrapped, "hold", None)
        if watchdog is not None and not callable(self._hold):
            raise ConfigurationError(
                "The watchdog has nothing that holds the robot still: give hold=..., a method hold() of the "
                "environment, or watchdog=None."
            )
        self._watchdog: _Watchdog | None = None
        self._observation: Any = None
        self._last: NDArray[np.float32] | None = None  # executed by the last step

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode. The watchdog waits for its first step."""
        if self._watchdog is not None:
            self._watchdog.begin_step()
        self._observation, info = self.env.reset(**kwargs)
        self._last = None
        info["safety"] = ()
        return self._observation, info

    def step(self, action: ArrayLike) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step within the limits.

        Raises:
            InvalidActionError: the shape is wrong or a value is not finite; nothing has moved then.
            InvalidStepError: the watchdog could not hold the robot.
        """
        wanted = check_action(action, self._low, self._high)
        limited: list[str] = []
        if self._watchdog is None and self._seconds is not None and self._hold is not None:
            self._watchdog = _Watchdog(self._seconds, self._hold)
        if self._watchdog is not None and self._watchdog.begin_step():
            limited.append("watchdog")
        inside = self._within_workspace(wanted)
        executed = self._within_step(inside)
        if (inside != wanted).any():
            limited.append("workspace")
        if (executed != inside).any():
            limited.append("step")
        observation, reward, terminated, truncated, info = self.env.step(executed.astype(self.action_space.dtype))
        self._observation, self._last = observation, executed
        info.setdefault("executed_action", executed.copy())
        info["safety"] = tuple(limited)
        if self._watchdog is not None:
            self._watchdog.end_step(0.0 if terminated or truncated else self._seconds)
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Hold the robot, then close the environment."""
        watchdog, self._watchdog = self._watchdog, None
        try:
            if watchdog is not None:
                watchdog.close()
        finally:
            self.env.close()

    def _within_workspace(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._workspace is None:
            return action
        low, high = self._workspace
        here: Any = 0.0
        if not self._absolute:
            assert self._position is not None
            here = np.asarray(self._position(self._observation), dtype=float)
            # Outside, the way back in is open, and every way further out closed.
            low, high = np.minimum(low - here, 0), np.maximum(high - here, 0)
        neutral = np.zeros(len(self._numbers)) if self._absolute else self._neutral[self._numbers]
        motion = (action[self._numbers] - neutral) * self._unit
        allowed = np.clip(motion, low, high)
        limited = action.copy()
        limited[self._numbers] = np.where(allowed == motion, action[self._numbers], neutral + allowed / self._unit)
        return np.clip(limited, self._low, self._high)

    def _within_step(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._max_step is None:
            return action
        start = self._neutral
        if self._absolute:
            if self._last is None:
                start = action.copy()
                if self._position is not None:
                    start[self._numbers] = self._position(self._observation)
            else:
                start = self._last
        return np.clip(action, start - self._max_step, start + self._max_step).astype(np.float32)


class _Watchdog:
    """A thread that holds the robot when no step has begun for a while."""

    def __init__(self, seconds: float, hold: Callable[[], Any]):
        self._hold = hold
        self._condition = threading.Condition()
        self._due: float | None = None  # s, time.monotonic() at which the robot is held
        self._held = self._closed = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._watch, name="gym-hil-watchdog", daemon=True)
        self._thread.start()

    def begin_step(self) -> bool:
        """Stop waiting for a step. True if the robot has been held since the last one."""
        with self._condition:
            self._due = None
            held, self._held = self._held, False
            error, self._error = self._error, None
        if error is not None:
            raise InvalidStepError(f"The robot could not be held still: {describe_error(error)}.") from error
        return held

    def end_step(self, seconds: float | None) -> None:
        """Wait for the next step."""
        with self._condition:
            self._due = time.monotonic() + (seconds or 0.0)
            self._condition.notify()

    def close(self) -> None:
        """Hold the robot, and end the thread."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        self._thread.join()
        self._hold()

    def _watch(self) -> None:
        with self._condition:
            while not self._closed:
                left = None if self._due is None else self._due - time.monotonic()
                if left is None or left > 0:
                    self._condition.wait(left)
                    continue
                self._due = None
                try:
                    self._hold()
                    self._held = True
                except Exception as error:  # any, from the robot; the next step raises it
                    self._error = error
