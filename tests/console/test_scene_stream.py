"""The page gets every shape that can be seen, at the place where MuJoCo has it."""

import json
from dataclasses import asdict

import mujoco
import numpy as np
import pytest

import gym_hil
from gym_hil.console.scene_stream import PackedScene, body_poses, pack_scene


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return gym_hil.PandaArrangeBoxesGymEnv().model


@pytest.fixture(scope="module")
def scene(model: mujoco.MjModel) -> PackedScene:
    return pack_scene(model, title="boxes", dt=0.1, workspace=[[0, 0, 0], [1, 1, 1]])


def array(scene: PackedScene, offset: int, dtype: str, count: int) -> np.ndarray:
    return np.frombuffer(scene.meshes, dtype, count, offset)


def test_visible_geoms_are_there_and_hidden_ones_are_not(model: mujoco.MjModel, scene: PackedScene) -> None:
    visible = [k for k in range(model.ngeom) if model.geom_group[k] <= 2 and model.geom_rgba[k, 3] > 0]
    geoms = scene.description.geoms
    assert len(geoms) == len(visible)
    for geom, number in zip(geoms, visible, strict=True):
        assert geom.body == model.geom_bodyid[number]
        assert geom.size == model.geom_size[number].tolist()
        assert geom.pos == model.geom_pos[number].tolist()
    assert {geom.type for geom in geoms} >= {"plane", "box", "mesh"}
    assert len(scene.description.bodies) == model.nbody


def test_colour_is_the_geoms_own_or_else_its_materials() -> None:
    model = mujoco.MjModel.from_xml_string(
        """<mujoco><asset><material name="red" rgba="1 0 0 1"/></asset><worldbody>
        <geom size=".1" material="red"/><geom size=".1" material="red" rgba="0 0 1 1"/><geom size=".1"/>
        </worldbody></mujoco>"""
    )
    colours = [geom.rgba for geom in pack_scene(model, title="colours", dt=0.1).description.geoms]
    assert colours == [[1, 0, 0, 1], [0, 0, 1, 1], [0.5, 0.5, 0.5, 1]]


def test_mesh_has_the_same_triangles(model: mujoco.MjModel, scene: PackedScene) -> None:
    for name, mesh in scene.description.meshes.items():
        position = array(scene, mesh.position, "<u2", 4 * mesh.vertices).reshape(-1, 4)[:, :3]
        points = np.array(mesh.low) + position / 65535 * np.array(mesh.extent)
        indices = array(scene, mesh.index, "<u4" if mesh.wide else "<u2", mesh.indices)
        start, count = model.mesh_vertadr[int(name)], model.mesh_vertnum[int(name)]
        vertices = model.mesh_vert[start : start + count]
        start, count = model.mesh_faceadr[int(name)], model.mesh_facenum[int(name)]
        wanted = vertices[model.mesh_face[start : start + count].ravel()]
        np.testing.assert_allclose(points[indices], wanted, atol=2e-5 * max(mesh.extent) + 1e-9)
        normals = array(scene, mesh.normal, "i1", 4 * mesh.vertices).reshape(-1, 4)[:, :3] / 127
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=0.02)


def test_description_is_json_and_offsets_are_aligned(scene: PackedScene) -> None:
    description = asdict(scene.description)
    assert json.loads(json.dumps(description, allow_nan=False)) == description
    for mesh in scene.description.meshes.values():
        assert mesh.position % 4 == mesh.normal % 4 == mesh.index % 4 == 0


def test_cameras_stand_where_the_images_are_taken(model: mujoco.MjModel, scene: PackedScene) -> None:
    wrist = scene.description.cameras[1]
    assert wrist.name == "wrist"
    assert wrist.body == model.cam("wrist").bodyid[0]
    assert wrist.fovy == model.cam("wrist").fovy[0]


def test_poses_are_those_of_the_bodies(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    poses = np.frombuffer(body_poses(data.xpos, data.xquat), "<f4").reshape(-1, 7)
    np.testing.assert_allclose(poses, np.hstack([data.xpos, data.xquat]), atol=1e-6)


def test_every_kind_of_shape_is_named() -> None:
    shapes = ["plane", "sphere", "capsule", "ellipsoid", "cylinder", "box"]
    geoms = "".join(f"<geom type='{shape}' size='.1 .1 .1'/>" for shape in shapes)
    hidden = "<geom type='box' size='.1 .1 .1' rgba='1 0 0 0'/><geom type='box' size='.1 .1 .1' group='3'/>"
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{geoms}{hidden}</worldbody></mujoco>")
    described = pack_scene(model, title="shapes", dt=0.1).description
    assert [geom.type for geom in described.geoms] == shapes
    assert described.workspace is None
