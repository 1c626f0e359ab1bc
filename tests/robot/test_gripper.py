"""The gripper has the reach, the pads and the speed of a 2F-85."""

import mujoco
import numpy as np
import pytest

from gym_hil.envs import PandaPickCubeGymEnv
from gym_hil.robot.gripper import COMMAND_CLOSED


@pytest.fixture
def env():
    env = PandaPickCubeGymEnv()
    env.reset(options={"cube_xy": (0.3, 0.15)})  # out of the way
    return env


def pad_positions(env):
    mujoco.mj_kinematics(env.model, env.data)
    return {side: env.data.geom(f"{side}_finger_pad1").xpos.copy() for side in ("right", "left")}


def test_open_pads_are_where_they_were_measured(env, facts):
    for side in ("right", "left"):
        for number in (1, 2):
            measured = facts[f"{side}_pad{number}_open"]
            pad = env.model.geom(f"{side}_finger_pad{number}")
            assert env.data.geom(pad.name).xpos == pytest.approx(measured["pos"], abs=1e-4)
            assert pad.size == pytest.approx(measured["half_size"])
            assert pad.friction[0] == measured["friction"][0]


def test_pads_close_as_fast_as_measured_and_meet_where_measured(env, facts):
    for right, left in facts["pad_y_per_step_closing"]:
        env.step([0, 0, 0, 0, 0, 0, 1])
        pads = pad_positions(env)
        assert (pads["right"][1], pads["left"][1]) == pytest.approx((right, left), abs=1e-3)
    for _ in range(12):
        env.step([0, 0, 0, 0, 0, 0, 1])
    for side, place in pad_positions(env).items():
        assert place == pytest.approx(facts[f"{side}_pad1_closed"], abs=2e-4)


def test_command_255_closes_and_0_opens(env):
    for _ in range(10):
        observation = env.step([0, 0, 0, 0, 0, 0, 1])[0]
    assert (observation["agent_pos"][14], env.gripper_command) == (COMMAND_CLOSED, 1.0)
    assert env.gripper_closed == pytest.approx(1, abs=0.01)
    for _ in range(10):
        observation = env.step([0, 0, 0, 0, 0, 0, -1])[0]
    assert (observation["agent_pos"][14], env.gripper_command) == (0, 0.0)
    assert env.gripper_closed == pytest.approx(0, abs=0.01)


def test_mass_beyond_the_flange_is_as_measured(env, facts):
    bodies = [env.model.body(name).id for name in ("gripper", "right_finger", "left_finger")]
    mass = env.model.body_mass[bodies]
    flange = env.data.body("flange")
    centre = (mass[:, None] * env.data.xipos[bodies]).sum(0) / mass.sum()
    assert mass.sum() == pytest.approx(facts["gripper_mass_beyond_flange"], abs=1e-3)
    assert flange.xmat.reshape(3, 3).T @ (centre - flange.xpos) == pytest.approx(
        facts["gripper_com_in_flange_frame"], abs=1e-3
    )


def test_a_held_cube_is_squeezed_with_60_newton_and_does_not_slip(demos):
    env = PandaPickCubeGymEnv()
    env.reset(options={"cube_xy": demos[0]["cube"]})
    for x, y, z, gripper in demos[0]["actions"]:
        env.step([0.025 * x, 0.025 * y, 0.025 * z, 0, 0, 0, gripper - 1])

    def cube_in_hand():
        mujoco.mj_forward(env.model, env.data)
        return env.data.site("tcp").xmat.reshape(3, 3).T @ (env.cube_position - env.tcp_position)

    before = cube_in_hand()
    for _ in range(100):
        env.step(np.zeros(7))
    assert env.fingers_touching("cube_geom") == {"right_finger", "left_finger"}
    assert np.linalg.norm(cube_in_hand() - before) < 1e-3
    force, normal = np.zeros(6), 0.0
    for index in range(env.data.ncon):
        mujoco.mj_contactForce(env.model, env.data, index, force)
        normal += force[0]
    assert normal / 2 == pytest.approx(60, rel=0.1)
