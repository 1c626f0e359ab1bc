"""The arena: cameras where datasets expect them, and one file that any MuJoCo program opens."""

import mujoco
import numpy as np
import pytest

from gym_hil.envs import FrankaGymEnv, PandaArrangeBoxesGymEnv, PandaPickCubeGymEnv

TASKS = [PandaPickCubeGymEnv, PandaArrangeBoxesGymEnv]


@pytest.mark.parametrize(("name", "measured"), [("front", "camera_front"), ("wrist", "camera_handcam_rgb")])
def test_cameras_look_from_the_measured_poses(facts: dict, name: str, measured: str) -> None:
    env = PandaPickCubeGymEnv()
    env.reset()
    mujoco.mj_camlight(env.model, env.data)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, env.data.camera(name).xmat)
    assert env.data.camera(name).xpos == pytest.approx(facts[measured]["world_pos_home"], abs=1e-4)
    assert abs(quat @ facts[measured]["world_quat_home"]) == pytest.approx(1, abs=1e-6)
    assert env.model.camera(name).fovy == facts[measured]["fovy"]


@pytest.mark.parametrize("task", TASKS)
def test_exported_scene_holds_everything_and_moves_the_same(task: type[FrankaGymEnv]) -> None:
    env = task()
    env.reset()
    text = env.mjspec.to_xml()
    assert "file=" not in text
    model = mujoco.MjModel.from_xml_string(text)
    data = mujoco.MjData(model)
    for m, d in ((model, data), (env.model, env.data)):
        mujoco.mj_resetDataKeyframe(m, d, m.key("home").id)
        d.actuator("tcp_z").ctrl[0] += 0.05
        d.actuator("gripper").ctrl[0] = 255
        mujoco.mj_step(m, d, 500)
    assert data.qpos == pytest.approx(env.data.qpos, abs=1e-4)


@pytest.mark.parametrize("task", TASKS)
def test_home_keyframe_stays_at_home(task: type[FrankaGymEnv]) -> None:
    env = task()
    env.reset()
    mujoco.mj_resetDataKeyframe(env.model, env.data, env.model.key("home").id)
    mujoco.mj_step(env.model, env.data, 500)
    assert env.data.qpos[:7] == pytest.approx(env.home_position, abs=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_a_program_that_just_opens_the_scene_can_drive_it(task: type[FrankaGymEnv]) -> None:
    env = task()
    model = mujoco.MjModel.from_xml_string(env.mjspec.to_xml())
    data = mujoco.MjData(model)
    assert data.qpos[:7] == pytest.approx(env.home_position, abs=1e-6)
    mujoco.mj_step(model, data, 1000)  # sliders at zero pull to the near end of the workspace
    assert data.site("tcp").xpos == pytest.approx([0.2, 0.0, 0.0], abs=0.05)
    for name, value in (("tcp_x", 0.4), ("tcp_y", 0.1), ("tcp_z", 0.2)):
        data.actuator(name).ctrl[0] = value
    mujoco.mj_step(model, data, 2000)
    assert data.site("tcp").xpos == pytest.approx([0.4, 0.1, 0.2], abs=0.003)
    assert not data.warning.number.any()
