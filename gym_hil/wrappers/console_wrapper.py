"""The web console beside a running environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike

from gym_hil.pacing import find_control_dt
from gym_hil.teleop.operator import seconds_paused
from gym_hil.wrappers.base import OperatorWrapper, record_arguments

if TYPE_CHECKING:
    from gym_hil.console.messages import EventKind

OUTCOMES = {
    "success": "success",
    "failure": "failure",
    "rerecord": "discarded, to be recorded again",
    "timeout": "time is up",
    "quit": "the operator wants to stop",
}


class ConsoleWrapper(OperatorWrapper):
    """Shows every step and reset on the web console, and the history of episodes.

    It never waits for a page, except after an operator has pressed "pause": then `step` and `reset` return when the
    operator goes on, or leaves.

    It goes outside of the wrappers that decide about reward, success and the end of the episode.

    Args:
        env: any environment. One with MuJoCo's `model` and `data` is drawn by the page, any other shown by its frames,
            for which it has to be made with `render_mode="rgb_array"`. Images in its observation are shown beside.
            `info` has the keys of `InputsControlWrapper` where an operator takes part.

    Attributes:
        channel: the environment's place on the console; None in a copy that has not been reset yet.

    Raises:
        MissingExtraError: the extra `web` is not installed.
    """

    NOT_COPIED = ("channel",)

    @record_arguments()
    def __init__(self, env: gym.Env[Any, Any]):
        super().__init__(env)
        self._dt = find_control_dt(env)
        self._limit = None if env.spec is None else env.spec.max_episode_steps
        self._resets_itself = env.has_wrapper_attr("auto_reset") and env.get_wrapper_attr("auto_reset")
        self._seconds_paused = 0.0
        self._episode = self._steps = self._interventions = 0
        self._return = 0.0
        self._operator = self._stopped = self._asks = False
        self._over = True
        self.channel: Any = None
        self._open()

    @property
    def seconds_paused(self) -> float:
        """How long steps and resets have waited for the operator, in s: while paused, and to get ready."""
        return self._seconds_paused + seconds_paused(self.env)

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode and show it."""
        self._open()
        self._wait_while_paused()
        if not self._over and self._steps:
            self._finish("timeout", success=False)  # by a time limit further outside, most likely
        observation, info = self.env.reset(**kwargs)
        self._begin(observation, info)
        return observation, info

    def step(self, action: ArrayLike) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step and show it."""
        if self.channel is None:
            return self.env.step(action)
        self._wait_while_paused()
        result = self.env.step(action)
        if self._over and self._resets_itself:
            self._begin(result[0], result[4])
        else:
            self._note(*result)
        return result

    def operator_drives(self) -> bool:
        """Whether the operator drives the coming step; see `InputsControlWrapper`. It waits as `step` does."""
        self._wait_while_paused()
        return bool(self.env.get_wrapper_attr("operator_drives")())

    def close(self) -> None:
        """Take the environment off the console, then close it. The console goes on."""
        if self.channel is not None:
            self.channel.close()
        self.env.close()

    def _open(self) -> None:
        from gym_hil.console import get_console

        base: Any = self.env.unwrapped
        self.channel = get_console().channel_for(base)
        if hasattr(base, "shows_itself"):
            base.shows_itself = False  # this shows more

    def _wait_while_paused(self) -> None:
        self._seconds_paused += self.channel.wait_while_paused()

    def _begin(self, observation: Any, info: Mapping[str, Any]) -> None:
        # The command's own count, where there is one, does not count what is recorded again.
        self._episode = self.channel.session.episode or self._episode + 1
        self._over = False
        self._steps = self._interventions = 0
        self._return = 0.0
        self._operator = False
        self._show(observation, 0.0, info)

    def _note(self, observation: Any, reward: Any, terminated: bool, truncated: bool, info: Mapping[str, Any]) -> None:
        """Show what a step returned. The end of an episode counts once, also if there are further steps."""
        operator = bool(info.get("is_intervention", False))
        self._steps += 1
        self._interventions += operator
        self._return += float(reward)
        stopped = self.env.has_wrapper_attr("stopped") and bool(self.env.get_wrapper_attr("stopped"))
        self.channel.note_stop(stopped)
        if stopped != self._stopped:
            self.channel.log_event("stop", "emergency stop" if stopped else "emergency stop released")
            self._stopped = stopped
        asks = self._asks_for_help()
        if asks and not self._asks:
            self.channel.log_event("help", "the policy asks for help")
        self._asks = asks
        if operator != self._operator:
            takeover, handback = ("takeover", "the operator drives"), ("handback", "the policy drives")
            self.channel.log_event(*(takeover if operator else handback))
            self._operator = operator
        if (terminated or truncated) and not self._over:
            self._episode = self.channel.session.episode or self._episode  # one before it may have been deleted
            self._finish(_outcome(info, truncated), success=_succeeded(info))
        self._show(observation, float(reward), info)

    def _finish(self, outcome: EventKind, *, success: bool) -> None:
        self._over = True
        self.channel.log_event(outcome, f"episode {self._episode}: {OUTCOMES[outcome]} after {self._steps} steps")
        self.channel.add_episode(
            {
                "number": self._episode,
                "steps": self._steps,
                "interventions": self._interventions,
                "success": success,
                "episode_return": round(self._return, 4),
                "discarded": outcome == "rerecord",
            }
        )

    def _show(self, observation: Any, reward: float, info: Mapping[str, Any]) -> None:
        from gym_hil.console.images import observed_images

        limit = self._limit if self._limit is not None and self._steps <= self._limit else None
        self.channel.publish(
            {
                "episode": self._episode,
                "step": self._steps,
                "max_steps": limit,
                "seconds_left": None if limit is None else round((limit - self._steps) * self._dt, 2),
                "reward": reward,
                "episode_return": round(self._return, 4),
                "driver": "operator" if self._operator else "policy",
                "success": _succeeded(info),
                "asks_for_help": self._asks_for_help(),
                "force_torque": _force_torque(observation),
            },
            observed_images(observation),
            (self.env.render, self.env.render_mode),
        )

    def _asks_for_help(self) -> bool:
        return self.env.has_wrapper_attr("asks_for_help") and bool(self.env.get_wrapper_attr("asks_for_help"))


def _force_torque(observation: Any) -> tuple[float, ...] | None:
    """Force and torque of an observation that has them: 6 finite numbers under the name `force_torque`."""
    values = observation.get("force_torque") if isinstance(observation, Mapping) else None
    if values is None or np.shape(values) != (6,) or not np.isfinite(values).all():
        return None
    return tuple(round(float(value), 3) for value in values)


def _succeeded(info: Mapping[str, Any]) -> bool:
    return bool(info.get("next.success", info.get("succeed", False)))


def _outcome(info: Mapping[str, Any], truncated: bool) -> EventKind:
    if info.get("rerecord_episode", False):
        return "rerecord"
    if info.get("quit", False):
        return "quit"
    if _succeeded(info):
        return "success"
    return "timeout" if truncated else "failure"
