import numpy as np
import pytest

from gym_hil.rendering import appearance
from gym_hil.rendering.scene import DIRECTIONAL, SPOT
from tests.rendering.scenes import SKY, load


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (300, 300), (7, 30), (1, 5)])
def test_every_scale_of_a_texture_has_its_mean_colour(shape):
    image = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    texels, mips = appearance.mipmaps(image)
    assert tuple(mips[0]) == (0, shape[1], shape[0])
    assert tuple(mips[-1][1:]) == (1, 1)
    assert mips[-1][0] == len(texels) - 9
    assert texels[-1, :3] == pytest.approx(image.mean(axis=(0, 1)), abs=0.1)


def test_the_sky_runs_evenly_from_bottom_to_top():
    model, _ = load("", assets=SKY)
    colours = appearance.sky(model, endless_floor=False).colours
    assert colours[0] == pytest.approx([0, 0, 1], abs=0.05)
    assert colours[-1] == pytest.approx([0, 1, 0], abs=0.05)
    assert (np.diff(colours[:, 1]) >= -1e-3).all()


def test_a_model_whose_lights_are_all_off_is_not_black():
    model, _ = load("", visual='<visual><headlight active="0"/></visual>')
    assert appearance.lights(model)[1].ambient == pytest.approx([0.3] * 3)


@pytest.mark.parametrize("direction", [(0, 0, -1), (0, 0, 1), (1, 0, 0), (0.3, -0.5, -0.8), (0, 0, 0)])
def test_the_axes_of_a_light_are_square_to_each_other(direction):
    axes = np.array(appearance.light_axes(direction))
    expected = np.eye(3) if any(direction) else np.diag([1, 0, 0])
    assert axes @ axes.T == pytest.approx(expected, abs=1e-9)


def test_only_lights_that_are_on_count_and_the_first_that_casts_shadows_is_found():
    model, _ = load(
        '<light active="false"/><light castshadow="false" diffuse=".1 .2 .3"/><light directional="true"/><light/>'
    )
    ids, lights = appearance.lights(model)
    assert ids.tolist() == [1, 2, 3]
    assert lights.kind.tolist() == [SPOT, DIRECTIONAL, SPOT]
    assert lights.diffuse[0] == pytest.approx([0.1, 0.2, 0.3])
    assert lights.shadow == 1


def test_a_texture_is_marked_flat_exactly_where_four_neighbours_agree():
    image = np.zeros((4, 6, 3), dtype=np.float32)
    image[:, 3:] = 1
    texels, _ = appearance.mipmaps(image)
    flat = texels[: 6 * 8, 3].reshape(6, 8)
    assert flat[:5, :7].tolist() == [[0, 1, 1, 0, 1, 1, 0]] * 5
