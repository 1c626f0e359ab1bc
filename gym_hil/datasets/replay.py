"""Replays recorded actions open loop, compares the states with the recorded ones, and makes a video of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.features import IMAGES, STATE, ObservationFeatures, succeeded
from gym_hil.datasets.images import BACKGROUND, TEXT_COLOUR, resize
from gym_hil.datasets.reader import Episode, EpisodeDataset
from gym_hil.datasets.video import VideoWriter
from gym_hil.envs import FrankaGymEnv, GymRenderingSpec
from gym_hil.errors import ConfigurationError, DatasetError
from gym_hil.files import expand_path, writing
from gym_hil.registration import NAMESPACE, find_env, is_task

# Length of an action -> use_gripper, orientation.
_ACTIONS = {3: (False, False), 4: (True, False), 6: (False, True), 7: (True, True)}
_TCP = slice(15, 18)  # of agent_pos
_NAME_IT = "Name the task with task=...."
# Physics step of datasets that do not record it: LeRobot's, and those of this package up to 0.1.23.
UNRECORDED_PHYSICS_DT = 0.002  # s

VIDEO_SIZE = 256  # pixels, of a camera's image in the video
CAMERAS = ("front", "wrist")
_BAR = 32  # pixels, where the text is


@dataclass(frozen=True)
class Replayed:
    """The outcome of a replay."""

    episode: int  # its number
    steps: int  # how many
    recorded_success: bool | None  # whether it ended in success when it was recorded; None if that is unknown
    success: bool  # whether it does now: the task's own test, at any step
    compared: tuple[str, ...]  # the recorded vectors that the environment observes, too
    first_difference: int | None  # the first frame in which one of these differs in any bit; None if there is none
    # m, the largest distance between the recorded and the replayed TCP, over all steps; None if the recorded states are
    # of another kind, or the robot is not the Panda.
    deviation: float | None
    largest_force: float | None = None  # N, the largest at the wrist; None if force and torque are not observed
    largest_torque: float | None = None  # N m, likewise

    @property
    def repeats(self) -> bool:
        """The episode ends as it did."""
        return self.recorded_success is None or self.success == self.recorded_success


def make_recorded_env(
    episode: Episode,
    task: str | None = None,
    size: int | None = None,
    env_kwargs: Mapping[str, Any] = MappingProxyType({}),
) -> gym.Env[Any, Any]:
    """Make the environment in which an episode was recorded, without an operator and without a time limit.

    Args:
        episode: with metadata of this package, unless a task is named.
        task: to be used instead of the recorded one, for example `PandaPickCube-v0`, or any id; see `find_env`.
        size: of images, in pixels; None as recorded.
        env_kwargs: arguments of the environment that replace the recorded ones.

    Raises:
        DatasetError: the dataset does not say in which environment it was recorded, that one does not exist any more,
            or its actions are of another kind.
        ConfigurationError: there is no such task.
    """
    dataset, metadata = episode.dataset, episode.record.metadata
    shape = tuple(dataset.features.get("action", {}).get("shape", ()))
    if len(shape) != 1:
        raise DatasetError(f"{dataset.path} has no feature 'action' that is a vector; it cannot be replayed.")
    if task is not None:
        spec = find_env(task)
        name, kwargs = spec.id, _kwargs_for(shape[0]) if is_task(spec) else {}
    else:
        name, kwargs = _recorded_id(dataset, metadata), dict(metadata.get("env_kwargs") or {})
    kwargs.update(env_kwargs)
    if not name.startswith(f"{NAMESPACE}/"):
        kwargs.update({} if size is None else {"render_mode": "rgb_array"})
    else:
        if isinstance(kwargs.get("render_spec"), dict):
            kwargs["render_spec"] = GymRenderingSpec(**kwargs["render_spec"])
        if size is not None:
            kwargs["render_spec"] = GymRenderingSpec(size, size)
        kwargs["image_obs"] = False
    found = gym.registry.get(name.rpartition(":")[2])
    is_ours = name.startswith(f"{NAMESPACE}/") or (found is not None and is_task(found))
    if is_ours and kwargs.get("physics_dt") is None:
        kwargs["physics_dt"] = metadata.get("physics_dt") or UNRECORDED_PHYSICS_DT
    try:
        env = gym.make(name, max_episode_steps=-1, disable_env_checker=True, **kwargs)
    except (ConfigurationError, gym.error.Error, TypeError) as error:
        raise DatasetError(
            f"{dataset.path} was recorded in {name} with {kwargs}, which cannot be made: {error}. {_NAME_IT}"
        ) from error
    if env.action_space.shape != shape:
        env.close()
        raise DatasetError(
            f"{dataset.path} has actions of {shape[0]} numbers, {name} has {env.action_space.shape}; it was recorded "
            f"in another environment. {_NAME_IT}"
        )
    return env


def replay_episode(
    env: gym.Env[Any, Any], episode: Episode, on_step: Callable[[int], None] = lambda frame: None
) -> Replayed:
    """Reset an environment of `make_recorded_env` as it was then, and play the recorded actions.

    `on_step` is called with the frame's number before each action, and once after the last one. A DatasetError if the
    episode cannot be read.
    """
    record, columns = episode.record, episode.numbers()
    observed = ObservationFeatures(env.observation_space, record.metadata.get("state_key"))
    observation, _ = env.reset(seed=record.seed, options=record.options)
    compared = tuple(
        key
        for key, feature in observed.features.items()
        if key in columns
        and feature["dtype"] != "video"
        and feature["shape"] == list(episode.dataset.features[key]["shape"])
    )
    has_tcp = STATE in compared and isinstance(env.unwrapped, FrankaGymEnv)
    dtype = env.action_space.dtype
    deviation, first, success = 0.0, None, False
    largest: NDArray[np.float64] | None = None
    for frame, action in enumerate(columns["action"]):
        values = observed(observation)
        states = {key: values[key].astype(columns[key].dtype).reshape(columns[key].shape[1:]) for key in compared}
        if first is None and any((states[key] != columns[key][frame]).any() for key in compared):
            first = frame
        if has_tcp:
            apart = states[STATE][_TCP].astype(float) - columns[STATE][frame][_TCP]
            deviation = max(deviation, float(np.linalg.norm(apart)))
        on_step(frame)
        observation, _, _, _, info = env.step(np.atleast_1d(action).astype(dtype))
        success = success or succeeded(info)
        if isinstance(env.unwrapped, FrankaGymEnv) and env.unwrapped.force_torque_obs:
            sizes = np.linalg.norm(np.reshape(observation["force_torque"], (2, 3)).astype(float), axis=1)
            largest = sizes if largest is None else np.maximum(largest, sizes)
    on_step(len(episode))
    return Replayed(
        episode=record.index,
        steps=len(episode),
        recorded_success=record.success,
        success=success,
        compared=compared,
        first_difference=first,
        deviation=deviation if has_tcp else None,
        largest_force=None if largest is None else float(largest[0]),
        largest_torque=None if largest is None else float(largest[1]),
    )


class ReplayVideo:
    """An MP4 file of replayed episodes.

    Args:
        path: of the file; it appears when it is complete.
        dataset: whose images are shown above.
        overwrite: replace a file that is there.

    Raises:
        ConfigurationError: the file has another ending, is there already, or cannot be written.
    """

    def __init__(self, path: str | PathLike[str], dataset: EpisodeDataset, *, overwrite: bool = False):
        path = expand_path(path)
        if path.suffix != ".mp4":
            raise ConfigurationError(f"{path} ends in {path.suffix!r}; expected .mp4.")
        if path.exists() and not overwrite:
            raise ConfigurationError(
                f"{path} is there already. Replace it with overwrite=True, or choose another name."
            )
        keys = dataset.image_keys
        self._cameras = [IMAGES + camera for camera in CAMERAS if IMAGES + camera in keys] or keys[: len(CAMERAS)]
        height = (VIDEO_SIZE + _BAR) * (2 if self._cameras else 1)
        self._path, self._part = path, path.with_name(f".{path.stem}.unfinished.mp4")
        with writing(path, ConfigurationError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = VideoWriter(self._part, height, VIDEO_SIZE * len(CAMERAS), round(dataset.fps))

    def __enter__(self) -> ReplayVideo:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self._file.close()
            self._part.replace(self._path)
        else:
            self._file.abandon()

    def replay(self, env: gym.Env[Any, Any], episode: Episode) -> Replayed:
        """Replay an episode, in an environment with images of `VIDEO_SIZE` pixels, and add it to the video."""

        def film(frame: int) -> None:
            title = f"replayed, episode {episode.record.index}, step {frame}"
            rows = [self._row(title, _views(env))]
            if self._cameras:
                number = min(frame, len(episode) - 1)
                rows.insert(0, self._row("recorded", [episode.image(key, number) for key in self._cameras]))
            self._file.add(np.concatenate(rows))

        return replay_episode(env, episode, film)

    def _row(self, title: str, images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        from PIL import Image, ImageDraw, ImageFont

        row = Image.new("RGB", (VIDEO_SIZE * len(CAMERAS), VIDEO_SIZE + _BAR), BACKGROUND)
        ImageDraw.Draw(row).text((8, _BAR / 2), title, fill=TEXT_COLOUR, font=ImageFont.load_default(16), anchor="lm")
        for index, image in enumerate(images):
            row.paste(Image.fromarray(resize(image, VIDEO_SIZE, VIDEO_SIZE)), (VIDEO_SIZE * index, _BAR))
        return np.asarray(row)


def _views(env: gym.Env[Any, Any]) -> list[NDArray[np.uint8]]:
    """What an environment shows, as images of any size."""
    if isinstance(env.unwrapped, FrankaGymEnv):
        return list(env.unwrapped.render_cameras(CAMERAS))
    frame = env.render()
    if not isinstance(frame, np.ndarray):
        raise ConfigurationError(
            f"render() of {env} returns {frame!r} with render_mode='rgb_array'; a video needs an image. Replay without."
        )
    return [frame]


def _recorded_id(dataset: EpisodeDataset, metadata: dict[str, Any]) -> str:
    """The id of the recorded environment without an operator."""
    recorded, task = metadata.get("env_id"), metadata.get("task_id")
    if not recorded:
        raise DatasetError(
            f"{dataset.path} does not say in which environment it was recorded. {_NAME_IT[:-1]}, for example "
            "PandaPickCube-v0."
        )
    for module in (str(recorded).rpartition(":")[0], metadata.get("env_module")):
        if module:
            _refuse_code_of_dataset(dataset, str(module))
    try:
        try:
            spec = find_env(recorded)
        except ConfigurationError:
            spec = find_env(f"{metadata['env_module']}:{recorded}")
        base = spec.kwargs.get("env_id")
        if base is None or not recorded.startswith(f"{NAMESPACE}/"):
            return str(recorded)
        # A viewer shows the task itself; the other controls wrap it.
        name = base if str(spec.entry_point).endswith("make_watched_task") else task or base
        find_env(name)
    except (ConfigurationError, KeyError) as error:
        raise DatasetError(
            f"{dataset.path} was recorded in {recorded!r}, which does not exist here: {error} Import the package that "
            f"registers it. {_NAME_IT}"
        ) from error
    return str(name)


def _kwargs_for(numbers: int) -> dict[str, Any]:
    if numbers not in _ACTIONS:
        raise DatasetError(f"Actions of {numbers} numbers are of no task of {NAMESPACE}; it has 3, 4, 6 or 7.")
    use_gripper, orientation = _ACTIONS[numbers]
    return {"use_gripper": use_gripper, "orientation": orientation}


def _refuse_code_of_dataset(dataset: EpisodeDataset, module: str) -> None:
    """Refuse a module that lies in the dataset's folder: reading a dataset must not run what its author put there."""
    found = PathFinder.find_spec(module.partition(".")[0])
    places = [] if found is None else [found.origin, *(found.submodule_search_locations or [])]
    if any(Path(place).resolve().is_relative_to(dataset.path.resolve()) for place in places if place):
        raise DatasetError(
            f"{dataset.path} names the module {module}, which lies in the dataset itself and is not imported. Move it "
            f"elsewhere if you trust it. {_NAME_IT}"
        )
