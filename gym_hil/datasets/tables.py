"""The Parquet files of a dataset: frames, episodes and tasks, typed as LeRobot 0.6.1 writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.folder import sync
from gym_hil.datasets.layout import INDICES, OWN, video_keys
from gym_hil.datasets.statistics import QUANTILES
from gym_hil.errors import DatasetError, MissingExtraError

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise MissingExtraError("Recording datasets needs pyarrow: pip install 'gym-hil[data]'") from error

STATISTICS = ("min", "max", "mean", "std", "count", *QUANTILES)


def write_frames(path: Path, columns: dict[str, NDArray[np.generic]]) -> None:
    """Write the frames of an episode.

    Args:
        path: of the file.
        columns: feature -> (frames, size); a feature of one number becomes a plain column.
    """
    arrays = {}
    for key, values in columns.items():
        flat = pa.array(np.ascontiguousarray(values).ravel())
        size = values.shape[1]
        arrays[key] = flat if size == 1 else pa.FixedSizeListArray.from_arrays(flat, size)
    _write(path, pa.table(arrays))


def write_episodes(path: Path, rows: Sequence[dict[str, Any]], features: dict[str, dict[str, Any]]) -> None:
    """Write what is known about some episodes.

    Args:
        path: of the file.
        rows: one for each episode; what a row lacks is null.
        features: of the dataset, without what `layout.INDICES` adds.
    """
    _write(path, pa.Table.from_pylist(list(rows), schema=episode_schema(features)))


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """Write what the robot was told to do; LeRobot looks tasks up in the index that pandas makes of the last column."""
    columns = [("task_index", "int64", "int64"), ("task", "unicode", "object")]
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [
            {
                "name": None,
                "field_name": None,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": {"encoding": "UTF-8"},
            }
        ],
        "columns": [
            {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
            for name, kind, numpy in columns
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    _write(path, table.replace_schema_metadata({"pandas": json.dumps(pandas)}))


def read_tasks(path: Path) -> list[str]:
    """The tasks of a dataset, in the order of their numbers."""
    table = read(path).sort_by("task_index")
    return table["task"].to_pylist()


def read(path: Path, columns: Sequence[str] | None = None) -> Any:
    """Read a file as a pyarrow table.

    Raises:
        DatasetError: it is missing or not whole.
    """
    try:
        return pq.ParquetFile(path).read(columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path} cannot be read: {error}. Restore it, or record into another folder.") from error


def episode_schema(features: dict[str, dict[str, Any]]) -> Any:
    """The columns of `meta/episodes`, with this package's own at the end.

    Those are `gym_hil/seed` (of the reset), `gym_hil/success` and `gym_hil/options` (of the reset, as JSON).
    """
    fields = [("episode_index", pa.int64()), ("tasks", pa.list_(pa.string())), ("length", pa.int64())]
    fields += [(f"data/{part}_index", pa.int64()) for part in ("chunk", "file")]
    fields += [("dataset_from_index", pa.int64()), ("dataset_to_index", pa.int64())]
    for key in video_keys(features):
        fields += [(f"videos/{key}/{part}_index", pa.int64()) for part in ("chunk", "file")]
        fields += [(f"videos/{key}/{end}_timestamp", pa.float64()) for end in ("from", "to")]
    for key, feature in {**features, **INDICES}.items():
        numbers = pa.list_(pa.float64())
        if feature["dtype"] == "video":
            numbers = pa.list_(pa.list_(numbers))
        fields += [(f"stats/{key}/{name}", pa.list_(pa.int64()) if name == "count" else numbers) for name in STATISTICS]
    fields += [(f"meta/episodes/{part}_index", pa.int64()) for part in ("chunk", "file")]
    fields += [(f"{OWN}/seed", pa.int64()), (f"{OWN}/success", pa.bool_()), (f"{OWN}/options", pa.string())]
    return pa.schema(fields)


def _write(path: Path, table: Any) -> None:
    pq.write_table(table, path)
    sync(path)


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
    table = read(path)
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
