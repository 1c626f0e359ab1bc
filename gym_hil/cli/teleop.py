"""Drive the robot yourself, in real time. It stays where it is until you take over. Ctrl-C ends it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from gym_hil.cli.operator_arguments import add_operator_arguments, operator_options
from gym_hil.console import close_console
from gym_hil.errors import ConfigurationError
from gym_hil.pacing import Pacer
from gym_hil.registration import env_id, find_task
from gym_hil.teleop.operator import introduce, neutral_action, seconds_paused


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil teleop`."""
    parser.add_argument("--task", default="PandaPickCube", help="task, with or without version (%(default)s)")
    parser.add_argument("--episodes", type=int, metavar="N", help="how many (until Ctrl-C)")
    parser.add_argument("--seed", type=int, help="the same seed brings the same episodes (different ones each time)")
    parser.add_argument("--max-episode-steps", type=int, metavar="N", help="instead of the task's own; -1 for no end")
    parser.add_argument("--images", action="store_true", help="make the policy's images too, and show them on the page")
    add_operator_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil teleop`."""
    if arguments.episodes is not None and arguments.episodes < 1:
        raise ConfigurationError(f"--episodes is {arguments.episodes}; expected 1 or more.")
    if arguments.seed is not None and arguments.seed < 0:
        raise ConfigurationError(f"--seed is {arguments.seed}; expected 0 or more.")
    limit = arguments.max_episode_steps
    if limit is not None and limit < 1 and limit != -1:
        raise ConfigurationError(f"--max-episode-steps is {limit}; expected 1 or more, or -1 for no end.")
    name, version = find_task(arguments.task)
    try:
        options = operator_options(arguments).env_kwargs()
        env = gym.make(
            env_id(name, version=version),
            max_episode_steps=limit,
            image_obs=arguments.images,
            **options,
        )
        try:
            print(f"{name}-v{version}, {1 / env.get_wrapper_attr('control_dt'):g} steps a second")
            print(introduce(env), flush=True)
            drive(env, arguments.episodes, arguments.seed)
        finally:
            env.close()
    finally:
        close_console()
    return 0


def drive(env: gym.Env[Any, Any], episodes: int | None = None, seed: int | None = None) -> Pacer:
    """Let an operator drive in real time, without a policy; report how each episode ends and how the pace was kept.

    Args:
        env: with a device in it.
        episodes: how many, without those that are started again; None for no end but Ctrl-C and the operator's word.
        seed: of all episodes together; None for different ones each time.

    Returns:
        How the pace was kept.
    """
    rng = np.random.default_rng(seed)
    pacer = Pacer(env.get_wrapper_attr("control_dt"))
    number, successes, goes_on, again = 1, 0, True, False
    try:
        while goes_on and (episodes is None or number <= episodes):
            if not again:
                episode_seed = int(rng.integers(2**31))
            outcome, info = _drive_episode(env, pacer, number, episode_seed)
            print(f"episode {number}: {outcome}", flush=True)
            goes_on, again = not info.get("quit", False), info["rerecord_episode"]
            successes += info["next.success"]
            number += not again
    except KeyboardInterrupt:
        print(f"episode {number}: stopped")
    print(f"{successes} {'success' if successes == 1 else 'successes'}; {pacer.report()}", flush=True)
    return pacer


def _drive_episode(env: gym.Env[Any, Any], pacer: Pacer, number: int, seed: int) -> tuple[str, dict[str, Any]]:
    """One episode: how it ended, in words, and its last info."""
    action = neutral_action(env.action_space)  # type: ignore[arg-type]
    env.reset(seed=seed)
    pacer.restart()
    steps = driven = 0
    over = False
    with _StatusLine() as line:
        while not over:
            paused = seconds_paused(env)
            _, _, terminated, truncated, info = env.step(action)
            pacer.leave_out(seconds_paused(env) - paused)
            over = terminated or truncated
            steps += 1
            driven += info["is_intervention"]
            who = "YOU drive" if info["is_intervention"] else "nobody drives"
            line.show(f"episode {number}  step {steps}  {who}")
            pacer.wait()
    return f"{_outcome(info, terminated)} after {steps} steps, {driven} of them yours", info


def _outcome(info: Mapping[str, Any], terminated: bool) -> str:
    if info["rerecord_episode"]:
        return "discarded, the same starts again"
    if info["next.success"]:
        return "success" if info["succeed"] else "success by your word"
    if info.get("quit", False):
        return "stopped"
    return "failure" if terminated else "time is up"


class _StatusLine:
    """A line that is written over and vanishes at the end, where a terminal shows it."""

    def __enter__(self) -> _StatusLine:
        self._shown = ""
        self._on = sys.stdout.isatty()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print(f"\r{'':<{len(self._shown)}}\r", end="", flush=True)

    def show(self, text: str) -> None:
        if self._on:
            print(f"\r{text:<{len(self._shown)}}", end="", flush=True)
            self._shown = text
