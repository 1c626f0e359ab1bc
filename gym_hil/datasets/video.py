"""Camera images as MP4 files: written, read one by one, and copied without encoding them again."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.layout import LEAVE_OUT, unreadable
from gym_hil.datasets.statistics import ImageCounter, Statistics
from gym_hil.errors import ConfigurationError, DatasetError, MissingExtraError

try:
    import av
except ImportError as error:
    raise MissingExtraError("The videos of a dataset need PyAV: pip install 'gym-hil[data]'") from error

# Every second frame is a key frame, as in LeRobot's own recordings: training reads frames in any order.
KEY_FRAME_EVERY, QUALITY, PRESET = 2, 18, "ultrafast"
# "zerolatency" hands out each frame's packet at once, so that nothing is left to encode at the end of the episode.
OPTIONS = {"preset": PRESET, "tune": "zerolatency", "crf": str(QUALITY), "g": str(KEY_FRAME_EVERY), "threads": "1"}
# Up to here it is cheaper to decode on than to go back to the key frame before the one that is wanted.
FRAMES_TO_DECODE_ON = 12


class Span(NamedTuple):
    """Images of one episode in a video file."""

    path: Path
    start: float  # s, when the episode begins in the file
    frames: int


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


class VideoWriter:
    """An MP4 file, written image by image and replaced if it is there; frame k is shown at exactly k / fps seconds.

    Raises:
        OSError: the file cannot be written; so does every method.
    """

    def __init__(self, file: Path | io.BytesIO, height: int, width: int, fps: int):
        self._file = file
        self._counter = ImageCounter()
        self._count = 0
        with _os_errors():
            self._container = av.open(str(file) if isinstance(file, Path) else file, "w", format="mp4")
            self._stream = self._container.add_stream("libx264", rate=fps, options=OPTIONS)
            self._stream.height, self._stream.width = height, width
            self._stream.pix_fmt = pixel_format(height, width)

    def add(self, image: NDArray[np.uint8]) -> None:
        """Append an image, (height, width, 3) uint8."""
        with _os_errors():
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = self._count
            self._container.mux(self._stream.encode(frame))
        self._counter.add(image)
        self._count += 1

    def close(self) -> Statistics:
        """Finish the file; returns the statistics of the images, as they were before encoding."""
        with _os_errors():
            try:
                self._container.mux(self._stream.encode(None))
            finally:
                self._container.close()
        return self._counter.statistics()

    def abandon(self) -> None:
        """Close the file as it is and delete it."""
        try:
            self._container.close()
        except (OSError, av.FFmpegError):
            pass  # the disk has no room for the rest of a file that is not kept
        finally:
            if isinstance(self._file, Path):
                self._file.unlink(missing_ok=True)


class VideoReader:
    """Finds images by their time, those less than half a frame away; in order is fastest, any order works."""

    def __init__(self, path: Path, fps: float):
        self._path, self._frame = path, 1.0 / fps
        try:
            self._container = av.open(str(path))
        except (av.FFmpegError, OSError) as error:
            raise unreadable(path, error) from error
        # Of a file that was cut short the list of streams may be left, but not what they are.
        streams: list[Any] = [stream for stream in self._container.streams.video if stream.codec_context is not None]
        if not streams:
            self._container.close()
            raise unreadable(path, "it has no images in it")
        self._stream = streams[0]
        # One thread hands out each image as soon as it is decoded.
        self._stream.codec_context.thread_count = 1
        self._frames: Iterator[Any] | None = None
        self._last: Any = None

    @property
    def frames(self) -> int:
        """How many images the file holds, as its header has it."""
        return int(self._stream.frames)

    def image(self, time: float, *, depth: bool = False) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """The image that is shown from a time in s on, (height, width, 3) uint8.

        With `depth` the numbers that are stored, (height, width, 1) uint16.

        Raises:
            DatasetError: there is none at that time, the file is damaged there, or it holds no depth.
        """
        try:
            frame, what = self._find(time), f"has no image at {time:.2f} s"
        except (av.FFmpegError, OSError) as error:
            self._frames = frame = None
            what = f"is damaged before {time:.2f} s: {error}"
        if frame is None or abs(frame.time - time) > self._frame / 2:
            raise DatasetError(
                f"{self._path} {what}. Fetch it again from where the dataset came from, or leave its episodes out: "
                f"{LEAVE_OUT}"
            )
        if not depth:
            return frame.to_ndarray(format="rgb24")  # type: ignore[no-any-return]
        if not frame.format.name.startswith(("gray10", "gray12", "gray16")):
            raise DatasetError(
                f"{self._path} holds {frame.format.name} images, though meta/info.json says that they are depth maps; "
                "expected gray16le or gray12le."
            )
        # Not every PyAV turns gray12le into an array; rows may be longer than the image is wide.
        plane = frame.planes[0]
        rows = np.frombuffer(plane, np.uint16).reshape(frame.height, plane.line_size // 2)
        return rows[:, : frame.width, None].copy()

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


def check_encoder(name: str, height: int, width: int, fps: int) -> None:
    """Encode an image, into memory, to see that this machine can; else a ConfigurationError."""
    try:
        writer = VideoWriter(io.BytesIO(), height, width, fps)
        writer.add(np.zeros((height, width, 3), dtype=np.uint8))
        writer.close()
    except OSError as error:
        raise ConfigurationError(
            f"{name}, {width} x {height} pixels at {fps} frames per second, cannot be encoded: {error}."
        ) from error


def copy_video(span: Span, fps: int, path: Path, *, depth: bool = False) -> None:
    """Bring the images of an episode into a file of their own.

    Packets are copied; only where that loses images, because the episode does not begin with a key frame, the images
    are encoded again. Depth maps never are.

    Raises:
        DatasetError: the source is missing or damaged, or holds depth that cannot be copied.
        OSError: the new file cannot be written.
    """
    original = VideoReader(span.path, fps)
    try:
        ends = [span.start + frame / fps for frame in (0, span.frames - 1)]
        for time in ends:
            original.image(time)
        if join_videos([span], fps, path) and _same_ends(original, ends, path, span.frames, fps):
            return
        if depth:
            raise DatasetError(
                f"The depth maps from {span.start:.2f} s on in {span.path} do not begin with a key frame and cannot be "
                "copied without loss."
            )
        height, width = original.image(span.start).shape[:2]
        writer = VideoWriter(path, height, width, fps)
        try:
            for frame in range(span.frames):
                writer.add(original.image(span.start + frame / fps))  # type: ignore[arg-type]
        except BaseException:
            writer.abandon()
            raise
        writer.close()
    finally:
        original.close()


def join_videos(spans: Sequence[Span], fps: float, path: Path) -> bool:
    """Copy the packets of episodes one behind the other into a file; frame k of all is shown at k / fps seconds.

    Returns:
        Whether that could be done: every episode begins with a key frame, none lacks a frame, and all are encoded
        alike. If not, the file is not to be used.
    """
    before, wanted = 0, 0
    stream: Any = None
    with av.open(str(path), "w") as target:
        for span in spans:
            wanted += span.frames
            try:
                with av.open(str(span.path)) as source:
                    original: Any = source.streams.video[0]
                    if stream is None:
                        # Opaque: an encoder, which may not be there, is not wanted.
                        stream, kind = target.add_stream_from_template(original, opaque=True), _encoding(original)
                    elif _encoding(original) != kind:
                        return False
                    for packet in _packets(source, original, span, fps, before):
                        packet.stream = stream
                        target.mux(packet)
                        before += 1
            except (av.FFmpegError, IndexError) as error:
                raise unreadable(span.path, error) from error
            if before != wanted:
                return False
    return True


def images_kind(path: Path) -> tuple[Any, int]:
    """What has to be equal for the packets of two files to be decoded as one stream; and how many frames it has."""
    try:
        with av.open(str(path)) as container:
            return _encoding(container.streams.video[0]), container.streams.video[0].frames
    except (av.FFmpegError, OSError, IndexError) as error:
        raise unreadable(path, error) from error


def _packets(source: Any, stream: Any, span: Span, fps: float, before: int) -> Iterator[Any]:
    """The packets of an episode, with the times that they have after `before` frames; none without a key frame."""
    first, frame = round(span.start / stream.time_base), 1 / fps / stream.time_base
    offset = round(Fraction(before) / Fraction(fps).limit_denominator(100_000) / stream.time_base) - first
    source.seek(max(int(first - frame / 2), 0), stream=stream)
    count = 0
    for packet in source.demux(stream):
        # In the order in which they are decoded, which is not always that in which they are shown.
        if packet.pts is None or not first - frame / 2 <= packet.pts < first + (span.frames - 0.5) * frame:
            continue
        if count == 0 and not packet.is_keyframe:
            return
        packet.pts += offset
        packet.dts = None if packet.dts is None else packet.dts + offset
        yield packet
        count += 1
        if count == span.frames:
            return


def _encoding(stream: Any) -> tuple[Any, ...]:
    codec = stream.codec_context
    return codec.name, codec.width, codec.height, codec.pix_fmt, bytes(codec.extradata or b"")


def _same_ends(original: VideoReader, times: Sequence[float], path: Path, frames: int, fps: int) -> bool:
    """Whether the first and the last image of a copy are those of the original."""
    copy = VideoReader(path, fps)
    try:
        return copy.frames == frames and all(
            np.array_equal(original.image(time), copy.image(frame / fps))
            for time, frame in zip(times, (0, frames - 1), strict=True)
        )
    except DatasetError:
        return False
    finally:
        copy.close()


@contextmanager
def _os_errors() -> Iterator[None]:
    """An encoder's errors are of many kinds; callers have to know one."""
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise OSError(f"the video encoder says: {error}") from error
