"""Checking actions before anything moves."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.errors import InvalidActionError


def checked_action(action: ArrayLike, low: NDArray[np.float32], high: NDArray[np.float32]) -> NDArray[np.float32]:
    """The action within its limits.

    Args:
        action: of the shape of the limits.
        low: (n,) smallest values.
        high: (n,) largest values.

    Returns:
        (n,) float32, the caller's own.

    Raises:
        InvalidActionError: the shape is wrong, or a value is not a finite number.
    """
    try:
        values = np.asarray(action, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidActionError(f"action {action!r} is not an array of {low.size} numbers: {error}") from None
    if values.shape != low.shape:
        raise InvalidActionError(f"action has shape {values.shape}; expected {low.shape}.")
    if not all(map(math.isfinite, values.tolist())):  # several times faster than numpy on so few numbers
        raise InvalidActionError(f"action {values} has a value that is not finite.")
    return np.minimum(np.maximum(values, low), high).astype(np.float32)
