import os
import subprocess
import sys
from pathlib import Path

import pytest

import gym_hil
from gym_hil.rendering import make_renderer
from tests.rendering.scenes import FLOOR, load

DRAW = """
import mujoco
from gym_hil.errors import RenderingError
from gym_hil.rendering import make_renderer
model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><camera name="eye"/></worldbody></mujoco>')
renderer = make_renderer("gl", model, 8, 8)
try:
    renderer.render(mujoco.MjData(model), ["eye"])
except RenderingError as error:
    print(error)
"""


@pytest.mark.gl
@pytest.mark.usefixtures("opengl")
def test_images_may_be_larger_than_the_models_offscreen_buffer_and_are_the_callers():
    model, data = load(FLOOR)
    renderer = make_renderer("gl", model, 500, 700)
    first, second = renderer.render(data, ["eye", "eye"])
    first[:] = 7
    renderer.close()
    assert second.shape == (500, 700, 3)
    assert second.mean() > 200


@pytest.mark.gl
@pytest.mark.usefixtures("opengl")
def test_colours_and_textures_that_change_are_seen():
    env = gym_hil.PandaPickCubeGymEnv(image_obs=True, renderer="gl", randomize={"floor_colour": (-0.2, 0.3)})
    before = env.reset(seed=1)[0]["pixels"]["front"]
    assert (before != env.reset(seed=2)[0]["pixels"]["front"]).any()
    env.close()


@pytest.mark.gl
@pytest.mark.usefixtures("opengl")
def test_a_renderer_that_is_not_closed_prints_nothing_at_exit():
    done = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_machine_without_opengl_is_told_what_to_do(tmp_path):
    # MuJoCo leaves a log in the current folder when OpenGL fails
    environment = {**os.environ, "MUJOCO_GL": "glfw", "PYTHONPATH": str(Path(gym_hil.__file__).parents[1])}
    environment.pop("DISPLAY", None)
    environment.pop("WAYLAND_DISPLAY", None)
    done = subprocess.run(
        [sys.executable, "-c", DRAW], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    for hint in ("libegl1", "MUJOCO_GL=egl", "libosmesa6", "MUJOCO_GL=osmesa", "renderer='raster'"):
        assert hint in done.stdout
