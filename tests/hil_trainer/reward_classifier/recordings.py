"""Small recordings in which success is easy to see: the front image turns from dark to bright, or to grey before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gym_hil.datasets import DatasetWriter

SIZE = 32  # pixels
STATE = 3  # numbers


def write_recording(
    root: Path,
    successes: Sequence[int | None],
    *,
    frames: int = 12,
    labels: str = "next.success",
    cameras: Sequence[str] = ("front", "wrist"),
    state: int = STATE,
) -> Path:
    """Record episodes.

    Args:
        root: of the dataset.
        successes: for each episode the frame whose observation is the first to show success, None if none does.
        frames: of each episode.
        labels: the feature with the labels.
        cameras: their names.
        state: numbers of proprioception; 0 for none.
    """
    features = {
        "action": {"dtype": "float32", "shape": [1], "names": None},
        "next.reward": {"dtype": "float32", "shape": [1], "names": None},
        "next.success": {"dtype": "bool", "shape": [1], "names": None},
        "next.stage": {"dtype": "int64", "shape": [1], "names": None},
    }
    if labels != "next.stage":
        del features["next.stage"]
    if labels not in ("next.success", "next.stage"):
        del features["next.success"]
    if labels == "none":
        del features["next.reward"]
    if state:
        features["observation.state"] = {"dtype": "float32", "shape": [state], "names": None}
    for camera in cameras:
        features[f"observation.images.{camera}"] = {"dtype": "video", "shape": [3, SIZE, SIZE], "names": None}
    rng = np.random.default_rng(0)
    with DatasetWriter(root, repo_id=f"me/{root.name}", features=features, fps=10, metadata={}) as writer:
        for first in successes:
            for frame in range(frames):
                shows = first is not None and frame >= first
                follows = first is not None and frame + 1 >= first
                row = {
                    "action": [frame],
                    "next.reward": float(follows),
                    "next.success": follows,
                    # The three frames before success are a stage of their own.
                    "next.stage": 2 if follows else int(first is not None and frame + 4 >= first),
                    "observation.state": rng.normal(size=state),
                }
                for camera in cameras:
                    near = labels == "next.stage" and first is not None and frame + 3 >= first
                    bright = 60 if camera != "front" else 200 if shows else 130 if near else 60
                    image = bright + rng.integers(-20, 20, (SIZE, SIZE, 3))
                    row[f"observation.images.{camera}"] = image.astype(np.uint8)
                writer.add_frame({key: row[key] for key in features}, "brighten up")
            writer.save_episode({"success": first is not None})
    return root
