"""Lofted meshes are closed, face outwards and have the size that was asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_hil.robot.gripper import gripper_meshes
from gym_hil.robot.panda_meshes import panda_meshes
from gym_hil.robot.shapes import Section, beam, box, lathe, slab

LENGTH = st.floats(0.01, 1.0)


def volume(mesh):
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces], 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


@given(LENGTH, LENGTH, LENGTH)
def test_box_encloses_its_volume(x, y, z):
    assert volume(box((x, y, z))) == pytest.approx(8 * x * y * z)


@given(st.sampled_from("xyz"), LENGTH, LENGTH)
def test_lathe_of_a_cylinder_has_the_volume_of_its_polygon(axis, radius, height):
    mesh = lathe([(radius, 0), (radius, height)], axis, points=16)
    polygon = 16 / 2 * radius**2 * np.sin(2 * np.pi / 16)
    assert volume(mesh) == pytest.approx(polygon * height)


@given(st.sampled_from("xyz"), LENGTH, st.floats(2, 8))
def test_slab_spans_its_sections(axis, size, exponent):
    mesh = slab([Section(0, (-size, size), (0, size), exponent), Section(2, (-size, size), (0, size), exponent)], axis)
    along = "xyz".index(axis)
    assert np.ptp(mesh.vertices[:, along]) == pytest.approx(2)
    assert np.ptp(np.delete(mesh.vertices, along, axis=1), axis=0) == pytest.approx([2 * size, size])


def test_beam_runs_from_one_end_to_the_other():
    mesh = beam((0, 0, 0), (0, 0.3, 0.4), half_width=0.01, half_depth=0.02)
    assert volume(mesh) == pytest.approx(0.5 * 0.02 * 0.04)
    assert mesh.vertices.mean(axis=0) == pytest.approx([0, 0.15, 0.2])


@pytest.mark.parametrize(("name", "mesh"), [*panda_meshes().items(), *gripper_meshes().items()])
def test_every_visual_mesh_is_closed_and_faces_outwards(name, mesh):
    assert volume(mesh) > 0
    # Caps have vertices of their own, so edges are matched by place: each is walked once in either direction.
    place = np.unique(mesh.vertices.round(9), axis=0, return_inverse=True)[1].ravel()
    edges = place[np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])]
    edges = edges[edges[:, 0] != edges[:, 1]]
    assert sorted(map(tuple, edges)) == sorted(map(tuple, edges[:, ::-1]))
