"""New datasets from old ones: put together, picked out, with other rewards, or with cropped images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import gym_hil
from gym_hil.datasets.folder import clear_staging
from gym_hil.datasets.images import Region, crop_params, cropped
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
from gym_hil.datasets.reader import Episode, EpisodeDataset
from gym_hil.datasets.statistics import Statistics
from gym_hil.datasets.store import Episode as NewEpisode
from gym_hil.datasets.store import open_folder
from gym_hil.datasets.video import VideoFile, copy_video, describe_video
from gym_hil.errors import DatasetError

Place = str | PathLike[str]
_INTERVENTION = "complementary_info.is_intervention"


def merge_datasets(
    paths: Sequence[Place], out: Place, *, repo_id: str | None = None, overwrite: bool = False
) -> EpisodeDataset:
    """Put datasets with the same features one behind the other.

    Args:
        paths: of the datasets.
        out: folder of the new one.
        repo_id: `user/name` of the new one; None for that of the first.
        overwrite: replace a dataset that is there.

    Returns:
        The new dataset.

    Raises:
        DatasetError: one cannot be read, their features or frames per second differ, or the new one cannot be written.
    """
    if not paths:
        raise DatasetError("There is nothing to merge; name one dataset or more.")
    sources = [EpisodeDataset(path) for path in paths]
    with NewDataset(Path(out), sources, by="merge", repo_id=repo_id, overwrite=overwrite) as new:
        for source in sources:
            for episode in source:
                new.add(episode)
    return EpisodeDataset(out)


def filter_dataset(
    path: Place,
    out: Place,
    *,
    success: bool | None = None,
    interventions: bool | None = None,
    drop: Collection[int] = (),
    repo_id: str | None = None,
    overwrite: bool = False,
) -> EpisodeDataset:
    """Keep some episodes.

    Args:
        path: of the dataset.
        out: folder of the new one.
        success: keep those that ended in success, or those that did not; None for both. Those of which it is not known
            are neither.
        interventions: keep those in which an operator acted, or those in which nobody did; None for both.
        drop: numbers of episodes to leave out. They are not read, so they may be damaged.
        repo_id: `user/name` of the new dataset; None for that of the old one.
        overwrite: replace a dataset that is there.

    Returns:
        The new dataset.

    Raises:
        DatasetError: the dataset cannot be read, has no such episode, no episode is left, interventions were not
            recorded, or the new one cannot be written.
    """
    source = EpisodeDataset(path)
    for number in drop:
        if not 0 <= number < len(source):
            raise DatasetError(f"There is no episode {number} to drop; {path} has {len(source)}, counted from 0.")
    if interventions is not None and _INTERVENTION not in source.features:
        raise DatasetError(f"{path} has no {_INTERVENTION}; whether an operator acted was not recorded.")
    kept = [
        episode
        for episode in source
        if episode.record.index not in drop
        and success in (None, episode.record.success)
        and interventions in (None, _has_intervention(episode) if interventions is not None else None)
    ]
    if not kept:
        raise DatasetError(f"None of the {len(source)} episodes of {path} is left; nothing was written.")
    with NewDataset(Path(out), [source], by="filter", repo_id=repo_id, overwrite=overwrite) as new:
        for episode in kept:
            new.add(episode)
    return EpisodeDataset(out)


def relabel_dataset(
    path: Place,
    out: Place,
    reward: Callable[[Episode], ArrayLike],
    *,
    repo_id: str | None = None,
    overwrite: bool = False,
) -> EpisodeDataset:
    """Give every frame another reward; everything else stays.

    Args:
        path: of the dataset.
        out: folder of the new one.
        reward: what makes (frames,) rewards of an episode.
        repo_id: `user/name` of the new dataset; None for that of the old one.
        overwrite: replace a dataset that is there.

    Returns:
        The new dataset.

    Raises:
        DatasetError: the dataset cannot be read, the rewards are not one finite number a frame, or the new one cannot
            be written.
    """
    source = EpisodeDataset(path)
    if "next.reward" not in source.features:
        raise DatasetError(f"{path} has no 'next.reward' that could be replaced.")
    with NewDataset(Path(out), [source], by="relabel", repo_id=repo_id, overwrite=overwrite) as new:
        for episode in source:
            new.add(episode, columns={"next.reward": _rewards(reward, episode)})
    return EpisodeDataset(out)


def crop_dataset(
    path: Place,
    out: Place,
    regions: Mapping[str, Region],
    *,
    resize: tuple[int, int] | None = None,
    repo_id: str | None = None,
    overwrite: bool = False,
) -> EpisodeDataset:
    """Keep only a region of each camera's images.

    Args:
        path: of the dataset.
        out: folder of the new one.
        regions: feature -> rectangle; videos that are not named stay whole.
        resize: height and width that all images are brought to afterwards, those of whole videos too; None for none.
        repo_id: `user/name` of the new dataset; None for that of the old one.
        overwrite: replace a dataset that is there.

    Returns:
        The new dataset.

    Raises:
        DatasetError: the dataset cannot be read, has no such video, a region is not inside its images, or the new one
            cannot be written.
    """
    source = EpisodeDataset(path)
    for key in regions:
        if key not in source.video_keys:
            raise DatasetError(f"{path} has no video {key!r}; it has {', '.join(source.video_keys) or 'none'}.")
    changes, sizes = {}, {}
    for key in source.video_keys:
        _, height, width = video_shape(source, key)
        region = regions.get(key, Region(0, 0, height, width))
        region.check_inside(key, height, width)
        size = (region.height, region.width) if resize is None else resize
        if region != Region(0, 0, height, width) or size != (height, width):
            changes[key], sizes[key] = cropped(region, size), size
    details = crop_params(regions, resize)
    with NewDataset(
        Path(out), [source], by="crop", details=details, sizes=sizes, repo_id=repo_id, overwrite=overwrite
    ) as new:
        for episode in source:
            new.add(episode, images=changes)
    return EpisodeDataset(out)


def video_shape(source: EpisodeDataset, key: str) -> tuple[int, int, int]:
    """Channels, height and width; LeRobot's features say which is which by name."""
    feature = source.features[key]
    shape = tuple(feature["shape"])
    names = feature.get("names") or []
    if len(shape) == 3 and (list(names)[-1:] in (["channels"], ["channel"]) or (shape[0] != 3 and shape[2] == 3)):
        shape = (shape[2], shape[0], shape[1])
    if len(shape) != 3 or shape[0] != 3:
        raise DatasetError(f"{source.path}: {key} has shape {list(shape)}; only colour images can be cropped.")
    return shape


def _has_intervention(episode: Episode) -> bool:
    share = episode.record.interventions
    return bool(episode[_INTERVENTION].any() if share is None else share > 0)


def _rewards(reward: Callable[[Episode], ArrayLike], episode: Episode) -> np.ndarray:
    made = reward(episode)
    try:
        rewards = np.asarray(made, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(
            f"The rewards of episode {episode.record.index} are {made!r}, not numbers: {error}."
        ) from error
    if rewards.shape != (len(episode),) or not np.isfinite(rewards).all():
        what = "" if np.isfinite(rewards).all() else " and are not all finite"
        raise DatasetError(
            f"The rewards of episode {episode.record.index} have shape {rewards.shape}{what}; expected one finite "
            f"number for each of its {len(episode)} frames."
        )
    return rewards.astype(np.float32)


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
