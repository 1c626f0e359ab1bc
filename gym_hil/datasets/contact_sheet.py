"""All episodes of a dataset at a glance: the first, the middle and the last image of each."""

from __future__ import annotations

import math
from pathlib import Path

from gym_hil.datasets.episode_dataset import Episode, EpisodeDataset
from gym_hil.datasets.features import IMAGES
from gym_hil.errors import DatasetError

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
