"""Single images out of an MP4 file that may hold many episodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import DatasetError, MissingExtraError

try:
    import av
except ImportError as error:
    raise MissingExtraError("Reading a dataset's videos needs PyAV: pip install 'gym-hil[data]'") from error

# Up to here it is cheaper to decode on than to go back to the key frame before the one that is wanted.
FRAMES_TO_DECODE_ON = 12


class VideoReader:
    """Finds images by their time; in order is fastest, any order works.

    Args:
        path: of the file.
        fps: of the dataset: an image is the one that is wanted if it is less than half a frame away.

    Raises:
        DatasetError: the file is missing or no video.
    """

    def __init__(self, path: Path, fps: float):
        self._path, self._frame = path, 1.0 / fps
        if not path.is_file():
            raise DatasetError(f"{path} is missing. {REMEDY}")
        try:
            self._container = av.open(str(path))
        except (av.FFmpegError, OSError) as error:
            raise DatasetError(f"{path} is not a whole video: {error}. {REMEDY}") from error
        # Of a file that was cut short the list of streams may be left, but not what they are.
        streams: list[Any] = [stream for stream in self._container.streams.video if stream.codec_context is not None]
        if not streams:
            raise DatasetError(f"{path} has no images in it. {REMEDY}")
        self._stream = streams[0]
        # One thread hands out each image as soon as it is decoded.
        self._stream.codec_context.thread_count = 1
        self._frames: Iterator[Any] | None = None
        self._last: Any = None

    @property
    def frames(self) -> int:
        """How many images the file holds, as its header has it."""
        return int(self._stream.frames)

    def image(self, time: float) -> NDArray[np.uint8]:
        """The image that is shown from a time on.

        Args:
            time: s from the beginning of the file.

        Returns:
            (height, width, 3) uint8.

        Raises:
            DatasetError: there is none at that time, or the file is damaged there.
        """
        try:
            frame = self._find(time)
        except (av.FFmpegError, OSError) as error:
            self._frames = None
            raise DatasetError(f"{self._path} is damaged before {time:.2f} s: {error}. {REMEDY}") from error
        if frame is None or abs(frame.time - time) > self._frame / 2:
            raise DatasetError(f"{self._path} has no image at {time:.2f} s. {REMEDY}")
        return frame.to_ndarray(format="rgb24")

    def close(self) -> None:
        """Close the file."""
        self._frames = self._last = None
        self._container.close()

    def _find(self, time: float) -> Any:
        """The first frame that is not more than half a frame too early; None if the video ends before."""
        early = time - self._frame / 2
        if self._last is not None and abs(self._last.time - time) < self._frame / 2:
            return self._last
        ahead = early - self._last.time if self._last is not None else float("inf")
        if self._frames is None or not 0 <= ahead <= FRAMES_TO_DECODE_ON * self._frame:
            # Half a frame early: time stamps are rounded, and a key frame may be the very one that is wanted.
            self._container.seek(max(int(early / self._stream.time_base), 0), stream=self._stream)
            self._frames = self._container.decode(self._stream)
        for frame in self._frames:
            if frame.pts is not None and frame.time >= early:
                self._last = frame
                return frame
        self._frames = self._last = None
        return None


REMEDY = (
    "Fetch the file again from where the dataset came from, or leave its episodes out: "
    "gym-hil dataset filter DIR --out NEW --drop EPISODE ..."
)
