"""Images of a MuJoCo model: a rasteriser that needs no display, and MuJoCo's own OpenGL renderer."""

from __future__ import annotations

import mujoco

from gym_hil.errors import ConfigurationError
from gym_hil.rendering.renderer import Renderer

__all__ = ["RENDERERS", "Renderer", "make_renderer"]

RENDERERS = ("raster", "gl")


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
