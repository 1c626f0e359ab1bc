import subprocess
import sys

import numpy as np
import pytest

from gym_hil.errors import ConfigurationError, RenderingError
from gym_hil.rendering import RENDERERS, make_renderer
from tests.rendering.scenes import FLOOR, load


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("size", [(0, 8), (8, -1), (8.0, 8), (True, 8)])
def test_a_size_that_is_no_number_of_pixels_is_refused(name, size):
    model, _ = load(FLOOR)
    with pytest.raises(ConfigurationError, match="pixels"):
        make_renderer(name, model, *size)


def test_an_unknown_renderer_is_refused_with_the_names_there_are():
    model, _ = load(FLOOR)
    with pytest.raises(ConfigurationError, match=r"'vulkan'.*'raster', 'gl'"):
        make_renderer("vulkan", model, 8, 8)


def test_a_camera_is_found_by_name_and_number_and_the_caller_owns_the_images_until_after_closing():
    model, data = load(FLOOR)
    renderer = make_renderer("raster", model, 8, 8)
    first, second = renderer.render(data, ["eye", np.int64(0)])
    assert np.array_equal(first, second)
    first[:] = 7
    renderer.render(data, ["eye"])
    renderer.close()
    renderer.close()
    assert (first == 7).all()
    assert (second == 255).all()
    for closed in renderer, make_renderer("gl", model, 8, 8):
        closed.close()
        with pytest.raises(RenderingError, match="closed"):
            closed.render(data, ["eye"])


@pytest.mark.parametrize("camera", ["front", 1, -1])
def test_an_unknown_camera_is_refused_with_the_names_there_are(camera):
    model, data = load(FLOOR)
    with pytest.raises(RenderingError, match=f"{camera!r}.*'eye'"):
        make_renderer("raster", model, 8, 8).render(data, [camera])


def test_importing_the_package_and_making_a_gl_renderer_import_neither_numba_nor_opengl():
    code = (
        "import sys, mujoco; before = set(sys.modules);"
        "from gym_hil.rendering import make_renderer;"
        "make_renderer('gl', mujoco.MjModel.from_xml_string('<mujoco/>'), 8, 8);"
        "new = set(sys.modules) - before; assert not {'numba', 'OpenGL'} & new, new"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
