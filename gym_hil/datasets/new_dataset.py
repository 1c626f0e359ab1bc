"""A dataset that is made from others. It appears in its folder when it is complete, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gym_hil
from gym_hil.datasets.episode_dataset import Episode, EpisodeDataset
from gym_hil.datasets.layout import (
    DATA,
    FILES_PER_CHUNK,
    INDICES,
    INFO,
    OWN,
    STAGING,
    VIDEO,
    feature_differences,
    video_keys,
)
from gym_hil.datasets.reader import clear_staging, open_folder
from gym_hil.datasets.statistics import Statistics
from gym_hil.datasets.store import Episode as NewEpisode
from gym_hil.datasets.video import VideoFile, describe_video
from gym_hil.datasets.video_copying import copy_video
from gym_hil.errors import DatasetError

Images = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


class NewDataset:
    """A dataset that is filled with episodes of other datasets, as they are or changed.

    Everything is written into a folder beside, `NAME.unfinished`, which takes its place at the end. Videos are copied
    without loss where they are not changed.

    Args:
        path: of the new dataset.
        sources: datasets that the episodes come from.
        by: what is done, for the metadata.
        details: of that, likewise.
        sizes: features that are videos -> (height, width) of the new ones, if another.
        repo_id: `user/name` of the new dataset; None for that of the first source.
        overwrite: replace a dataset that is there.

    Raises:
        DatasetError: the sources do not fit together or cannot be written, or the folder may not be used.
    """

    def __init__(
        self,
        path: Path,
        sources: Sequence[EpisodeDataset],
        *,
        by: str,
        details: Mapping[str, Any] | None = None,
        sizes: Mapping[str, tuple[int, int]] | None = None,
        repo_id: str | None = None,
        overwrite: bool = False,
    ):
        check_place(path, sources, overwrite)
        self.path, self._root = path, path.with_name(path.name + ".unfinished")
        first = sources[0]
        self._fps = int(first.fps)
        self._features = _common_features(sources)
        for key, (height, width) in (sizes or {}).items():
            self._features[key] = {
                **self._features[key],
                "shape": [3, height, width],
                "names": ["channels", "height", "width"],
                "info": describe_video(height, width, self._fps),
            }
        self._sizes = dict(sizes or {})
        info = {
            **first.info,
            "features": {**self._features, **INDICES},
            "chunks_size": FILES_PER_CHUNK,
            "data_path": DATA,
            "video_path": VIDEO if video_keys(self._features) else None,
            OWN: {
                **_common_metadata(sources),
                "version": gym_hil.__version__,
                "repo_id": repo_id or first.metadata.get("repo_id") or f"local/{path.name}",
                "derived": {"by": by, "from": [_name(source) for source in sources], **(details or {})},
            },
        }
        shutil.rmtree(self._root, ignore_errors=True)
        self._catalogue, self._lock = open_folder(self._root, info, self._features, resume=False, overwrite=False)

    def __enter__(self) -> NewDataset:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()
        try:
            if error is None:
                clear_staging(self._root)
                # Up to here nothing has happened to what is there.
                if self.path.exists():
                    shutil.rmtree(self.path)
                self._root.replace(self.path)
        except OSError as problem:
            raise DatasetError(f"{self.path} cannot be written: {problem}. Choose another folder.") from problem
        finally:
            shutil.rmtree(self._root, ignore_errors=True)

    def add(
        self,
        episode: Episode,
        *,
        columns: Mapping[str, NDArray[Any]] | None = None,
        images: Mapping[str, Images] | None = None,
    ) -> None:
        """Add an episode of a source.

        Args:
            episode: whose place is behind those that were added before.
            columns: features that are changed -> (frames,) or (frames, size).
            images: videos that are changed -> what makes a new image of an old one.

        Raises:
            DatasetError: the episode cannot be read or written.
        """
        record, dataset = episode.record, episode.dataset
        numbers = episode.numbers()
        changed = columns or {}
        frames = np.arange(len(episode), dtype=np.int64)[:, None]
        arrays = {
            key: np.asarray(changed.get(key, numbers.get(key)), dtype=feature["dtype"]).reshape(len(episode), -1)
            for key, feature in self._features.items()
            if feature["dtype"] != "video"
        }
        arrays.update(frame_index=frames, timestamp=(frames / self._fps).astype(np.float32))
        tasks = [dataset.tasks[index] for index in numbers["task_index"]]
        own = {
            f"{OWN}/seed": record.seed,
            f"{OWN}/success": record.success,
            f"{OWN}/options": None if record.options is None else json.dumps(record.options),
        }
        videos, statistics = {}, {}
        try:
            for key in video_keys(self._features):
                videos[key] = self._root / STAGING / f"{key}.mp4"
                change = (images or {}).get(key)
                if change is None:
                    start, source = dataset.video_of(record, key)
                    statistics[key] = copy_video(source, start, len(episode), self._fps, videos[key])
                else:
                    statistics[key] = self._encode(episode, key, change, videos[key])
            self._catalogue.add(NewEpisode(arrays, videos, statistics, tasks, own))
        except OSError as error:
            raise DatasetError(
                f"Episode {record.index} of {dataset.path} cannot be written to {self._root}: {error}. Make room, or "
                "choose another folder."
            ) from error

    def _encode(self, episode: Episode, key: str, change: Images, path: Path) -> Statistics:
        _, height, width = self._features[key]["shape"]
        file = VideoFile(path, height, width, self._fps)
        try:
            for frame in range(len(episode)):
                file.add(change(episode.image(key, frame)))
        except BaseException:
            file.abandon()
            raise
        return file.close()


def check_place(path: Path, sources: Sequence[EpisodeDataset], overwrite: bool) -> None:
    """Make sure that a new dataset may be made in a folder.

    Args:
        path: of the new dataset.
        sources: datasets that it is made from.
        overwrite: replace a dataset that is there.

    Raises:
        DatasetError: it may not.
    """
    place = path.resolve()
    for source in sources:
        there = source.path.resolve()
        if place == there or place in there.parents or there in place.parents:
            raise DatasetError(
                f"{path} and {source.path} overlap; a dataset is never changed in place. Choose another."
            )
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / INFO).is_file():
        raise DatasetError(f"{path} is there already and no dataset; choose another folder.")
    if not overwrite:
        raise DatasetError(f"{path} already holds a dataset; say overwrite=True (--overwrite) to replace it.")


def _common_features(sources: Sequence[EpisodeDataset]) -> dict[str, dict[str, Any]]:
    """The features of the sources, which have to be the same; those of `layout.INDICES` are left out."""
    first = sources[0]
    if first.fps != int(first.fps):
        raise DatasetError(f"{first.path} has {first.fps} frames per second; only whole numbers can be written.")
    features = {key: dict(feature) for key, feature in first.features.items() if key not in INDICES}
    for key, feature in features.items():
        is_vector = len(feature["shape"]) == 1 and feature["dtype"] in _NUMBERS
        is_depth = bool((feature.get("info") or {}).get("is_depth_map"))
        if not is_vector and (feature["dtype"] != "video" or is_depth):
            what = "a depth map" if is_depth else f"{feature['dtype']} of shape {list(feature['shape'])}"
            raise DatasetError(
                f"{first.path}: {key} is {what}; only vectors of numbers or booleans and colour videos can be written."
            )
    for other in sources[1:]:
        if other.fps != first.fps:
            raise DatasetError(f"{first.path} has {first.fps} frames per second, {other.path} {other.fps}.")
        different = [f"{key}: {here} and {there}" for key, here, there in feature_differences(features, other.features)]
        if different:
            raise DatasetError(f"{first.path} and {other.path} have different features: {'; '.join(different)}.")
    return features


def _common_metadata(sources: Sequence[EpisodeDataset]) -> dict[str, Any]:
    """What the sources agree on. Of an environment only as much is kept as makes the right one again."""
    first, *others = [source.metadata for source in sources]
    common = {key: value for key, value in first.items() if all(other.get(key, ...) == value for other in others)}
    if "env_kwargs" not in common or "task_id" not in common:
        for key in ("env_id", "env_kwargs", "task_id"):
            common.pop(key, None)
    elif "env_id" not in common:
        # The same task, driven by different devices.
        common["env_id"] = common["task_id"]
    return common


def _name(source: EpisodeDataset) -> str:
    return source.metadata.get("repo_id") or source.path.name


_NUMBERS = ("bool", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
