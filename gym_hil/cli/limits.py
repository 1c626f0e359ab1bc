"""Find out how far the arm has to reach: move it by a device, and note the furthest it came."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil.cli.operator_arguments import add_operator_arguments, operator_options
from gym_hil.console import close_console
from gym_hil.errors import ConfigurationError
from gym_hil.pacing import Pacer
from gym_hil.registration import env_id, find_task
from gym_hil.teleop.operator import introduce, neutral_action, seconds_paused

# Mode -> what it is called in print, and its part of agent_pos.
MODES = {"ee": ("ee", slice(15, 18)), "joint": ("joint", slice(0, 7))}
DIGITS = 4  # of m and rad: a tenth of a millimetre


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil limits`."""
    parser.add_argument("--task", default="PandaPickCube", help="task, with or without version (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long; Ctrl-C ends it (%(default)g)")
    parser.add_argument("--mode", choices=list(MODES), default="ee", help="joint: tell the joints' limits too")
    parser.add_argument("--out", metavar="FILE", help="a JSON file for the limits")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it is there")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode (%(default)s)")
    add_operator_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil limits`."""
    if not arguments.seconds > 0:
        raise ConfigurationError(f"--seconds is {arguments.seconds}; expected more than 0.")
    out = None if arguments.out is None else Path(arguments.out)
    if out is not None and out.exists() and not arguments.overwrite:
        raise ConfigurationError(f"{out} is there already; say --overwrite to replace it.")
    name, version = find_task(arguments.task)
    try:
        options = operator_options(arguments).env_kwargs()
        env = gym.make(env_id(name, version=version), max_episode_steps=-1, disable_env_checker=True, **options)
        try:
            print(introduce(env), flush=True)
            lowest, highest = explore(env, arguments.seconds, arguments.mode, arguments.seed)
        finally:
            env.close()
    finally:
        close_console()
    print("\n".join(tell(lowest, highest, arguments.mode)))
    block = bounds_block(lowest, highest, arguments.mode)
    print(json.dumps(block))
    if out is not None:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(block, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{out} cannot be written: {error}. Choose another place with --out.") from error
    return 0


def explore(
    env: gym.Env[Any, Any], seconds: float, mode: str = "ee", seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Step an environment that somebody drives, and note the smallest and the largest values.

    An operator drives in real time, anybody else as fast as it goes. The end of the task does not end it: an operator
    goes on from there, the others start again, and so does an operator who asks for that (re-record). Ctrl-C and quit
    end it.

    Args:
        env: with a device in it and without a time limit.
        seconds: of the simulation.
        mode: "ee" or "joint", what is told on the way.
        seed: of the first episode.

    Returns:
        Lowest and highest `agent_pos`, each (18,).
    """
    human = env.get_wrapper_attr("device").human
    dt = env.get_wrapper_attr("control_dt")
    still = neutral_action(env.action_space)  # type: ignore[arg-type]
    observation, _ = env.reset(seed=seed)
    lowest = highest = observation["agent_pos"].astype(np.float64)
    pacer = Pacer(dt)
    steps, a_second = max(round(seconds / dt), 1), max(round(1 / dt), 1)
    try:
        for step in range(1, steps + 1):
            paused = seconds_paused(env)
            observation, _, terminated, truncated, info = env.step(still)
            pacer.leave_out(seconds_paused(env) - paused)
            lowest = np.minimum(lowest, observation["agent_pos"])
            highest = np.maximum(highest, observation["agent_pos"])
            if info.get("quit", False):
                break
            if truncated or (terminated and not human):
                env.reset()
                pacer.restart()
            if human:
                pacer.wait()
            if step % a_second == 0 and (human or sys.stdout.isatty()):
                print(f"{seconds - step * dt:4.0f} s left  {'  '.join(tell(lowest, highest, mode))}", flush=True)
    except KeyboardInterrupt:
        print()
    return lowest, highest


def tell(lowest: NDArray[np.float64], highest: NDArray[np.float64], mode: str) -> list[str]:
    """The limits in words: `Max ee position [...]`, `Min ee position [...]`, and with "joint" the joints' before."""
    lines = []
    for name, part in (MODES["joint"], MODES["ee"]) if mode == "joint" else (MODES["ee"],):
        lines += [f"Max {name} position {_rounded(highest[part])}", f"Min {name} position {_rounded(lowest[part])}"]
    return lines


def bounds_block(lowest: NDArray[np.float64], highest: NDArray[np.float64], mode: str) -> dict[str, Any]:
    """The limits as a configuration has them.

    `bounds` has `min` and `max`, in m; LeRobot 0.6.1 calls the same `end_effector_bounds` (in `inverse_kinematics`).
    `joint_bounds`, in rad, is there with the mode "joint".
    """
    block = {}
    for key, (_, part) in {"bounds": MODES["ee"], "joint_bounds": MODES["joint"]}.items():
        if key == "bounds" or mode == "joint":
            block[key] = {"min": _rounded(lowest[part]), "max": _rounded(highest[part])}
    return block


def _rounded(values: NDArray[np.float64]) -> list[float]:
    # Adding 0 makes 0.0 of -0.0.
    return (np.round(values, DIGITS) + 0.0).tolist()
