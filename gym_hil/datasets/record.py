"""A wrapper that records every episode of an environment into a LeRobotDataset."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.datasets.features import ObservationFeatures, features_of, succeeded
from gym_hil.datasets.writer import DatasetWriter
from gym_hil.envs import FrankaGymEnv
from gym_hil.errors import ConfigurationError, DatasetError, check
from gym_hil.registration import NAMESPACE, registering_module

# Arguments of the ids that choose the operator and the viewer: a replay needs neither.
_OPERATOR = (
    *("auto_reset", "console", "controller_config_path", "device", "device_options", "env_id", "intervention"),
    *("render_mode", "reset_delay_seconds", "show_ui", "success", "use_gamepad", "use_inputs_control", "use_viewer"),
)


class RecordEpisodes(gym.Wrapper[Any, Any, Any, Any]):
    """Writes each episode into a LeRobotDataset v3.0.

    A frame holds the observation before the step, the action that was executed (the operator's, where one intervened),
    and the reward, the ends and the success that followed: `next.success` in info, or without an operator the
    environment's own `succeed`, `is_success` or `success`. When `step` returns the end of an episode, the episode is on
    the disk. How it ends decides what becomes of it:

    - success, failure, and the time limit: it is saved, with the rewards as they were.
    - `rerecord_episode` in info: it is discarded, and a `reset` without a seed starts the same one again.
    - `quit` in info, another `reset`, `close`, or a number that is not finite, before the end: it is discarded.
    - no step by an operator, with `keep_undriven=False`: it is discarded as after a re-record.

    With `steps_after_success` the episode goes on for that number of steps after a success, with reward 1.0 and success
    in what `step` returns and in what is recorded; the last of them ends it. Reward classifiers need such frames. Of
    the operator's events only re-record and quit count then; quit ends and saves the episode.

    Each episode is started with a seed of its own, also when `reset` is given none, and the seed is recorded, so that a
    replay can repeat it. Numbers are recorded as float32, and actions are rounded to it before they are executed.

    Args:
        env: any environment whose action is a vector, and whose observation `ObservationFeatures` can describe; this
            wrapper goes outside.
        root: folder of the dataset; made if it is missing.
        repo_id: `user/name`, the dataset's name on the Hugging Face Hub.
        task: instruction given to the robot; None for the name of the environment.
        fps: frames per second; None for what the environment says: `metadata["render_fps"]` or 1 / `control_dt`.
        state_key: the part of the observation that is recorded as `observation.state`, see `ObservationFeatures`.
        steps_after_success: how many frames to record after success.
        keep_undriven: whether episodes are saved in which the operator did not drive at all.
        resume: go on with the dataset in the folder. The environment may be another one with the same features: each
            episode keeps the environment that it was recorded in.
        overwrite: delete the dataset in the folder.
        seed: from which the episodes' seeds are drawn, with the number of episodes that are there already; None for
            different ones each time.

    Raises:
        ConfigurationError: the environment cannot be recorded, or an argument has a value that cannot work.
        DatasetError: the folder cannot be recorded into; nothing in it was changed. `reset` raises it when the disk is
            nearly full, and `step` when an observation or the reward is not what the spaces say or not finite, and at
            the end of an episode, when it cannot be saved; those before it are intact.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        root: str | PathLike[str],
        repo_id: str,
        *,
        task: str | None = None,
        fps: int | None = None,
        state_key: str | None = None,
        steps_after_success: int = 0,
        keep_undriven: bool = True,
        resume: bool = False,
        overwrite: bool = False,
        seed: int | None = None,
    ):
        super().__init__(env)
        if env.has_wrapper_attr("auto_reset") and env.get_wrapper_attr("auto_reset"):
            raise ConfigurationError("Episodes of an environment with auto_reset=True cannot be recorded; turn it off.")
        fits = steps_after_success == int(steps_after_success) >= 0
        check(fits, "steps_after_success", steps_after_success, "a number, 0 or more")
        self._task = type(env.unwrapped).__name__.removesuffix("GymEnv") if task is None else task
        self._steps_after_success, self._keep_undriven = int(steps_after_success), keep_undriven
        self._observed = ObservationFeatures(env.observation_space, state_key)
        self._is_panda = isinstance(env.unwrapped, FrankaGymEnv)
        self._writer = DatasetWriter(
            root,
            repo_id=repo_id,
            features=features_of(env, state_key),
            fps=_fps(env) if fps is None else fps,
            robot_type="panda" if self._is_panda else None,
            metadata={**describe_env(env), **({} if state_key is None else {"state_key": state_key})},
            resume=resume,
            overwrite=overwrite,
        )
        # What is added to a dataset must not be what is in it already, also with the same seed.
        self._rng = np.random.default_rng(None if seed is None else [seed, self._writer.num_episodes])
        # Before the next step; None while no episode is recorded.
        self._observation: dict[str, NDArray[Any]] | None = None
        self._origin: dict[str, Any] = {}  # seed and options of the episode
        self._repeats = self._was_driven = False
        self._steps_left: int | None = None  # steps to go after a success
        self._saved: list[tuple[dict[str, Any], bool]] = []  # origin and success of the episodes saved here

    @property
    def writer(self) -> DatasetWriter:
        """Where the episodes go."""
        return self._writer

    @property
    def successes(self) -> int:
        """How many of the episodes that this wrapper saved ended in success."""
        return sum(success for _, success in self._saved)

    def delete_last_episode(self, *, repeat: bool = False) -> None:
        """Delete the episode that was saved last; between two episodes.

        Args:
            repeat: whether the next `reset` without a seed starts the same one again.

        Raises:
            DatasetError: this wrapper has saved none, or the disk cannot be written to; nothing was deleted then.
        """
        self._writer.delete_last_episode()
        origin, _ = self._saved.pop()
        if repeat:
            self._origin, self._repeats = origin, True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; one that has not ended is discarded.

        The seeds of the episodes that follow are drawn from `seed`. None draws one, or takes that of the last episode
        again after a re-record. The options are recorded as JSON.

        Raises:
            DatasetError: the disk is nearly full, or the observation is not what its space says.
        """
        self._writer.discard_episode()
        self._writer.check_room()
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        elif self._repeats:
            seed = self._origin["seed"]
        else:
            seed = int(self._rng.integers(2**31))
        self._observation, self._steps_left, self._repeats, self._was_driven = None, None, False, False
        observation, info = self.env.reset(seed=seed, options=options)
        self._observation = self._observed(observation)
        # What a task has drawn is repeated by the option that replaces the draw.
        drawn = {"randomization": info["randomization"]} if self._is_panda and "randomization" in info else {}
        options = {**(options or {}), **drawn}
        self._origin = {"seed": seed, "options": plain(options) if options else None}
        return observation, info

    def step(self, action: ArrayLike) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step and record it; after the end of an episode, only make it.

        Raises:
            DatasetError: the step cannot be recorded, or the episode has ended and cannot be saved; the episode is
                discarded, those before it are intact.
        """
        dtype = self.env.action_space.dtype
        if dtype == np.float64:
            action = np.asarray(action, dtype=np.float32).astype(dtype)
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._observation is None:
            return observation, reward, terminated, truncated, info
        stops = bool(info.get("quit", False)) and not terminated
        repeats = bool(info.get("rerecord_episode", False))
        success = succeeded(info)
        self._was_driven = self._was_driven or bool(info.get("is_intervention", False))
        if self._steps_left is not None:
            self._steps_left -= 1
            reward, success, truncated = 1.0, True, False
            terminated = self._steps_left == 0 or bool(info.get("quit", False))
            info["next.success"] = True
        elif terminated and success and self._steps_after_success:
            self._steps_left, terminated, truncated = self._steps_after_success, False, False
        if repeats:
            terminated, truncated = False, True
        if repeats or (stops and self._steps_left is None):
            self._writer.discard_episode()
            self._observation, self._repeats = None, repeats
            return observation, reward, terminated, truncated, info

        outcome = {
            "action": self._executed(action, info),
            "next.reward": reward,
            "next.done": terminated or truncated,
            "next.truncated": truncated,
            "next.success": success,
            "complementary_info.is_intervention": bool(info.get("is_intervention", False)),
            "complementary_info.discrete_penalty": info.get("discrete_penalty", 0.0),
        }
        ends = terminated or truncated
        try:
            self._writer.add_frame({**self._observation, **outcome}, self._task)
            self._observation = None if ends else self._observed(observation)
        except DatasetError as error:
            self._writer.discard_episode()
            self._observation = None
            raise DatasetError(
                f"{error} The episode is discarded; the dataset keeps the {self._writer.num_episodes} before it."
            ) from error
        if ends and not (self._was_driven or self._keep_undriven):
            self._writer.discard_episode()
            self._repeats = True
        elif ends:
            self._writer.save_episode({**self._origin, "success": success})
            self._saved.append((self._origin, success))
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Discard an unfinished episode; close the dataset and the environment."""
        try:
            self._writer.close()
        finally:
            self.env.close()

    def _executed(self, action: ArrayLike, info: dict[str, Any]) -> NDArray[np.float32]:
        if "action_intervention" in info:
            return np.asarray(info["action_intervention"], dtype=np.float32)
        executed, space = np.asarray(action, dtype=np.float32), self.env.action_space
        # Only of our own environments is it known that they clip.
        return np.clip(executed, space.low, space.high) if self._is_panda else executed  # type: ignore[attr-defined]


def _fps(env: gym.Env[Any, Any]) -> int:
    """Steps of the environment per second."""
    control_dt = getattr(env.unwrapped, "control_dt", None)
    rate = env.metadata.get("render_fps") or (1 / control_dt if control_dt else None)
    if rate is None:
        raise ConfigurationError(
            "The environment does not say how many steps make a second (no render_fps in its metadata, no control_dt). "
            "Give fps= (--fps)."
        )
    if abs(rate - round(rate)) > 1e-6 * rate:
        raise ConfigurationError(
            f"The environment makes {rate} steps a second; only whole numbers can be recorded. Give fps= (--fps)."
        )
    return round(rate)


def describe_env(env: gym.Env[Any, Any]) -> dict[str, Any]:
    """What has to be known to make the environment again.

    Returns:
        `env_id`, the id it was made with; `env_module`, whose import registers that id; `env_kwargs`, the arguments of
        the id that JSON can hold, without those about the operator; `task_id`, the id of the same task and version
        without an operator; `renderer`; `control_dt` and `physics_dt` in s; `max_episode_steps`; and the version of
        MuJoCo. None where something is unknown.
    """
    base, spec, outer = env.unwrapped, env.unwrapped.spec, env.spec
    is_own = spec is not None and spec.id.startswith(f"{NAMESPACE}/")
    left_out = _OPERATOR if is_own else ("render_mode",)
    kwargs = {} if spec is None else {key: value for key, value in spec.kwargs.items() if key not in left_out}
    base_id = None if spec is None else spec.kwargs.get("env_id", spec.id) if is_own else spec.id
    return {
        "env_id": None if spec is None else spec.id,
        "env_module": registering_module(env),
        "env_kwargs": plain(kwargs),
        "task_id": None if base_id is None else base_id.replace("Base-v", "-v"),
        "renderer": getattr(base, "renderer", None),
        "control_dt": getattr(base, "control_dt", None),
        "physics_dt": getattr(base, "physics_dt", None),
        "max_episode_steps": None if outer is None else outer.max_episode_steps,
        "mujoco": mujoco.__version__,
    }


def plain(value: Any) -> Any:
    """The value in types that JSON knows; an object that has no counterpart there becomes its `repr`."""

    def other(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.asdict(value)
        if isinstance(value, (np.ndarray, np.generic)):
            return value.tolist()
        return dict(value) if isinstance(value, Mapping) else repr(value)

    return json.loads(json.dumps(value, default=other, skipkeys=True))
