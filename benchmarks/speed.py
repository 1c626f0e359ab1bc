"""How long steps and images take, upstream's and ours in turn, so that both see the same noise of the machine."""

import time
from collections.abc import Callable

import gymnasium as gym
import numpy as np

import gym_hil  # noqa: F401  # registers the ids
from benchmarks.row import Row
from benchmarks.upstream import Worker

STATE_RATIO, PIXEL_RATIO = 8, 140
VIEWS_MS = 2.5


def state_step(upstream: Worker, ours: Worker, quick: bool = False) -> Row:
    """A step without images."""
    return _ratio(upstream, ours, "State-only step, wrapped", STATE_RATIO, 3 if quick else 40, 25, 25, image_obs=False)


def pixel_step(upstream: Worker, ours: Worker, quick: bool = False) -> Row:
    """A step with two 128 x 128 views."""
    rounds = 2 if quick else 20
    return _ratio(upstream, ours, "Step with two 128 x 128 views", PIXEL_RATIO, rounds, 3, 40, image_obs=True)


def _ratio(
    upstream: Worker, ours: Worker, what: str, bar: float, rounds: int, theirs: int, own: int, *, image_obs: bool
) -> Row:
    """Take turns; each round has one median for each side, and the result is the median of the rounds' ratios."""
    for worker in (upstream, ours):
        worker.call("time_steps", count=3, seed=0, image_obs=image_obs)
    medians = np.array(
        [
            [
                np.median(worker.call("time_steps", count=count, seed=k, image_obs=image_obs))
                for worker, count in ((upstream, theirs), (ours, own))
            ]
            for k in range(rounds)
        ]
    )
    ratio = float(np.median(medians[:, 0] / medians[:, 1]))
    low, high = np.percentile(medians[:, 0] / medians[:, 1], [10, 90])
    slow, fast = 1e3 * np.median(medians, axis=0)
    measured = f"{ratio:.1f} (8 of 10 rounds {low:.1f} to {high:.1f}): {slow:.2f} ms / {fast:.3f} ms"
    return Row(what + ", ratio upstream / here", f"at least {bar:g}", measured, ratio >= bar)


def views(quick: bool = False) -> Row:
    """Both views of a moving arm, drawn with shadow and anti-aliasing, without the physics."""
    env = gym.make("gym_hil/PandaPickCubeBase-v1", image_obs=True, max_episode_steps=10**6)
    env.reset(seed=0)
    durations = []
    for _ in range(20 if quick else 300):
        env.step(env.action_space.sample())
        durations.append(_duration(lambda: env.unwrapped.draw(["front", "wrist"])))
    env.close()
    milliseconds = 1e3 * float(np.median(durations))
    slow = 1e3 * float(np.percentile(durations, 90))
    measured = f"{milliseconds:.2f} ms (9 of 10 within {slow:.2f} ms)"
    return Row("Both views with shadow and anti-aliasing", f"at most {VIEWS_MS} ms", measured, milliseconds <= VIEWS_MS)


def _duration(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
