"""Drives one `gym_hil` package through its public interface; the same code drives upstream's and ours.

As a script it serves `call`s: one JSON object a line in, `{"call": name, "arguments": {...}}`, one out. It needs only
what every gym_hil needs, because it also runs in upstream's virtual environment.
"""

import contextlib
import functools
import importlib.metadata
import json
import os
import platform
import sys
import time
import warnings

import gymnasium as gym
import mujoco
import numpy as np

STATE_ID = "gym_hil/PandaPickCube-v0"
AXES = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}
FULL_STEP = 0.025  # m, what a wrapped action of 1 moves


def versions():
    """Versions that decide about the numbers."""
    names = ("gym-hil", "mujoco", "gymnasium", "numpy")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}


def time_steps(count, seed, image_obs):
    """Durations in s of `count` steps with random actions; resets in between are not timed."""
    env = _env(image_obs)
    rng = np.random.default_rng(seed)
    durations = []
    env.reset()
    for _ in range(count):
        action = rng.uniform(env.action_space.low, env.action_space.high).astype(np.float32)
        start = time.perf_counter()
        _, _, terminated, truncated, _ = env.step(action)
        durations.append(time.perf_counter() - start)
        if terminated or truncated:
            env.reset()
    return durations


def vector_speed(mode, num_envs, steps, seed, image_obs, context=None):
    """Environment steps a second of a vector of Gymnasium's that makes `steps` steps with random actions in each.

    Args:
        mode: of `gym.make_vec`.
        num_envs: number of environments.
        steps: of each environment.
        seed: of the actions.
        image_obs: two 128 x 128 views instead of the state.
        context: how an AsyncVectorEnv starts its processes.
    """
    envs = _vector(mode, num_envs, image_obs, context)
    space = envs.action_space
    actions = np.random.default_rng(seed).uniform(space.low, space.high, (steps, *space.shape)).astype(np.float32)
    start = time.perf_counter()
    for action in actions:
        envs.step(action)
    return num_envs * steps / (time.perf_counter() - start)


def step_response(steps=10):
    """mm along each signed axis after each step, one 25 mm command in the first of them."""
    env = _env()
    result = {}
    for axis, direction in AXES.items():
        for sign, name in ((1, "+"), (-1, "-")):
            start = _reset(env, away=axis != "x")
            env_steps = [_motion(sign * np.array(direction))] + [_motion()] * (steps - 1)
            tcp = np.array([_tcp(env.step(action)[0]) for action in env_steps])
            result[axis + name] = (1e3 * sign * (tcp - start) @ direction).tolist()
    return result


def push_floor(closed, height, steps=30):
    """N of normal contact force between robot and floor while driving down at full speed.

    Args:
        closed: with the gripper closed; its finger tips then reach the floor first.
        height: m to go up before.
        steps: how many steps to drive down.

    Returns:
        The mean over the last third, `steady`, and the largest of any physics step, `peak`.
    """
    env = _env()
    _reset(env, away=True)
    up = [_motion((0, 0, 1))] * round(height / FULL_STEP)
    for action in [_motion(gripper=2 if closed else 1)] * 8 + up + [_motion()] * 10:
        env.step(action)
    with floor_forces() as forces:
        for _ in range(steps):
            env.step(_motion((0, 0, -1)))
    if not forces:
        raise RuntimeError("mujoco.mj_step was never called, so contact forces could not be sampled")
    return {"steady": float(np.mean(forces[-(len(forces) // 3) :])), "peak": float(max(forces))}


@contextlib.contextmanager
def floor_forces():
    """A list that gets the normal contact force between robot and floor after every physics step, while entered."""
    real, samples = mujoco.mj_step, []

    def sampled(model, data, nstep=1):
        for _ in range(nstep):
            real(model, data)
            samples.append(_floor_force(model, data))

    mujoco.mj_step = sampled
    try:
        yield samples
    finally:
        mujoco.mj_step = real


def _floor_force(model, data):
    free = {model.jnt_bodyid[k] for k in range(model.njnt) if model.jnt_type[k] == mujoco.mjtJoint.mjJNT_FREE}
    total, force = 0.0, np.zeros(6)
    for k in range(data.ncon):
        geoms = data.contact[k].geom
        on_floor = (model.geom_type[geoms] == mujoco.mjtGeom.mjGEOM_PLANE).any()
        if on_floor and not free.intersection(model.geom_bodyid[geoms]):
            mujoco.mj_contactForce(model, data, k, force)
            total += force[0]
    return total


@functools.cache
def _env(image_obs=False):
    """The wrapped task without the pause that follows a reset and without an end by time."""
    return gym.make(STATE_ID, image_obs=image_obs, reset_delay_seconds=0.0, max_episode_steps=1_000_000)


@functools.cache
def _vector(mode, num_envs, image_obs, context):
    own = {} if context is None else {"vector_kwargs": {"context": context}}
    kwargs = {"image_obs": image_obs, "reset_delay_seconds": 0.0, "max_episode_steps": 1_000_000}
    envs = gym.make_vec(STATE_ID, num_envs=num_envs, vectorization_mode=mode, **own, **kwargs)
    envs.reset(seed=0)
    return envs


def _reset(env, away=False):
    """Start anew; `away` moves the tool aside from the cube. Returns the tool's position, (3,) m."""
    env.reset()
    for action in [_motion((0, 1, 0))] * (6 if away else 0) + [_motion()] * 15:
        observation = env.step(action)[0]
    return _tcp(observation)


def _motion(direction=(0, 0, 0), gripper=1):
    return np.array([*direction, gripper], dtype=np.float32)


def _tcp(observation):
    return np.asarray(observation["agent_pos"][15:18], dtype=np.float64)


def serve():
    """Answer calls until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    # Whatever the packages print must not get between the answers.
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    import gym_hil  # noqa: F401  # registers the ids

    calls = {f.__name__: f for f in (versions, time_steps, vector_speed, step_response, push_floor)}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": calls[request["call"]](**request["arguments"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve()
