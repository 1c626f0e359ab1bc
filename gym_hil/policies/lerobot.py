"""Policies that LeRobot has trained and saved; LeRobot itself runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.features import ObservationFeatures
from gym_hil.errors import MissingExtraError, PolicyError
from gym_hil.imports import describe_error

CONFIG, WEIGHTS = "config.json", "model.safetensors"
# Below the folder that is given: that of `save_pretrained`, of a checkpoint, of a training.
_PLACES = ("", "pretrained_model", "checkpoints/last/pretrained_model")


def find_lerobot_policy(path: Path) -> Path | None:
    """The folder with the policy's files: the path itself or below it; None if there is none."""
    folders = (path / place for place in _PLACES)
    return next((folder for folder in folders if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()), None)


class LeRobotPolicy:
    """A policy of LeRobot 0.6, with the processors that were saved with it.

    It is given the observation under the names that datasets recorded by `gym_hil` have. The instruction is the
    environment's `task_description`, if it has one.

    Args:
        folder: with `config.json` and `model.safetensors`.
        env: that it acts in; None to take what each observation has.
        state_key: the part of the observation that is `observation.state`; see `ObservationFeatures`.

    Raises:
        MissingExtraError: LeRobot is not installed.
        PolicyError: LeRobot cannot load it.
    """

    def __init__(self, folder: Path, env: gym.Env[Any, Any] | None = None, state_key: str | None = None):
        try:
            import torch
            from lerobot.configs import PreTrainedConfig
            from lerobot.policies import get_policy_class, make_pre_post_processors
            from lerobot.utils.import_utils import register_third_party_plugins
        except ImportError as error:
            raise MissingExtraError(
                f"{folder} is a policy of LeRobot, which runs it: pip install 'lerobot>=0.6,<0.7' ({error})."
            ) from error
        register_third_party_plugins()
        try:
            config = PreTrainedConfig.from_pretrained(folder)
            config.pretrained_path = folder
            self._policy = get_policy_class(config.type).from_pretrained(folder, config=config)
            self._before, self._after = make_pre_post_processors(
                config,
                pretrained_path=str(folder),
                preprocessor_overrides={"device_processor": {"device": config.device}},
            )
        except Exception as error:  # any, from LeRobot and what it uses
            raise PolicyError(f"LeRobot cannot load the policy in {folder}: {describe_error(error)}.") from error
        self._torch: Any = torch
        self._features = None if env is None else ObservationFeatures(env.observation_space, state_key)
        self._state_key = state_key
        self._shapes = {key: tuple(feature.shape) for key, feature in config.input_features.items()}
        self._instruction = "" if env is None else str(getattr(env.unwrapped, "task_description", ""))

    def __call__(self, observation: Any) -> NDArray[np.float32]:
        """The action for an observation of the environment."""
        torch = self._torch
        features = self._features or ObservationFeatures(observation, self._state_key)
        parts = features(observation)
        batch: dict[str, Any] = {}
        for key, shape in self._shapes.items():
            if key not in parts:
                raise PolicyError(
                    f"the observation lacks {key}; it has {', '.join(parts)}. Tasks of gym_hil have images with "
                    "--images (image_obs=True), and the positions of the objects without."
                )
            value = torch.from_numpy(np.ascontiguousarray(parts[key]))
            value = value.permute(2, 0, 1).float() / 255 if value.ndim == 3 else value.float().reshape(-1)
            if tuple(value.shape) != shape:
                raise PolicyError(f"{key} has the shape {tuple(value.shape)}; the policy needs {shape}.")
            batch[key] = value[None]
        batch["task"] = [self._instruction]
        with torch.inference_mode():
            action = self._after(self._policy.select_action(self._before(batch)))
        return action[0].float().cpu().numpy()  # type: ignore[no-any-return]

    def reset(self) -> None:
        """Drop the rest of the action chunk."""
        self._policy.reset()
