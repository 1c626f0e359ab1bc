"""Plays recorded actions again, open loop, and says how far what happens is from what happened then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import gymnasium as gym
import numpy as np

from gym_hil.datasets.episode_dataset import Episode, EpisodeDataset
from gym_hil.datasets.features import VECTORS
from gym_hil.envs import FrankaGymEnv, GymRenderingSpec
from gym_hil.errors import ConfigurationError, DatasetError
from gym_hil.registration import NAMESPACE, env_id, find_task

# Length of an action -> use_gripper, orientation.
_ACTIONS = {3: (False, False), 4: (True, False), 6: (False, True), 7: (True, True)}
_STATE = VECTORS["agent_pos"]
_TCP = slice(15, 18)  # of agent_pos


@dataclass(frozen=True)
class Replayed:
    """How an episode went the second time.

    Attributes:
        episode: its number.
        steps: how many.
        recorded_success: whether it ended in success when it was recorded; None if that is not known.
        success: whether it does now: the task's own test, at any step.
        deviation: m, the largest distance between where the TCP was and where it is, at any step; None if the recorded
            states are of another kind.
        first_difference: the first frame in which a recorded vector differs in any bit; None if there is none.
    """

    episode: int
    steps: int
    recorded_success: bool | None
    success: bool
    deviation: float | None
    first_difference: int | None

    @property
    def repeats(self) -> bool:
        """The episode ends as it did."""
        return self.recorded_success is None or self.success == self.recorded_success


def make_recorded_env(dataset: EpisodeDataset, task: str | None = None, size: int | None = None) -> gym.Env[Any, Any]:
    """Make the environment in which a dataset was recorded, without anybody driving and without a time limit.

    Args:
        dataset: with metadata of this package, unless a task is named.
        task: to be used instead of the recorded one, for example `PandaPickCube-v0`.
        size: of images, in pixels; None as recorded.

    Raises:
        DatasetError: the dataset does not say in which environment it was recorded, that one does not exist any more,
            or its actions are of another kind.
        ConfigurationError: there is no such task.
    """
    shape = tuple(dataset.features.get("action", {}).get("shape", ()))
    if len(shape) != 1:
        raise DatasetError(f"{dataset.path} has no feature 'action' that is a vector; it cannot be replayed.")
    if task is not None:
        name, kwargs = env_id(*_split(task)), _kwargs_for(shape[0])
    else:
        name, kwargs = _recorded_id(dataset), dict(dataset.metadata.get("env_kwargs") or {})
    if isinstance(kwargs.get("render_spec"), dict):
        kwargs["render_spec"] = GymRenderingSpec(**kwargs["render_spec"])
    if size is not None:
        kwargs["render_spec"] = GymRenderingSpec(size, size)
    kwargs["image_obs"] = False
    try:
        env = gym.make(name, max_episode_steps=-1, disable_env_checker=True, **kwargs)
    except (ConfigurationError, TypeError) as error:
        raise DatasetError(
            f"{dataset.path} was recorded in {name} with {kwargs}, which cannot be made: {error}. Name the task with "
            "task= (--task)."
        ) from error
    if env.action_space.shape != shape:
        raise DatasetError(
            f"{dataset.path} has actions of {shape[0]} numbers, {name} has {env.action_space.shape}; it was recorded "
            "in another environment. Name the task with task= (--task)."
        )
    return env


def replay_episode(
    env: gym.Env[Any, Any], episode: Episode, on_step: Callable[[int], None] = lambda frame: None
) -> Replayed:
    """Reset an environment as it was then, and play the recorded actions.

    Args:
        env: from `make_recorded_env`.
        episode: to be played.
        on_step: called in the state that frame `frame` was recorded in, and once after the last action.

    Raises:
        DatasetError: the episode cannot be read.
    """
    record = episode.record
    columns = episode.numbers()
    recorded = {name: columns[feature] for name, feature in VECTORS.items() if feature in columns}
    observation, _ = env.reset(seed=record.seed, options=record.options)
    compared = [name for name, values in recorded.items() if np.shape(observation.get(name)) == values.shape[1:]]
    deviation, first, succeeded = 0.0, None, False
    for frame, action in enumerate(columns["action"]):
        if first is None and any((observation[name] != recorded[name][frame]).any() for name in compared):
            first = frame
        if "agent_pos" in compared:
            apart = observation["agent_pos"][_TCP].astype(float) - recorded["agent_pos"][frame][_TCP]
            deviation = max(deviation, float(np.linalg.norm(apart)))
        on_step(frame)
        observation, _, _, _, info = env.step(action)
        succeeded = succeeded or bool(info["succeed"])
    on_step(len(episode))
    has_states = _STATE in columns and "agent_pos" in compared
    return Replayed(
        episode=record.index,
        steps=len(episode),
        recorded_success=record.success,
        success=succeeded,
        deviation=deviation if has_states else None,
        first_difference=first,
    )


def recorded_task(env: gym.Env[Any, Any]) -> FrankaGymEnv:
    """The task itself, which can be drawn."""
    return cast(FrankaGymEnv, env.unwrapped)


def _recorded_id(dataset: EpisodeDataset) -> str:
    """The id of the recorded environment without anybody who drives it."""
    recorded, task = dataset.metadata.get("env_id"), dataset.metadata.get("task_id")
    if not recorded:
        raise DatasetError(
            f"{dataset.path} does not say in which environment it was recorded; name the task with task= (--task), for "
            "example PandaPickCube-v0."
        )
    try:
        spec = gym.spec(recorded)
        base = spec.kwargs.get("env_id")
        if base is None:
            return str(recorded)
        # A viewer shows the task itself; the other controls wrap it.
        name = base if str(spec.entry_point).endswith("make_viewer_env") else task or base
        gym.spec(name)
    except gym.error.Error as error:
        raise DatasetError(
            f"{dataset.path} was recorded in {recorded!r}, which does not exist here: {error} Import the package that "
            "registers it, or name another task with task= (--task)."
        ) from error
    return str(name)


def _split(task: str) -> tuple[str, str, int]:
    name, version = find_task(task)
    return name, "", version


def _kwargs_for(numbers: int) -> dict[str, Any]:
    if numbers not in _ACTIONS:
        raise DatasetError(f"Actions of {numbers} numbers are of no task of {NAMESPACE}; it has 3, 4, 6 or 7.")
    use_gripper, orientation = _ACTIONS[numbers]
    return {"use_gripper": use_gripper, "orientation": orientation}
