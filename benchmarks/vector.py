"""Many environments in one process: speed beside Gymnasium's vectors and upstream, memory, and equality to the bit."""

import functools
import hashlib
import os
import subprocess
import sys
import time
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

import gym_hil
from benchmarks.report import Row
from benchmarks.upstream import ONE_THREAD, Worker

OURS, SYNC, ASYNC = "vector_entry_point", "sync", "async"
MANY, FEW = 16, 4  # environments
STATE_BARS, VIEWS_BARS = (1.9, 1.8), (1.9, 1.3)  # times as fast as sync and async
UPSTREAM_BAR = 25  # times
MEMORY_ENVS, MEMORY_GB = 64, 1.5
PYTHON_SHARE = 0.10
EQUAL_STEPS, QUICK_EQUAL_STEPS, THREADS = 100_000, 300, (1, 2, 7)
TASKS = ("PandaPickCube", "PandaArrangeBoxes", "PandaInsertPeg")
CORES = 16  # of a machine on which the scaling is asked for


def vector_state(ours: Worker, quick: bool = False) -> Row:
    """16 environments from state beside Gymnasium's own vectors of them."""
    return _beside_gymnasium(ours, "state", STATE_BARS, steps=20, rounds=1 if quick else 40, image_obs=False)


def vector_views(ours: Worker, quick: bool = False) -> Row:
    """16 environments with two views each, likewise."""
    return _beside_gymnasium(ours, "two 128 px views", VIEWS_BARS, steps=4, rounds=1 if quick else 30, image_obs=True)


def _beside_gymnasium(
    ours: Worker, what: str, bars: tuple[float, float], *, steps: int, rounds: int, image_obs: bool
) -> Row:
    modes = (OURS, SYNC, ASYNC)
    arguments = {"num_envs": MANY, "image_obs": image_obs}
    for mode in modes:
        ours.call("vector_speed", mode=mode, steps=2, seed=0, **arguments)
    speeds = np.array(
        [
            [ours.call("vector_speed", mode=mode, steps=steps, seed=1 + k, **arguments) for mode in modes]
            for k in range(rounds)
        ]
    )
    ratios = speeds[:, :1] / speeds[:, 1:]
    middle, (low, high) = np.median(ratios, axis=0), np.percentile(ratios, [10, 90], axis=0)
    own, sync, asynchronous = np.median(speeds, axis=0)
    measured = (
        f"{middle[0]:.2f} ({low[0]:.2f} to {high[0]:.2f} in 8 of 10 rounds) and {middle[1]:.2f} ({low[1]:.2f} to "
        f"{high[1]:.2f}) times: {own:,.0f} steps/s, sync {sync:,.0f}, async {asynchronous:,.0f}"
    )
    met = bool((middle >= bars).all())
    what = f"{MANY} environments, {what}, PickCube, beside Gymnasium's sync and async vector of the same id"
    return Row(what, f"at least {bars[0]:g} and {bars[1]:g} times", measured, met)


def vector_upstream_state(upstream: Worker, ours: Worker, quick: bool = False) -> Row:
    """4 environments from state beside upstream's in an AsyncVectorEnv."""
    return _beside_upstream(upstream, ours, "state", theirs=10, own=100, rounds=1 if quick else 15, image_obs=False)


def vector_upstream_views(upstream: Worker, ours: Worker, quick: bool = False) -> Row:
    """4 environments with two views each, likewise."""
    return _beside_upstream(
        upstream, ours, "two 128 px views", theirs=1, own=20, rounds=1 if quick else 10, image_obs=True
    )


def _beside_upstream(
    upstream: Worker, ours: Worker, what: str, *, theirs: int, own: int, rounds: int, image_obs: bool
) -> Row:
    # A forked process would share the OpenGL context of its parent.
    sides = ((ours, OURS, own, None), (upstream, ASYNC, theirs, "spawn"))
    speeds = []
    for k in range(-1, rounds):  # the first round starts the environments
        speeds.append(
            [
                side.call(
                    "vector_speed", mode=mode, num_envs=FEW, steps=steps if k >= 0 else 1, seed=k + 1,
                    image_obs=image_obs, context=context,
                )
                for side, mode, steps, context in sides
            ]
        )  # fmt: skip
    pairs = np.array(speeds[1:])
    ratios = pairs[:, 0] / pairs[:, 1]
    (low, high), ratio = np.percentile(ratios, [10, 90]), float(np.median(ratios))
    here, there = np.median(pairs, axis=0)
    measured = f"{ratio:.1f} times ({low:.1f} to {high:.1f}): {here:,.0f} steps/s, upstream {there:,.1f}"
    what = f"{FEW} environments, {what}, beside upstream's in an AsyncVectorEnv"
    return Row(what, f"at least {UPSTREAM_BAR} times", measured, ratio >= UPSTREAM_BAR)


_MEMORY = f"""
import gymnasium, gym_hil
envs = gymnasium.make_vec("gym_hil/PandaPickCube-v1", num_envs={{count}}, image_obs=True)
envs.reset(seed=0)
for _ in range(3):
    envs.step(envs.action_space.sample())
print(int(open("/proc/self/statm").read().split()[1]) * {os.sysconf("SC_PAGE_SIZE")} / 1e9)
"""


def vector_memory(quick: bool = False) -> Row:
    """Resident memory of 64 environments with images after a few steps."""
    gigabytes, one = (
        float(
            subprocess.run(
                [sys.executable, "-c", _MEMORY.format(count=count)],
                capture_output=True, text=True, check=True, env={**os.environ, **ONE_THREAD},
            ).stdout
        )
        for count in (MEMORY_ENVS, 1)
    )  # fmt: skip
    measured = f"{gigabytes:.2f} GB; a single one {one:.2f} GB"
    what = f"RSS of {MEMORY_ENVS} environments with two 128 px views"
    return Row(what, f"at most {MEMORY_GB} GB", measured, gigabytes <= MEMORY_GB)


def vector_python_share(quick: bool = False) -> Row:
    """How much of a step from state is not MuJoCo's; with one thread, so that none waits."""
    envs: Any = gym.make_vec("gym_hil/PandaPickCube-v1", num_envs=MANY, threads=1, max_episode_steps=10**6)
    envs.reset(seed=0)
    inside = 0.0

    def timed(real: Any) -> Any:
        @functools.wraps(real)
        def advance() -> None:
            nonlocal inside
            start = time.perf_counter()
            real()
            inside += time.perf_counter() - start

        return advance

    for env in envs.envs:
        env.unwrapped._advance = timed(env.unwrapped._advance)
    shares, micros = [], []
    for _ in range(3 if quick else 400):
        action, inside = envs.action_space.sample(), 0.0
        start = time.perf_counter()
        envs.step(action)
        seconds = time.perf_counter() - start
        shares.append(1 - inside / seconds)
        micros.append(1e6 * (seconds - inside) / MANY)
    share = float(np.median(shares))
    measured = f"{share:.1%}: {np.median(micros):.0f} us of {np.median(micros) / share:.0f} us a step"
    return Row(
        f"Our Python's share of a state step, {MANY} environments", f"at most {PYTHON_SHARE:.0%}", measured,
        share <= PYTHON_SHARE,
    )  # fmt: skip


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
    made = [
        gym.make_vec("gym_hil/PandaPickCube-v1", num_envs=2 * max(*counts, 8), threads=n, max_episode_steps=10**6)
        for n in counts
    ]
    for envs in made:
        envs.reset(seed=0)
    rounds = []
    for _ in range(2 if quick else 30):
        speeds = []
        for envs in made:
            start = time.perf_counter()
            for _ in range(5):
                envs.step(envs.action_space.sample())
            speeds.append(5 * envs.num_envs / (time.perf_counter() - start))
        rounds.append(speeds)
    measured = ", ".join(
        f"{n} thread{'s' * (n > 1)} {speed:,.0f} steps/s"
        for n, speed in zip(counts, np.median(rounds, axis=0), strict=True)
    )
    return Row(
        f"State, {made[0].num_envs} environments, against threads (this machine: {cores} cores, mujoco "
        f"{mujoco.__version__}, gym-hil {gym_hil.__version__})",
        f"reported on {CORES} cores", measured, True if cores >= CORES else None,
    )  # fmt: skip
