"""Reads a LeRobotDataset v3.0, v2.1 or v2.0 into numpy, also what LeRobot recorded, without LeRobot or torch."""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from os import PathLike
from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets import tables
from gym_hil.datasets.layout import OWN, STATS, file_of, image_shape, is_depth, unreadable, video_keys
from gym_hil.datasets.legacy import read_any_metadata
from gym_hil.datasets.metadata import LEGACY_VERSIONS, EpisodeRecord, row_statistics
from gym_hil.datasets.statistics import Statistics
from gym_hil.datasets.video import Span, VideoReader, av
from gym_hil.errors import DatasetError
from gym_hil.files import expand_path

NUMBERS_KEPT = 256 << 20  # bytes
FILES_OPEN = 16
TIMESTAMP_TOLERANCE = 1e-4  # s, LeRobot's own; float32 timestamps of long episodes are less exact
_OBSERVATION = "observation."
Value = TypeVar("Value")


class Transition(NamedTuple):
    """One step.

    The format has no observation after the last frame of an episode: there `next_observation` is `observation` itself,
    as in LeRobot's own replay buffer.
    """

    observation: dict[str, Any]  # feature -> value, of those whose name begins with `observation.`
    action: NDArray[np.float32]  # what was executed
    reward: float
    next_observation: dict[str, Any]
    terminated: bool  # by success or failure
    truncated: bool  # by the time limit
    info: dict[str, Any]  # the other features


class EpisodeDataset(Sequence["Episode"]):
    """The episodes of a dataset, read when they are asked for.

    Opening reads only the folder `meta`. Numbers are read a file at a time and images one at a time; what was used last
    is kept, within limits. A dataset whose recorder was killed opens with every finished episode. It can be given to
    other processes, which read for themselves; an object is for one thread at a time.

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
        metadata: what this package recorded about the environment of all episodes; empty for datasets of others.
        tasks: instructions given to the robot, in the order of their numbers.
        episodes: the row of `meta/episodes` of each episode.

    Raises:
        DatasetError: the folder is no dataset, one of another version, or not whole. A damaged or missing file of
            frames or images is found when it is read; `check` looks for those.
        MissingExtraError: pyarrow or PyAV is not installed.
    """

    def __init__(self, path: str | PathLike[str], *, images_kept: int = 256 << 20):
        self.path = expand_path(path)
        metadata = read_any_metadata(self.path)
        self.info = metadata.info
        self.features: dict[str, dict[str, Any]] = self.info["features"]
        self.fps: float = self.info["fps"]
        self.metadata: dict[str, Any] = self.info.get(OWN) or {}
        self.tasks, self.episodes = metadata.tasks, metadata.episodes
        self._images_kept = images_kept
        self._images: _Cache[NDArray[Any]] = _Cache(images_kept, size=lambda image: image.nbytes)
        self._videos: _Cache[VideoReader] = _Cache(FILES_OPEN, drop=VideoReader.close)
        self._frames: _Cache[tables.Frames] = _Cache(
            NUMBERS_KEPT, size=lambda frames: sum(column.nbytes for column in frames.columns.values())
        )
        self._rows: _Cache[dict[int, dict[str, Any]]] = _Cache(1)
        self._checked: set[int] = set()

    @property
    def total_frames(self) -> int:
        """Of all episodes together."""
        return sum(record.length for record in self.episodes)

    @property
    def video_keys(self) -> list[str]:
        """The features that are kept as videos."""
        return video_keys(self.features)

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

    def __repr__(self) -> str:
        return f"EpisodeDataset({str(self.path)!r}: {len(self)} episodes, {self.total_frames} frames, {self.fps:g} fps)"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(EpisodeDataset, images_kept=self._images_kept), (self.path,)

    def __enter__(self) -> EpisodeDataset:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close files and forget what was read. Reading goes on afterwards, from the start."""
        for cache in (self._images, self._videos, self._frames, self._rows):
            cache.clear()

    def depth_unit(self, key: str) -> str | None:
        """Unit of a depth map's numbers, "mm" or "m"; None if the dataset does not say."""
        if "video.depth_min" in self._info_of(key):
            return "mm"
        unit = self._info_of(key).get("depth_unit") or self._info_of(key).get("video.depth_unit")
        return None if unit is None else str(unit)

    def check(self) -> None:
        """Make sure that every file that an episode refers to is there, whole, and holds what `meta` says.

        Numbers are read; of videos the header and the last image of each episode. A DatasetError has a line for
        everything that is wrong.
        """
        problems = self.problems()
        if problems:
            raise DatasetError("\n".join(problems))

    def problems(self) -> list[str]:
        """Everything that `check` finds."""
        found: dict[str, None] = {}
        counted = self.info.get("total_frames", self.total_frames)
        if len(self) == self.info.get("total_episodes") and counted != self.total_frames:
            found[f"{self.path}: meta/info.json counts {counted} frames, meta/episodes {self.total_frames}."] = None
        for episode in self:
            reads: list[Callable[[], Any]] = [episode.numbers]
            reads += [partial(episode.image, key, -1) for key in self.image_keys]
            for read in reads:
                try:
                    read()
                except DatasetError as error:
                    found[str(error)] = None
        if len(self) and self.info["codebase_version"] != "v2.1":  # which has them for each episode
            try:
                json.loads((self.path / STATS).read_text(encoding="utf-8"), parse_constant=_not_finite)
            except (OSError, ValueError) as error:
                found[str(unreadable(self.path / STATS, error))] = None
        return list(found)

    def numbers_of(self, record: EpisodeRecord) -> dict[str, NDArray[Any]]:
        """All features of an episode that are not videos; feature -> (frames, ...)."""
        path = file_of(self.path, self.info, record.row)
        frames = self._frames.get(path, lambda: tables.read_frames(path, self.features))
        rows = np.flatnonzero(frames.columns["episode_index"] == record.index)
        if len(rows) != record.length or (np.diff(rows) != 1).any():
            raise DatasetError(
                f"{path} has {len(rows)} frames of episode {record.index}, not {record.length}. Fetch the file again "
                "from where the dataset came from."
            )
        first, last = int(rows[0]), int(rows[-1])
        columns = {key: column[first : last + 1] for key, column in frames.columns.items()}
        if record.index not in self._checked:
            for key, missing in frames.nulls.items():
                for row in missing[(first <= missing) & (missing <= last)]:
                    raise self._lie(record, key, int(row) - first, "has no value (null)")
            self._check_numbers(record, columns)
            self._checked.add(record.index)
        return columns

    def image_of(self, record: EpisodeRecord, key: str, frame: int) -> NDArray[Any]:
        """An image of an episode, (height, width, 3) uint8; of a depth map (height, width, 1) uint16."""
        feature, depth = self.features[key], is_depth(self.features[key])
        if feature["dtype"] == "image":
            stored = self.numbers_of(record)[key][frame]
            place: tuple[Hashable, ...] = (key, record.index, frame)
            image = self._images.get(place, lambda: self._locked(_decode(stored, depth, f"{self.path}: {place}"), key))
        else:
            span = self.video_of(record, key)
            time = span.start + frame / self.fps

            def decode() -> NDArray[Any]:
                reader = self._videos.get(span.path, lambda: VideoReader(span.path, self.fps))
                return self._locked(reader.image(time, depth=depth), key)

            image = self._images.get((span.path, round(time * self.fps)), decode)
        expected = image_shape(feature)[1:]
        if image.shape[:2] != expected:
            size = f"{image.shape[1]} x {image.shape[0]} pixels, not {expected[1]} x {expected[0]}"
            raise self._lie(record, key, frame, f"has {size}")
        return image

    def video_of(self, record: EpisodeRecord, key: str) -> Span:
        """Where the images of an episode are."""
        start = record.row.get(f"videos/{key}/from_timestamp")
        if not isinstance(start, float):
            raise DatasetError(f"{self.path}: meta/episodes does not say where {key} of episode {record.index} begins.")
        return Span(file_of(self.path, self.info, record.row, key), start, record.length)

    def statistics_of(self, record: EpisodeRecord, key: str) -> Statistics | None:
        """Statistics of a feature of an episode, from `meta/episodes`; None if they are not complete."""
        if self.info["codebase_version"] in LEGACY_VERSIONS:
            return None  # they lack the quantiles

        def read() -> dict[int, dict[str, Any]]:
            return {row["episode_index"]: row for row in tables.read(record.file).to_pylist()}

        return row_statistics(self._rows.get(record.file, read)[record.index], key)

    def _check_numbers(self, record: EpisodeRecord, columns: dict[str, NDArray[Any]]) -> None:
        """Find what a dataset can say that is not true."""

        def check(key: str, wrong: NDArray[np.bool_], what: Callable[[Any], str]) -> None:
            if wrong.any():
                frame = int(np.flatnonzero(wrong)[0])
                raise self._lie(record, key, frame, f"is {what(columns[key][frame])}")

        for key, column in columns.items():
            if column.dtype.kind == "f":
                finite = np.isfinite(column).reshape(len(column), -1).all(axis=1)
                check(key, ~finite, lambda value: f"{value}, which is not finite")
        frames = np.arange(record.length)
        if "frame_index" in columns:
            check("frame_index", columns["frame_index"] != frames, str)
        if "timestamp" in columns:
            due = frames / self.fps
            off = np.abs(columns["timestamp"] - due) > TIMESTAMP_TOLERANCE + due * np.finfo(np.float32).eps
            rate = f"s; at {self.fps:g} fps it has to be {due[off.argmax()]:.6g} s"
            check("timestamp", off, lambda value: f"{value:.6g} {rate}")
        if "task_index" in columns:
            unknown = ~np.isin(columns["task_index"], np.arange(len(self.tasks)))
            check("task_index", unknown, lambda value: f"{value}, which names no task")

    def _lie(self, record: EpisodeRecord, key: str, frame: int, what: str) -> DatasetError:
        return DatasetError(
            f"{self.path}: {key} in frame {frame} of episode {record.index} {what}. Correct the dataset, or leave the "
            f"episode out: gym-hil dataset filter {self.path} --out NEW --drop {record.index}"
        )

    def _info_of(self, key: str) -> dict[str, Any]:
        return self.features[key].get("info") or self.features[key].get("video_info") or {}

    def _locked(self, image: NDArray[Any], key: str) -> NDArray[Any]:
        """The image as it is handed out again and again: read-only, depth that LeRobot quantised in mm."""
        info = self._info_of(key)
        if is_depth(self.features[key]) and "video.depth_min" in info:
            near, far, shift = (float(info.get(f"video.{name}", 0)) for name in ("depth_min", "depth_max", "shift"))
            # LeRobot 0.6.1 stores 12-bit codes, linear in depth or in log(depth + shift); near, far and shift are in m.
            share = image / 4095.0
            if info.get("video.use_log", True):
                metres = np.exp(np.log(near + shift) + share * np.log((far + shift) / (near + shift))) - shift
            else:
                metres = near + share * (far - near)
            image = np.rint(1000 * metres).clip(0, 65535).astype(np.uint16)
        image.flags.writeable = False
        return image


class Episode:
    """One episode of a dataset; `record` is its row of `meta/episodes`."""

    def __init__(self, dataset: EpisodeDataset, record: EpisodeRecord):
        self.dataset, self.record = dataset, record

    def __len__(self) -> int:
        return self.record.length

    def __repr__(self) -> str:
        record = self.record
        return f"Episode({record.index}: {record.length} frames, success {record.success}, {record.task!r})"

    def __getitem__(self, key: str) -> NDArray[Any]:
        """A feature in all frames: (frames,) where its shape is [1], else (frames, *shape), in its `dtype`.

        Images are (frames, height, width, 3) uint8, depth maps (frames, height, width, 1) uint16.

        Raises:
            DatasetError: there is no such feature, a file is missing or damaged, or a number is not what it has to be.
        """
        self._need(key)
        if key in self.dataset.image_keys:
            return np.stack([self.image(key, frame) for frame in range(len(self))])
        return self.numbers()[key]

    def numbers(self) -> dict[str, NDArray[Any]]:
        """All features in all frames that are not images, as `episode[key]` has them."""
        numbers = self.dataset.numbers_of(self.record)
        return {key: column for key, column in numbers.items() if key not in self.dataset.image_keys}

    def image(self, key: str, frame: int) -> NDArray[Any]:
        """An image, (height, width, 3) uint8; of a depth map (height, width, 1) uint16. Negative frames count back."""
        self._need(key)
        return self.dataset.image_of(self.record, key, self._number(frame))

    def frame(self, frame: int, keys: Iterable[str] | None = None) -> dict[str, Any]:
        """What was recorded in a frame, counted from the end if negative: feature -> number, vector or image.

        Only the features in `keys` (None: all) are read, and only their images decoded.
        """
        number = self._number(frame)
        wanted = list(self.dataset.features if keys is None else keys)
        for key in wanted:
            self._need(key)
        columns = self.numbers()
        return {key: columns[key][number] if key in columns else self.image(key, number) for key in wanted}

    def transitions(self, keys: Iterable[str] | None = None) -> Iterator[Transition]:
        """The steps of the episode, with the wanted features (None: all) in the observations."""
        wanted = set(self.dataset.features if keys is None else keys)
        chosen = [key for key in self.dataset.features if key.startswith(_OBSERVATION) and key in wanted]
        columns = self.numbers()
        special = {"action", "next.reward", "next.done", "next.truncated"}
        others = [key for key in columns if key not in special and not key.startswith(_OBSERVATION)]
        observation = self.frame(0, chosen)
        for number in range(len(self)):
            is_last = number == len(self) - 1
            next_observation = observation if is_last else self.frame(number + 1, chosen)
            done = bool(columns["next.done"][number]) if "next.done" in columns else is_last
            truncated = bool(columns["next.truncated"][number]) if "next.truncated" in columns else False
            yield Transition(
                observation=observation,
                action=columns["action"][number],
                reward=float(columns["next.reward"][number]) if "next.reward" in columns else 0.0,
                next_observation=next_observation,
                terminated=done and not truncated,
                truncated=truncated,
                info={key: columns[key][number] for key in others},
            )
            observation = next_observation

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


class _Cache(Generic[Value]):
    """Keeps the values that were used last, up to a total size; the last one is always kept."""

    def __init__(
        self, limit: int, size: Callable[[Value], int] = lambda _: 1, drop: Callable[[Value], None] = lambda _: None
    ):
        self._limit, self._size, self._drop = limit, size, drop
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()
        self._total = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        value = self._kept[key] = make()
        self._total += self._size(value)
        while self._total > self._limit and len(self._kept) > 1:
            self._drop_oldest()
        return value

    def clear(self) -> None:
        while self._kept:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, oldest = self._kept.popitem(last=False)
        self._total -= self._size(oldest)
        self._drop(oldest)


def _decode(stored: Any, depth: bool, what: str) -> NDArray[Any]:
    """An image that is kept singly, as LeRobot does without videos: a dict with the `bytes` of an image file."""
    try:
        container: Any = av.open(io.BytesIO(stored["bytes"]))
        with container:
            frame = next(container.decode(video=0))
            if depth:
                return np.asarray(frame.to_ndarray(format="gray16le"))[..., None]
            return np.asarray(frame.to_ndarray(format="rgb24"))
    except (av.FFmpegError, LookupError, TypeError, StopIteration) as error:
        raise DatasetError(f"{what} cannot be decoded: {error!r}.") from error


def _not_finite(name: str) -> float:
    raise ValueError(f"it holds {name}, which is no JSON")
