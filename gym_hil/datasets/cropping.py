"""Rectangles of images, as LeRobot's configurations have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError


class Region(NamedTuple):
    """A rectangle, in the order of LeRobot's `crop_params_dict`.

    Attributes:
        top: pixels above it.
        left: pixels to the left of it.
        height: pixels.
        width: pixels.
    """

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read `top,left,height,width`.

        Raises:
            ConfigurationError: the text is something else.
        """
        try:
            return cls(*(int(part) for part in text.split(",")))
        except (TypeError, ValueError):
            raise ConfigurationError(f"The region {text!r} is not top,left,height,width in pixels.") from None

    def check_inside(self, camera: str, height: int, width: int) -> None:
        """Make sure that the rectangle lies in an image.

        Raises:
            ConfigurationError: it does not, or has no pixels.
        """
        if min(self.height, self.width) < 1:
            raise ConfigurationError(
                f"The region {tuple(self)} (top, left, height, width) of {camera} is empty; its height and width have "
                "to be 1 or more."
            )
        bottom, right = self.top + self.height, self.left + self.width
        if min(self.top, self.left) < 0 or bottom > height or right > width:
            raise ConfigurationError(
                f"The region {tuple(self)} (top, left, height, width) is not inside the images of {camera}, which "
                f"are {height} high and {width} wide."
            )


def crop_params(regions: Mapping[str, Region], resize: tuple[int, int] | None) -> dict[str, Any]:
    """What LeRobot 0.6.1 calls `image_preprocessing` of a `processor`, for a policy that acts on the same images.

    Args:
        regions: feature -> rectangle.
        resize: height and width, or None.
    """
    return {
        "crop_params_dict": {key: list(region) for key, region in regions.items()},
        "resize_size": None if resize is None else list(resize),
    }


def cropped(region: Region, size: tuple[int, int]) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """What cuts a region out of an image and brings it to a size.

    Args:
        region: of the image.
        size: height and width; smaller images are averaged and not sampled, as torchvision does it with antialias.
    """
    top, left, height, width = region

    def change(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        part = image[top : top + height, left : left + width]
        if size == (height, width):
            return part
        from PIL import Image

        return np.asarray(Image.fromarray(part).resize((size[1], size[0]), Image.Resampling.BILINEAR))

    return change
