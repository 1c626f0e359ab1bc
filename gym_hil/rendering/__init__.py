"""Images of a MuJoCo model: a rasteriser that needs no display, and MuJoCo's own OpenGL renderer."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError, RenderingError

__all__ = ["RENDERERS", "Renderer", "make_renderer"]

RENDERERS = ("raster", "gl")
Image = NDArray[np.uint8]


class Renderer(Protocol):
    """Draws what the cameras of one model see.

    Attributes:
        name: the name `make_renderer` knows it by, written into dataset metadata.
        height: of each image, in pixels.
        width: of each image, in pixels.
    """

    name: str
    height: int
    width: int

    def render(self, data: mujoco.MjData, cameras: Sequence[str | int]) -> list[Image]:
        """Draw one image per camera.

        Args:
            data: a state of the model on which `mj_kinematics` and `mj_camlight` have run.
            cameras: names or ids of the model's cameras.

        Returns:
            One (height, width, 3) uint8 RGB array per camera, in the order of `cameras`. The caller owns them.

        Raises:
            RenderingError: the model has no such camera, the renderer is closed, or nothing can draw on this machine.
        """

    def close(self) -> None:
        """Free what the renderer holds. Closing twice is allowed; drawing afterwards raises."""


def make_renderer(name: str, model: mujoco.MjModel, height: int, width: int) -> Renderer:
    """Make a renderer for one model and one image size.

    Numba is imported only when a raster renderer is made, OpenGL only when a gl renderer first draws.

    Args:
        name: "raster" or "gl".
        model: what to draw. Shapes, colours and textures are read now, poses at every drawing.
        height: of the images, in pixels.
        width: of the images, in pixels.

    Raises:
        ConfigurationError: unknown name, or a size that is not a whole number of at least 1.
    """
    if name == "raster":
        from gym_hil.rendering.raster import RasterRenderer

        return RasterRenderer(model, height, width)
    if name == "gl":
        from gym_hil.rendering.gl import GLRenderer

        return GLRenderer(model, height, width)
    raise ConfigurationError(f"renderer={name!r} is unknown; choose one of: {', '.join(map(repr, RENDERERS))}.")


def checked_size(name: str, value: Any) -> int:
    """Return `value` as an int of at least 1, or raise a ConfigurationError naming the argument."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ConfigurationError(f"{name}={value!r} is not an image size; give a whole number of pixels, 1 or more.")
    return int(value)


def camera_id(model: mujoco.MjModel, camera: str | int) -> int:
    """Return the id of a camera given by name or id.

    Raises:
        RenderingError: there is no such camera; the message lists the cameras there are.
    """
    if isinstance(camera, str):
        found = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, camera)
    elif isinstance(camera, (int, np.integer)) and 0 <= camera < model.ncam:
        found = int(camera)
    else:
        found = -1
    if found < 0:
        known = ", ".join(repr(model.camera(i).name or i) for i in range(model.ncam)) or "none"
        raise RenderingError(f"The model has no camera {camera!r}. Its cameras: {known}.")
    return found
