import numpy as np
import pytest

from gym_hil.rendering import geometry
from gym_hil.rendering.geometry import extract, smoothed, surfaces
from tests.rendering.scenes import FLOOR, load

SIZES = np.array([0.3, 0.2, 0.1])
SHAPES = {
    "box": (geometry.box, 8 * 0.3 * 0.2 * 0.1),
    "sphere": (geometry.sphere, 4 / 3 * np.pi * 0.3**3),
    "ellipsoid": (geometry.ellipsoid, 4 / 3 * np.pi * 0.3 * 0.2 * 0.1),
    "cylinder": (geometry.cylinder, np.pi * 0.3**2 * 0.4),
    "capsule": (geometry.capsule, np.pi * 0.3**2 * 0.4 + 4 / 3 * np.pi * 0.3**3),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_primitive_encloses_its_volume_and_faces_outward(name):
    shape, volume = SHAPES[name]
    points, faces = shape(SIZES)
    a, b, c = points[faces[:, 0]], points[faces[:, 1]], points[faces[:, 2]]
    enclosed = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
    assert enclosed == pytest.approx(volume, rel=0.05)
    edges = {(int(f[i]), int(f[(i + 1) % 3])) for f in faces for i in range(3)}
    assert all((j, i) in edges for i, j in edges)


@pytest.mark.parametrize(("name", "count"), [("box", 6), ("sphere", 1), ("cylinder", 3)])
def test_what_is_round_is_smooth_and_edges_stay_sharp(name, count):
    points, normals, faces = smoothed(*SHAPES[name][0](SIZES))
    assert len(np.unique(surfaces(faces, len(points)))) == count
    if name == "box":
        assert len(points) == 24
        assert np.allclose(np.sort(np.abs(normals), axis=1), [0, 0, 1])
    if name == "sphere":
        outward = points / np.linalg.norm(points, axis=1, keepdims=True)
        assert np.einsum("ij,ij->i", normals, outward).min() > 0.999


def test_faces_without_area_are_left_out():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]])
    faces = np.array([[0, 1, 2], [0, 1, 3], [1, 1, 2]], dtype=np.int32)
    assert len(smoothed(points, faces)[2]) == 1


def test_a_model_with_nothing_to_see_has_no_triangles():
    found = extract(load("")[0])
    assert len(found.shapes.faces) == 0
    assert found.floor == -1


def test_an_endless_floor_has_no_triangles_and_a_finite_one_has_two():
    endless, finite = (extract(load(FLOOR.replace("5 5", size))[0]) for size in ("0 0", "5 5"))
    assert (len(endless.shapes.faces), endless.floor, endless.is_endless) == (0, 0, True)
    assert (len(finite.shapes.faces), finite.floor, finite.is_endless) == (2, 0, False)
