"""Several episodes in one video, side by side."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError
from gym_hil.files import expand_path, writing

_BORDER, _GAP = 4, 2  # pixels
_BACKGROUND, _RUNNING = (18, 24, 31), (110, 122, 134)
_ENDS = {True: (0, 158, 115), False: (213, 94, 0)}  # green and vermilion, distinct to colour-blind viewers
_LAST_SECONDS = 1.0  # how long the last images stay


def write_grid_video(
    path: str | Path, episodes: Sequence[Sequence[NDArray[np.uint8]]], fps: float, successes: Sequence[bool]
) -> Path:
    """Show episodes side by side, nine of them as three by three.

    All begin together. An episode that has ended keeps its last image: in a green border after a success, in a
    vermilion one with a cross after a failure.

    Args:
        path: an .mp4 file; its folder is created if missing.
        episodes: images of each, one or more, (h, w, 3), all of one size.
        fps: images per second.
        successes: how each ended.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    import imageio

    path = expand_path(path)
    if path.suffix != ".mp4":
        raise ConfigurationError(f"{path} ends in {path.suffix!r}; expected .mp4.")
    # ffmpeg chooses the format by the file's ending and needs a path, so this is not `atomic_write`.
    part = path.with_name(f".part-{path.name}")
    length = max(len(episode) for episode in episodes) + max(round(_LAST_SECONDS * fps), 1)
    with writing(path, ConfigurationError):
        path.parent.mkdir(parents=True, exist_ok=True)
        writer: Any = imageio.get_writer(part, fps=fps, macro_block_size=1, quality=8)
        with writer:
            for index in range(length):
                tiles = [_tile(*episode, index) for episode in zip(episodes, successes, strict=True)]
                writer.append_data(_grid(tiles))
        os.replace(part, path)
    return path


def _tile(episode: Sequence[NDArray[np.uint8]], success: bool, index: int) -> NDArray[np.uint8]:
    """Image number `index` of an episode, in its border."""
    from PIL import Image, ImageDraw, ImageOps

    ended = index >= len(episode) - 1
    image = Image.fromarray(episode[min(index, len(episode) - 1)])
    if ended and not success:  # the colour of the border alone does not reach every viewer
        side = max(image.height // 8, 3)
        left, top, right, bottom = image.width - 3 * side // 2, side // 2, image.width - side // 2, 3 * side // 2
        for line in ((left, top, right, bottom), (left, bottom, right, top)):
            ImageDraw.Draw(image).line(line, fill=_ENDS[False], width=max(side // 4, 1))
    return np.asarray(ImageOps.expand(image, _BORDER, _ENDS[success] if ended else _RUNNING))


def _grid(tiles: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    columns = math.ceil(math.sqrt(len(tiles)))
    tall, wide = tiles[0].shape[0] + _GAP, tiles[0].shape[1] + _GAP
    height, width = math.ceil(len(tiles) / columns) * tall + _GAP, columns * wide + _GAP
    # The codec stores colours at half resolution and needs even sides.
    sheet = np.full((height + height % 2, width + width % 2, 3), _BACKGROUND, dtype=np.uint8)
    for number, tile in enumerate(tiles):
        top, left = _GAP + number // columns * tall, _GAP + number % columns * wide
        sheet[top : top + len(tile), left : left + tile.shape[1]] = tile
    return sheet
