"""Small models that the tests of the renderers draw."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.rendering import make_renderer

DOWN = "1 0 0 0 1 0"  # xyaxes of a camera that looks straight down, its top towards +y
LEVEL = "0 -1 0 0 0 1"  # xyaxes of a camera that looks along +x
AMBIENT = '<visual><headlight ambient="1 1 1" diffuse="0 0 0" specular="0 0 0"/></visual>'
LAMP = '<light pos="0 0 3" dir="0 0 -1" diffuse=".6 .6 .6" specular="0 0 0" cutoff="60"/>'
HALF_LIGHT = '<visual><headlight ambient=".3 .3 .3" diffuse="0 0 0" specular="0 0 0"/></visual>'
CHECKER = (
    '<texture name="checker" type="2d" builtin="checker" rgb1="1 0 0" rgb2="0 1 0" width="64" height="64"/>'
    '<material name="checker" texture="checker" texrepeat="2 2" texuniform="true"/>'
)
SKY = '<texture type="skybox" builtin="gradient" rgb1="0 1 0" rgb2="0 0 1" width="64" height="384"/>'
FLOOR = '<geom type="plane" size="5 5 .1" rgba="1 1 1 1"/>'


def load(
    world: str, *, camera: str = f'pos="0 0 2" xyaxes="{DOWN}" fovy="60"', assets: str = "", visual: str = AMBIENT
) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """Compile a world with one camera named `eye`, and find where everything is."""
    model = mujoco.MjModel.from_xml_string(
        f'<mujoco><compiler boundmass="1" boundinertia="1"/>{visual}<asset>{assets}</asset>'
        f'<worldbody><camera name="eye" {camera}/>{world}</worldbody></mujoco>'
    )
    data = mujoco.MjData(model)
    place(model, data)
    return model, data


def place(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Do what a caller of `render` has to do first."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)


def draw(world: str, *, size: tuple[int, int] = (64, 64), name: str = "raster", **kwargs: str) -> NDArray[np.uint8]:
    """Image (height, width, 3) of a world, seen by its camera."""
    model, data = load(world, **kwargs)
    renderer = make_renderer(name, model, *size)
    image = renderer.render(data, ["eye"])[0]
    renderer.close()
    return image
