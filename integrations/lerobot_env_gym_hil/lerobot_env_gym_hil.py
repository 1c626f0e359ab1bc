"""LeRobot's environment type `gym_hil`: gym-hil's tasks, and any environment that it can drive."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from lerobot.envs.configs import EnvConfig
from lerobot.utils.constants import ACTION
from lerobot.utils.feature_utils import dataset_to_policy_features

from gym_hil.datasets.features import IMAGES, ObservationFeatures, features_of
from gym_hil.env_options import EnvOptions

# Feature -> the name of the observation from which LeRobot makes it. Others lose `observation.`.
_NAMES = {"observation.state": "agent_pos", "observation.environment_state": "environment_state"}


@EnvConfig.register_subclass("gym_hil")
@dataclass
class GymHilEnv(EnvConfig):
    """An environment for `lerobot-eval --env.type=gym_hil`.

    Attributes:
        task: a task of gym-hil, the id of any environment, or `module:Id`.
        images: whether gym-hil's tasks give camera images instead of the positions of the objects.
        env_kwargs: more arguments of the environment, as a JSON object.
        action_map: of another environment; see `gym_hil.wrap`. None to guess it.
        state_key: the part of the observation that is `observation.state`; None to choose it as in recordings.
        max_episode_steps: time limit in steps; None for the environment's own.
        instruction: for policies that read one.
    """

    task: str | None = "PandaPickCube"
    images: bool = True
    env_kwargs: str = "{}"
    action_map: str | None = None
    state_key: str | None = None
    max_episode_steps: int | None = None
    instruction: str = ""

    def __post_init__(self) -> None:
        env = self.make()
        self.fps = round(1 / env.get_wrapper_attr("control_dt"))
        found = features_of(env.env, self.state_key)
        kept = {
            key: {**found[key], "shape": tuple(found[key]["shape"])}
            for key in found
            if key == ACTION or key.startswith("observation.")
        }
        self.features = dataset_to_policy_features(kept)
        self.features_map = {key: key for key in kept}
        env.close()

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """Not used: `create_envs` makes the environments."""
        return {}

    def make(self) -> LeRobotView:
        """One environment."""
        options = EnvOptions(
            id=str(self.task),
            kwargs=json.loads(self.env_kwargs),
            action_map=self.action_map,
            max_episode_steps=self.max_episode_steps,
        )
        env = options.make(task_kwargs={"image_obs": self.images}, render_mode="rgb_array")
        return LeRobotView(env, self.state_key, self.instruction)

    def create_envs(self, n_envs: int, use_async_envs: bool = False) -> dict[str, dict[int, VectorEnv]]:
        makers = [self.make] * n_envs
        if use_async_envs and n_envs > 1:
            vector: VectorEnv = AsyncVectorEnv(makers, context="forkserver", autoreset_mode=AutoresetMode.SAME_STEP)
        else:
            vector = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
        return {self.type: {0: vector}}


class LeRobotView(gym.Wrapper):
    """An environment with the observations and the success that LeRobot looks for.

    Args:
        env: made by `EnvOptions`.
        state_key: see `ObservationFeatures`.
        instruction: given to the robot.
    """

    def __init__(self, env: gym.Env, state_key: str | None, instruction: str):
        super().__init__(env)
        self._features = ObservationFeatures(env.observation_space, state_key)
        self.task = self.task_description = instruction
        sample = self._view(env.observation_space.sample())
        self.observation_space = _space(sample)

    @functools.cached_property
    def _max_episode_steps(self) -> int:
        """LeRobot's loop ends there; without a limit the episode has to end by itself."""
        spec = self.env.spec
        return 10**9 if spec is None or spec.max_episode_steps is None else spec.max_episode_steps

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        # LeRobot marks its own resets by an option, which the environment does not know.
        own = {key: value for key, value in (options or {}).items() if not key.startswith("lerobot_")}
        observation, info = self.env.reset(seed=seed, options=own or None)
        return self._view(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._view(observation), reward, terminated, truncated, info

    def _view(self, observation: Any) -> dict[str, Any]:
        view: dict[str, Any] = {}
        for key, value in self._features(observation).items():
            if key.startswith(IMAGES):
                view.setdefault("pixels", {})[key.removeprefix(IMAGES)] = value
            else:
                view[_NAMES.get(key, key.removeprefix("observation."))] = value.astype("float32")
        return view


def _space(sample: Any) -> gym.Space:
    if isinstance(sample, dict):
        return gym.spaces.Dict({key: _space(value) for key, value in sample.items()})
    low, high = (0, 255) if sample.dtype == "uint8" else (-float("inf"), float("inf"))
    return gym.spaces.Box(low, high, sample.shape, sample.dtype)
