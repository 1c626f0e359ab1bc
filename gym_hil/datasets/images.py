"""Rectangles of images, as LeRobot's configurations have them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.features import IMAGES
from gym_hil.datasets.reader import Episode, EpisodeDataset
from gym_hil.errors import ConfigurationError, DatasetError


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


PICTURE = 128  # pixels
MOST = 60  # episodes on a sheet
_GAP, _BAR, _MARK = 10, 24, 5  # pixels: between episodes, the words above, the stripe beside
_INK, _PAPER = (236, 240, 243), (18, 24, 31)
_MARKS = {True: (46, 204, 113), False: (224, 90, 78), None: (110, 122, 134)}
_ENDS = {True: "success", False: "no success", None: ""}


def write_contact_sheet(dataset: EpisodeDataset, path: Path, camera: str = "front") -> int:
    """Draw the episodes of a dataset into one image; of many, the last ones.

    Args:
        dataset: with images.
        path: a .png file.
        camera: whose images; if there is none of that name, the first one's.

    Returns:
        How many episodes are on it.

    Raises:
        DatasetError: the dataset has no episodes or no images, or the file cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont

    keys = dataset.image_keys
    if not keys or not len(dataset):
        raise DatasetError(f"{dataset.path} has no {'images' if len(dataset) else 'episodes'} to show.")
    key = IMAGES + camera if IMAGES + camera in keys else keys[0]
    episodes = dataset[-MOST:]
    columns = 1 if len(episodes) < 4 else 2 if len(episodes) <= 20 else 3
    width, height = _MARK + 3 * PICTURE + _GAP, _BAR + PICTURE + _GAP
    size = columns * width + _GAP, math.ceil(len(episodes) / columns) * height + _GAP
    sheet = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, episode in enumerate(episodes):
        left, top = _GAP + width * (number % columns), _GAP + height * (number // columns)
        draw.text((left + _MARK, top + _BAR / 2), _title(episode), fill=_INK, font=font, anchor="lm")
        mark = _MARKS[episode.record.success]
        draw.rectangle((left, top + _BAR, left + _MARK - 1, top + _BAR + PICTURE - 1), fill=mark)
        for index, frame in enumerate((0, len(episode) // 2, len(episode) - 1)):
            image = Image.fromarray(episode.image(key, frame)).resize((PICTURE, PICTURE), Image.Resampling.BILINEAR)
            sheet.paste(image, (left + _MARK + index * PICTURE, top + _BAR))
    try:
        sheet.save(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be written: {error}.") from error
    return len(episodes)


def _title(episode: Episode) -> str:
    parts = [f"episode {episode.record.index}", f"{len(episode)} steps", _ENDS[episode.record.success]]
    return "   ".join(part for part in parts if part)
