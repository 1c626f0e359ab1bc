"""What every renderer promises, and what they share."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError, RenderingError

Image = NDArray[np.uint8]

VISIBLE_GROUPS = 3  # of geoms and sites: 0, 1 and 2 are on in MuJoCo's default view options
TEXELS = 997  # bytes of textures between those that are compared, to notice that a texture has changed


class Renderer(ABC):
    """Draws what the cameras of one model see, in images of a height and a width in pixels.

    Colours, sizes, textures, lights and cameras of the model may change between drawings, its meshes may not.

    Raises:
        ConfigurationError: a size that is not a whole number of at least 1.
    """

    name: ClassVar[str]  # by which `make_renderer` knows it, written into dataset metadata

    def __init__(self, model: mujoco.MjModel, height: int, width: int) -> None:
        self.height, self.width = checked_size("height", height), checked_size("width", width)
        self._model = model
        head = model.vis.headlight
        # Values that change the look of a model, to compare: a sample of textures; no meshes, poses and cameras.
        self._watched = (
            *(model.geom_rgba, model.geom_size, model.site_rgba, model.site_size, model.mat_rgba),
            *(model.light_diffuse, model.light_ambient, model.light_specular, model.tex_data[::TEXELS]),
            *(head.ambient, head.diffuse, head.specular),
        )
        self._look = self._present_look()
        self._ids: dict[str | int, int] = {}  # of cameras
        self._closed = False

    def render(self, data: mujoco.MjData, cameras: Sequence[str | int]) -> list[Image]:
        """Draw one image per camera, (height, width, 3) uint8 RGB arrays that the caller owns.

        Args:
            data: a state of the model on which `mj_kinematics` and `mj_camlight` have run.
            cameras: names or ids of the model's cameras.

        Raises:
            RenderingError: the model has no such camera, the renderer is closed, or nothing can draw on this machine.
        """
        if self._closed:
            raise RenderingError("This renderer is closed; make a new one.")
        look = self._present_look()
        if look != self._look:
            self._update()
            self._look = look
        for camera in cameras:
            if camera not in self._ids:
                self._ids[camera] = camera_id(self._model, camera)
        return self._draw(data, [self._ids[camera] for camera in cameras])

    def _present_look(self) -> bytes:
        return b"".join([values.tobytes() for values in self._watched])

    @abstractmethod
    def _update(self) -> None:
        """Read again what has changed in the model."""

    @abstractmethod
    def _draw(self, data: mujoco.MjData, cameras: list[int]) -> list[Image]: ...

    def close(self) -> None:
        """Let go of what the renderer holds. Closing twice is allowed; drawing afterwards raises."""
        self._closed = True


def checked_size(name: str, value: Any) -> int:
    """Return `value` as an int of at least 1, or raise a ConfigurationError naming the argument."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ConfigurationError(f"{name}={value!r} is not an image size; give a whole number of pixels, 1 or more.")
    return int(value)


def camera_id(model: mujoco.MjModel, camera: str | int) -> int:
    """Return the id of a camera given by name or id, or raise a RenderingError that lists the cameras there are."""
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
