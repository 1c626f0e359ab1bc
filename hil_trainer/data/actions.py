"""Actions of a policy, and the same ones as the environment takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class ActionScale:
    """Between a policy's actions, in [-1, 1], and those of the environment.

    Args:
        low: (actions,) of the environment's action space.
        high: likewise.
        gripper: which number of the environment's action is the last of the policy's, where the gripper's critics
            expect it; None for the same order.
    """

    def __init__(self, low: ArrayLike, high: ArrayLike, gripper: int | None = None):
        self.low, self.high, self.gripper = np.asarray(low), np.asarray(high), gripper
        self._middle = ((self.low + self.high) / 2).astype(np.float32)
        self._half = ((self.high - self.low) / 2).astype(np.float32)
        self._divisor = np.where(self._half == 0, np.float32(np.inf), self._half)  # a number that is fixed becomes 0
        self._order = list(range(len(self.low)))  # of the environment's numbers in the policy's action
        if gripper is not None:
            self._order.append(self._order.pop(gripper))
        self._is_moved = self._order != sorted(self._order)

    def __len__(self) -> int:
        return len(self.low)

    def description(self) -> dict[str, Any]:
        """Its arguments, for JSON."""
        return {"low": self.low.tolist(), "high": self.high.tolist(), "gripper": self.gripper}

    def to_env(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """(actions,) of a policy -> (actions,) for `env.step`."""
        if self._is_moved:
            ordered = np.empty_like(action)
            ordered[self._order] = action
            action = ordered
        return self._middle + self._half * action

    def to_policy(self, action: NDArray[Any]) -> NDArray[np.float32]:
        """(actions,) of the environment -> (actions,) of a policy, not clipped."""
        scaled = (np.asarray(action, np.float32) - self._middle) / self._divisor
        return scaled[self._order] if self._is_moved else scaled
