"""Reads a LeRobotDataset v3.0 into numpy, whoever recorded it: no LeRobot and no torch are needed."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.layout import OWN
from gym_hil.datasets.metadata import EpisodeRecord, read_description
from gym_hil.datasets.tables import read_frames
from gym_hil.datasets.video import VideoReader, av
from gym_hil.errors import DatasetError

NUMBERS_KEPT = 256 << 20  # bytes
_OBSERVATION = "observation."


class Transition(NamedTuple):
    """One step.

    Attributes:
        observation: feature -> value, of those whose name begins with `observation.`.
        action: what was executed.
        reward: that followed.
        next_observation: the observation after it. The format has none after the last frame of an episode: there it is
            `observation` itself, as in LeRobot's own replay buffer.
        terminated: the episode ended here by success or failure.
        truncated: it ended here by the time limit.
        info: the other features.
    """

    observation: dict[str, Any]
    action: NDArray[np.float32]
    reward: float
    next_observation: dict[str, Any]
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class EpisodeDataset(Sequence["Episode"]):
    """The episodes of a dataset, read when they are asked for.

    Opening reads only what the dataset says about itself. Numbers are read a file at a time and images one at a time;
    what was used last is kept, within limits. A dataset whose recorder was killed opens with every finished episode.
    It can be given to other processes, which read for themselves; an object is for one thread at a time.

    Example:
        >>> from gym_hil.datasets import EpisodeDataset
        >>> dataset = EpisodeDataset("tests/data/lerobot_pick")
        >>> dataset
        EpisodeDataset('tests/data/lerobot_pick': 2 episodes, 16 frames, 10 fps)
        >>> dataset[0]["action"].shape
        (10, 4)
        >>> dataset[-1].frame(2)["observation.images.front"].shape
        (48, 48, 3)
        >>> sum(transition.reward for episode in dataset for transition in episode.transitions())
        1.0

    Args:
        path: the dataset's folder, in which `meta` and `data` are.
        images_kept: bytes of decoded images to keep.

    Attributes:
        path: the folder.
        info: `meta/info.json`.
        features: feature -> `dtype`, `shape`, `names`, as in `meta/info.json`.
        fps: frames per second.
        metadata: what this package recorded about the environment; empty for datasets of others.
        tasks: what the robot was told to do, in the order of their numbers.
        episodes: what is known about each episode.

    Raises:
        DatasetError: the folder is no dataset, one of another version, or not whole. A damaged or missing file of
            frames or images is found when it is read; `check` looks for those.
        MissingExtraError: pyarrow or PyAV is not installed.
    """

    def __init__(self, path: str | PathLike[str], *, images_kept: int = 256 << 20):
        self.path = Path(path)
        self._description = read_description(self.path)
        self.info = self._description.info
        self.features: dict[str, dict[str, Any]] = self.info["features"]
        self.fps: float = self.info["fps"]
        self.metadata: dict[str, Any] = self.info.get(OWN) or {}
        self.tasks, self.episodes = self._description.tasks, self._description.episodes
        self._images_kept = images_kept
        self._images = Images(self.fps, images_kept)
        self._numbers: RecentlyUsed[dict[str, NDArray[Any]]] = RecentlyUsed(
            NUMBERS_KEPT, size=lambda columns: sum(column.nbytes for column in columns.values())
        )

    @property
    def total_frames(self) -> int:
        """Of all episodes together."""
        return sum(record.length for record in self.episodes)

    @property
    def video_keys(self) -> list[str]:
        """The features that are kept as videos."""
        return [key for key, feature in self.features.items() if feature["dtype"] == "video"]

    @property
    def image_keys(self) -> list[str]:
        """The features that are images, kept as videos or singly."""
        return [key for key, feature in self.features.items() if feature["dtype"] in ("video", "image")]

    def __len__(self) -> int:
        return len(self.episodes)

    @overload
    def __getitem__(self, index: int) -> Episode: ...
    @overload
    def __getitem__(self, index: slice) -> list[Episode]: ...
    def __getitem__(self, index: int | slice) -> Episode | list[Episode]:
        if isinstance(index, slice):
            return [Episode(self, record) for record in self.episodes[index]]
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path} has {len(self)} episodes; there is none with the number {index}.")
        return Episode(self, self.episodes[index])

    def __iter__(self) -> Iterator[Episode]:
        return (Episode(self, record) for record in self.episodes)

    def __repr__(self) -> str:
        return f"EpisodeDataset({str(self.path)!r}: {len(self)} episodes, {self.total_frames} frames, {self.fps:g} fps)"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.path, self._images_kept)

    def __enter__(self) -> EpisodeDataset:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close files and forget what was read. Reading goes on afterwards, from the start."""
        self._images.clear()
        self._numbers.clear()

    def check(self) -> None:
        """Make sure that every file that an episode refers to is there and whole.

        Numbers are read; of videos the header and the last image of each episode.

        Raises:
            DatasetError: one is not; the first that was found.
        """
        for episode in self:
            episode.numbers()
            for key in self.image_keys:
                episode.image(key, len(episode) - 1)

    def numbers_of(self, record: EpisodeRecord) -> dict[str, NDArray[Any]]:
        """All features of an episode that are not videos; feature -> (frames, ...)."""
        at = {key: record.row[f"data/{key}"] for key in ("chunk_index", "file_index")}
        path = self.path / self._description.place("data_path", **at)
        columns = self._numbers.get(path, lambda: read_frames(path, self.features))
        rows = np.flatnonzero(columns["episode_index"] == record.index)
        if len(rows) != record.length or (np.diff(rows) != 1).any():
            raise DatasetError(
                f"{path} has {len(rows)} frames of episode {record.index}, not {record.length}. Fetch the file again "
                "from where the dataset came from."
            )
        return {key: column[rows[0] : rows[-1] + 1] for key, column in columns.items()}

    def image_of(self, record: EpisodeRecord, key: str, frame: int) -> NDArray[np.uint8]:
        """An image of an episode, (height, width, 3)."""
        if self.features[key]["dtype"] == "image":
            return self._images.still(self.numbers_of(record)[key][frame], (self.path, key, record.index, frame))
        if (self.features[key].get("info") or {}).get("is_depth_map"):
            raise DatasetError(f"{key} of {self.path} is a depth map; only colour images are read.")
        start, at = self.video_of(record, key)
        return self._images.at(at, start + frame / self.fps)

    def video_of(self, record: EpisodeRecord, key: str) -> tuple[float, Path]:
        """When an episode begins in a video file, in s, and the file."""
        row = record.row
        try:
            at = {name: row[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}
            start = float(row[f"videos/{key}/from_timestamp"])
        except (LookupError, TypeError) as error:
            raise DatasetError(f"{self.path}: meta/episodes does not say where {key} is: {error!r}.") from error
        return start, self.path / self._description.place("video_path", video_key=key, **at)


def _reopen(path: Path, images_kept: int) -> EpisodeDataset:
    return EpisodeDataset(path, images_kept=images_kept)


class Episode:
    """One episode of a dataset.

    Attributes:
        dataset: that it belongs to.
        record: what is known about it.
    """

    def __init__(self, dataset: EpisodeDataset, record: EpisodeRecord):
        self.dataset, self.record = dataset, record

    def __len__(self) -> int:
        return self.record.length

    def __repr__(self) -> str:
        record = self.record
        return f"Episode({record.index}: {record.length} frames, success {record.success}, {record.task!r})"

    def __getitem__(self, key: str) -> NDArray[Any]:
        """A feature in all frames.

        Returns:
            (frames,) where the feature's shape is [1], else (frames, *shape); images are (frames, height, width, 3)
            uint8, the others as their `dtype` says.
        """
        self._need(key)
        if key in self.dataset.image_keys:
            return np.stack([self.image(key, frame) for frame in range(len(self))])
        return self.numbers()[key]

    def numbers(self) -> dict[str, NDArray[Any]]:
        """All features in all frames that are not images, as `episode[key]` has them."""
        numbers = self.dataset.numbers_of(self.record)
        return {key: column for key, column in numbers.items() if key not in self.dataset.image_keys}

    def image(self, key: str, frame: int) -> NDArray[np.uint8]:
        """An image, (height, width, 3) uint8; of a frame that may be counted from the end, as -1."""
        self._need(key)
        return self.dataset.image_of(self.record, key, self._number(frame))

    def frame(self, frame: int, keys: Iterable[str] | None = None) -> dict[str, Any]:
        """What was recorded in a frame.

        Args:
            frame: its number, from the end if negative.
            keys: the features that are wanted; None for all. Only images that are wanted are decoded.

        Returns:
            Feature -> number, vector or image.
        """
        number = self._number(frame)
        wanted = [key for key in self.dataset.features if keys is None or key in set(keys)]
        for key in () if keys is None else keys:
            self._need(key)
        columns = self.numbers()
        return {key: columns[key][number] if key in columns else self.image(key, number) for key in wanted}

    def transitions(self, keys: Iterable[str] | None = None) -> Iterator[Transition]:
        """The steps of the episode.

        Args:
            keys: the features that are wanted in the observations; None for all.
        """
        dataset = self.dataset
        chosen = [
            key for key in dataset.features if key.startswith(_OBSERVATION) and (keys is None or key in set(keys))
        ]
        columns = self.numbers()
        special = {"action", "next.reward", "next.done", "next.truncated", *columns.keys() & set(chosen)}
        others = [key for key in columns if key not in special and not key.startswith(_OBSERVATION)]
        observation = self.frame(0, chosen)
        for number in range(len(self)):
            is_last = number == len(self) - 1
            following = observation if is_last else self.frame(number + 1, chosen)
            done = bool(columns["next.done"][number]) if "next.done" in columns else is_last
            truncated = bool(columns["next.truncated"][number]) if "next.truncated" in columns else False
            yield Transition(
                observation=observation,
                action=columns["action"][number],
                reward=float(columns["next.reward"][number]) if "next.reward" in columns else 0.0,
                next_observation=following,
                terminated=done and not truncated,
                truncated=truncated,
                info={key: columns[key][number] for key in others},
            )
            observation = following

    def _need(self, key: str) -> None:
        if key not in self.dataset.features:
            known = ", ".join(self.dataset.features)
            raise DatasetError(f"{self.dataset.path} has no feature {key!r}; it has {known}.")

    def _number(self, frame: int) -> int:
        if not -len(self) <= frame < len(self):
            raise IndexError(
                f"Episode {self.record.index} has {len(self)} frames; there is none with the number {frame}."
            )
        return frame % len(self)


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


Value = TypeVar("Value")


class RecentlyUsed(Generic[Value]):
    """Keeps what was used last, up to a total size.

    Args:
        limit: of the sizes together; what was not used for the longest time goes first. One thing is always kept.
        size: of a thing.
        drop: called with what goes.
    """

    def __init__(
        self,
        limit: int,
        size: Callable[[Value], int] = lambda _: 1,
        drop: Callable[[Value], None] = lambda _: None,
    ):
        self._limit, self._size, self._drop = limit, size, drop
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()
        self._total = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What is kept under a key; made first if it is not there."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        value = self._kept[key] = make()
        self._total += self._size(value)
        while self._total > self._limit and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._total -= self._size(oldest)
            self._drop(oldest)
        return value

    def clear(self) -> None:
        """Let everything go."""
        for value in self._kept.values():
            self._drop(value)
        self._kept.clear()
        self._total = 0
