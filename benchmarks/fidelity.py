"""Whether the arm moves as upstream's does, and whether it stays what it was."""

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

import gym_hil  # noqa: F401  # registers the ids
from benchmarks.row import Row, reference
from benchmarks.upstream import Worker
from benchmarks.worker import FULL_STEP, step_response
from gym_hil.robot.gripper import TCP_SITE

FREE_MOTION_MM = 8.0
COMMAND_MM, SETTLED_MM, OVERSHOOT_MM = 25.0, 0.5, 2.0
POSTURE_RAD = 0.05
HOME_MM, HOME_DEGREES = 0.2, 0.1


def demonstrations(quick: bool = False) -> Row:
    """Recorded demonstrations, replayed open loop."""
    demos = reference("demos")
    env = _wrapped()
    lifted = sum(_lifts(env, demo) for demo in demos)
    env.close()
    bar = f"{len(demos)} of {len(demos)} lift the cube"
    return Row("`demos.json` replayed open loop", bar, f"{lifted} of {len(demos)}", lifted == len(demos))


def _lifts(env: gym.Env, demo: dict[str, Any]) -> bool:
    env.reset(options={"cube_xy": demo["cube"]})
    return any(env.step(np.array(action, dtype=np.float32))[4]["succeed"] for action in demo["actions"])


def free_motion(quick: bool = False) -> Row:
    """The tool's path under the same actions as upstream's, with the cube out of the way."""
    env = _wrapped()
    errors = []
    for run in reference("free_motion").values():
        env.reset(options={"cube_xy": (0.3, 0.15)})
        for action, tcp in zip(run["actions"], run["tcp"], strict=True):
            env.step(np.array(action, dtype=np.float32))
            errors.append(1e3 * np.linalg.norm(env.unwrapped.tcp_position - tcp))
    env.close()
    rms = float(np.sqrt(np.mean(np.square(errors))))
    measured = f"{rms:.2f} mm (largest {max(errors):.1f} mm)"
    return Row("TCP against `free_motion.json`", f"rms at most {FREE_MOTION_MM:g} mm", measured, rms <= FREE_MOTION_MM)


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


def posture(quick: bool = False) -> Row:
    """Random steps at full speed, then back to where the arm started."""
    steps = 50 if quick else 1000
    env = _wrapped()
    env.reset(seed=0)
    base = env.unwrapped
    start, home = base.data.qpos[:7].copy(), base.tcp_target
    rng = np.random.default_rng(0)
    for _ in range(steps):
        env.step(np.array([*rng.choice([-1.0, 1.0], 3), rng.integers(3)], dtype=np.float32))
    # Up first: the cube may stand in the way.
    over = np.array([*home[:2], 0.3])
    for goal in (over, home):
        for _ in range(40):
            env.step(np.array([*np.clip((goal - base.tcp_target) / FULL_STEP, -1, 1), 0], dtype=np.float32))
    drift = float(np.abs(base.data.qpos[:7] - start).max())
    warnings = warning_count(base.data)
    env.close()
    bar = f"posture within {POSTURE_RAD} rad of the start, no MuJoCo warning"
    measured = f"{drift:.4f} rad, {warnings} warnings"
    return Row(f"{steps:,} full-speed random steps, then back", bar, measured, drift <= POSTURE_RAD and not warnings)


def home_pose(quick: bool = False) -> Row:
    """Where the tool is after a reset."""
    facts = reference("facts")
    env = _wrapped()
    env.reset()
    site = env.unwrapped.data.site(TCP_SITE)
    off = 1e3 * float(np.linalg.norm(site.xpos - facts["tcp_pos_home"]))
    angle = _angle_between(site.xmat, np.array(facts["tcp_quat_home_wxyz"]))
    env.close()
    bar = f"within {HOME_MM} mm and {HOME_DEGREES} degrees of `facts.json`"
    return Row("TCP home pose", bar, f"{off:.4f} mm, {angle:.4f} degrees", off <= HOME_MM and angle <= HOME_DEGREES)


def warning_count(data: mujoco.MjData) -> int:
    """How many warnings MuJoCo has counted in this data since its last reset."""
    return int(sum(data.warning[k].number for k in range(len(data.warning))))


def _angle_between(matrix: NDArray[np.float64], quat: NDArray[np.float64]) -> float:
    """Degrees between a (9,) rotation matrix and a (4,) unit quaternion, w first."""
    other, inverse, difference, vector = np.empty(4), np.empty(4), np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(other, matrix)
    mujoco.mju_negQuat(inverse, quat)
    mujoco.mju_mulQuat(difference, inverse, other)
    mujoco.mju_quat2Vel(vector, difference, 1.0)
    return float(np.degrees(np.linalg.norm(vector)))


def _wrapped() -> gym.Env:
    return gym.make("gym_hil/PandaPickCube-v0", max_episode_steps=10**6)
