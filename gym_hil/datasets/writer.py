"""Writes a LeRobotDataset v3.0, frame by frame, beside the control loop.

The calling thread only checks and copies. A second thread encodes each image as it comes, so that little is left to do
when the episode ends; `save_episode` waits for that, and what it returns is on the disk. `store` says in which order
the files appear, and why a dataset whose recorder was killed still opens.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

import gym_hil
from gym_hil.datasets.compact import join_files
from gym_hil.datasets.folder import check_room, clear_staging
from gym_hil.datasets.layout import DATA, FILES_PER_CHUNK, FORMAT, INDICES, OWN, STAGING, VIDEO, video_keys
from gym_hil.datasets.store import EpisodeData, open_store
from gym_hil.datasets.tables import is_number
from gym_hil.datasets.video import VideoWriter, check_encoder, describe_video
from gym_hil.errors import ConfigurationError, DatasetError, check
from gym_hil.files import expand_path, write_advice, writing

OWN_INFO = ("seed", "success", "options")


@dataclass
class _Episode:
    """One that is being recorded."""

    columns: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    tasks: list[str] = field(default_factory=list)
    videos: dict[str, VideoWriter] = field(default_factory=dict)
    encoding: list[Future[None]] = field(default_factory=list)


class DatasetWriter:
    """Records episodes into a folder.

    Example:
        >>> from gym_hil.datasets.writer import DatasetWriter
        >>> features = {"action": {"dtype": "float32", "shape": [2], "names": None}}
        >>> with DatasetWriter("outputs/demo", repo_id="me/demo", features=features, fps=10) as writer:
        ...     writer.add_frame({"action": [0.0, 1.0]}, task="wave")
        ...     writer.save_episode({"seed": 7})
        0

    Args:
        root: the folder; made if it is missing.
        repo_id: `user/name`, the dataset's name on the Hugging Face Hub.
        features: as `features_of` describes them: vectors of numbers or booleans, and videos.
        fps: frames per second.
        robot_type: for `meta/info.json`.
        metadata: anything that JSON can hold, kept under the key `gym_hil` of `meta/info.json`, beside this package's
            version and the `repo_id`.
        resume: go on with the dataset in the folder; a new one is begun if there is none.
        overwrite: delete the dataset in the folder.

    Episodes that are added with other metadata than the dataset has keep theirs in `meta/episodes`.

    Attributes:
        root: the folder.
        features: what each frame holds, without the indices that the format adds.

    Raises:
        ConfigurationError: an argument has a value that cannot work, or its images cannot be encoded here.
        DatasetError: the folder cannot be recorded into; nothing in it was changed.
        MissingExtraError: PyAV or pyarrow is not installed.
    """

    def __init__(
        self,
        root: str | PathLike[str],
        *,
        repo_id: str,
        features: Mapping[str, Mapping[str, Any]],
        fps: int,
        robot_type: str | None = "panda",
        metadata: Mapping[str, Any] | None = None,
        resume: bool = False,
        overwrite: bool = False,
    ):
        if resume and overwrite:
            raise ConfigurationError("resume and overwrite are both True; a dataset is either continued or deleted.")
        check(fps == int(fps) >= 1, "fps", fps, "a whole number of frames per second, 1 or more")
        self.root, self._fps = expand_path(root), int(fps)
        self._staging = self.root / STAGING
        self.features = _checked_features({key: features[key] for key in features if key not in INDICES}, self._fps)
        self._cameras = video_keys(self.features)
        info: dict[str, Any] = {
            "codebase_version": FORMAT,
            "fps": self._fps,
            "features": {**self.features, **INDICES},
            "total_episodes": 0,
            "total_frames": 0,
            "total_tasks": 0,
            "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "data_path": DATA,
            "video_path": VIDEO if self._cameras else None,
            "robot_type": robot_type,
            "splits": {},
            OWN: {**(metadata or {}), "version": gym_hil.__version__, "repo_id": repo_id},
        }
        _json("metadata", info, ConfigurationError)
        for key in self._cameras:
            _, height, width = self.features[key]["shape"]
            check_encoder(key, height, width, self._fps)
        self._store, self._lock = open_store(self.root, info, self.features, resume=resume, overwrite=overwrite)
        there = self._store.info.get(OWN) or {}
        differences = {key: value for key, value in info[OWN].items() if there.get(key) != value}
        self._metadata = json.dumps(differences) if differences.keys() - {"version"} else None
        self._saved = False
        self._worker = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="gym_hil-recording", initializer=_lower_priority
        )
        self._is_open = True
        self._episode = _Episode()

    @property
    def num_episodes(self) -> int:
        """Episodes on the disk."""
        return self._store.state.episodes

    @property
    def num_frames(self) -> int:
        """Frames on the disk."""
        return self._store.state.frames

    def check_room(self) -> None:
        """Make sure that there is room on the disk for another episode; else a DatasetError."""
        with writing(self.root, DatasetError):
            check_room(self.root)

    def add_frame(self, frame: Mapping[str, Any], task: str) -> None:
        """Add a frame to the episode. The values are copied; no encoding or writing is waited for.

        A frame has a value for each feature: `shape` numbers, a plain number where that is [1], and for a video a
        (height, width, 3) uint8 image. `task` is the instruction given to the robot.

        Raises:
            DatasetError: a feature is missing, unknown, not finite or of another shape or type, or the writer is
                closed. The frame was not added.
        """
        self._need_open()
        if frame.keys() != self.features.keys():
            missing, unknown = self.features.keys() - frame.keys(), frame.keys() - self.features.keys()
            raise DatasetError(f"The frame lacks {sorted(missing)} and has unknown {sorted(unknown)}.")
        number = len(self._episode.tasks)
        values = {key: _checked_value(key, frame[key], feature, number) for key, feature in self.features.items()}
        images = {key: values.pop(key) for key in self._cameras}
        for key, value in values.items():
            self._episode.columns.setdefault(key, []).append(value)
        self._episode.tasks.append(task)
        if images:
            self._episode.encoding.append(self._worker.submit(self._encode, self._episode, images))

    def save_episode(self, info: Mapping[str, Any] | None = None) -> int:
        """End the episode, bring it to the disk, whole, and return its number.

        Takes as long as the rest of the encoding and some small files take, typically 20 to 50 ms: call it when the
        episode is over and the control loop does not wait. `info` may have `seed` (int) and `options` (dict) of the
        reset, and `success` (bool).

        Raises:
            DatasetError: there are no frames; or the disk is full or broken: then the episode is lost, those before it
                are intact, and the next one can be recorded.
        """
        self._need_open()
        own = {**_own_columns(info or {}), f"{OWN}/metadata": self._metadata}
        if not self._episode.tasks:
            raise DatasetError("The episode has no frames; add_frame comes before save_episode.")
        episode, self._episode = self._episode, _Episode()
        if own[f"{OWN}/success"] is None and "next.success" in episode.columns:
            own[f"{OWN}/success"] = bool(np.any(episode.columns["next.success"]))
        try:
            for part in episode.encoding:
                part.result()
            return self._worker.submit(self._save, episode, own).result()
        except (OSError, MemoryError, UnicodeError) as error:
            self._worker.submit(self._abandon, episode)
            raise DatasetError(
                f"Episode {self.num_episodes} cannot be written to {self.root} and is lost: {error}. "
                f"What was recorded before is intact ({self.num_episodes} episodes). {write_advice(error)} Then record "
                "it again."
            ) from error

    def delete_last_episode(self) -> None:
        """Delete the episode that was saved last from the disk; an unfinished one is not touched.

        Raises:
            DatasetError: no episode was saved by this writer, or the disk cannot be written to; the episode is there
                then.
        """
        self._need_open()
        try:
            self._worker.submit(self._store.delete_last).result()
        except OSError as error:
            raise DatasetError(
                f"The last episode of {self.root} cannot be deleted: {error}. {write_advice(error)}"
            ) from error

    def discard_episode(self) -> None:
        """Discard the frames of the unfinished episode."""
        self._need_open()
        self._discard()

    def _discard(self) -> None:
        for part in self._episode.encoding:
            part.cancel()
        self._worker.submit(self._abandon, self._episode)
        self._episode = _Episode()

    def close(self) -> None:
        """Discard an unfinished episode, join the files of the episodes, and let others into the folder.

        Joining keeps to the sizes in `meta/info.json`; where it fails, a warning says why, and the dataset is whole
        without. Closing twice does no harm.
        """
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._discard()
            self._worker.shutdown(wait=True)
            if self._saved:
                join_files(self.root, self._store.info)
            clear_staging(self.root)
        except (DatasetError, OSError) as error:
            clear_staging(self.root, keep_journal=True)
            gym.logger.warn(f"{self.root} is whole, but its files were not joined: {error}")
        finally:
            self._lock.release()

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _need_open(self) -> None:
        if not self._is_open:
            raise DatasetError(f"The writer of {self.root} is closed; make another with resume=True.")

    # What follows runs in the second thread, one after the other.

    def _encode(self, episode: _Episode, images: dict[str, NDArray[np.uint8]]) -> None:
        for key, image in images.items():
            if key not in episode.videos:
                height, width, _ = image.shape
                episode.videos[key] = VideoWriter(self._staging / f"{key}.mp4", height, width, self._fps)
            episode.videos[key].add(image)

    def _save(self, episode: _Episode, own: dict[str, Any]) -> int:
        statistics = {key: video.close() for key, video in episode.videos.items()}
        frames = np.arange(len(episode.tasks), dtype=np.int64)[:, None]
        arrays = {key: np.stack(values) for key, values in episode.columns.items()}
        arrays.update(frame_index=frames, timestamp=(frames / self._fps).astype(np.float32))
        files = {key: self._staging / f"{key}.mp4" for key in episode.videos}
        number = self._store.add(EpisodeData(arrays, files, statistics, episode.tasks, own))
        self._saved = True
        return number

    def _abandon(self, episode: _Episode) -> None:
        for video in episode.videos.values():
            video.abandon()


def _lower_priority() -> None:
    """Give way to the control loop: on a busy machine, a thread of equal priority delays it by milliseconds.

    Only Linux has priorities of threads.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _checked_features(features: Mapping[str, Mapping[str, Any]], fps: int) -> dict[str, dict[str, Any]]:
    checked: dict[str, dict[str, Any]] = {}
    for key, feature in features.items():
        try:
            dtype, shape = str(feature["dtype"]), [int(size) for size in feature["shape"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"The feature {key!r} is {feature!r}; expected dtype, shape and names.") from error
        checked[key] = {"dtype": dtype, "shape": shape, "names": feature.get("names")}
        if "/" in key or not key:
            raise ConfigurationError(f"The feature's name {key!r} is empty or has a slash in it.")
        if dtype == "video":
            if len(shape) != 3 or shape[0] != 3 or min(shape) < 1:
                raise ConfigurationError(f"The video {key!r} has the shape {shape}; expected [3, height, width].")
            checked[key]["info"] = describe_video(shape[1], shape[2], fps)
        elif len(shape) != 1 or shape[0] < 1 or not is_number(dtype):
            raise ConfigurationError(
                f"The feature {key!r} is {dtype} of shape {shape}; only vectors of numbers or booleans and videos can "
                "be written."
            )
    if not checked:
        raise ConfigurationError("There are no features to record.")
    return checked


def _checked_value(key: str, value: Any, feature: dict[str, Any], frame: int) -> NDArray[Any]:
    """A copy of the value, in the feature's type and shape, and finite."""
    shape = tuple(feature["shape"])
    if feature["dtype"] == "video":
        image, shape = np.array(value, order="C"), (*shape[1:], 3)
        if image.dtype != np.uint8 or image.shape != shape:
            raise DatasetError(f"{key} is {image.dtype} of shape {image.shape}; expected uint8 of shape {shape}.")
        return image
    try:
        numbers = np.array(value, dtype=feature["dtype"])
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{key} is {value!r}; expected {feature['dtype']} of shape {shape}.") from error
    if not np.isfinite(numbers).all():
        wrong = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise DatasetError(
            f"{key} is {numbers.flat[wrong]} at index {wrong} in frame {frame} of the episode; only finite numbers can "
            "be recorded."
        )
    if numbers.shape != shape and (numbers.shape, shape) != ((), (1,)):
        raise DatasetError(f"{key} has shape {numbers.shape}; expected {shape}.")
    return numbers.reshape(shape)


def _own_columns(info: Mapping[str, Any]) -> dict[str, Any]:
    """This package's columns of `meta/episodes`."""
    unknown = info.keys() - set(OWN_INFO)
    if unknown:
        raise DatasetError(f"info has {sorted(unknown)}; expected {', '.join(OWN_INFO)}.")
    seed, success, options = (info.get(name) for name in OWN_INFO)
    if seed is not None and not 0 <= seed < 2**63:
        raise DatasetError(f"seed is {seed!r}; expected a whole number in [0, 2**63).")
    return {
        f"{OWN}/seed": None if seed is None else int(seed),
        f"{OWN}/success": None if success is None else bool(success),
        f"{OWN}/options": None if options is None else _json("options", options, DatasetError),
    }


def _json(name: str, value: Any, kind: type[Exception]) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise kind(f"{name} cannot be written as JSON: {error}.") from error
