"""What a dataset says about each feature: range, mean, spread and quantiles, for an episode and for all of them.

The keys, shapes and scales are those of LeRobot 0.6.1's `lerobot/datasets/compute_stats.py`: a vector has a number for
each component, an image one for each channel, shaped (3, 1, 1) and scaled to [0, 1]. As there, statistics of images
are those of the images before encoding, and large images are sampled. Unlike there, every frame counts and quantiles of
an episode are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Statistics = dict[str, NDArray[Any]]

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
STATISTICS = ("min", "max", "mean", "std", "count", *QUANTILES)
SAMPLED_SIDE, SAMPLED_FROM = 150, 300  # pixels: of the longer side, as LeRobot samples images from this size on


def describe(values: NDArray[np.generic]) -> Statistics:
    """Statistics of (frames, size) numbers: name -> (size,) float64; `count` is (1,) int64, the number of frames."""
    numbers = np.asarray(values, dtype=np.float64)
    result = {
        "min": numbers.min(axis=0),
        "max": numbers.max(axis=0),
        "mean": numbers.mean(axis=0),
        "std": numbers.std(axis=0),
        "count": np.array([len(numbers)]),
    }
    return {**result, **dict(zip(QUANTILES, np.quantile(numbers, list(QUANTILES.values()), axis=0), strict=True))}


class ImageCounter:
    """Statistics of a stream of images, for which only the counts of the 256 levels are kept."""

    def __init__(self, channels: int = 3):
        self._counts = np.zeros((channels, 256), dtype=np.int64)
        self._frames = 0

    def add(self, image: NDArray[np.uint8]) -> None:
        """Count an image, (height, width, channels)."""
        longest = max(image.shape[:2])
        stride = longest // SAMPLED_SIDE if longest >= SAMPLED_FROM else 1
        for channel, counts in enumerate(self._counts):
            counts += np.bincount(image[::stride, ::stride, channel].ravel(), minlength=256)
        self._frames += 1

    def statistics(self) -> Statistics:
        """Statistics so far, (channels, 1, 1) in [0, 1]; `count` is (1,), the number of images."""
        levels = np.arange(256)
        total = self._counts.sum(axis=1)
        mean = (self._counts @ levels) / total
        variance = (self._counts * (levels - mean[:, None]) ** 2).sum(axis=1) / total
        rows = {
            "min": np.array([levels[counts > 0][0] for counts in self._counts]),
            "max": np.array([levels[counts > 0][-1] for counts in self._counts]),
            "mean": mean,
            "std": np.sqrt(variance),
            **{name: np.array([_quantile(row, q) for row in self._counts]) for name, q in QUANTILES.items()},
        }
        result = {name: (row / 255.0).reshape(-1, 1, 1) for name, row in rows.items()}
        return {**result, "count": np.array([self._frames])}


def merge(parts: Sequence[Statistics]) -> Statistics:
    """Statistics of several episodes together.

    Range, mean, spread and count are exact. Quantiles cannot be had from quantiles: as in LeRobot after 0.6.1 (its
    change 3804) they are bounds, up to the median the smallest of the parts', above the largest.
    """
    counts = np.array([part["count"][0] for part in parts])
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    weights = (counts / counts.sum()).reshape(-1, *[1] * parts[0]["mean"].ndim)
    mean = (weights * stacked["mean"]).sum(axis=0)
    variance = (weights * (stacked["std"] ** 2 + (stacked["mean"] - mean) ** 2)).sum(axis=0)
    return {
        "min": stacked["min"].min(axis=0),
        "max": stacked["max"].max(axis=0),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": np.array([counts.sum()]),
        **{name: (np.min if q <= 0.5 else np.max)(stacked[name], axis=0) for name, q in QUANTILES.items()},
    }


def _quantile(counts: NDArray[np.int64], q: float) -> float:
    """The quantile of counted levels, interpolated between neighbours as `np.quantile` does."""
    reached = np.cumsum(counts)
    position = q * (reached[-1] - 1)
    low, high = np.searchsorted(reached, [np.floor(position), np.ceil(position)], side="right")
    return float(low + (high - low) * (position - np.floor(position)))
