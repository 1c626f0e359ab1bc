"""An environment that an operator drives, with a policy or without, as `teleop`, `limits` and `record` need it."""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import gymnasium as gym

from gym_hil.cli.arguments import env_options, operator_options
from gym_hil.console import close_console
from gym_hil.errors import ConfigurationError
from gym_hil.pacing import Pacer
from gym_hil.policies import LoadedPolicy
from gym_hil.teleop.operator import introduce, seconds_paused


class Step(NamedTuple):
    """What a step returned."""

    observation: Any
    terminated: bool
    truncated: bool
    info: dict[str, Any]

    @property
    def ends_episode(self) -> bool:
        """Whether the episode is over."""
        return self.terminated or self.truncated


@contextlib.contextmanager
def operator_env(
    arguments: argparse.Namespace, *, task_kwargs: Mapping[str, Any] | None = None
) -> Iterator[gym.Env[Any, Any]]:
    """Make the environment with the operator inside; close it, and the console, in the end."""
    options = env_options(arguments)
    try:
        env = options.make(operator_options(arguments), task_kwargs=task_kwargs)
        if not options.is_task():
            guessed = " (guessed; --action-map says it otherwise)" if options.action_map is None else ""
            print(f"Action map: {env.get_wrapper_attr('action_map')}{guessed}", flush=True)
        try:
            yield env
        finally:
            env.close()
    finally:
        close_console()


def add_session_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments about the start and the end of episodes, for `OperatorSession`."""
    parser.add_argument(
        "--countdown",
        type=float,
        metavar="S",
        help="start each episode S seconds after the operator is there (default: at the first motion of an operator "
        "who has taken over, or at once with a policy)",
    )
    parser.add_argument(
        "--bell", action="store_true", help="ring the terminal's bell when an episode starts and when it ends"
    )
    parser.add_argument(
        "--ask",
        action="store_true",
        help="let the policy ask for help when an episode lasts longer than most of those did in which it succeeded",
    )


def check_session(arguments: argparse.Namespace) -> None:
    """Check `--countdown` and `--ask` before anything is made; else a ConfigurationError."""
    if arguments.ask and arguments.policy is None:
        raise ConfigurationError("--ask is for a policy that acts, which needs --policy.")
    seconds = arguments.countdown
    if seconds is not None and not 0 <= seconds < float("inf"):
        raise ConfigurationError(f"--countdown is {seconds}; expected seconds, 0 or more.")


def control_steps(
    env: gym.Env[Any, Any], observation: Any, pacer: Pacer | None, policy: LoadedPolicy | None = None
) -> Iterator[Step]:
    """Step an environment with an operator in it until the caller stops; after the reset that returned `observation`.

    The policy (None: actions that leave the robot where it is) is not asked while the operator drives. When they let
    go, it drops what is left of its plan. Pauses on the console are no delays of the `pacer` (None: no pace).
    """
    if policy is not None:
        policy.reset()
    drove = False
    for number in itertools.count():
        if policy is not None and number >= policy.help_after:
            env.get_wrapper_attr("ask_for_help")(True)
        paused = seconds_paused(env)
        drives = policy is not None and env.get_wrapper_attr("operator_drives")()
        if policy is None or drives:
            action = env.get_wrapper_attr("idle_action")
        else:
            if drove:
                policy.reset()
            action = policy(observation)
        drove = drives
        observation, _, terminated, truncated, info = env.step(action)
        if pacer is not None:
            pacer.leave_out(seconds_paused(env) - paused)
            pacer.wait()
        yield Step(observation, terminated, truncated, info)


def introduction(env: gym.Env[Any, Any], policy: LoadedPolicy | None) -> str:
    """What an operator has to know before the first step: who acts besides, the devices, what does what."""
    lines = [] if policy is None else [f"Policy: {policy.source}"]
    if env.get_wrapper_attr("device") is not None:
        lines.append(introduce(env))
    return "\n".join(lines)
