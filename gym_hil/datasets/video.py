"""One camera's images of one episode, as an MP4 file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.statistics import ImageCounter, Statistics
from gym_hil.errors import DatasetError, MissingExtraError

try:
    import av
except ImportError as error:
    raise MissingExtraError("Recording datasets needs PyAV: pip install 'gym-hil[data]'") from error

try:
    import av
except ImportError as error:
    raise MissingExtraError("Reading a dataset's videos needs PyAV: pip install 'gym-hil[data]'") from error

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


def copy_video(source: Path, start: float, frames: int, fps: int, path: Path) -> Statistics:
    """Bring the images of an episode into a file of their own.

    A file that holds nothing else is copied, one that holds more is cut. Only where it cannot be cut without loss,
    because the episode does not begin with a key frame, its images are encoded again.

    Args:
        source: video file.
        start: s, when the episode begins in it.
        frames: of the episode.
        fps: of the dataset.
        path: of the new file; frame k is shown at k / fps seconds.

    Returns:
        Statistics of the decoded images.

    Raises:
        DatasetError: the source is missing or damaged.
        OSError: the new file cannot be written.
    """
    original = VideoReader(source, fps)
    try:
        if start == 0 and original.frames == frames:
            shutil.copyfile(source, path)
            return _examine(path, frames, fps)
        ends = [original.image(start + frame / fps) for frame in (0, frames - 1)]
        if _cut(source, start, frames, fps, path):
            cut = VideoReader(path, fps)
            try:
                are_same = all(
                    np.array_equal(image, cut.image(frame / fps))
                    for image, frame in zip(ends, (0, frames - 1), strict=True)
                )
            except DatasetError:
                are_same = False
            finally:
                cut.close()
            if are_same:
                return _examine(path, frames, fps)
        height, width, _ = ends[0].shape
        file = VideoFile(path, height, width, fps)
        try:
            for frame in range(frames):
                file.add(original.image(start + frame / fps))
        except BaseException:
            file.abandon()
            raise
        return file.close()
    finally:
        original.close()


def _cut(source: Path, start: float, frames: int, fps: int, path: Path) -> bool:
    """Copy the packets of an episode; False if they do not begin with a key frame."""
    with av.open(str(source)) as container, av.open(str(path), "w") as target:
        stream: Any = container.streams.video[0]
        # Opaque: an encoder, which may not be there, is not wanted.
        copied: Any = target.add_stream_from_template(stream, opaque=True)
        first, frame = round(start / stream.time_base), 1 / fps / stream.time_base
        container.seek(max(int(first - frame / 2), 0), stream=stream)
        count = 0
        for packet in container.demux(stream):
            # In the order in which they are decoded, which is not always that in which they are shown.
            if packet.pts is None or not first - frame / 2 <= packet.pts < first + (frames - 0.5) * frame:
                continue
            if count == 0 and not packet.is_keyframe:
                return False
            packet.pts -= first
            packet.dts = None if packet.dts is None else packet.dts - first
            packet.stream = copied
            target.mux(packet)
            count += 1
            if count == frames:
                return True
    return False


def _examine(path: Path, frames: int, fps: int) -> Statistics:
    """Statistics of the images of a file; they are all decoded, so what is damaged is found."""
    reader, counter = VideoReader(path, fps), ImageCounter()
    try:
        for frame in range(frames):
            counter.add(reader.image(frame / fps))
    finally:
        reader.close()
    return counter.statistics()
