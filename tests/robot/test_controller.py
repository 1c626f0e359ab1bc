"""The six native actuators pull the tool to its target, and no harder than they may."""

import mujoco
import numpy as np
import pytest

from gym_hil.envs import PandaPickCubeGymEnv


@pytest.fixture
def env():
    env = PandaPickCubeGymEnv()
    env.reset(options={"cube_xy": (0.3, 0.15)})  # out of the way
    return env


def along(axis, length):
    action = np.zeros(7)
    action[axis] = length
    return action


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_25_mm_command_arrives_like_upstreams(env, facts, axis, sign):
    start = env.tcp_position
    way = []
    for step in range(20):
        env.step(along(axis, sign * 0.025 if step == 0 else 0.0))
        way.append(sign * (env.tcp_position - start)[axis] * 1e3)
    upstream = np.multiply(sign, facts["step_response"]["xyz"[axis] + "-+"[sign > 0]])
    assert way[0] == pytest.approx(upstream[0], rel=1 / 3)
    assert max(way) < 27
    assert way[9:] == pytest.approx([25.0] * 11, abs=0.5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rotation_command_turns_the_tool_in_the_base_frame(env, axis):
    start = env.data.site("tcp").xmat.reshape(3, 3).copy()
    place = env.step(along(2, 0.1))[0]["agent_pos"][15:]
    for _ in range(6):
        env.step(along(3 + axis, 0.1))
    for _ in range(20):
        place = env.step(np.zeros(7))[0]["agent_pos"][15:]
    turn, quat = np.zeros(3), np.zeros(4)
    mujoco.mju_mat2Quat(quat, (env.data.site("tcp").xmat.reshape(3, 3) @ start.T).ravel())
    mujoco.mju_quat2Vel(turn, quat, 1)
    assert turn == pytest.approx(0.6 * np.eye(3)[axis], abs=0.03)
    assert place == pytest.approx(env.tcp_target, abs=0.003)


def test_target_is_integrated_and_kept_in_the_workspace(env):
    start = env.tcp_target
    env.step(along(1, 0.02))
    env.step(along(1, 0.02))
    assert env.tcp_target == pytest.approx(start + np.array([0, 0.04, 0]))
    for _ in range(10):
        env.step([0.1, 0.1, 0.1, 0, 0, 0, 0])
    assert env.tcp_target == pytest.approx([0.6, 0.3, 0.5])


def test_leaning_on_the_floor_stays_gentle(env):
    peak, force = 0.0, np.zeros(6)
    floor = env.model.geom("floor").id
    for _ in range(30):
        env._command(along(2, -0.025))
        for _ in range(env.n_substeps):
            mujoco.mj_step(env.model, env.data)
            total = 0.0
            for index, pair in enumerate(env.data.contact.geom):
                if floor in pair and env.model.geom("cube_geom").id not in pair:
                    mujoco.mj_contactForce(env.model, env.data, index, force)
                    total += force[0]
            peak = max(peak, total)
    assert 0 < total < 120
    assert peak < 300


def test_posture_comes_back_after_random_steps_at_full_speed(env):
    rng, home = np.random.default_rng(0), env.tcp_target
    env.data.joint("cube").qpos[:2] = 2.0
    for _ in range(300):
        env.step([*rng.choice([-0.025, 0.025], 3), 0, 0, 0, 0])
    for _ in range(60):
        env.step([*(home - env.tcp_target), 0, 0, 0, 0])
    assert env.data.qpos[:7] == pytest.approx(env.home_position, abs=0.05)
    assert not env.data.warning.number.any()
