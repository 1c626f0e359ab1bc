"""New datasets from old ones: put together, picked out, with other rewards, or with cropped images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from gym_hil.datasets.cropping import Region, crop_params, cropped
from gym_hil.datasets.episode_dataset import Episode, EpisodeDataset
from gym_hil.datasets.new_dataset import NewDataset
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
