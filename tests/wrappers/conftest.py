"""Environments to be wrapped."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gym_hil import PandaPickCubeGymEnv


@pytest.fixture
def base() -> PandaPickCubeGymEnv:
    """The task itself, cube at its fixed place."""
    return PandaPickCubeGymEnv()


class Recorder(gym.Env[Any, Any]):
    """An environment that keeps its actions of 7 numbers, and shows zeros."""

    action_space = gym.spaces.Box(-1, 1, (7,), np.float32)
    observation_space = gym.spaces.Dict({"agent_pos": gym.spaces.Box(-255, 255, (18,), np.float32)})

    def __init__(self) -> None:
        self.actions: list[np.ndarray] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.actions.append(np.array(action))
        return self._observation(), 0.0, False, False, {}

    def _observation(self) -> dict[str, Any]:
        return {"agent_pos": np.zeros(18, np.float32)}


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
