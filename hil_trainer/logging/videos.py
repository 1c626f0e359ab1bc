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
from gym_hil.files import expand_path

Images = Sequence[NDArray[np.uint8]]
_BORDER, _GAP = 4, 2  # pixels
_BACKGROUND, _RUNNING = (18, 24, 31), (110, 122, 134)
_ENDS = {True: (0, 158, 115), False: (213, 94, 0)}  # green and vermilion, distinct to colour-blind viewers
_LAST_SECONDS = 1.0  # how long the last images stay


def write_grid_video(
    path: str | Path,
    episodes: Sequence[Images],
    fps: float,
    successes: Sequence[bool] | None = None,
) -> Path:
    """Show episodes side by side, nine of them as three by three.

    All begin together. An episode that has ended keeps its last image: in a green border after a success, in a
    vermilion one with a cross after a failure.

    Args:
        path: an .mp4 file; its folder is created if missing.
        episodes: images of each, (h, w, 3), all of one size.
        fps: images per second.
        successes: how each ended; None leaves the borders grey.

    Returns:
        The path.

    Raises:
        ConfigurationError: there are no images, sizes or counts differ, or the file cannot be written.
    """
    import imageio

    path = expand_path(path)
    shape = _common_shape(episodes)
    if successes is not None and len(successes) != len(episodes):
        raise ConfigurationError(f"Got {len(successes)} successes for {len(episodes)} episodes.")
    if path.suffix != ".mp4":
        raise ConfigurationError(f"{path} ends in {path.suffix!r}; expected .mp4.")
    # ffmpeg chooses the format by the file's ending and needs a path, so this is not `atomic_write`.
    part = path.with_name(f".part-{path.name}")
    length = max(len(episode) for episode in episodes) + max(round(_LAST_SECONDS * fps), 1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer: Any = imageio.get_writer(part, fps=fps, macro_block_size=1, quality=8)
        with writer:
            for index in range(length):
                writer.append_data(_grid(episodes, successes, index, shape))
        os.replace(part, path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}. Choose another place.") from error
    return path


def _common_shape(episodes: Sequence[Images]) -> tuple[int, int]:
    if not episodes or not all(len(episode) for episode in episodes):
        raise ConfigurationError("There are no images to show; expected episodes of at least one image each.")
    shapes = sorted({tuple(np.shape(frame)) for episode in episodes for frame in episode})
    if len(shapes) > 1 or len(shapes[0]) != 3 or shapes[0][2] != 3:
        raise ConfigurationError(f"Images have the shapes {shapes}; expected one shape (h, w, 3).")
    return shapes[0][:2]


def _grid(
    episodes: Sequence[Images],
    successes: Sequence[bool] | None,
    index: int,
    shape: tuple[int, int],
) -> NDArray[np.uint8]:
    """Image number `index` of all episodes."""
    columns = math.ceil(math.sqrt(len(episodes)))
    tall, wide = shape[0] + 2 * _BORDER + _GAP, shape[1] + 2 * _BORDER + _GAP
    height, width = math.ceil(len(episodes) / columns) * tall + _GAP, columns * wide + _GAP
    # The codec stores colours at half resolution and needs even sides.
    sheet = np.full((height + height % 2, width + width % 2, 3), _BACKGROUND, dtype=np.uint8)
    for number, episode in enumerate(episodes):
        top, left = _GAP + number // columns * tall, _GAP + number % columns * wide
        ended = index >= len(episode) - 1 and successes is not None
        success = bool(successes[number]) if successes is not None else False
        tile = np.full((tall - _GAP, wide - _GAP, 3), _ENDS[success] if ended else _RUNNING, dtype=np.uint8)
        image = np.array(episode[min(index, len(episode) - 1)], dtype=np.uint8)
        if ended and not success:
            _draw_cross(image)
        tile[_BORDER:-_BORDER, _BORDER:-_BORDER] = image
        sheet[top : top + tall - _GAP, left : left + wide - _GAP] = tile
    return sheet


def _draw_cross(image: NDArray[np.uint8]) -> None:
    """A small cross in the upper right corner: the colour of the border alone does not reach every viewer."""
    side = max(min(image.shape[:2]) // 8, 3)
    thick = max(side // 6, 1)
    row, column = np.mgrid[:side, :side]
    cross = (abs(row - column) <= thick) | (abs(row + column - side + 1) <= thick)
    corner = image[side // 2 : side // 2 + side, -side // 2 - side : -side // 2]
    corner[cross[: corner.shape[0], : corner.shape[1]]] = _ENDS[False]
