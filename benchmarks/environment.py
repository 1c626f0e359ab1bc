"""The environment: speed beside upstream, start, memory, and whether the arm moves as upstream's does.

What needs no clock and no upstream is tested in tests/envs and tests/robot.
"""

import concurrent.futures
import contextlib
import os
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from typing import NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

import gym_hil
from benchmarks import upstream as sides
from benchmarks import worker
from benchmarks.report import (
    Row,
    megabytes,
    middle,
    outside_mujoco,
    reference,
    run_alone,
    seconds,
    take_turns,
)
from benchmarks.upstream import Worker
from gym_hil.teleop.sequence import SequenceDevice

WRAP_US = 40
STATE_RATIO, PIXEL_RATIO, VIEWS_MS = 18, 250, 1.2
PYTHON_SHARE = 0.10
FREE_MOTION_MM, SLIP_MM = 8.0, 1.0
FIRST_SECONDS, RSS_RATIO = 0.3, 1.5
COMMAND_MM, SETTLED_MM, OVERSHOOT_MM = 25.0, 0.5, 2.0
STEADY_N = 120.0
# Closed finger tips reach the floor before the target does; with open ones the target stops at the floor.
PUSHES = {"closed, from home": (True, 0.0), "closed, from 0.3 m higher": (True, 0.3), "open, from home": (False, 0.0)}
RANDOM_STEPS, QUICK_RANDOM_STEPS, PROCESSES = 300_000, 20_000, 2
GROWTH_MB = 4.0  # what the allocator may keep for itself


def state_step(quick: bool = False) -> Row:
    """A step without images."""
    return _ratio("State-only step, wrapped", STATE_RATIO, 3 if quick else 40, 25, 25, image_obs=False)


def pixel_step(quick: bool = False) -> Row:
    """A step with two 128 x 128 views."""
    return _ratio("Step with two 128 x 128 views", PIXEL_RATIO, 2 if quick else 20, 3, 40, image_obs=True)


def _ratio(what: str, bar: float, rounds: int, theirs: int, own: int, *, image_obs: bool) -> Row:
    """Each round has one median for each side, and the result is the median of the rounds' ratios."""

    def side(worker: Worker, count: int) -> Callable[[int], float]:
        worker.call("time_steps", count=3, seed=0, image_obs=image_obs)
        return lambda seed: np.median(worker.call("time_steps", count=count, seed=seed, image_obs=image_obs))

    medians = take_turns([side(sides.upstream(), theirs), side(sides.ours(), own)], rounds)
    ratio, low, high = middle(medians[:, 0] / medians[:, 1])
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
        durations.append(seconds(lambda: env.unwrapped.render_cameras(["front", "wrist"])))
    env.close()
    median, _, slow = (1e3 * value for value in middle(durations))
    measured = f"{median:.2f} ms (9 of 10 within {slow:.2f} ms)"
    return Row("Both views with shadow and anti-aliasing", f"at most {VIEWS_MS} ms", measured, median <= VIEWS_MS)


class Empty(gym.Env):
    """Does nothing, with 7 numbers in its action and a vector of 10 as observation."""

    observation_space = gym.spaces.Box(-1, 1, (10,))
    action_space = gym.spaces.Box(-1, 1, (7,))

    def reset(self, *, seed=None, options=None):
        return np.zeros(10, np.float32), {}

    def step(self, action):
        return np.zeros(10, np.float32), 0.0, False, False, {}


def wrappers(quick: bool = False) -> Row:
    """What `gym_hil.wrap` adds to a step: of an empty environment, with an operator and without console."""
    action = np.zeros(7, np.float32)

    def side(env: gym.Env) -> Callable[[int], float]:
        def measure(_: int) -> float:
            env.reset()
            return np.median([seconds(lambda: env.step(action)) for _ in range(500)])

        return measure

    both = [side(Empty()), side(gym_hil.wrap(Empty(), SequenceDevice([[1, 0, 0, 0]])))]
    added = 1e6 * float(np.median(np.diff(take_turns(both, 3 if quick else 30))))
    what = "`gym_hil.wrap` around an empty environment, a step"
    return Row(what, f"at most {WRAP_US} us", f"{added:.1f} us", added <= WRAP_US)


# Run in a process of its own, in either package's environment.
_PROGRAM = """
import time, warnings
warnings.simplefilter("ignore")
import gymnasium, mujoco
{imports}
imported = megabytes()
import gym_hil
start = time.perf_counter()
env = gymnasium.make("gym_hil/PandaPickCubeBase-v0", image_obs={image_obs})
made = time.perf_counter() - start
env.reset(seed=0)
seconds = time.perf_counter() - start
for _ in range(0 if {image_obs} else 20):
    env.step(env.action_space.sample())
print(json.dumps({{"seconds": seconds, "made": made, "imported": imported, "used": megabytes()}}))
"""


def _measure(repeats: int, *, image_obs: bool = False) -> dict[str, float]:
    return _medians([run_alone(_PROGRAM.format(imports="import numba", image_obs=image_obs)) for _ in range(repeats)])


def _measure_upstream(repeats: int) -> dict[str, float]:
    # PYTHONPATH may name our sources.
    environment = {"MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl"), "PYTHONPATH": ""}
    program, python = _PROGRAM.format(imports="", image_obs=False), sides.VENV / "bin" / "python"
    return _medians([run_alone(program, python=python, **environment) for _ in range(repeats)])


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.median([run[key] for run in runs])) for key in runs[0]}


def first_observation(quick: bool = False) -> Row:
    """`gym.make` to first observation where compiled code is cached, without the time of imports."""
    repeats = 1 if quick else 7
    _measure(1, image_obs=True)  # fills the cache
    with_views, state = _measure(repeats, image_obs=True), _measure(repeats, image_obs=False)["seconds"]
    pixels = with_views["seconds"]
    measured = f"{pixels:.3f} s with two views ({with_views['made']:.3f} s of it `gym.make`), {state:.3f} s state only"
    if sides.VENV.exists() and not quick:
        measured += f"; upstream {_measure_upstream(3)['seconds']:.2f} s state only"
    what = "`gym.make` to first observation, warm cache, imports excluded"
    return Row(what, f"at most {FIRST_SECONDS} s", measured, max(pixels, state) <= FIRST_SECONDS)


def memory(quick: bool = False) -> Row:
    """Resident memory of a state-only environment after 20 steps, against that of the imports alone."""
    found = _measure(1 if quick else 5)
    used, bare = found["used"], found["imported"]
    measured = f"{used / bare:.2f} x ({used:.0f} MB / {bare:.0f} MB)"
    if sides.VENV.exists() and not quick:
        measured += f"; upstream {_measure_upstream(1)['used']:.0f} MB"
    bar = f"at most {RSS_RATIO} x that of `import mujoco, gymnasium, numba`"
    return Row("RSS of a state-only environment", bar, measured, used / bare <= RSS_RATIO)


def command_response(quick: bool = False) -> Row:
    """One 25 mm command along each axis; upstream's numbers come from `facts.json` where it can't be run."""
    upstream = None if quick else _upstream_if_any()
    recorded = upstream.call("step_response") if upstream else reference("facts")["step_response"]
    theirs, own = {axis: np.abs(mm) for axis, mm in recorded.items()}, worker.step_response()
    first = [[mm[0] for mm in side.values()] for side in (own, {axis: theirs[axis] for axis in own})]
    worst = max((one / other for one, other in zip(*first, strict=True)), key=lambda ratio: abs(ratio - 1))
    unsettled = max(abs(mm[-1] - COMMAND_MM) for mm in own.values())
    overshoot = max(max(mm) - COMMAND_MM for mm in own.values())
    mine, upstreams = (f"{min(mm):.1f} to {max(mm):.1f} mm" for mm in first)
    measured = (
        f"first step {mine}, upstream {upstreams} (worst ratio {worst:.2f}); {unsettled:.2f} mm off after 10 steps; "
        f"overshoot {max(overshoot, 0):.2f} mm"
    )
    met = abs(worst - 1) <= 1 / 3 and unsettled <= SETTLED_MM and overshoot < OVERSHOOT_MM
    bar = "first step within a third of upstream's, settled within 0.5 mm after 10 steps, overshoot under 2 mm"
    return Row("25 mm command", bar, measured, met)


def _upstream_if_any() -> Worker | None:
    with contextlib.suppress(sides.NoUpstreamError):
        return sides.upstream()
    return None


def python_share(quick: bool = False) -> Row:
    """How much of a step without images is Python, and not MuJoCo."""
    env = gym.make("gym_hil/PandaPickCube-v0", max_episode_steps=10**6)
    env.reset(seed=0)

    def runs() -> Iterator[Callable[[], object]]:
        for _ in range(3 if quick else 40):
            actions = [env.action_space.sample() for _ in range(50)]
            yield lambda actions=actions: [env.step(action) for action in actions]
            env.reset()

    total, outside = outside_mujoco([env.unwrapped], runs()).T
    env.close()
    share = float(np.median(outside / total))
    bar = f"at most {100 * PYTHON_SHARE:.0f}%"
    return Row("Python's share of a state-only step, wrapped", bar, f"{100 * share:.1f}%", share <= PYTHON_SHARE)


def recorded_motion(quick: bool = False) -> Row:
    """What was recorded on upstream: free motion, demonstrations, and the grip at their end."""
    env = gym.make("gym_hil/PandaPickCubeBase-v0", max_episode_steps=10**6).unwrapped
    free = reference("free_motion")["5"]
    env.reset(options={"cube_xy": (0.3, 0.15)})
    tcp = np.array([env.step(_base_action(action))[0]["agent_pos"][15:] for action in free["actions"]])
    rms = 1e3 * float(np.sqrt((np.linalg.norm(tcp - free["tcp"], axis=1) ** 2).mean()))
    lifted, slips = 0, []
    demos = reference("demos")[: 1 if quick else None]
    for demo in demos:
        env.reset(options={"cube_xy": demo["cube"]})
        lifted += any(env.step(_base_action(action))[4]["succeed"] for action in demo["actions"])
        before = env.tcp_rotation.T @ (env.cube_position - env.tcp_position)
        for _ in range(300):
            env.step(np.zeros(7))
        slips.append(np.linalg.norm(env.tcp_rotation.T @ (env.cube_position - env.tcp_position) - before))
    slip = 1e3 * float(max(slips))
    measured = f"{rms:.1f} mm; {lifted} of {len(demos)}; {slip:.2f} mm"
    bar = f"rms off upstream's at most {FREE_MOTION_MM:g} mm; all lifted; at most {SLIP_MM:g} mm"
    met = rms <= FREE_MOTION_MM and lifted == len(demos) and slip <= SLIP_MM
    return Row("Free motion; demonstrations that lift the cube; its slip in 30 s in the hand", bar, measured, met)


def _base_action(wrapped: list[float]) -> NDArray[np.float64]:
    """The base action (7,) of a wrapped one (4,)."""
    x, y, z, gripper = wrapped
    return np.array([*(worker.FULL_STEP * np.array([x, y, z])), 0, 0, 0, gripper - 1])


def floor_push(quick: bool = False) -> Row:
    """Driving down into the floor for 30 steps; forces are sampled at every physics step, in both packages."""
    upstream = None if quick else _upstream_if_any()
    own = {case: worker.push_floor(*setting) for case, setting in PUSHES.items()}
    theirs = {}
    if upstream:
        theirs = {case: upstream.call("push_floor", closed=c, height=h) for case, (c, h) in PUSHES.items()}

    def words(force: dict[str, float]) -> str:
        return f"{force['steady']:.0f} N, peak {force['peak']:.0f} N"

    parts = [
        f"{case}: {words(force)}" + (f" (upstream {words(theirs[case])})" if theirs else "")
        for case, force in own.items()
    ]
    steady = all(force["steady"] < STEADY_N for force in own.values())
    # Upstream's open gripper hardly touches the floor, so the closed one is what its impact is judged by.
    highest = max(force["peak"] for force in own.values())
    allowed = max((force["peak"] for force in theirs.values()), default=300.0)
    bar = f"steady under {STEADY_N:g} N, peak no higher than upstream's"
    return Row("Driving down into the floor for 30 steps", bar, "; ".join(parts), steady and highest <= allowed)


class RandomSteps(NamedTuple):
    """What one process saw: observations that are not finite, MuJoCo's warnings, MB grown since the first tenth."""

    steps: int
    episodes: int
    not_finite: int
    warnings: int
    growth: float


def random_steps(quick: bool = False) -> Row:
    """Random actions in random starts, shared among processes."""
    total = QUICK_RANDOM_STEPS if quick else RANDOM_STEPS
    share = [total // PROCESSES] * PROCESSES
    # Fresh interpreters: a forked one would share its memory with the parent, and the growth would not be its own.
    with concurrent.futures.ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        outcomes = list(pool.map(step_randomly, share, range(PROCESSES)))
    *totals, growth = zip(*outcomes, strict=True)
    steps, episodes, not_finite, warnings = map(sum, totals)
    measured = (
        f"{steps:,} steps in {episodes:,} episodes: {not_finite} not finite, {warnings} warnings, "
        f"{max(growth):+.1f} MB after the first tenth"
    )
    met = not not_finite and not warnings and max(growth) <= GROWTH_MB
    what = f"{total:,} random state-only steps over random resets"
    return Row(what, f"no NaN, no warning, no growth of memory (under {GROWTH_MB:g} MB)", measured, met)


def step_randomly(steps: int, seed: int) -> RandomSteps:
    """One process's share."""
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
            warnings += int(sum(data.warning[number].number for number in range(len(data.warning))))
            env.reset()
            episodes += 1
        if k == steps // 10:
            early = megabytes()
    return RandomSteps(steps, episodes, not_finite, warnings, megabytes() - early)
