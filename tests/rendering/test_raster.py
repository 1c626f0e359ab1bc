import hashlib
import itertools
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from gym_hil.envs import PandaArrangeBoxesGymEnv, PandaPickCubeGymEnv
from gym_hil.rendering import make_renderer
from tests.rendering.scenes import CHECKER, DOWN, FLOOR, HALF_LIGHT, LAMP, LEVEL, SKY, draw, load, place

RED_BOX = '<geom type="box" pos="0 0 .5" size=".3 .2 .5" rgba="1 0 0 {alpha}"/>'


def test_a_box_covers_the_pixels_that_its_projection_covers():
    image = draw(RED_BOX.format(alpha=1), size=(100, 200))
    pixels_per_metre = 100 / (2 * np.tan(np.radians(30)))  # at 1 m, which is how far the box's top is away
    rows, columns = np.nonzero(image[..., 0] == 255)
    assert np.ptp(rows) + 1 == pytest.approx(0.4 * pixels_per_metre, abs=1.5)
    assert np.ptp(columns) + 1 == pytest.approx(0.6 * pixels_per_metre, abs=1.5)
    assert (rows.mean(), columns.mean()) == pytest.approx((49.5, 99.5), abs=0.6)


@pytest.mark.parametrize(
    "shape",
    [
        '<geom type="sphere" size=".3" rgba="1 0 0 1"/>',
        '<geom type="capsule" size=".3 .2" rgba="1 0 0 1"/>',
        '<geom type="cylinder" size=".3 .2" rgba="1 0 0 1"/>',
        '<geom type="ellipsoid" size=".3 .3 .1" rgba="1 0 0 1"/>',
        '<site type="sphere" size=".3" rgba="1 0 0 1"/>',
    ],
)
def test_a_round_shape_fills_the_disc_of_its_outline(shape):
    image = draw(shape, size=(128, 128), camera=f'pos="0 0 20" xyaxes="{DOWN}" fovy="2"')
    radius = 0.3 * 64 / (20 * np.tan(np.radians(1)))
    covered = image[..., 0].astype(float).sum() / 255
    assert covered == pytest.approx(np.pi * radius**2, rel=0.03)


def test_the_nearer_shape_hides_the_farther_one_whatever_their_order():
    near = '<geom type="box" pos="0 0 1" size=".1 .1 .1" rgba="0 1 0 1"/>'
    for world in (near + RED_BOX.format(alpha=1), RED_BOX.format(alpha=1) + near):
        assert tuple(draw(world)[32, 32]) == (0, 255, 0)
    sunk = '<geom type="box" pos="0 0 -1" size=".3 .3 .5" rgba="1 0 0 1"/>'
    for floor in (FLOOR, FLOOR.replace("5 5", "0 0")):
        assert tuple(draw(floor + sunk)[32, 32]) == (255, 255, 255)


def test_a_triangle_that_crosses_the_near_plane_is_cut_there_and_not_left_out():
    corridor = '<geom type="box" pos="0 0 -1" size="30 30 .5" rgba="1 0 0 1"/>'
    image = draw(corridor, camera=f'pos="0 0 0" xyaxes="{LEVEL}" fovy="60"')
    assert (image[40:, :, 0] == 255).all()
    assert (image[:31] == 0).all()


def test_group_three_and_whatever_is_fully_transparent_are_not_drawn():
    for attribute in ('group="3" rgba="1 0 0 1"', 'rgba="1 0 0 0"'):
        assert not draw(f'<geom type="box" size=".5 .5 .5" {attribute}/>').any()


def test_a_material_gives_the_colour_unless_the_geom_has_its_own():
    material = '<material name="green" rgba="0 1 0 1"/>'
    plain = '<geom type="box" size=".5 .5 .5" material="green"/>'
    assert tuple(draw(plain, assets=material)[32, 32]) == (0, 255, 0)
    own = plain.replace("/>", ' rgba="0 0 1 1"/>')
    assert tuple(draw(own, assets=material)[32, 32]) == (0, 0, 255)


def test_a_translucent_shape_lets_the_floor_through_twice_dimmed_as_in_mujoco():
    image = draw(FLOOR + RED_BOX.format(alpha=0.35))
    assert tuple(image[32, 32]) == pytest.approx((255, 255 * 0.65**2, 255 * 0.65**2), abs=1)


def test_translucent_shapes_are_laid_over_each_other_from_far_to_near():
    red = '<geom type="box" pos="0 0 1" size=".2 .2 .1" rgba="1 0 0 .5"/>'
    green = '<geom type="box" pos="0 0 .3" size=".2 .2 .1" rgba="0 1 0 .5"/>'
    one, other = draw(FLOOR + red + green)[32, 32], draw(FLOOR + green + red)[32, 32]
    assert tuple(one) == tuple(other)
    assert one[0] > 2 * one[1]


def test_the_checker_has_the_squares_that_the_material_says():
    for size in ("5 5 .1", "0 0 .1"):
        floor = f'<geom type="plane" size="{size}" material="checker"/>'
        # 2 m wide, a texture of two squares across repeats every metre
        image = draw(floor, size=(80, 80), assets=CHECKER, camera=f'pos="0 0 2" xyaxes="{DOWN}" fovy="53.1301"')
        middles = image[10::20, 10::20, 0] > 128
        assert np.array_equal(middles, np.indices((4, 4)).sum(axis=0) % 2 == 0)


def test_far_squares_fade_into_their_mean_instead_of_flickering():
    floor = '<geom type="plane" size="0 0 .1" material="checker"/>'
    image = draw(floor, assets=CHECKER, camera=f'pos="0 0 60" xyaxes="{DOWN}" fovy="10"', size=(8, 8))
    assert np.abs(image[..., :2].astype(int) - 128).max() <= 24


def test_the_sky_goes_from_its_upper_to_its_lower_colour():
    up, down = (draw("", assets=SKY, camera=f'pos="0 0 2" xyaxes="1 0 0 0 {y} 0"')[32, 32] for y in (-1, 1))
    assert up[1] > 240 > 15 > up[2]
    assert down[2] > 240 > 15 > down[1]


def test_a_shadow_lies_where_the_light_is_blocked_and_nowhere_else():
    world = LAMP + FLOOR + '<geom type="box" pos="0 0 1" size=".2 .2 .02" rgba="1 0 0 1"/>'
    camera = 'pos="3 0 .5" xyaxes="0 1 0 -.2 0 1" fovy="40"'
    with_shadow = draw(world, visual=HALF_LIGHT, camera=camera, size=(128, 128)).astype(int)
    without = draw(
        world.replace("cutoff", 'castshadow="false" cutoff'), visual=HALF_LIGHT, camera=camera, size=(128, 128)
    )
    darker = (without - with_shadow).max(axis=2)
    assert (darker > 60).sum() > 100
    assert (darker == 0).mean() > 0.8
    assert (with_shadow <= without).all()


def test_the_light_of_a_spot_ends_at_its_cutoff():
    spot = '<light pos="0 0 1" dir="0 0 -1" diffuse="1 1 1" specular="0 0 0" cutoff="20" exponent="0"/>'
    dark = '<visual><headlight ambient="0 0 0" diffuse="0 0 0" specular="0 0 0"/></visual>'
    row = draw(spot + FLOOR, visual=dark, size=(128, 128))[64, :, 0]
    half_width = np.tan(np.radians(20)) / (2 * np.tan(np.radians(30)) / 64)
    assert (row > 128).sum() == pytest.approx(2 * half_width, abs=8)


def test_edges_are_smoothed():
    tilted = '<geom type="box" size=".3 .3 .3" euler="0 0 20" rgba="1 1 1 1"/>'
    values = np.unique(draw(tilted)[..., 0])
    assert {0, 64, 128, 191, 255} <= {int(v) for v in values}


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 7), (480, 640)])
def test_any_size_is_drawn(size):
    image = draw(FLOOR + RED_BOX.format(alpha=0.5) + LAMP, size=size, visual=HALF_LIGHT)
    assert image.shape == (*size, 3)
    assert image.dtype == np.uint8
    assert image.any()


HASH = """
import hashlib
import itertools
from gym_hil.envs import PandaArrangeBoxesGymEnv
from gym_hil.rendering import make_renderer
env = PandaArrangeBoxesGymEnv(seed=3)
env.reset(seed=3)
images = make_renderer("raster", env.model, 96, 128).render(env.data, ["front", "wrist"])
print(hashlib.sha256(b"".join(p.tobytes() for p in images)).hexdigest())
"""


def test_the_same_state_gives_the_same_bytes_in_another_process_and_one_camera_those_of_both():
    env = PandaArrangeBoxesGymEnv(seed=3)
    env.reset(seed=3)
    renderer = make_renderer("raster", env.model, 96, 128)
    alone = [renderer.render(env.data, [name])[0] for name in ("front", "wrist")]
    images = renderer.render(env.data, ["front", "wrist"])
    here = hashlib.sha256(b"".join(p.tobytes() for p in images)).hexdigest()
    assert all(np.array_equal(a, b) for a, b in zip(images, alone, strict=True))
    there = subprocess.run([sys.executable, "-c", HASH], check=True, capture_output=True, text=True)
    assert there.stdout.strip() == here
    env.close()


def test_a_state_that_is_not_finite_draws_something_and_does_no_harm():
    model, data = load(FLOOR + '<body><freejoint/><geom type="box" size=".1 .1 .1"/></body>' + LAMP, assets=SKY)
    renderer = make_renderer("raster", model, 32, 32)
    before = renderer.render(data, ["eye"])[0]
    for field in (data.geom_xpos, data.geom_xmat, data.cam_xpos, data.cam_xmat, data.light_xpos, data.light_xdir):
        for bad in (np.nan, np.inf, 1e30):
            kept = field.copy()
            field[:] = bad
            assert renderer.render(data, ["eye"])[0].shape == (32, 32, 3)
            field[:] = kept
    assert np.array_equal(renderer.render(data, ["eye"])[0], before)


@pytest.mark.gl
@pytest.mark.usefixtures("opengl")
@pytest.mark.parametrize("task", [PandaPickCubeGymEnv, PandaArrangeBoxesGymEnv])
def test_the_tasks_look_as_in_opengl(task):
    env = task(seed=0)
    env.reset(seed=0)
    mujoco.mj_forward(env.model, env.data)
    cameras = ["front", "wrist"]
    ours = make_renderer("raster", env.model, 128, 128).render(env.data, cameras)
    renderer = make_renderer("gl", env.model, 128, 128)
    theirs = renderer.render(env.data, cameras)
    renderer.close()
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a.astype(int) - b).mean() < 3
    env.close()


def test_a_world_without_rounded_functions_has_the_same_bytes_on_every_machine():
    # textured floor, shadow, haze-free sky, opaque and translucent boxes; what numpy rounds as it likes is left out
    world = (
        '<geom type="plane" size="2 2 .1" material="checker"/>'
        '<geom type="box" pos="0 0 .5" size=".3 .2 .5" rgba="1 0 0 1"/>'
        '<geom type="box" pos=".6 .2 .3" size=".2 .2 .2" rgba="0 0 1 .5"/>'
        '<light directional="true" pos="0 0 3" dir="0 .6 -.8" diffuse=".5 .5 .5" specular="0 0 0"/>'
    )
    camera = 'pos="0 -2 1" xyaxes="1 0 0 0 .28 .96" fovy="90"'
    image = draw(world, size=(48, 64), camera=camera, assets=CHECKER + SKY, visual=HALF_LIGHT)
    # also that of numba 0.60 with MuJoCo 3.3, the oldest that are supported
    assert hashlib.sha256(image.tobytes()).hexdigest()[:16] == "26871108a1598d28"


def test_a_camera_that_stays_sees_shadows_move_and_lights_change_as_a_new_renderer_does():
    box = '<body pos="0 0 1"><freejoint/><geom type="box" size=".2 .2 .02" rgba="1 0 0 1"/></body>'
    floor = '<geom type="plane" size="5 5 .1" material="checker"/>'
    model, data = load(
        LAMP + floor + box, visual=HALF_LIGHT, assets=CHECKER, camera='pos="3 0 .5" xyaxes="0 1 0 -.2 0 1" fovy="40"'
    )
    renderer = make_renderer("raster", model, 48, 64)
    images = []
    for number in range(8):
        data.qpos[1] = 0.1 * number - 0.4  # and with it the shadow
        if number == 4:
            model.light_pos[0, 0] = 0.4
        if number == 6:
            model.cam_pos[0, 2] += 0.2
        place(model, data)
        images.append(renderer.render(data, ["eye"])[0])
        assert np.array_equal(images[-1], make_renderer("raster", model, 48, 64).render(data, ["eye"])[0])
    assert all((one != other).any() for one, other in itertools.pairwise(images))


def test_memory_does_not_grow_with_changes_of_what_is_seen():
    model, data = load(LAMP + FLOOR)
    renderer = make_renderer("raster", model, 16, 16)
    kept = []
    for number in range(4):
        model.geom_rgba[0, 0] = number / 4
        for _ in range(3):
            renderer.render(data, ["eye"])
        kept.append(len(renderer._grounds.images))
    assert kept == [2, 2, 2, 2]
