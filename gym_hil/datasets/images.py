"""Images: resized, cropped as LeRobot's configurations crop, and all episodes of a dataset on one sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.features import IMAGES
from gym_hil.errors import ConfigurationError, DatasetError
from gym_hil.files import atomic_write, expand_path, writing

if TYPE_CHECKING:
    from gym_hil.datasets.reader import Episode, EpisodeDataset

SHEET_IMAGE = 128  # pixels
SHEET_EPISODES = 60  # at most
TEXT_COLOUR, BACKGROUND = (236, 240, 243), (18, 24, 31)
_GAP, _BAR, _STRIPE = 10, 24, 5  # pixels: between episodes, the text above, the stripe beside
_STRIPES = {True: (46, 204, 113), False: (224, 90, 78), None: (110, 122, 134)}
_ENDS = {True: "success", False: "no success", None: ""}


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Bring an image (rows, columns, 3) to a size, bilinearly and averaged, as torchvision does with antialias."""
    if image.shape[:2] == (height, width):
        return image
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


class Region(NamedTuple):
    """A rectangle in pixels, in the order of LeRobot's `crop_params_dict`."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read `top,left,height,width`."""
        try:
            return cls(*(int(part) for part in text.split(",")))
        except (TypeError, ValueError):
            raise ConfigurationError(f"The region {text!r} is not top,left,height,width in pixels.") from None

    def check_inside(self, camera: str, height: int, width: int) -> None:
        """Make sure that the rectangle has pixels and lies in an image; else a ConfigurationError."""
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

    def crop(self, height: int, width: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
        """The function that cuts the rectangle out of an image and brings it to a size."""
        rows, columns = slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)
        return lambda image: resize(image[rows, columns], height, width)


def crop_params(regions: Mapping[str, Region], resize: tuple[int, int] | None) -> dict[str, Any]:
    """What LeRobot 0.6.1 calls `image_preprocessing` of a `processor`, for a policy that acts on the same images."""
    return {
        "crop_params_dict": {key: list(region) for key, region in regions.items()},
        "resize_size": None if resize is None else list(resize),
    }


def write_contact_sheet(dataset: EpisodeDataset, path: str | PathLike[str], camera: str = "front") -> int:
    """Draw the first, the middle and the last image of each episode into one image; of many episodes, the last ones.

    Args:
        dataset: with images.
        path: a .png file; one that is there is replaced, never written into.
        camera: whose images; if there is none of that name, those of the first one.

    Returns:
        How many episodes are on it.
    """
    from PIL import Image, ImageDraw, ImageFont

    keys = dataset.image_keys
    if not keys or not len(dataset):
        raise DatasetError(f"{dataset.path} has no {'images' if len(dataset) else 'episodes'} to show.")
    key = IMAGES + camera if IMAGES + camera in keys else keys[0]
    episodes = dataset[-SHEET_EPISODES:]
    columns = 1 if len(episodes) < 4 else 2 if len(episodes) <= 20 else 3
    width, height = _STRIPE + 3 * SHEET_IMAGE + _GAP, _BAR + SHEET_IMAGE + _GAP
    size = columns * width + _GAP, math.ceil(len(episodes) / columns) * height + _GAP
    sheet = Image.new("RGB", size, BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, episode in enumerate(episodes):
        left, top = _GAP + width * (number % columns), _GAP + height * (number // columns)
        draw.text((left + _STRIPE, top + _BAR / 2), _title(episode), fill=TEXT_COLOUR, font=font, anchor="lm")
        stripe = (left, top + _BAR, left + _STRIPE - 1, top + _BAR + SHEET_IMAGE - 1)
        draw.rectangle(stripe, fill=_STRIPES[episode.record.success])
        for index, frame in enumerate((0, len(episode) // 2, len(episode) - 1)):
            image = Image.fromarray(resize(episode.image(key, frame), SHEET_IMAGE, SHEET_IMAGE))
            sheet.paste(image, (left + _STRIPE + index * SHEET_IMAGE, top + _BAR))
    with writing(path, DatasetError):
        atomic_write(expand_path(path), lambda file: sheet.save(file, format="PNG"))
    return len(episodes)


def _title(episode: Episode) -> str:
    parts = [f"episode {episode.record.index}", f"{len(episode)} steps", _ENDS[episode.record.success]]
    return "   ".join(part for part in parts if part)
