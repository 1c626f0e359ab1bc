"""Environments of other kinds than those of the package."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np


class Frames(gym.Env[Any, Any]):
    """Something that is seen only by its frames: the left half is red, and what it observes is blue.

    Args:
        render_mode: as in every environment.
        frame: returned by `render` instead of the frame; raised if it is an exception.
        reward: of each step.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 20}
    action_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    observation_space = gym.spaces.Dict({"camera": gym.spaces.Box(0, 255, (32, 48, 3), np.uint8)})

    def __init__(self, render_mode: str | None = None, frame: Any = "", reward: float = 0.0):
        self.render_mode, self._frame, self._reward = render_mode, frame, reward
        self.rendered = 0

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        super().reset(**kwargs)
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self._observe(), self._reward, False, False, {}

    def render(self) -> Any:
        self.rendered += 1
        if isinstance(self._frame, Exception):
            raise self._frame
        if not isinstance(self._frame, str):
            return self._frame
        image = np.full((120, 160, 3), 255, np.uint8)
        image[:, :80] = 255, 0, 0
        return image

    def _observe(self) -> dict[str, Any]:
        return {"camera": np.full((32, 48, 3), (0, 0, 255), np.uint8)}


gym.register("FramesForTests-v0", Frames)
