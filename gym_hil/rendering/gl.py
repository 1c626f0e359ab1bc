"""MuJoCo's own OpenGL drawing, set up when a renderer first draws."""

from __future__ import annotations

import os
import sys
import weakref
from typing import Any

import mujoco
import numpy as np

from gym_hil.errors import RenderingError
from gym_hil.rendering.renderer import Image, Renderer

MAX_GEOMS = 10_000  # of a scene, decorations included; as in `mujoco.Renderer`


class GLRenderer(Renderer):
    """Draws as MuJoCo does: through EGL, OSMesa or GLFW, as `MUJOCO_GL` selects; EGL on a Linux without a display."""

    name = "gl"
    _context: _Context | None = None
    _free: weakref.finalize[Any, GLRenderer] | None = None

    def _draw(self, data: mujoco.MjData, cameras: list[int]) -> list[Image]:
        if self._context is None:
            self._context = _open(self._model, self.height, self.width)
            # runs before the interpreter takes the GL library away, whose own clean-up would print a traceback then
            self._free = weakref.finalize(self, self._context.close)
        return [self._context.draw(data, camera) for camera in cameras]

    def _update(self) -> None:
        if self._context is not None:
            self._context.update()

    def close(self) -> None:
        super().close()
        if self._free is not None:
            self._free()
        self._context = None


class _Context:
    """An OpenGL context, and what MuJoCo needs to draw one model in it."""

    def __init__(self, model: mujoco.MjModel, height: int, width: int):
        self._model = model
        self._gl = _context_class()(width, height)
        self._gl.make_current()
        self._mjr = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
        self._rect = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_resizeOffscreen(width, height, self._mjr)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._mjr)
        self._scene = mujoco.MjvScene(model, maxgeom=MAX_GEOMS)
        self._option, self._camera = mujoco.MjvOption(), mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def update(self) -> None:
        """Read the textures again; MuJoCo itself reads everything else at every drawing."""
        self._gl.make_current()
        for texture in range(self._model.ntex):
            mujoco.mjr_uploadTexture(self._model, self._mjr, texture)

    def draw(self, data: mujoco.MjData, camera: int) -> Image:
        """Draw what one camera of the model sees, (height, width, 3)."""
        self._gl.make_current()
        self._camera.fixedcamid = camera
        every = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, data, self._option, None, self._camera, every, self._scene)
        mujoco.mjr_render(self._rect, self._scene, self._mjr)
        image = np.empty((self._rect.height, self._rect.width, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(image, None, self._rect, self._mjr)
        return np.flipud(image).copy()  # OpenGL's first row is the lowest

    def close(self) -> None:
        self._gl.make_current()
        self._mjr.free()
        self._gl.free()


def _open(model: mujoco.MjModel, height: int, width: int) -> _Context:
    try:
        return _Context(model, height, width)
    except Exception as error:  # each back end fails in its own way, some with an AttributeError
        chosen = os.environ.get("MUJOCO_GL") or "not set"
        raise RenderingError(
            f"OpenGL does not work here (MUJOCO_GL: {chosen}): {error}. Without a display, install libegl1 and set "
            "MUJOCO_GL=egl, or install libosmesa6 and set MUJOCO_GL=osmesa, before Python starts; with a display use "
            "MUJOCO_GL=glfw. renderer='raster' needs none of them."
        ) from error


def _context_class() -> Any:
    """The back end that `MUJOCO_GL` names, or MuJoCo's choice, or EGL on a Linux without a display.

    MuJoCo chooses when it is imported; without the variable it chooses GLFW, which needs a display.
    """
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not sys.platform.startswith("linux") or display or os.environ.get("MUJOCO_GL"):
        return mujoco.GLContext
    from mujoco import egl

    return egl.GLContext
