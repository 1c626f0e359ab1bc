"""End-effector actions, the same for policies and operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.envs.mujoco_env import check_action
from gym_hil.envs.panda_env import FrankaGymEnv
from gym_hil.errors import ConfigurationError
from gym_hil.wrappers.base import record_arguments

AXES = ("x", "y", "z")
DEFAULT_EE_STEP_SIZE = {"x": 0.025, "y": 0.025, "z": 0.025}  # m a step at full speed
DEFAULT_ROTATION_STEP = 0.1  # rad a step at full speed, about each axis
GRIPPER_OPEN, GRIPPER_STAY, GRIPPER_CLOSE = 0.0, 1.0, 2.0


class EEActionWrapper(gym.ActionWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Turns end-effector actions into the 7 numbers of the environment inside.

    The action is float32: dx, dy, dz in [-1, 1], of a step of `ee_action_step_size`; with `orientation` a rotation
    vector in [-1, 1], of `rotation_step` rad; with `use_gripper` the gripper in [0, 2]: 0 opens, 1 stays, 2 closes.
    So it has 3 numbers, 4 with the gripper, 7 with both. Finite values out of range are clipped.

    Example:
        >>> import gymnasium as gym
        >>> import gym_hil
        >>> from gym_hil.wrappers.hil_wrappers import DEFAULT_EE_STEP_SIZE, EEActionWrapper
        >>> env = EEActionWrapper(gym.make("gym_hil/PandaPickCubeBase-v0"), DEFAULT_EE_STEP_SIZE, use_gripper=True)
        >>> env.action_space
        Box([-1. -1. -1.  0.], [1. 1. 1. 2.], (4,), float32)

    Args:
        env: any environment whose action is dx, dy, dz in m, a rotation vector in rad and the gripper's change.
        ee_action_step_size: m along `x`, `y` and `z` that an action of 1 moves.
        use_gripper: whether the action has a number for the gripper; without, the gripper stays as it is.
        orientation: whether the action has a rotation vector.
        rotation_step: rad that a rotation of 1 turns.

    Raises:
        ConfigurationError: the environment's action does not have 7 numbers, or a step is not positive or larger than
            the environment's own.
    """

    @record_arguments()
    def __init__(
        self,
        env: gym.Env[Any, Any],
        ee_action_step_size: Mapping[str, Any] | None = None,
        use_gripper: bool = False,
        orientation: bool = False,
        rotation_step: float = DEFAULT_ROTATION_STEP,
    ):
        steps = dict(DEFAULT_EE_STEP_SIZE if ee_action_step_size is None else ee_action_step_size)
        super().__init__(env)
        space = env.action_space
        if not isinstance(space, gym.spaces.Box) or space.shape != (7,):
            raise ConfigurationError(f"EEActionWrapper needs an environment with 7 numbers in its action, not {space}.")
        if set(steps) != set(AXES):
            raise ConfigurationError(f"ee_action_step_size has the keys {sorted(steps)}; expected x, y and z.")
        scale = [steps[axis] for axis in AXES] + ([rotation_step] * 3 if orientation else [])
        for step, limit in zip(scale, space.high, strict=False):
            if not 0 < step <= limit + 1e-6:
                raise ConfigurationError(
                    f"A step of {step!r} cannot be made (ee_action_step_size {steps}, rotation_step {rotation_step}); "
                    f"expected more than 0 and at most {limit:g}, the environment's own step."
                )
        # Of each number its place in the environment's action, its scale, the value that does nothing, and its limits.
        numbers = [(slot, step, 0.0, -1.0, 1.0) for slot, step in enumerate(scale)]
        if use_gripper:
            numbers.append((6, 1.0, GRIPPER_STAY, GRIPPER_OPEN, GRIPPER_CLOSE))
        self._slots = [number[0] for number in numbers]
        self._scale, self._neutral, self._low, self._high = np.array(numbers, dtype=np.float32).T[1:].copy()
        self.ee_action_step_size, self.rotation_step = steps, rotation_step
        self.checked_action: NDArray[np.float32] | None = None  # see `FrankaGymEnv`
        self._panda = env.unwrapped if isinstance(env.unwrapped, FrankaGymEnv) else None
        self.action_space = gym.spaces.Box(self._low, self._high, dtype=np.float32)

    def action(self, action: ArrayLike) -> NDArray[np.float32]:
        """The environment's action for an end-effector action.

        Args:
            action: as in `action_space`; finite values out of range are clipped.

        Returns:
            (7,) dx, dy, dz in m, rotation vector in rad, change of the gripper in [-1, 1].

        Raises:
            InvalidActionError: the shape is wrong or a value is not finite.
        """
        checked, self.checked_action = self.checked_action, None
        values = checked if checked is not None and action is checked else check_action(action, self._low, self._high)
        whole = np.zeros(7, dtype=np.float32)
        whole[self._slots] = (values - self._neutral) * self._scale
        if self._panda is not None:
            self._panda.checked_action = whole  # within the limits by construction
        return whole
