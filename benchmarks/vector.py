"""Many environments in one process: speed beside Gymnasium's vectors and upstream, memory, and equality to the bit."""

import functools
import hashlib
import os
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

import gym_hil
from benchmarks import upstream as sides
from benchmarks.report import Row, middle, outside_mujoco, run_alone, seconds, take_turns
from benchmarks.upstream import Worker

OURS, SYNC, ASYNC = "vector_entry_point", "sync", "async"
MANY, FEW = 16, 4  # environments
STATE_BARS, VIEWS_BARS = (1.9, 1.8), (1.9, 1.3)  # times as fast as sync and async
UPSTREAM_BAR = 25  # times
MEMORY_ENVS, MEMORY_GB = 64, 1.5
PYTHON_SHARE = 0.10
EQUAL_STEPS, QUICK_EQUAL_STEPS, THREADS = 100_000, 300, (1, 2, 7)
TASKS = ("PandaPickCube", "PandaArrangeBoxes", "PandaInsertPeg")
CORES = 16  # of a machine on which the scaling is asked for


def vector_state(quick: bool = False) -> Row:
    """16 environments from state beside Gymnasium's own vectors of them."""
    return _beside_gymnasium("state", STATE_BARS, steps=20, rounds=1 if quick else 40, image_obs=False)


def vector_views(quick: bool = False) -> Row:
    """16 environments with two views each, likewise."""
    return _beside_gymnasium("two 128 px views", VIEWS_BARS, steps=4, rounds=1 if quick else 30, image_obs=True)


def _side(worker: Worker, steps: int, warm_up: int, **arguments: Any) -> Callable[[int], float]:
    """Steps a second of a vector in one round after the other."""
    worker.call("vector_speed", steps=warm_up, seed=0, **arguments)
    return lambda number: worker.call("vector_speed", steps=steps, seed=1 + number, **arguments)


def _beside_gymnasium(what: str, bars: tuple[float, float], *, steps: int, rounds: int, image_obs: bool) -> Row:
    vectors = [
        _side(sides.ours(), steps, 2, mode=mode, num_envs=MANY, image_obs=image_obs) for mode in (OURS, SYNC, ASYNC)
    ]
    speeds = take_turns(vectors, rounds)
    (one, low, high), (other, lowest, highest) = (middle(speeds[:, 0] / speeds[:, k]) for k in (1, 2))
    own, sync, asynchronous = np.median(speeds, axis=0)
    measured = (
        f"{one:.2f} ({low:.2f} to {high:.2f} in 8 of 10 rounds) and {other:.2f} ({lowest:.2f} to {highest:.2f}) times: "
        f"{own:,.0f} steps/s, sync {sync:,.0f}, async {asynchronous:,.0f}"
    )
    what = f"{MANY} environments, {what}, PickCube, beside Gymnasium's sync and async vector of the same id"
    return Row(what, f"at least {bars[0]:g} and {bars[1]:g} times", measured, one >= bars[0] and other >= bars[1])


def vector_upstream_state(quick: bool = False) -> Row:
    """4 environments from state beside upstream's in an AsyncVectorEnv."""
    return _beside_upstream("state", theirs=10, own=100, rounds=1 if quick else 15, image_obs=False)


def vector_upstream_views(quick: bool = False) -> Row:
    """4 environments with two views each, likewise."""
    return _beside_upstream("two 128 px views", theirs=1, own=20, rounds=1 if quick else 10, image_obs=True)


def _beside_upstream(what: str, *, theirs: int, own: int, rounds: int, image_obs: bool) -> Row:
    arguments = {"num_envs": FEW, "image_obs": image_obs}
    # A forked process would share the OpenGL context of its parent.
    upstream = _side(sides.upstream(), theirs, 1, mode=ASYNC, context="spawn", **arguments)
    speeds = take_turns([_side(sides.ours(), own, 1, mode=OURS, **arguments), upstream], rounds)
    ratio, low, high = middle(speeds[:, 0] / speeds[:, 1])
    here, there = np.median(speeds, axis=0)
    measured = f"{ratio:.1f} times ({low:.1f} to {high:.1f}): {here:,.0f} steps/s, upstream {there:,.1f}"
    what = f"{FEW} environments, {what}, beside upstream's in an AsyncVectorEnv"
    return Row(what, f"at least {UPSTREAM_BAR} times", measured, ratio >= UPSTREAM_BAR)


_MEMORY = """
import gymnasium, gym_hil
envs = gymnasium.make_vec("gym_hil/PandaPickCube-v1", num_envs={count}, image_obs=True)
envs.reset(seed=0)
for _ in range(3):
    envs.step(envs.action_space.sample())
print(megabytes() / 1e3)
"""


def vector_memory(quick: bool = False) -> Row:
    """Resident memory of 64 environments with images after a few steps."""
    gigabytes, one = (run_alone(_MEMORY.format(count=count)) for count in (MEMORY_ENVS, 1))
    measured = f"{gigabytes:.2f} GB; a single one {one:.2f} GB"
    what = f"RSS of {MEMORY_ENVS} environments with two 128 px views"
    return Row(what, f"at most {MEMORY_GB} GB", measured, gigabytes <= MEMORY_GB)


def vector_python_share(quick: bool = False) -> Row:
    """How much of a step from state is not MuJoCo's; with one thread, so that none waits."""
    envs: Any = gym.make_vec("gym_hil/PandaPickCube-v1", num_envs=MANY, threads=1, max_episode_steps=10**6)
    envs.reset(seed=0)
    actions = (envs.action_space.sample() for _ in range(3 if quick else 400))
    runs = (functools.partial(envs.step, action) for action in actions)
    total, outside = outside_mujoco([env.unwrapped for env in envs.envs], runs).T
    share, micros = float(np.median(outside / total)), 1e6 * np.median(outside) / MANY
    measured = f"{share:.1%}: {micros:.0f} us of {micros / share:.0f} us a step"
    what = f"Our Python's share of a state step, {MANY} environments"
    return Row(what, f"at most {PYTHON_SHARE:.0%}", measured, share <= PYTHON_SHARE)


def vector_equality(quick: bool = False) -> Row:
    """Trajectories of single environments and of vectors with several numbers of threads, compared by their bytes."""
    steps = QUICK_EQUAL_STEPS if quick else EQUAL_STEPS
    count = max(THREADS)
    different = []
    for task in TASKS:
        single = single_digests(task, count, steps // count)
        different += [
            f"{task} with {threads} threads"
            for threads in THREADS
            if vector_digests(task, count, steps // count, threads) != single
        ]
    measured = "all equal" if not different else f"different: {', '.join(different)}"
    what = f"{steps:,} steps of {len(TASKS)} tasks in single environments and in vectors with 1, 2 and 7 threads"
    return Row(what, "the same observations, rewards and ends, bit for bit", measured, not different)


def single_digests(task: str, count: int, steps: int) -> list[str]:
    """A checksum of each of some single environments' trajectories."""
    found = []
    for index in range(count):
        env = gym.make(f"gym_hil/{task}-v1", disable_env_checker=True)
        digest, ended = hashlib.sha256(), False
        _digest(digest, env.reset(seed=index)[0], 0.0, False, False)
        for actions in _actions(env.action_space, count, steps):
            row = (env.reset()[0], 0.0, False, False) if ended else env.step(actions[index])[:4]
            _digest(digest, *row)
            ended = row[2] or row[3]
        env.close()
        found.append(digest.hexdigest())
    return found


def vector_digests(task: str, count: int, steps: int, threads: int) -> list[str]:
    """The same of a vector."""
    envs = gym.make_vec(f"gym_hil/{task}-v1", num_envs=count, vectorization_mode=OURS, threads=threads)
    digests = [hashlib.sha256() for _ in range(count)]
    rows = (envs.reset(seed=0)[0], *np.zeros((3, count)))
    steps_of = iter(_actions(envs.single_action_space, count, steps))
    while True:
        for index, digest in enumerate(digests):
            observation = {key: part[index] for key, part in rows[0].items()}
            _digest(digest, observation, *(part[index] for part in rows[1:]))
        actions = next(steps_of, None)
        if actions is None:
            envs.close()
            return [digest.hexdigest() for digest in digests]
        rows = envs.step(actions)[:4]


def _actions(space: gym.spaces.Box, count: int, steps: int) -> np.ndarray:
    shape = (steps, count, *space.shape)
    return np.random.default_rng(0).uniform(space.low, space.high, shape).astype(np.float32)


def _digest(digest: Any, observation: dict[str, Any], reward: float, terminated: bool, truncated: bool) -> None:
    for key in sorted(observation):
        digest.update(np.ascontiguousarray(observation[key]).tobytes())
    digest.update(np.array([reward, terminated, truncated], dtype=np.float64).tobytes())


def vector_threads(quick: bool = False) -> Row:
    """Steps a second from state against the number of threads."""
    cores = os.cpu_count() or 1
    counts = [n for n in (1, 2, 4, 8, 16, 32) if n <= cores]
    num_envs = 2 * max(*counts, 8)

    def side(threads: int) -> Callable[[int], float]:
        options = {"threads": threads, "max_episode_steps": 10**6}
        envs = gym.make_vec("gym_hil/PandaPickCube-v1", num_envs=num_envs, **options)
        envs.reset(seed=0)
        return lambda _: 5 * num_envs / seconds(lambda: [envs.step(envs.action_space.sample()) for _ in range(5)])

    speeds = np.median(take_turns([side(n) for n in counts], 2 if quick else 30), axis=0)
    measured = ", ".join(
        f"{n} thread{'s' * (n > 1)} {speed:,.0f} steps/s" for n, speed in zip(counts, speeds, strict=True)
    )
    versions = f"{cores} cores, mujoco {mujoco.__version__}, gym-hil {gym_hil.__version__}"
    what = f"State, {num_envs} environments, against threads (this machine: {versions})"
    return Row(what, f"reported on {CORES} cores", measured, True if cores >= CORES else None)
