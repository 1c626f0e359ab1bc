"""Where things are in a LeRobotDataset v3.0, and what its features mean.

Source: datasets written by LeRobot 0.6.1, and its `lerobot/datasets/utils.py` and `lerobot/utils/constants.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gym_hil.errors import DatasetError

FORMAT = "v3.0"
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
SHEET = "contact_sheet.png"
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
    name: {"dtype": "float32" if name == "timestamp" else "int64", "shape": [1], "names": None}
    for name in ("timestamp", "frame_index", "episode_index", "index", "task_index")
}

LEAVE_OUT = "gym-hil dataset filter DIR --out NEW --drop EPISODE ..."

_LEGACY_FILES = (
    *("data/chunk-*/episode_*.parquet", "videos/chunk-*/*/episode_*.mp4"),
    *("meta/episodes.jsonl", "meta/episodes_stats.jsonl", "meta/tasks.jsonl"),
)
_NUMBERED = re.compile(r"chunk-\d{3,}/file-\d{3,}\.(parquet|mp4)")


def location(number: int) -> dict[str, int]:
    """Chunk and file of the n-th file of a kind, as the path templates have them."""
    chunk, file = divmod(number, FILES_PER_CHUNK)
    return {"chunk_index": chunk, "file_index": file}


def numbered_files(folder: Path) -> list[Path]:
    """The files of a folder that are named as the format names them, in order; others that lie there are left out."""
    return sorted(path for path in folder.glob("*/*") if _NUMBERED.fullmatch(path.relative_to(folder).as_posix()))


def dataset_files(root: Path, features: dict[str, dict[str, Any]]) -> Iterator[Path]:
    """Every file of a dataset, also of one of v2.0 or v2.1; `meta/info.json` comes last."""
    yield from numbered_files(root / "meta/episodes")
    yield from numbered_files(root / "data")
    for key in video_keys(features):
        yield from numbered_files(root / "videos" / key)
    for pattern in _LEGACY_FILES:
        yield from sorted(root.glob(pattern))
    yield from (path for name in (SHEET, STATS, TASKS, INFO) if (path := root / name).is_file())


def file_of(root: Path, info: dict[str, Any], row: dict[str, Any], key: str | None = None) -> Path:
    """Where the frames of an episode are, or those of a video feature, by its row of `meta/episodes`."""
    prefix = "data" if key is None else f"videos/{key}"
    template = (info.get("data_path") or DATA) if key is None else (info.get("video_path") or VIDEO)
    at = {name: row.get(f"{prefix}/{name}") for name in ("chunk_index", "file_index")}
    if not all(isinstance(number, int) for number in at.values()):
        raise DatasetError(f"{root}: meta/episodes does not say where {key or 'the frames'} of an episode are.")
    return root / str(template.format(video_key=key, **at))


def video_keys(features: dict[str, dict[str, Any]]) -> list[str]:
    """The features that are kept as videos."""
    return [key for key, feature in features.items() if feature["dtype"] == "video"]


def is_depth(feature: dict[str, Any]) -> bool:
    """Whether a feature is a depth map; `info` says so under one of two keys."""
    info = feature.get("info") or feature.get("video_info") or {}
    return bool(info.get("is_depth_map") or info.get("video.is_depth_map"))


def image_shape(feature: dict[str, Any]) -> tuple[int, int, int]:
    """Channels, height and width; of an image's shape the channels are first or last, as its names say."""
    shape, names = list(feature["shape"]), names_of(feature)
    if len(shape) == 2:
        shape = [1, *shape]
    elif len(shape) == 3 and (names[-1:] in (["channels"], ["channel"]) or (not names and shape[0] not in (1, 3, 4))):
        shape = [shape[2], *shape[:2]]
    if len(shape) != 3:
        raise DatasetError(f"The shape {shape} is not that of an image, [channels, height, width].")
    return shape[0], shape[1], shape[2]


def names_of(feature: dict[str, Any]) -> list[str]:
    """The names of a feature's numbers in a flat list; LeRobot has lists, and lists in dicts."""
    names = feature.get("names") or []
    return [str(name) for part in (names.values() if isinstance(names, dict) else [names]) for name in part or []]


def feature_differences(
    one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]], *, names: bool = True
) -> list[tuple[str, str, str]]:
    """For each feature but `INDICES` that differs between two datasets its name, and what it is in one and the other.

    Whether an image's channels come first or last is no difference. With `names`, the names of a vector's numbers
    are compared, too, where both datasets have them.
    """
    differences = []
    for key in sorted((one.keys() | other.keys()) - INDICES.keys()):
        here, there = one.get(key), other.get(key)
        kinds = _kind(here), _kind(there)
        if names and here and there and kinds[0] == kinds[1] and here["dtype"] not in ("video", "image"):
            both = [names_of(feature) for feature in (here, there)]
            if all(both) and both[0] != both[1]:
                kinds = ", ".join(both[0]), ", ".join(both[1])
        if kinds[0] != kinds[1]:
            differences.append((key, *kinds))
    return differences


def _kind(feature: dict[str, Any] | None) -> str:
    if feature is None:
        return "absent"
    if feature["dtype"] in ("video", "image"):
        return f"{'depth ' if is_depth(feature) else ''}{feature['dtype']} {list(image_shape(feature))}"
    return f"{feature['dtype']} {list(feature['shape'])}"


def unreadable(path: Path, error: object) -> DatasetError:
    """The error for a file of a dataset that is missing or not whole."""
    try:
        with path.open("rb") as file:
            is_pointer = file.read(40).startswith(b"version https://git-lfs.github.com")
    except OSError:
        is_pointer = False
    if is_pointer:
        return DatasetError(f"{path} is a pointer of git-lfs, not the file itself. Run `git lfs pull` in its folder.")
    what = f"cannot be read: {error}" if path.exists() else "is missing"
    skip = "" if "meta" in path.parts else f", or leave its episodes out: {LEAVE_OUT}"
    return DatasetError(f"{path} {what}. Fetch it again from where the dataset came from{skip}.")
