"""What every renderer promises, and the checks they share."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError, RenderingError

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
