"""Images of a MuJoCo model: a rasteriser that needs no display, and MuJoCo's own OpenGL renderer."""

from __future__ import annotations

import mujoco

from gym_hil.errors import ConfigurationError
from gym_hil.rendering.renderer import Renderer

__all__ = ["RENDERERS", "Renderer", "make_renderer"]

RENDERERS = ("raster", "gl")


def make_renderer(name: str, model: mujoco.MjModel, height: int, width: int) -> Renderer:
    """Make a renderer, "raster" or "gl", for one model and one image size in pixels.

    Meshes are read now; poses, colours, sizes and textures at every drawing. Numba is imported only when a raster
    renderer is made, OpenGL only when a gl renderer first draws.
    """
    if name == "raster":
        from gym_hil.rendering.raster import RasterRenderer

        return RasterRenderer(model, height, width)
    if name == "gl":
        from gym_hil.rendering.gl import GLRenderer

        return GLRenderer(model, height, width)
    raise ConfigurationError(f"renderer={name!r} is unknown; choose one of: {', '.join(map(repr, RENDERERS))}.")
