"""New datasets from old ones: merged, filtered, with other rewards, or with cropped images. Never in place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import gym_hil
from gym_hil.datasets import layout
from gym_hil.datasets.compact import join_files
from gym_hil.datasets.folder import FolderLock, clear_staging, remove
from gym_hil.datasets.images import Region, crop_params
from gym_hil.datasets.metadata import read_info
from gym_hil.datasets.reader import Episode, EpisodeDataset
from gym_hil.datasets.statistics import ImageCounter, Statistics
from gym_hil.datasets.store import DatasetStore, EpisodeData
from gym_hil.datasets.tables import is_number
from gym_hil.datasets.video import VideoReader, VideoWriter, copy_video, describe_video
from gym_hil.errors import DatasetError
from gym_hil.files import expand_path, write_advice, writing

DatasetPath = str | PathLike[str]
ImageChange = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
SAMPLED_FRAMES = 100  # of an episode whose images have no statistics; LeRobot 0.6.1 samples as many of up to 464 frames
_INTERVENTION = "complementary_info.is_intervention"
_NOT_SHARED = ("version", "repo_id", "derived")  # of the metadata: of a dataset, not of its episodes


def merge_datasets(
    paths: Sequence[DatasetPath],
    out: DatasetPath,
    *,
    repo_id: str | None = None,
    overwrite: bool = False,
    force: bool = False,
) -> EpisodeDataset:
    """Put datasets with the same features one behind the other; each episode keeps its task and its environment.

    Args:
        paths: of the datasets.
        out: folder of the new one.
        repo_id: `user/name` of the new one; None for that of the first.
        overwrite: replace a dataset that is there.
        force: merge although the names of a feature's numbers differ; those of the first dataset are kept.

    Raises:
        DatasetError: one cannot be read, their features or frames per second differ, or the new one cannot be written.
    """
    if not paths:
        raise DatasetError("There is nothing to merge; name one dataset or more.")
    sources = [EpisodeDataset(path) for path in paths]
    episodes = [episode for source in sources for episode in source]
    return _make(out, sources, episodes, by="merge", repo_id=repo_id, overwrite=overwrite, force=force)


def convert_dataset(
    path: DatasetPath, out: DatasetPath, *, repo_id: str | None = None, overwrite: bool = False
) -> EpisodeDataset:
    """Make a dataset of v3.0 from one of v2.0 or v2.1; arguments and errors are those of `merge_datasets`."""
    source = EpisodeDataset(path)
    return _make(out, [source], source, by="convert", repo_id=repo_id, overwrite=overwrite)


def filter_dataset(
    path: DatasetPath,
    out: DatasetPath,
    *,
    success: bool | None = None,
    interventions: bool | None = None,
    drop: Collection[int] = (),
    repo_id: str | None = None,
    overwrite: bool = False,
) -> EpisodeDataset:
    """Keep some episodes. Arguments that are not listed are as in `merge_datasets`, and so are errors.

    - `success` keeps those that ended in success, or those that did not; None keeps both. Episodes whose success is
      unknown are neither.
    - `interventions` keeps those in which an operator acted, or those in which none did; None keeps both.
    - `drop` has the numbers of episodes to leave out. They are not read, so they may be damaged.
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
    return _make(out, [source], kept, by="filter", repo_id=repo_id, overwrite=overwrite)


def relabel_dataset(
    path: DatasetPath,
    out: DatasetPath,
    reward: Callable[[Episode], ArrayLike],
    *,
    repo_id: str | None = None,
    overwrite: bool = False,
) -> EpisodeDataset:
    """Give every frame another reward, `reward(episode)` of shape (frames,); everything else stays.

    The other arguments and errors are as in `merge_datasets`.
    """
    source = EpisodeDataset(path)
    if "next.reward" not in source.features:
        raise DatasetError(f"{path} has no 'next.reward' that could be replaced.")

    def columns(episode: Episode) -> dict[str, NDArray[Any]]:
        return {"next.reward": _rewards(reward, episode)}

    return _make(out, [source], source, columns=columns, by="relabel", repo_id=repo_id, overwrite=overwrite)


def crop_dataset(
    path: DatasetPath,
    out: DatasetPath,
    regions: Mapping[str, Region],
    *,
    resize: tuple[int, int] | None = None,
    repo_id: str | None = None,
    overwrite: bool = False,
) -> EpisodeDataset:
    """Keep only a region (feature -> rectangle) of each camera's images; videos that are not named stay whole.

    `resize` is the height and width that all images are brought to afterwards, those of whole videos too. The other
    arguments and errors are as in `merge_datasets`.
    """
    source = EpisodeDataset(path)
    for key in regions:
        if key not in source.video_keys:
            raise DatasetError(f"{path} has no video {key!r}; it has {', '.join(source.video_keys) or 'none'}.")
    changes, sizes = {}, {}
    for key in source.video_keys:
        channels, height, width = layout.image_shape(source.features[key])
        region = regions.get(key, Region(0, 0, height, width))
        region.check_inside(key, height, width)
        size = (region.height, region.width) if resize is None else resize
        if region != Region(0, 0, height, width) or size != (height, width):
            if channels != 3 or layout.is_depth(source.features[key]):
                raise DatasetError(f"{source.path}: {key} is a depth map; only colour images can be cropped.")
            changes[key], sizes[key] = region.crop(*size), size
    how: dict[str, Any] = {"by": "crop", "details": crop_params(regions, resize), "sizes": sizes}
    return _make(out, [source], source, images=changes, **how, repo_id=repo_id, overwrite=overwrite)


def _make(
    out: DatasetPath,
    sources: Sequence[EpisodeDataset],
    episodes: Iterable[Episode],
    *,
    columns: Callable[[Episode], Mapping[str, NDArray[Any]]] = lambda episode: {},
    images: Mapping[str, ImageChange] = MappingProxyType({}),
    **options: Any,
) -> EpisodeDataset:
    """Make a dataset of episodes of some sources, with changed columns and images; options: those of `NewDataset`."""
    with NewDataset(out, sources, **options) as new:
        for episode in episodes:
            new.add(episode, columns=columns(episode), images=images)
    return EpisodeDataset(out)


def _has_intervention(episode: Episode) -> bool:
    share = episode.record.interventions
    return bool(episode[_INTERVENTION].any() if share is None else share > 0)


def _rewards(reward: Callable[[Episode], ArrayLike], episode: Episode) -> np.ndarray:
    made, number = reward(episode), episode.record.index
    try:
        rewards = np.asarray(made, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"The rewards of episode {number} are {made!r}, not numbers: {error}.") from error
    if rewards.shape != (len(episode),) or not np.isfinite(rewards).all():
        what = "" if np.isfinite(rewards).all() else " and are not all finite"
        expected = f"one finite number for each of its {len(episode)} frames"
        raise DatasetError(f"The rewards of episode {number} have shape {rewards.shape}{what}; expected {expected}.")
    return rewards.astype(np.float32)


class NewDataset:
    """A dataset that is filled with episodes of other datasets, as they are or changed.

    Everything is written into a folder beside, `NAME.unfinished`, which takes its place at the end: the dataset appears
    when it is complete, or not at all. Videos are copied without loss where they are not changed.

    `by` and `details` are what the metadata says about the operation; `sizes` are those of the videos that are resized
    -> (height, width). The other arguments are those of `merge_datasets`.
    """

    def __init__(
        self,
        path: DatasetPath,
        sources: Sequence[EpisodeDataset],
        *,
        by: str,
        details: Mapping[str, Any] | None = None,
        sizes: Mapping[str, tuple[int, int]] | None = None,
        repo_id: str | None = None,
        overwrite: bool = False,
        force: bool = False,
    ):
        self.path = path = expand_path(path)
        self._root = path.with_name(path.name + ".unfinished")
        check_place(path, sources, overwrite)
        first = sources[0]
        self._fps = int(first.fps)
        self._features = _common_features(sources, force)
        for key, (height, width) in (sizes or {}).items():
            self._features[key] = {
                **self._features[key],
                "shape": [3, height, width],
                "info": describe_video(height, width, self._fps),
            }
        self._metadata = _common_metadata(sources)
        info = {
            **first.info,
            "codebase_version": layout.FORMAT,
            "features": {**self._features, **layout.INDICES},
            "chunks_size": layout.FILES_PER_CHUNK,
            "data_path": layout.DATA,
            "video_path": layout.VIDEO if layout.video_keys(self._features) else None,
            layout.OWN: {
                **self._metadata,
                "version": gym_hil.__version__,
                "repo_id": repo_id or first.metadata.get("repo_id") or f"local/{path.name}",
                "derived": {"by": by, "from": [_name(source) for source in sources], **(details or {})},
            },
        }
        with writing(path, DatasetError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(path.with_name(f".{path.name}.lock"))
        try:
            with writing(self._root, DatasetError):
                if self._root.exists() and not (self._root / layout.STAGING).is_dir():
                    raise DatasetError(f"{self._root} is in the way; move it, or choose another name than {path.name}.")
                shutil.rmtree(self._root, ignore_errors=True)  # of one that was killed
                (self._root / layout.STAGING).mkdir(parents=True)
                self._store = DatasetStore.create(self._root, info, self._features)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> NewDataset:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            if error is None:
                with writing(self.path, DatasetError):
                    join_files(self._root, self._store.info)
                    self._take_place()
                    clear_staging(self.path)
                    (self.path / layout.STAGING).rmdir()
        finally:
            shutil.rmtree(self._root, ignore_errors=True)
            self._lock.release()

    def _take_place(self) -> None:
        """Put the new dataset where it belongs. Of one that is there, files that are not its own are kept."""
        old = self.path.with_name(self.path.name + ".replaced")
        if not self.path.exists():
            self._root.replace(self.path)
            return
        if old.exists():
            raise DatasetError(f"{old} is in the way; it holds what was replaced before. Move or delete it.")
        try:
            features = read_info(self.path)["features"]
        except DatasetError:
            features = self._features
        self.path.replace(old)
        self._root.replace(self.path)
        remove(old, [*layout.dataset_files(old, features)])
        for path in [path for path in old.rglob("*") if not path.is_dir()]:
            place = self.path / path.relative_to(old)
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
        _remove_empty(old)

    def add(self, episode: Episode, *, columns: Mapping[str, NDArray[Any]], images: Mapping[str, ImageChange]) -> None:
        """Add an episode of a source, behind those before, with changes by feature.

        `columns` are new, (frames,) or (frames, size); `images` of a video are made by a function from an old one.
        """
        record, dataset = episode.record, episode.dataset
        numbers = episode.numbers()
        frames = np.arange(len(episode), dtype=np.int64)[:, None]
        arrays = {
            key: np.asarray(columns.get(key, numbers.get(key)), dtype=feature["dtype"]).reshape(len(episode), -1)
            for key, feature in self._features.items()
            if feature["dtype"] != "video"
        }
        statistics = {
            key: known
            for key in self._features.keys() - columns.keys() - images.keys()
            if (known := dataset.statistics_of(record, key)) is not None
        }
        arrays.update(frame_index=frames, timestamp=(frames / self._fps).astype(np.float32))
        tasks = [dataset.tasks[index] for index in numbers["task_index"]]
        metadata = {
            key: value
            for key, value in record.metadata.items()
            if key not in _NOT_SHARED and (key not in self._metadata or self._metadata[key] != value)
        }
        own = {
            f"{layout.OWN}/seed": record.seed,
            f"{layout.OWN}/success": record.success,
            f"{layout.OWN}/options": None if record.options is None else json.dumps(record.options),
            f"{layout.OWN}/metadata": json.dumps(metadata) if metadata else None,
        }
        videos = {}
        try:
            for key in layout.video_keys(self._features):
                videos[key] = self._root / layout.STAGING / f"{key}.mp4"
                if key in images:
                    statistics[key] = self._encode(episode, key, images[key], videos[key])
                    continue
                depth = layout.is_depth(self._features[key])
                copy_video(dataset.video_of(record, key), self._fps, videos[key], depth=depth)
                if key not in statistics:
                    statistics[key] = _sampled(videos[key], len(episode), self._fps, depth)
            self._store.add(EpisodeData(arrays, videos, statistics, tasks, own))
        except OSError as error:
            raise DatasetError(
                f"Episode {record.index} of {dataset.path} cannot be written to {self._root}: {error}. "
                f"{write_advice(error)}"
            ) from error

    def _encode(self, episode: Episode, key: str, change: ImageChange, path: Path) -> Statistics:
        _, height, width = self._features[key]["shape"]
        file = VideoWriter(path, height, width, self._fps)
        try:
            for frame in range(len(episode)):
                file.add(change(episode.image(key, frame)))
        except BaseException:
            file.abandon()
            raise
        return file.close()


def check_place(path: DatasetPath, sources: Sequence[EpisodeDataset], overwrite: bool) -> None:
    """Make sure that a new dataset, made from these sources, may be made in a folder; else a DatasetError."""
    path = expand_path(path)
    place = path.resolve()
    for source in sources:
        there = source.path.resolve()
        if place == there or place in there.parents or there in place.parents:
            raise DatasetError(
                f"{path} and {source.path} overlap; a dataset is never changed in place. Choose another."
            )
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / layout.INFO).is_file():
        raise DatasetError(f"{path} is there already and no dataset; choose another folder.")
    if not overwrite:
        raise DatasetError(f"{path} already holds a dataset. Replace it with overwrite=True, or choose another folder.")


def _common_features(sources: Sequence[EpisodeDataset], force: bool) -> dict[str, dict[str, Any]]:
    """The features of the sources, which have to be the same; those of `layout.INDICES` are left out."""
    first = sources[0]
    if first.fps != int(first.fps):
        raise DatasetError(f"{first.path} has {first.fps} frames per second; only whole numbers can be written.")
    features = {key: dict(feature) for key, feature in first.features.items() if key not in layout.INDICES}
    for key, feature in features.items():
        if feature["dtype"] == "video":
            if not layout.is_depth(feature):
                feature.update(shape=list(layout.image_shape(feature)), names=["channels", "height", "width"])
        elif len(feature["shape"]) != 1 or not is_number(feature["dtype"]):
            raise DatasetError(
                f"{first.path}: {key} is {feature['dtype']} of shape {list(feature['shape'])}; only vectors of numbers "
                "or booleans and videos can be written."
            )
    for other in sources[1:]:
        if other.fps != first.fps:
            raise DatasetError(f"{first.path} has {first.fps} frames per second, {other.path} {other.fps}.")
        different = layout.feature_differences(features, other.features, names=not force)
        if different:
            listed = "; ".join(f"{key}: {here} and {there}" for key, here, there in different)
            only_names = not layout.feature_differences(features, other.features, names=False)
            advice = " If they mean the same, merge with force=True." if only_names else ""
            raise DatasetError(f"{first.path} and {other.path} have different features: {listed}.{advice}")
    return features


def _common_metadata(sources: Sequence[EpisodeDataset]) -> dict[str, Any]:
    """The metadata that all episodes share; the rest is kept with each episode."""
    all_metadata = [record.metadata for source in sources for record in source.episodes]
    first, *others = all_metadata or [sources[0].metadata]
    return {
        key: value
        for key, value in first.items()
        if key not in _NOT_SHARED and all(key in other and other[key] == value for other in others)
    }


def _sampled(path: Path, frames: int, fps: int, depth: bool) -> Statistics:
    """Statistics of some images of a video."""
    if depth:
        raise DatasetError(f"The dataset has no statistics of the depth maps in {path.name}; they cannot be computed.")
    reader, counter = VideoReader(path, fps), ImageCounter()
    try:
        for frame in np.unique(np.linspace(0, frames - 1, SAMPLED_FRAMES).round()):
            counter.add(reader.image(frame / fps))  # type: ignore[arg-type]
    finally:
        reader.close()
    return counter.statistics()


def _remove_empty(folder: Path) -> None:
    """Remove a folder and those in it, as far as they are empty."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    if not any(folder.iterdir()):
        folder.rmdir()


def _name(source: EpisodeDataset) -> str:
    return str(source.metadata.get("repo_id") or source.path.name)
