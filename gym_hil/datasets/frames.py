"""The numbers of a file of frames, as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets import tables
from gym_hil.errors import DatasetError


def read_frames(path: Path, features: dict[str, dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Read a file of frames.

    Args:
        path: of the Parquet file.
        features: of the dataset; those that are videos are not in the file.

    Returns:
        Feature -> (frames,) where its shape is [1], else (frames, *shape), in the feature's type. What is not numbers,
        such as text or single images, are objects.

    Raises:
        DatasetError: the file is missing, damaged, or lacks a feature.
    """
    table = tables.read(path)
    columns: dict[str, NDArray[Any]] = {}
    for key, feature in features.items():
        if feature["dtype"] == "video":
            continue
        if key not in table.column_names:
            raise DatasetError(f"{path} has no {key!r}, which meta/info.json announces. Fetch the file again.")
        try:
            columns[key] = _array(table[key].combine_chunks(), feature)
        except (TypeError, ValueError) as error:
            raise DatasetError(
                f"{path}: {key} does not fit what meta/info.json says, {feature['dtype']} of shape "
                f"{list(feature['shape'])}: {error}."
            ) from error
    if "episode_index" not in columns:
        raise DatasetError(f"{path}: meta/info.json does not announce 'episode_index'; that is no frame of LeRobot's.")
    return columns


def _array(column: Any, feature: dict[str, Any]) -> NDArray[Any]:
    """A column as an array."""
    count, shape = len(column), tuple(feature["shape"])
    if not _is_number(feature["dtype"]):
        objects = np.empty(count, dtype=object)
        objects[:] = column.to_pylist()
        return objects
    # Vectors come as lists, matrices as lists of lists or as an extension type of these.
    while True:
        if hasattr(column, "storage"):
            column = column.storage
        elif hasattr(column, "flatten") and str(column.type).startswith(("list", "fixed_size_list", "large_list")):
            column = column.flatten()
        else:
            break
    numbers = column.to_numpy(zero_copy_only=False).astype(feature["dtype"], copy=False)
    numbers = numbers.reshape(count if shape in ((1,), ()) else (count, *shape))
    numbers.flags.writeable = False
    return numbers


def _is_number(dtype: str) -> bool:
    try:
        return np.dtype(dtype).kind in "biuf"
    except TypeError:
        return False
