"""The environment: speed beside upstream, start, memory, and whether the arm moves as upstream's does.

What needs no clock and no upstream is tested in tests/envs and tests/robot.
"""

import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from typing import NamedTuple

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

import gym_hil
from benchmarks import worker
from benchmarks.report import Row, reference
from benchmarks.upstream import ONE_THREAD, VENV, Worker
from benchmarks.worker import step_response
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
    for side in (upstream, ours):
        side.call("time_steps", count=3, seed=0, image_obs=image_obs)
    medians = np.array(
        [
            [
                np.median(side.call("time_steps", count=count, seed=k, image_obs=image_obs))
                for side, count in ((upstream, theirs), (ours, own))
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
        start = time.perf_counter()
        env.unwrapped.render_cameras(["front", "wrist"])
        durations.append(time.perf_counter() - start)
    env.close()
    milliseconds = 1e3 * float(np.median(durations))
    slow = 1e3 * float(np.percentile(durations, 90))
    measured = f"{milliseconds:.2f} ms (9 of 10 within {slow:.2f} ms)"
    return Row("Both views with shadow and anti-aliasing", f"at most {VIEWS_MS} ms", measured, milliseconds <= VIEWS_MS)


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
    bare, wrapped = Empty(), gym_hil.wrap(Empty(), SequenceDevice([[1, 0, 0, 0]]))
    action, medians = np.zeros(7, np.float32), []
    for _ in range(3 if quick else 30):
        for env in (bare, wrapped):
            env.reset()
            durations = []
            for _ in range(500):
                start = time.perf_counter()
                env.step(action)
                durations.append(time.perf_counter() - start)
            medians.append(float(np.median(durations)))
    microseconds = 1e6 * float(np.median(np.array(medians[1::2]) - medians[::2]))
    measured = f"{microseconds:.1f} us"
    return Row(
        "`gym_hil.wrap` around an empty environment, a step", f"at most {WRAP_US} us", measured, microseconds <= WRAP_US
    )


# Run in a process of its own, in either package's environment.
_PROGRAM = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import gymnasium, mujoco
{imports}
def megabytes():
    return int(open("/proc/self/statm").read().split()[1]) * {page} / 1e6
imported = megabytes()
import gym_hil
start = time.perf_counter()
env = gymnasium.make({env_id!r}, image_obs={image_obs})
env.reset(seed=0)
seconds = time.perf_counter() - start
for _ in range(20 if not {image_obs} else 0):
    env.step(env.action_space.sample())
print(json.dumps({{"seconds": seconds, "imported": imported, "used": megabytes()}}))
"""


def first_observation(quick: bool = False) -> Row:
    """`gym.make` to first observation where compiled code is cached, without the time of imports."""
    repeats = 1 if quick else 7
    _measure(image_obs=True)  # fills the cache
    pixels = [_measure(image_obs=True)["seconds"] for _ in range(repeats)]
    state = [_measure(image_obs=False)["seconds"] for _ in range(repeats)]
    measured = f"{np.median(pixels):.3f} s with two views, {np.median(state):.3f} s state only"
    if VENV.exists() and not quick:
        theirs = [_measure(image_obs=False, python=str(VENV / "bin" / "python"))["seconds"] for _ in range(3)]
        measured += f"; upstream {np.median(theirs):.2f} s state only"
    met = bool(np.median(pixels) <= FIRST_SECONDS and np.median(state) <= FIRST_SECONDS)
    return Row(
        "`gym.make` to first observation, warm cache, imports excluded", f"at most {FIRST_SECONDS} s", measured, met
    )


def memory(quick: bool = False) -> Row:
    """Resident memory of a state-only environment after 20 steps, against that of the imports alone."""
    runs = [_measure(image_obs=False) for _ in range(1 if quick else 5)]
    used, bare = (float(np.median([run[key] for run in runs])) for key in ("used", "imported"))
    measured = f"{used / bare:.2f} x ({used:.0f} MB / {bare:.0f} MB)"
    if VENV.exists() and not quick:
        theirs = _measure(image_obs=False, python=str(VENV / "bin" / "python"))
        measured += f"; upstream {theirs['used']:.0f} MB"
    bar = f"at most {RSS_RATIO} x that of `import mujoco, gymnasium, numba`"
    return Row("RSS of a state-only environment", bar, measured, used / bare <= RSS_RATIO)


def _measure(*, image_obs: bool, python: str = sys.executable) -> dict[str, float]:
    program = _PROGRAM.format(
        imports="import numba" if python == sys.executable else "",
        page=os.sysconf("SC_PAGE_SIZE"),
        env_id="gym_hil/PandaPickCubeBase-v0",
        image_obs=image_obs,
    )
    environment = {**os.environ, **ONE_THREAD}
    if python != sys.executable:
        environment.setdefault("MUJOCO_GL", "egl")
        environment.pop("PYTHONPATH", None)  # which may name our sources
    # Not from the checkout: `-c` would import the package that lies there instead of the installed one.
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-c", program]
        result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=folder)
    return json.loads(result.stdout.splitlines()[-1])


def command_response(upstream: Worker | None = None, quick: bool = False) -> Row:
    """One 25 mm command along each axis; upstream's numbers come from `facts.json` where it can't be run."""
    recorded = upstream.call("step_response") if upstream else reference("facts")["step_response"]
    theirs = {axis: np.abs(mm) for axis, mm in recorded.items()}
    own = step_response()
    first = {axis: mm[0] / theirs[axis][0] for axis, mm in own.items()}
    worst_first = max(first.values(), key=lambda ratio: abs(ratio - 1))
    unsettled = max(abs(mm[-1] - COMMAND_MM) for mm in own.values())
    overshoot = max(max(mm) - COMMAND_MM for mm in own.values())
    measured = (
        f"first step {min(mm[0] for mm in own.values()):.1f} to {max(mm[0] for mm in own.values()):.1f} mm, "
        f"upstream {min(mm[0] for mm in theirs.values()):.1f} to {max(mm[0] for mm in theirs.values()):.1f} mm "
        f"(worst ratio {worst_first:.2f}); {unsettled:.2f} mm off after 10 steps; overshoot {max(overshoot, 0):.2f} mm"
    )
    met = abs(worst_first - 1) <= 1 / 3 and unsettled <= SETTLED_MM and overshoot < OVERSHOOT_MM
    bar = "first step within a third of upstream's, settled within 0.5 mm after 10 steps, overshoot under 2 mm"
    return Row("25 mm command", bar, measured, met)


def python_share(quick: bool = False) -> Row:
    """How much of a step without images is Python, and not MuJoCo."""
    env = gym.make("gym_hil/PandaPickCube-v0", max_episode_steps=10**6)
    env.reset(seed=0)
    base, inside = env.unwrapped, 0.0
    advance = base._advance

    def timed() -> None:
        nonlocal inside
        start = time.perf_counter()
        advance()
        inside += time.perf_counter() - start

    base._advance = timed
    shares = []
    for _ in range(3 if quick else 40):
        actions = [env.action_space.sample() for _ in range(50)]
        inside, start = 0.0, time.perf_counter()
        for action in actions:
            env.step(action)
        shares.append(1 - inside / (time.perf_counter() - start))
        env.reset()
    env.close()
    share = float(np.median(shares))
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


def warning_count(data: mujoco.MjData) -> int:
    """How many warnings MuJoCo has counted in this data since its last reset."""
    return int(sum(data.warning[k].number for k in range(len(data.warning))))


def floor_push(upstream: Worker | None = None, quick: bool = False) -> Row:
    """Driving down into the floor for 30 steps; forces are sampled at every physics step, in both packages."""
    own = {case: worker.push_floor(*setting) for case, setting in PUSHES.items()}
    theirs = {}
    if upstream:
        theirs = {case: upstream.call("push_floor", closed=c, height=h) for case, (c, h) in PUSHES.items()}
    parts = []
    for case, force in own.items():
        part = f"{case}: {force['steady']:.0f} N, peak {force['peak']:.0f} N"
        if theirs:
            part += f" (upstream {theirs[case]['steady']:.0f} N, peak {theirs[case]['peak']:.0f} N)"
        parts.append(part)
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
            warnings += warning_count(data)
            env.reset()
            episodes += 1
        if k == steps // 10:
            early = _megabytes()
    return RandomSteps(steps, episodes, not_finite, warnings, _megabytes() - early)


def _megabytes() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
