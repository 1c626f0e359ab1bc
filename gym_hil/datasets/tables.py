"""The Parquet files of a dataset: frames, episodes and tasks, typed as LeRobot 0.6.1 writes them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.layout import INDICES, OWN, unreadable, video_keys
from gym_hil.datasets.statistics import STATISTICS
from gym_hil.errors import DatasetError, MissingExtraError

try:
    import pyarrow as pa
    import pyarrow.compute as pc  # noqa: F401  # for `compact`
    import pyarrow.parquet as pq
except ImportError as error:
    raise MissingExtraError("Recording datasets needs pyarrow: pip install 'gym-hil[data]'") from error


class Frames(NamedTuple):
    """The frames in a file."""

    # Feature -> (frames,) where its shape is [1], else (frames, *shape), in the feature's type; objects where these
    # are not numbers, but text or single images.
    columns: dict[str, NDArray[Any]]
    # Features that have no value in some frames -> the numbers of those rows; the column is 0 there.
    nulls: dict[str, NDArray[np.intp]]


def for_pyarrow(path: Path, mode: str) -> AbstractContextManager[Any]:
    """A file as pyarrow can open it: it takes every name for UTF-8, which is not the encoding of names everywhere.

    Its threads must not hold Python's own files where that can be avoided: at exit, that ends the process.
    """
    is_utf8 = os.fsencode(path) == str(path).encode("utf-8", "surrogateescape")
    return nullcontext(str(path)) if is_utf8 else path.open(mode)


def write(path: Path, table: Any) -> None:
    """Write a pyarrow table."""
    with for_pyarrow(path, "wb") as file:
        pq.write_table(table, file)


def read(path: Path, columns: Sequence[str] | None = None) -> Any:
    """Read a file as a pyarrow table; a DatasetError if it is missing or not whole."""
    try:
        with for_pyarrow(path, "rb") as file, pq.ParquetFile(file) as parquet:
            return parquet.read(columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error


def frames_table(columns: Mapping[str, NDArray[np.generic]]) -> Any:
    """Feature -> (frames, size) of an episode as a pyarrow table; a feature of one number becomes a plain column."""
    arrays = {}
    for key, values in columns.items():
        flat, size = pa.array(np.ascontiguousarray(values).ravel()), values.shape[1]
        arrays[key] = flat if size == 1 else pa.FixedSizeListArray.from_arrays(flat, size)
    return pa.table(arrays)


def read_frames(path: Path, features: dict[str, dict[str, Any]]) -> Frames:
    """Read a file of frames; a DatasetError if it is damaged, lacks a feature, or has another type or shape."""
    table = read(path)
    columns: dict[str, NDArray[Any]] = {}
    nulls: dict[str, NDArray[np.intp]] = {}
    for key, feature in features.items():
        if feature["dtype"] == "video":
            continue
        if key not in table.column_names:
            raise DatasetError(f"{path} has no {key!r}, which meta/info.json announces. Fetch the file again.")
        try:
            columns[key], missing = _array(table[key].combine_chunks(), feature)
        except (TypeError, ValueError, pa.ArrowException) as error:
            raise DatasetError(
                f"{path}: {key} does not fit what meta/info.json says, {feature['dtype']} of shape "
                f"{list(feature['shape'])}: {error}."
            ) from error
        if len(missing):
            nulls[key] = missing
    if "episode_index" not in columns:
        raise DatasetError(f"{path}: meta/info.json does not announce 'episode_index'; that is no frame of LeRobot's.")
    return Frames(columns, nulls)


def tasks_table(tasks: Sequence[str]) -> Any:
    """The tasks as a pyarrow table; LeRobot looks them up in the index that pandas makes of the last column."""

    def described(name: str | None, kind: str, numpy: str, metadata: Any = None) -> dict[str, Any]:
        names = {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy}
        return {**names, "metadata": metadata}

    pandas = {
        "index_columns": ["task"],
        "column_indexes": [described(None, "unicode", "object", {"encoding": "UTF-8"})],
        "columns": [described("task_index", "int64", "int64"), described("task", "unicode", "object")],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def read_tasks(path: Path) -> tuple[str, ...]:
    """The tasks of a dataset, in the order of their numbers."""
    table = read(path)
    # The texts are the index of a pandas table, which has a name in some versions of LeRobot and none in others.
    texts = [name for name in table.column_names if name != "task_index"]
    if len(texts) != 1 or "task_index" not in table.column_names:
        raise unreadable(path, f"it has the columns {table.column_names}, not task_index and the tasks")
    return tuple(table.sort_by("task_index")[texts[0]].to_pylist())


def episodes_table(rows: Sequence[dict[str, Any]], features: dict[str, dict[str, Any]]) -> Any:
    """Rows of `meta/episodes` as a pyarrow table, with features without `layout.INDICES`; what a row lacks is null."""
    return pa.Table.from_pylist(list(rows), schema=episode_schema(features))


def episode_schema(features: dict[str, dict[str, Any]]) -> Any:
    """The columns of `meta/episodes`, with this package's own at the end.

    Those are `gym_hil/seed` and `gym_hil/options` (of the reset, as JSON), `gym_hil/success`, and `gym_hil/metadata`
    (what differs from the key `gym_hil` of `meta/info.json`, as JSON).
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
    fields += [(f"{OWN}/seed", pa.int64()), (f"{OWN}/success", pa.bool_())]
    fields += [(f"{OWN}/options", pa.string()), (f"{OWN}/metadata", pa.string())]
    return pa.schema(fields)


def is_number(dtype: str) -> bool:
    """Whether a feature's type is that of numbers or booleans."""
    try:
        return np.dtype(dtype).kind in "biuf"
    except TypeError:
        return False


def _array(column: Any, feature: dict[str, Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """A column as an array, and the rows in which something is null."""
    count, shape = len(column), tuple(feature["shape"])
    if not is_number(feature["dtype"]):
        objects = np.empty(count, dtype=object)
        objects[:] = column.to_pylist()
        are_null = [feature["dtype"] == "image" and value is None for value in objects]
        return objects, np.flatnonzero(np.array(are_null, dtype=bool))
    whole, has_nulls = column, column.null_count > 0
    # Vectors come as lists, matrices as lists of lists or as an extension type of these.
    while True:
        if hasattr(column, "storage"):
            column = column.storage
        elif hasattr(column, "flatten") and str(column.type).startswith(("list", "fixed_size_list", "large_list")):
            column = column.flatten()
        else:
            break
        has_nulls |= column.null_count > 0
    missing = np.empty(0, dtype=np.intp)
    if has_nulls:
        rows = whole.to_pylist()
        missing = np.flatnonzero([row is None or None in np.ravel(np.array(row, dtype=object)) for row in rows])
        empty = np.zeros(shape if shape != (1,) else ()).tolist()
        raw = np.array([empty if number in set(missing) else row for number, row in enumerate(rows)])
    else:
        raw = column.to_numpy(zero_copy_only=False)
    numbers = raw.astype(feature["dtype"], copy=False)
    if raw.dtype.kind == "f" and numbers.dtype.kind != "f" and (raw != numbers).any():
        raise ValueError(f"its numbers are {raw.dtype}")
    numbers = numbers.reshape(count if shape in ((1,), ()) else (count, *shape))
    numbers.flags.writeable = False
    return numbers, missing
