"""One camera's images of one episode, as an MP4 file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.statistics import ImageCounter, Statistics
from gym_hil.errors import MissingExtraError

try:
    import av
except ImportError as error:
    raise MissingExtraError("Recording datasets needs PyAV: pip install 'gym-hil[data]'") from error

# Every second frame is a key frame, as in LeRobot's own recordings: training reads frames in any order.
KEY_FRAME_EVERY, QUALITY, PRESET = 2, 18, "ultrafast"
# "zerolatency" hands out each frame's packet at once, so that nothing is left to encode at the end of the episode.
OPTIONS = {
    "preset": PRESET,
    "tune": "zerolatency",
    "crf": str(QUALITY),
    "g": str(KEY_FRAME_EVERY),
    "threads": "1",
}


def pixel_format(height: int, width: int) -> str:
    """How colours are stored: at half the resolution, or in full where the sizes are odd and cannot be halved."""
    return "yuv420p" if height % 2 == 0 and width % 2 == 0 else "yuv444p"


def describe_video(height: int, width: int, fps: int) -> dict[str, Any]:
    """The entry `info` of a video feature, with the keys of LeRobot 0.6.1's `get_video_info`."""
    return {
        "video.height": height,
        "video.width": width,
        "video.codec": "h264",
        "video.pix_fmt": pixel_format(height, width),
        "video.fps": fps,
        "video.channels": 3,
        "has_audio": False,
        "video.g": KEY_FRAME_EVERY,
        "video.crf": QUALITY,
        "video.preset": PRESET,
        "video.fast_decode": 0,
        "video.video_backend": "pyav",
        "video.extra_options": {},
        "is_depth_map": False,
    }


class VideoFile:
    """An MP4 file that is written image by image; frame k is shown at exactly k / fps seconds.

    Each image is decoded again as soon as it is encoded: the statistics are of what a reader will see.

    Args:
        path: of the file; replaced if it is there.
        height: pixels.
        width: pixels.
        fps: frames per second.

    Raises:
        OSError: the file cannot be written; so does every method.
    """

    def __init__(self, path: Path, height: int, width: int, fps: int):
        self.path = path
        self._container = av.open(str(path), "w")
        self._stream = self._container.add_stream("libx264", rate=fps, options=OPTIONS)
        self._stream.height, self._stream.width = height, width
        self._stream.pix_fmt = pixel_format(height, width)
        self._decoder: Any = None
        self._counter = ImageCounter()
        self._count = 0

    def add(self, image: NDArray[np.uint8]) -> None:
        """Append an image, (height, width, 3) uint8."""
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = self._count
        self._count += 1
        self._write(frame)

    def close(self) -> Statistics:
        """Finish the file.

        Returns:
            Statistics of the decoded images.
        """
        try:
            self._write(None)
            self._read(None)
        finally:
            self._container.close()
        return self._counter.statistics()

    def abandon(self) -> None:
        """Close the file as it is, for one that will be deleted."""
        try:
            self._container.close()
        except OSError:
            # The disk that has no room for the rest of the file is no reason to keep its beginning.
            return

    def _write(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            # Before it is written: writing empties the packet.
            self._read(packet)
            self._container.mux(packet)

    def _read(self, packet: Any) -> None:
        if self._decoder is None:
            self._decoder = av.CodecContext.create("h264", "r")
            self._decoder.extradata = self._stream.codec_context.extradata
            self._decoder.thread_count = 1
        for frame in self._decoder.decode(packet):
            self._counter.add(frame.to_ndarray(format="rgb24"))
