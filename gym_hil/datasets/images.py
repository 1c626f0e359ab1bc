"""Decoded images of a dataset, those that were used last at hand."""

from __future__ import annotations

import io
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.cache import RecentlyUsed
from gym_hil.datasets.video_reading import VideoReader, av
from gym_hil.errors import DatasetError

FILES_OPEN = 16


class Images:
    """Images out of video files, and those that are kept singly.

    Args:
        fps: of the dataset.
        kept: bytes of decoded images to keep.
    """

    def __init__(self, fps: float, kept: int):
        self._fps = fps
        self._files: RecentlyUsed[VideoReader] = RecentlyUsed(FILES_OPEN, drop=VideoReader.close)
        self._images: RecentlyUsed[NDArray[np.uint8]] = RecentlyUsed(kept, size=lambda image: image.nbytes)

    def at(self, path: Path, time: float) -> NDArray[np.uint8]:
        """The image at a time of a video file, in s; (height, width, 3), not to be written to.

        Raises:
            DatasetError: the file is missing, damaged or too short.
        """

        def decode() -> NDArray[np.uint8]:
            reader = self._files.get(path, lambda: VideoReader(path, self._fps))
            return _locked(reader.image(time))

        return self._images.get((path, round(time * self._fps)), decode)

    def still(self, stored: Any, key: Hashable) -> NDArray[np.uint8]:
        """An image that is kept singly, as LeRobot does without videos: a dict with the `bytes` of an image file."""

        def decode() -> NDArray[np.uint8]:
            try:
                container: Any = av.open(io.BytesIO(stored["bytes"]))
                with container:
                    return _locked(next(container.decode(video=0)).to_ndarray(format="rgb24"))
            except (av.FFmpegError, LookupError, TypeError, StopIteration) as error:
                raise DatasetError(f"The image {key} cannot be decoded: {error!r}.") from error

        return self._images.get(key, decode)

    def clear(self) -> None:
        """Close files and forget images."""
        self._files.clear()
        self._images.clear()


def _locked(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # It is kept and handed out again: nobody may draw on it.
    image.flags.writeable = False
    return image
