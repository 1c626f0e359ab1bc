"""Images for the page: those in an observation, and the frames of `render()`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 16  # pixels; a smaller array is no image for humans
LARGEST = 1024  # pixels, of the longer side as it is sent
MOST = 8  # images of one observation


def as_image(value: Any) -> NDArray[np.uint8] | None:
    """An image as a new array (height, width, 3) uint8, of at most `LARGEST` pixels a side; None if it is none.

    Args:
        value: uint8 (height, width), (height, width, 1, 3 or 4), (1 or 3, height, width), or a stack of these with the
            newest last.
    """
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.ndim < 2:
        return None
    while value.ndim > 3:
        value = value[-1]
    if value.ndim == 3 and value.shape[2] not in (1, 3, 4):
        value = np.moveaxis(value, 0, 2) if value.shape[0] in (1, 3) else value[-1]
    if value.ndim == 2:
        value = value[..., None]
    if min(value.shape[:2]) < SMALLEST:
        return None
    stride = -(-max(value.shape[:2]) // LARGEST)
    value = value[::stride, ::stride]
    return np.repeat(value, 3, axis=2) if value.shape[2] == 1 else np.array(value[..., :3], order="C")


def observed_images(observation: Any) -> dict[str, NDArray[np.uint8]]:
    """Images in an observation, an array or nested dicts of them, by the last of its keys, or by all if not unique."""
    found: dict[str, NDArray[np.uint8]] = {}
    for keys, image in _images(observation, ()):
        name = keys[-1] if keys else "observation"
        found["/".join(keys) if name in found else name] = image
        if len(found) == MOST:
            break
    return found


def rendered(render: Callable[[], Any], render_mode: str | None, env_id: str) -> NDArray[np.uint8] | str:
    """A frame of an environment as an image, or why there is none and what to do."""
    if render_mode != "rgb_array":
        return (
            f"This environment was made with render_mode={render_mode!r}, which gives no frames. To see it here: "
            f'gym.make("{env_id}", render_mode="rgb_array"), or --env-kwargs render_mode=rgb_array.'
        )
    try:
        frame = render()
    except Exception as error:  # whatever an environment of another maker raises; driving goes on
        return f"render() failed: {type(error).__name__}: {error}"
    image = as_image(frame)
    if image is None:
        what = f"an array {frame.shape} {frame.dtype}" if isinstance(frame, np.ndarray) else f"{frame!r:.60}"
        return f"render() returned {what}; expected an image (height, width, 3) uint8."
    return image


def _images(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], NDArray[np.uint8]]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _images(part, (*keys, str(key)))
    else:
        image = as_image(value)
        if image is not None:
            yield keys, image
