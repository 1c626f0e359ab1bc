"""MuJoCo's own OpenGL renderer, made when it first draws."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mujoco

from gym_hil.errors import RenderingError
from gym_hil.rendering.renderer import Image, camera_id, checked_size


class GLRenderer:
    """Draws with `mujoco.Renderer`: EGL, OSMesa or GLFW, as `MUJOCO_GL` says; EGL on a Linux without a display.

    Args:
        model: what to draw. Its offscreen framebuffer is enlarged where the images need it.
        height: of the images, in pixels.
        width: of the images, in pixels.

    Raises:
        ConfigurationError: a size that is not a whole number of at least 1.
    """

    name = "gl"

    def __init__(self, model: mujoco.MjModel, height: int, width: int) -> None:
        self.height = checked_size("height", height)
        self.width = checked_size("width", width)
        self._model = model
        self._closed = False
        self._renderer: mujoco.Renderer | None = None
        self._free: weakref.finalize[Any, GLRenderer] | None = None

    def render(self, data: mujoco.MjData, cameras: Sequence[str | int]) -> list[Image]:
        """Draw one image per camera; see `Renderer.render`.

        Raises:
            RenderingError: no such camera, the renderer is closed, or OpenGL does not work on this machine.
        """
        if self._closed:
            raise RenderingError("This renderer is closed; make a new one.")
        ids = [camera_id(self._model, camera) for camera in cameras]
        if self._renderer is None:
            self._renderer = _open(self._model, self.height, self.width)
            # runs before the interpreter takes the GL library away, whose own clean-up would print a traceback then
            self._free = weakref.finalize(self, self._renderer.close)
        images = []
        for camera in ids:
            self._renderer.update_scene(data, camera)
            images.append(self._renderer.render().copy())
        return images

    def close(self) -> None:
        """Free the OpenGL context. Closing twice is allowed."""
        self._closed = True
        if self._free is not None:
            self._free()
        self._renderer = None


def _open(model: mujoco.MjModel, height: int, width: int) -> mujoco.Renderer:
    frame = model.vis.global_
    frame.offheight = max(frame.offheight, height)
    frame.offwidth = max(frame.offwidth, width)
    try:
        with _headless_backend():
            return mujoco.Renderer(model, height, width)
    except Exception as error:  # each back end fails in its own way, some with an AttributeError
        chosen = os.environ.get("MUJOCO_GL") or "not set"
        raise RenderingError(
            f"OpenGL does not work here (MUJOCO_GL: {chosen}): {error}. Without a display, install libegl1 and set "
            "MUJOCO_GL=egl, or install libosmesa6 and set MUJOCO_GL=osmesa, before Python starts; with a display use "
            "MUJOCO_GL=glfw. renderer='raster' needs none of them."
        ) from error


@contextmanager
def _headless_backend() -> Iterator[None]:
    """Let MuJoCo use EGL on a Linux without a display, unless `MUJOCO_GL` says what to use.

    MuJoCo chooses its back end when it is imported, which is long before; without the variable it chooses GLFW, which
    needs a display.
    """
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not sys.platform.startswith("linux") or display or os.environ.get("MUJOCO_GL"):
        yield
        return
    from mujoco import egl

    contexts = sys.modules[mujoco.Renderer.__module__].gl_context
    before = contexts.GLContext
    contexts.GLContext = egl.GLContext
    try:
        yield
    finally:
        contexts.GLContext = before
