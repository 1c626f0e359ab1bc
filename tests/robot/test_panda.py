"""The arm's kinematics are the real Panda's."""

import mujoco
import numpy as np
import pytest

from gym_hil.robot.panda import COLLISION_GROUP, FLANGE, LINKS, add_panda

HOME = (0.0, 0.195, 0.0, -2.43, 0.0, 2.62, 0.785)
# Denavit-Hartenberg parameters (Craig's convention) from Franka's documentation: a (m), d (m), alpha (rad).
DH = [
    (0, 0.333, 0),
    (0, 0, -np.pi / 2),
    (0, 0.316, np.pi / 2),
    (0.0825, 0, np.pi / 2),
    (-0.0825, 0.384, -np.pi / 2),
    (0, 0, np.pi / 2),
    (0.088, 0, np.pi / 2),
]


@pytest.fixture(scope="module")
def model():
    spec = mujoco.MjSpec()
    add_panda(spec, HOME, posture_stiffness=0.5)
    return spec.compile()


def flange_by_dh(q):
    pose = np.eye(4)
    for (a, d, alpha), theta in zip(DH, q, strict=True):
        ca, sa, ct, st = np.cos(alpha), np.sin(alpha), np.cos(theta), np.sin(theta)
        pose = pose @ [[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]]
    return pose @ [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.107], [0, 0, 0, 1]]


def test_flange_is_where_denavit_and_hartenberg_put_it(model):
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    for _ in range(100):
        data.qpos[:] = rng.uniform(*np.array([link.range for link in LINKS]).T)
        mujoco.mj_kinematics(model, data)
        expected = flange_by_dh(data.qpos)
        assert data.body(FLANGE).xpos == pytest.approx(expected[:3, 3], abs=1e-12)
        assert data.body(FLANGE).xmat.reshape(3, 3)[:, 2] == pytest.approx(expected[:3, 2], abs=1e-12)


def test_flange_at_home_is_as_measured(model, facts):
    data = mujoco.MjData(model)
    data.qpos[:] = HOME
    mujoco.mj_kinematics(model, data)
    assert data.body(FLANGE).xpos == pytest.approx(facts["flange_pos_home"], abs=1e-7)
    assert abs(np.dot(data.body(FLANGE).xquat, facts["flange_quat_home"])) == pytest.approx(1, abs=1e-7)


def test_gravity_is_compensated(model):
    data = mujoco.MjData(model)
    data.qpos[:] = HOME
    mujoco.mj_step(model, data, 500)
    assert data.qpos == pytest.approx(HOME, abs=1e-9)


def test_visual_meshes_touch_nothing_and_collision_geoms_are_hidden(model):
    meshes = model.geom_type == mujoco.mjtGeom.mjGEOM_MESH
    assert not model.geom_contype[meshes].any()
    assert not model.geom_conaffinity[meshes].any()
    assert (model.geom_group[~meshes] == COLLISION_GROUP).all()


def test_the_arm_does_not_collide_with_itself(model):
    data, rng = mujoco.MjData(model), np.random.default_rng(1)
    for _ in range(50):
        data.qpos[:] = rng.uniform(*np.array([link.range for link in LINKS]).T)
        mujoco.mj_forward(model, data)
        assert data.ncon == 0
