"""Very many random steps: nothing may become NaN, warn or grow."""

import concurrent.futures
import os
from multiprocessing import get_context
from typing import NamedTuple

import gymnasium as gym
import numpy as np

import gym_hil  # noqa: F401  # registers the ids
from benchmarks.fidelity import warning_count
from benchmarks.row import Row

STEPS, QUICK_STEPS, PROCESSES = 1_000_000, 20_000, 2
GROWTH_MB = 4.0  # what the allocator may keep for itself


class Outcome(NamedTuple):
    """What one process saw.

    Attributes:
        steps: how many it did.
        episodes: how many it began.
        not_finite: observations with a value that is not finite.
        warnings: what MuJoCo counted.
        growth: MB between the first tenth and the end.
    """

    steps: int
    episodes: int
    not_finite: int
    warnings: int
    growth: float


def random_steps(quick: bool = False) -> Row:
    """Random actions in random starts, shared among processes."""
    total = QUICK_STEPS if quick else STEPS
    share = [total // PROCESSES] * PROCESSES
    # Fresh interpreters: a forked one would share its memory with the parent, and the growth would not be its own.
    with concurrent.futures.ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        outcomes = list(pool.map(run, share, range(PROCESSES)))
    steps, episodes, not_finite, warnings = (sum(column) for column in list(zip(*outcomes, strict=True))[:4])
    growth = max(outcome.growth for outcome in outcomes)
    measured = (
        f"{steps:,} steps in {episodes:,} episodes: {not_finite} not finite, {warnings} warnings, "
        f"{growth:+.1f} MB after the first tenth"
    )
    met = not not_finite and not warnings and growth <= GROWTH_MB
    what = f"{total:,} random state-only steps over random resets"
    return Row(what, f"no NaN, no warning, no growth of memory (under {GROWTH_MB:g} MB)", measured, met)


def run(steps: int, seed: int) -> Outcome:
    """Do one process's share."""
    env = gym.make("gym_hil/PandaPickCube-v1")
    env.action_space.seed(seed)
    env.reset(seed=seed)
    data = env.unwrapped.data
    episodes, not_finite, warnings, early = 1, 0, 0, 0.0
    for k in range(steps):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        not_finite += not (np.isfinite(reward) and all(np.isfinite(part).all() for part in observation.values()))
        if terminated or truncated or k == steps - 1:
            # A reset clears MuJoCo's counts.
            warnings += warning_count(data)
            env.reset()
            episodes += 1
        if k == steps // 10:
            early = _megabytes()
    return Outcome(steps, episodes, not_finite, warnings, _megabytes() - early)


def _megabytes() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
