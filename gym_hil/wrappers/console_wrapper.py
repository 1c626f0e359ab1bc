"""The operator's console beside a running environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from gym_hil.console.messages import EventKind

OUTCOMES = {
    "success": "success",
    "failure": "failure",
    "rerecord": "discarded, to be recorded again",
    "timeout": "time is up",
    "quit": "the operator wants to stop",
}


class ConsoleWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Shows every step and reset on the web console, and the history of episodes.

    It never waits for a page, but for an operator who has pressed "pause": then `step` and `reset` come back when the
    operator goes on, or leaves.

    A wrapper further outside that decides about reward, success and end sets `is_told`, and calls `show_step` with what
    it returns from each of its steps. So the page shows what the episode really is.

    Args:
        env: an environment with `model` and `data`, whose `info` has the keys of `InputsControlWrapper`.

    Attributes:
        is_told: whether somebody else calls `show_step`; if not, `step` does.

    Raises:
        MissingExtraError: the extra `web` is not installed.
    """

    def __init__(self, env: gym.Env[Any, Any]):
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self.seconds_paused = 0.0
        self.is_told = False
        self._dt: float = env.unwrapped.control_dt  # type: ignore[attr-defined]
        self._episode = self._steps = self._interventions = 0
        self._return = 0.0
        self._operator = False
        self._over = True
        self._open()

    @property
    def spec(self) -> EnvSpec | None:  # type: ignore[override]  # a property in Gymnasium's wrappers too
        """That of the environment inside: whether this wrapper is needed depends on the machine, not on the id."""
        return self.env.spec

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode and show it."""
        self._open()
        self.seconds_paused += self.channel.wait_while_paused()
        if not self._over and self._steps:
            self._finish("timeout", success=False)  # by a time limit further outside, most likely
        observation, info = self.env.reset(**kwargs)
        self._begin()
        self._show(observation, 0.0, info)
        return observation, info

    def step(self, action: ArrayLike) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step and show it."""
        self.seconds_paused += self.channel.wait_while_paused()
        result = self.env.step(action)
        if not self.is_told:
            self.show_step(*result)
        return result

    def show_step(
        self, observation: Any, reward: Any, terminated: bool, truncated: bool, info: Mapping[str, Any]
    ) -> None:
        """Show what a step returned. The end of an episode is noted once, also if there are further steps."""
        last = info.get("final_info", info)
        operator = bool(last.get("is_intervention", False))
        self._steps += 1
        self._interventions += operator
        self._return += float(reward)
        if operator != self._operator:
            self.channel.log_event(
                *(("takeover", "the operator drives") if operator else ("handback", "the policy drives"))
            )
            self._operator = operator
        if (terminated or truncated) and not self._over:
            self._finish(_outcome(last, truncated), success=_succeeded(last))
        if last is not info:
            self._begin()
        self._show(observation, float(reward), info)

    def close(self) -> None:
        """Take the environment off the console, then close it. The console goes on."""
        self.channel.close()
        self.env.close()

    def _open(self) -> None:
        from gym_hil.console import get_console

        base: Any = self.env.unwrapped
        self.channel = get_console().channel_for(base)
        base.shows_itself = False  # this shows more

    def _begin(self) -> None:
        self._episode += 1
        self._over = False
        self._steps = self._interventions = 0
        self._return = 0.0
        self._operator = False

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
        limit = self._limit()
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
            },
            observation.get("pixels") if isinstance(observation, dict) else None,
        )

    def _limit(self) -> int | None:
        """Steps after which the episode ends, by the id; None if there is none, or the episode shows otherwise."""
        spec = self.env.unwrapped.spec
        registered = None if spec is None else gym.registry.get(spec.id)
        limit = None if registered is None else registered.max_episode_steps
        return limit if limit is None or self._steps <= limit else None


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
