"""The older formats of LeRobot, v2.0 and v2.1: a Parquet file for each episode, an MP4 file for each of its cameras.

What their `meta` folder says is presented as that of v3.0, in which an episode happens to have files of its own, so
that nothing else has to know of them. Source: `lerobot/datasets/utils.py` of LeRobot 0.3.3.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from gym_hil.datasets import metadata, tables
from gym_hil.datasets.layout import INFO, OWN, file_of, unreadable, video_keys
from gym_hil.errors import DatasetError

DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
EPISODES, STATS, TASKS = "meta/episodes.jsonl", "meta/episodes_stats.jsonl", "meta/tasks.jsonl"


def read_any_metadata(root: Path) -> metadata.Metadata:
    """Read and check the `meta` folder of a dataset of v2.0, v2.1 or v3.0; see `read_metadata`."""
    info = metadata.load_info(root)
    if info["codebase_version"] not in metadata.LEGACY_VERSIONS:
        return metadata.read_metadata(root)
    for name, default in (("data_path", DATA), ("video_path", VIDEO)):
        template = str(info.get(name) or default)
        info[name] = template.replace("{episode_chunk", "{chunk_index").replace("{episode_index", "{file_index")
    info = {key: value for key, value in info.items() if key not in ("total_chunks", "total_videos")}
    metadata.check_info(root / INFO, info)
    statistics = {line["episode_index"]: line["stats"] for line in _lines(root / STATS, episode_index=int, stats=dict)}
    episodes = _lines(root / EPISODES, episode_index=int, length=int, tasks=list)
    episodes.sort(key=lambda line: line["episode_index"])
    metadata.check_episodes(root, info, [line["episode_index"] for line in episodes])
    records, first = [], 0
    for line in episodes:
        row = _row(info, line, first)
        first = row["dataset_to_index"]
        try:
            row.update(_outcome(root, info, row, statistics.get(line["episode_index"])))
            records.append(metadata.episode_record(row, info.get(OWN) or {}, root / EPISODES))
        except (LookupError, TypeError, ValueError) as error:
            raise unreadable(root / (STATS if statistics else EPISODES), repr(error)) from error
    tasks = sorted((line["task_index"], line["task"]) for line in _lines(root / TASKS, task_index=int, task=str))
    return metadata.Metadata(info, tuple(task for _, task in tasks), tuple(records))


def _row(info: dict[str, Any], line: dict[str, Any], first: int) -> dict[str, Any]:
    """What `meta/episodes` of v3.0 would say of an episode."""
    index, length = line["episode_index"], line["length"]
    row = {"episode_index": index, "length": length, "tasks": line["tasks"]}
    row.update(dataset_from_index=first, dataset_to_index=first + length)
    for prefix in ("data", *(f"videos/{key}" for key in video_keys(info["features"]))):
        row[f"{prefix}/chunk_index"], row[f"{prefix}/file_index"] = index // info.get("chunks_size", 1000), index
        row[f"{prefix}/from_timestamp"], row[f"{prefix}/to_timestamp"] = 0.0, length / info["fps"]
    return row


def _outcome(root: Path, info: dict[str, Any], row: dict[str, Any], known: dict[str, Any] | None) -> dict[str, Any]:
    """The statistics from which success and interventions are known; v2.0 has none of single episodes."""
    features = [key for key in metadata.OUTCOMES if key in info["features"]]
    if known is None and features:
        try:
            table = tables.read(file_of(root, info, row), features)
        except DatasetError:
            return {}  # it will be found when the frames are read
        columns = {key: np.array(table[key].to_pylist(), dtype=float) for key in features if key in table.column_names}
        known = {key: {"max": column.max(axis=0), "mean": column.mean(axis=0)} for key, column in columns.items()}
    return {
        f"stats/{key}/{name}": np.ravel(known[key][name]).tolist()
        for key in features
        for name in ("max", "mean")
        if known and name in known.get(key, {})
    }


def _lines(path: Path, **kinds: type) -> list[dict[str, Any]]:
    """The objects in a file of JSON lines; none if it is the one that v2.0 lacks."""
    try:
        texts = path.read_text(encoding="utf-8").split("\n") if path.exists() or path.name not in STATS else []
        lines = [json.loads(text) for text in texts if text.strip()]
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict) or not all(isinstance(line.get(key), kind) for key, kind in kinds.items()):
            expected = ", ".join(f"{key} ({kind.__name__})" for key, kind in kinds.items())
            raise unreadable(path, f"line {number} is {line!r}; expected {expected}")
    return lines
