"""Measure how far the arm has to reach: drive it to the places that matter, and get the bounds it stayed within."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil.cli.arguments import add_env_arguments, add_operator_arguments, check_output, path_argument, write_output
from gym_hil.cli.driving import control_steps, operator_env
from gym_hil.datasets.features import ObservationFeatures
from gym_hil.envs import FrankaGymEnv
from gym_hil.errors import ConfigurationError
from gym_hil.pacing import Pacer
from gym_hil.status import StatusLine
from gym_hil.teleop.operator import introduce

# Key of the limits -> name in print, and where in the numbers that are measured.
Parts = Mapping[str, tuple[str, slice]]
# Parts of agent_pos. LeRobot 0.6.1 calls `bounds` end_effector_bounds.
_EE = {"bounds": ("ee position", slice(15, 18))}
MODES: dict[str, Parts] = {"ee": _EE, "joint": {"joint_bounds": ("joint position", slice(0, 7)), **_EE}}
DIGITS = 4  # of m and rad: a tenth of a millimetre
STATUS_SECONDS = 10.0  # between two lines of status where there is no terminal

Bounds = dict[str, dict[str, list[float]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil limits`."""
    add_env_arguments(parser, time_limit=False)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="seconds to drive; Ctrl-C ends earlier (default: %(default)g)"
    )
    parser.add_argument(
        "--mode",
        choices=list(MODES),
        default="ee",
        help="ee: limits of the tool's position; joint: limits of the joints as well (default: %(default)s). Of an "
        "environment that is no task, every vector that it observes is measured",
    )
    parser.add_argument("--out", type=path_argument, metavar="FILE", help="JSON file to write the limits to")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first episode (default: %(default)s)")
    add_operator_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil limits`."""
    if not arguments.seconds > 0:
        raise ConfigurationError(f"--seconds is {arguments.seconds}; expected more than 0.")
    if arguments.out is not None:
        check_output(arguments.out, overwrite=arguments.overwrite)
    with operator_env(arguments) as env:
        print(introduce(env), flush=True)
        lowest, highest = measure(env, arguments.seconds, arguments.mode, arguments.seed)
        parts = measured(env, arguments.mode)[1]
    bounds = make_bounds(lowest, highest, parts)
    print("\n".join(describe(bounds, parts)))
    print(json.dumps(bounds))
    if arguments.out is not None:
        write_output(arguments.out, json.dumps(bounds, indent=2) + "\n")
    return 0


def measured(env: gym.Env[Any, Any], mode: str = "ee") -> tuple[Callable[[Any], NDArray[np.float64]], Parts]:
    """What is measured in an environment: a function that makes numbers of an observation, and what they are.

    Of a task of this package `agent_pos`, by the mode "ee" or "joint"; of any other all vectors, by "ee" alone.
    """
    if isinstance(env.unwrapped, FrankaGymEnv):
        return lambda observation: observation["agent_pos"].astype(np.float64), MODES[mode]
    if mode != "ee":
        raise ConfigurationError(f"--mode {mode} is for tasks of gym_hil; without it, all vectors are measured.")
    features = ObservationFeatures(env.observation_space)
    sizes = {key: one["shape"][0] for key, one in features.features.items() if one["dtype"] != "video"}
    ends = np.cumsum([0, *sizes.values()]).tolist()
    parts = {key: (key, slice(*ends[number : number + 2])) for number, key in enumerate(sizes)}

    def numbers(observation: Any) -> NDArray[np.float64]:
        values = features(observation)
        return np.concatenate([np.zeros(0), *(np.ravel(values[key]) for key in sizes)])

    return numbers, parts


def measure(
    env: gym.Env[Any, Any], seconds: float, mode: str = "ee", seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Drive an environment, and return the smallest and the largest values.

    A human drives in real time, a scripted operator as fast as the machine can. The end of the task does not end it: a
    human goes on from there, and starts again by a re-record; a scripted operator starts again. Ctrl-C and quit end
    it.

    Args:
        env: with an operator in it and without a time limit.
        seconds: of simulated time.
        mode: "ee" or "joint", what is shown meanwhile.
        seed: of the first episode.

    Returns:
        Lowest and highest numbers, see `measured`; of a task `agent_pos`, each (18,).
    """
    human = env.get_wrapper_attr("device").human
    dt = env.get_wrapper_attr("control_dt")
    numbers, parts = measured(env, mode)
    observation, _ = env.reset(seed=seed)
    lowest = highest = numbers(observation)
    pacer = Pacer(dt) if human else None
    count = max(round(seconds / dt), 1)
    try:
        with StatusLine(interval=STATUS_SECONDS) as line:
            for number, step in zip(range(1, count + 1), control_steps(env, observation, pacer), strict=False):
                now = numbers(step.observation)
                lowest, highest = np.minimum(lowest, now), np.maximum(highest, now)
                if step.info.get("quit", False):
                    break
                if step.truncated or (step.terminated and not human):
                    env.reset()
                    if pacer is not None:
                        pacer.restart()
                left = f"{seconds - number * dt:.0f} s left"
                line.update((left, *describe(make_bounds(lowest, highest, parts), parts)))
    except KeyboardInterrupt:
        print()
    return lowest, highest


def make_bounds(lowest: NDArray[np.float64], highest: NDArray[np.float64], parts: Parts) -> Bounds:
    """The limits as a configuration has them: `min` and `max` of each of the parts.

    For a task `bounds` in m, in the mode "joint" also `joint_bounds` in rad; else the names of vectors in a dataset.
    """
    return {key: {"min": _rounded(lowest[part]), "max": _rounded(highest[part])} for key, (_, part) in parts.items()}


def describe(bounds: Bounds, parts: Parts) -> list[str]:
    """The limits in words: `Max ee position [...]`, `Min ee position [...]`."""
    return [
        f"{end.capitalize()} {parts[key][0]} {limits[end]}" for key, limits in bounds.items() for end in ("max", "min")
    ]


def _rounded(values: NDArray[np.float64]) -> list[float]:
    # Adding 0 makes 0.0 of -0.0.
    return (np.round(values, DIGITS) + 0.0).tolist()
