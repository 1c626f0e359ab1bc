"""An episode's images out of one video file and into another, without encoding them again where that can be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from gym_hil.datasets.statistics import ImageCounter, Statistics
from gym_hil.datasets.video import VideoFile
from gym_hil.datasets.video_reading import VideoReader, av
from gym_hil.errors import DatasetError


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
