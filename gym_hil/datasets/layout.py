"""Where things are in a LeRobotDataset v3.0, and what every frame of one has.

Source: datasets written by LeRobot 0.6.1, and its `lerobot/datasets/utils.py` and `lerobot/utils/constants.py`.
"""

from __future__ import annotations

from typing import Any

FORMAT = "v3.0"
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
FILES_PER_CHUNK = 1000
# Unfinished files live here, inside the dataset's folder, so that a rename brings them to their place.
STAGING = ".recording"
# The key of info.json, and the prefix of the columns of meta/episodes, under which this package keeps what LeRobot's
# format has no place for.
OWN = "gym_hil"

# What the writer adds to each frame.
INDICES: dict[str, dict[str, Any]] = {
    "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    "frame_index": {"dtype": "int64", "shape": [1], "names": None},
    "episode_index": {"dtype": "int64", "shape": [1], "names": None},
    "index": {"dtype": "int64", "shape": [1], "names": None},
    "task_index": {"dtype": "int64", "shape": [1], "names": None},
}


def place(number: int) -> dict[str, int]:
    """Chunk and file of the n-th file of a kind, as the path templates want them."""
    chunk, file = divmod(number, FILES_PER_CHUNK)
    return {"chunk_index": chunk, "file_index": file}


def feature_differences(one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Name, kind and kind of each feature that two datasets do not share; `INDICES` do not count."""
    kinds = [
        {key: f"{feature['dtype']} {list(feature['shape'])}" for key, feature in features.items() if key not in INDICES}
        for features in (one, other)
    ]
    both = [(key, *(of_one.get(key, "absent") for of_one in kinds)) for key in sorted({*kinds[0], *kinds[1]})]
    return [(key, here, there) for key, here, there in both if here != there]


def video_keys(features: dict[str, dict[str, Any]]) -> list[str]:
    """The features that are kept as videos."""
    return [key for key, feature in features.items() if feature["dtype"] == "video"]
