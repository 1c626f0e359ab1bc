"""An environment that is not ours: no MuJoCo, float64 actions, goals, an image of odd size."""

from typing import ClassVar

import gymnasium as gym
import numpy as np

ID = "tests/Reach-v0"


class Reach(gym.Env):
    """A point on a plane that has to come to its goal.

    Args:
        size: height and width of the image in the observation.
        steps: of an episode, unless it succeeds.
        fault: what goes wrong in the third step, "nan" or "raise".
    """

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, size=(33, 47), steps=5, fault=None, render_mode=None):
        self.size, self.steps, self.fault, self.render_mode = tuple(size), steps, fault, render_mode
        plane = gym.spaces.Box(-10, 10, (2,), np.float64)
        eye = gym.spaces.Box(0, 255, (*self.size, 3), np.uint8)
        self.observation_space = gym.spaces.Dict(observation=plane, achieved_goal=plane, desired_goal=plane, eye=eye)
        self.action_space = gym.spaces.Box(-1, 1, (2,), np.float64)
        self._position = np.zeros(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._position[:] = self.np_random.uniform(-1, 1, 2)
        # On the other side, so that no episode succeeds without a motion.
        self._goal, self._count = -np.sign(self._position) * self.np_random.uniform(0.2, 1, 2), 0
        return self._observation(), {}

    def step(self, action):
        self._count += 1
        if self._count == 3 and self.fault == "raise":
            raise RuntimeError("the arm does not answer")
        self._position += action
        if self._count == 3 and self.fault == "nan":
            self._position[1] = np.nan
        success = bool(np.linalg.norm(self._position - self._goal) < 0.1)
        return self._observation(), float(success), success, self._count == self.steps, {"is_success": success}

    def render(self):
        return np.full((*self.size, 3), 20 * self._count, np.uint8)

    def _observation(self):
        # The position is one array that changes in place, as that of some simulators is.
        position = self._position
        return {
            "observation": position,
            "achieved_goal": position.copy(),
            "desired_goal": self._goal,
            "eye": np.full((*self.size, 3), 20 * self._count, np.uint8),
        }


gym.register(ID, entry_point="tests.datasets.foreign:Reach", disable_env_checker=True)
