"""Demonstrations on the disk, as LeRobotDataset v3.0: written with pyarrow and PyAV, without LeRobot or torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gym_hil.datasets.metadata import EpisodeRecord
    from gym_hil.datasets.reader import Episode, EpisodeDataset, Transition
    from gym_hil.datasets.record import RecordEpisodes
    from gym_hil.datasets.writer import DatasetWriter

__all__ = ["DatasetWriter", "Episode", "EpisodeDataset", "EpisodeRecord", "RecordEpisodes", "Transition"]

# Imported when they are first asked for: they need packages that are not installed everywhere.
_HOMES = {
    "DatasetWriter": "writer",
    "Episode": "reader",
    "EpisodeDataset": "reader",
    "EpisodeRecord": "metadata",
    "RecordEpisodes": "record",
    "Transition": "reader",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
