"""Looks into a dataset with pyarrow and PyAV alone: tests of the writer do not rest on this package's reader."""

import json
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq


def info(root):
    return json.loads((Path(root) / "meta/info.json").read_text())


def stats(root):
    return json.loads((Path(root) / "meta/stats.json").read_text())


def rows(root):
    """What `meta/episodes` says, one dict for each episode."""
    paths = sorted(Path(root).glob("meta/episodes/*/*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def frames(root, row):
    """The columns of an episode's frames, as arrays."""
    path = f"data/chunk-{row['data/chunk_index']:03d}/file-{row['data/file_index']:03d}.parquet"
    table = pq.read_table(Path(root) / path, filters=[("episode_index", "==", row["episode_index"])])
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


def images(root, row, camera="observation.images.front"):
    """The images of an episode, (frames, height, width, 3), and when each is shown, in s from its beginning."""
    place = f"chunk-{row[f'videos/{camera}/chunk_index']:03d}/file-{row[f'videos/{camera}/file_index']:03d}.mp4"
    with av.open(str(Path(root) / "videos" / camera / place)) as container:
        decoded = list(container.decode(video=0))
    start, half = row[f"videos/{camera}/from_timestamp"], 0.5 / info(root)["fps"]
    decoded = [frame for frame in decoded if -half < frame.time - start < row["length"] * 2 * half - half]
    times = [float(frame.time - start) for frame in decoded]
    return np.array([frame.to_ndarray(format="rgb24") for frame in decoded]), times


def files(root):
    """Every file below a folder, and its content."""
    return {str(path.relative_to(root)): path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}


def psnr(one, other):
    """Peak signal to noise ratio of each image, in dB."""
    error = np.square(np.subtract(one, other, dtype=np.float64)).mean(axis=(1, 2, 3))
    return 10 * np.log10(255**2 / np.maximum(error, 1e-9))
