"""Drive the robot yourself, in real time. Until you take over, it holds still or a policy acts. Ctrl-C ends it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from gym_hil.cli import arguments as shared
from gym_hil.cli.driving import Step, add_session_arguments, check_session, control_steps, introduction, operator_env
from gym_hil.pacing import Pacer
from gym_hil.policies import LoadedPolicy
from gym_hil.registration import NAMESPACE
from gym_hil.status import StatusLine
from gym_hil.teleop.session import Choice, OperatorSession


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil teleop`."""
    shared.add_env_arguments(parser)
    shared.add_policy_arguments(parser)
    shared.add_state_key_argument(parser)
    parser.add_argument("--episodes", type=int, metavar="N", help="number of episodes (default: until Ctrl-C)")
    parser.add_argument(
        "--seed", type=int, help="seed; the same seed gives the same episodes (default: new ones each time)"
    )
    parser.add_argument(
        "--images", action="store_true", help="draw the policy's images as well, and show them on the web console"
    )
    shared.add_force_torque_argument(parser)
    shared.add_operator_arguments(parser)
    add_session_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil teleop`."""
    shared.check_at_least(arguments, episodes=1, seed=0)
    check_session(arguments)
    options = shared.env_options(arguments)
    shared.check_task(options, "--images is", arguments.images, advice="{id} shows the images that it observes")
    task_kwargs = {"image_obs": arguments.images, **shared.force_torque_kwargs(arguments, options)}
    with operator_env(arguments, task_kwargs=task_kwargs) as env:
        name = options.spec().id.removeprefix(f"{NAMESPACE}/")
        print(f"{name}, {1 / env.get_wrapper_attr('control_dt'):g} steps a second")
        policy = shared.read_policy(arguments, env)
        print(introduction(env, policy), flush=True)
        drive(env, arguments.episodes, arguments.seed, policy, countdown=arguments.countdown, bell=arguments.bell)
    return 0


def drive(
    env: gym.Env[Any, Any],
    episodes: int | None = None,
    seed: int | None = None,
    policy: LoadedPolicy | None = None,
    *,
    countdown: float | None = None,
    bell: bool = False,
) -> Pacer:
    """Let an operator drive in real time; print how each episode ends, and return how the pace was kept.

    Args:
        env: with an operator in it.
        episodes: number of episodes, not counting those that are started again; None to go on until Ctrl-C or quit.
        seed: from which the seeds of all episodes are drawn; None for different ones each time.
        policy: that acts while the operator does not; None to hold still.
        countdown: see `OperatorSession`.
        bell: whether the terminal's bell rings when an episode starts and ends.
    """
    rng = np.random.default_rng(seed)
    pacer = Pacer(env.get_wrapper_attr("control_dt"))
    number, successes, quits, again = 1, 0, False, False
    with StatusLine(bell=bell) as line:
        session = OperatorSession(
            env, line, activity="driving", has_policy=policy is not None, episodes=episodes, countdown=countdown
        )
        try:
            while not quits and (episodes is None or number <= episodes):
                if not again:
                    episode_seed = int(rng.integers(2**31))
                session.prepare(number)
                observation, _ = env.reset(seed=episode_seed)
                if session.wait_until_ready() is Choice.QUIT:
                    break
                outcome, info = _drive_episode(env, session, line, pacer, number, observation, policy)
                line.clear()
                line.print(f"episode {number}: {outcome}")
                quits, again = info.get("quit", False), info["rerecord_episode"]
                successes += info["next.success"]
                number += not again
        except KeyboardInterrupt:
            line.print(f"episode {number}: stopped")
        session.close("gym-hil teleop has ended")
    print(f"{successes} {'success' if successes == 1 else 'successes'}; {pacer.report()}", flush=True)
    return pacer


def _drive_episode(
    env: gym.Env[Any, Any],
    session: OperatorSession,
    line: StatusLine,
    pacer: Pacer,
    number: int,
    observation: Any,
    policy: LoadedPolicy | None,
) -> tuple[str, Mapping[str, Any]]:
    """Drive one episode, after its reset; returns how it ended, in words, and its last info."""
    session.run()
    pacer.restart()
    steps = driven = 0
    otherwise = "holding still" if policy is None else "the policy drives"
    for step in control_steps(env, observation, pacer, policy):
        steps += 1
        driven += step.info["is_intervention"]
        who = "YOU are driving" if step.info["is_intervention"] else otherwise
        line.update((f"episode {number}", f"step {steps}", *session.notes(), who))
        if step.ends_episode:
            break
    session.end()
    return f"{_outcome(step)} after {steps} steps, {driven} of them yours", step.info


def _outcome(step: Step) -> str:
    if step.info["rerecord_episode"]:
        return "discarded, starts again"
    if step.info["next.success"]:
        return "success" if step.info["succeed"] else "success (marked by you)"
    if step.info.get("quit", False):
        return "stopped"
    return "failure" if step.terminated else "time is up"
