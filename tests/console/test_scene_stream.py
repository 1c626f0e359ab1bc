"""The page gets every shape that can be seen, at the place where MuJoCo has it."""

import mujoco
import numpy as np
import pytest

import gym_hil
from gym_hil.console.scene_stream import PackedScene, pack_scene


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return gym_hil.PandaArrangeBoxesGymEnv().model


@pytest.fixture(scope="module")
def scene(model: mujoco.MjModel) -> PackedScene:
    return pack_scene(model)


def array(scene: PackedScene, offset: int, dtype: str, count: int) -> np.ndarray:
    return np.frombuffer(bytes(scene.blob.data), dtype, count, offset)


def test_visible_geoms_are_there_and_hidden_ones_are_not(model: mujoco.MjModel, scene: PackedScene) -> None:
    visible = [k for k in range(model.ngeom) if model.geom_group[k] <= 2 and model.geom_rgba[k, 3] > 0]
    geoms = scene.geoms
    assert len(geoms) == len(visible)
    for geom, number in zip(geoms, visible, strict=True):
        assert geom.body == model.geom_bodyid[number]
        assert geom.size == model.geom_size[number].tolist()
        assert geom.pos == model.geom_pos[number].tolist()
    assert {geom.type for geom in geoms} >= {"plane", "box", "mesh"}
    assert len(scene.bodies) == model.nbody


def test_colour_is_the_geoms_own_or_its_materials_times_the_mean_of_its_texture() -> None:
    model = mujoco.MjModel.from_xml_string(
        """<mujoco><asset><material name="red" rgba="1 0 0 1"/>
        <texture name="dark" type="2d" builtin="flat" rgb1=".2 .4 .6" width="8" height="8"/>
        <material name="dark" texture="dark"/></asset><worldbody>
        <geom size=".1" material="red"/><geom size=".1" material="red" rgba="0 0 1 1"/><geom size=".1"/>
        <geom size=".1" material="dark"/></worldbody></mujoco>"""
    )
    colours = [geom.rgba for geom in pack_scene(model).geoms]
    assert colours[:3] == [[1, 0, 0, 1], [0, 0, 1, 1], [0.5, 0.5, 0.5, 1]]
    np.testing.assert_allclose(colours[3], [0.2, 0.4, 0.6, 1], atol=0.01)


def test_mesh_has_the_same_triangles(model: mujoco.MjModel, scene: PackedScene) -> None:
    for name, mesh in scene.blob.infos.items():
        position = array(scene, mesh.position, "<u2", 4 * mesh.vertices).reshape(-1, 4)[:, :3]
        points = np.array(mesh.low) + position / 65535 * np.array(mesh.extent)
        indices = array(scene, mesh.index, "<u4" if mesh.wide else "<u2", mesh.indices)
        start, count = (
            model.mesh_vertadr[int(name.removeprefix("mesh"))],
            model.mesh_vertnum[int(name.removeprefix("mesh"))],
        )
        vertices = model.mesh_vert[start : start + count]
        start, count = (
            model.mesh_faceadr[int(name.removeprefix("mesh"))],
            model.mesh_facenum[int(name.removeprefix("mesh"))],
        )
        wanted = vertices[model.mesh_face[start : start + count].ravel()]
        np.testing.assert_allclose(points[indices], wanted, atol=2e-5 * max(mesh.extent) + 1e-9)
        normals = array(scene, mesh.normal, "i1", 4 * mesh.vertices).reshape(-1, 4)[:, :3] / 127
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=0.02)


def test_offsets_are_aligned(scene: PackedScene) -> None:
    for mesh in scene.blob.infos.values():
        assert mesh.position % 4 == mesh.normal % 4 == mesh.index % 4 == 0


def test_cameras_stand_where_the_images_are_taken(model: mujoco.MjModel, scene: PackedScene) -> None:
    wrist = scene.cameras[1]
    assert wrist.name == "wrist"
    assert wrist.body == model.cam("wrist").bodyid[0]
    assert wrist.fovy == model.cam("wrist").fovy[0]


WORLD = """<mujoco><asset><hfield name="hills" nrow="3" ncol="4" size="1 2 .5 .1" elevation="0 0 0 0 0 1 1 0 0 0 0 0"/>
</asset><worldbody>
<geom type="plane" size=".1 .1 .1"/><geom type="sphere" size=".1"/><geom type="capsule" size=".1 .1"/>
<geom type="ellipsoid" size=".1 .1 .1"/><geom type="cylinder" size=".1 .1"/><geom type="box" size=".1 .1 .1"/>
<geom type="hfield" hfield="hills"/>
<geom type="box" size=".1 .1 .1" rgba="1 0 0 0"/><geom type="box" size=".1 .1 .1" group="3"/>
<body name="walker" pos="0 0 1"><freejoint/><geom size=".1"/><site name="goal" pos=".1 0 0" euler="0 0 30"/>
<site name="hidden" group="4"/><camera name="fixed"/><camera name="track" mode="trackcom" pos="0 -3 0"/></body>
</worldbody></mujoco>"""


def test_every_kind_of_shape_and_visible_sites_are_there() -> None:
    scene = pack_scene(mujoco.MjModel.from_xml_string(WORLD))
    shapes = ["plane", "sphere", "capsule", "ellipsoid", "cylinder", "box", "mesh", "sphere", "sphere"]
    assert [geom.type for geom in scene.geoms] == shapes
    hills = scene.blob.infos[scene.geoms[6].mesh or ""]
    assert (hills.low, hills.extent) == ([-1, -2, 0], [2, 4, 0.5])
    assert scene.bodies == ["world", "walker", "goal", "track"]


def test_poses_are_those_of_bodies_sites_and_moving_cameras() -> None:
    model = mujoco.MjModel.from_xml_string(WORLD)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    model.site_pos[0] = 0.5, 0, 0  # as environments move their goals
    mujoco.mj_forward(model, data)
    poses = pack_scene(model).poses(data)
    np.testing.assert_allclose(poses[:2], np.hstack([data.xpos, data.xquat]), atol=1e-6)
    np.testing.assert_allclose(poses[2:, :3], [data.site("goal").xpos, data.camera("track").xpos], atol=1e-6)
    turned = np.empty(9)
    mujoco.mju_quat2Mat(turned, poses[2, 3:].astype(float))
    np.testing.assert_allclose(turned, data.site("goal").xmat, atol=1e-6)
