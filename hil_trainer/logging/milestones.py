"""How soon a run got how far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FULL = 100  # episodes of an evaluation that counts
RATES = (0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Milestone:
    """When a success rate was reached.

    Attributes:
        step: environment steps of training, demonstrations not counted.
        operator_steps: how many of them the operator drove.
        seconds: s of training.
    """

    step: int
    operator_steps: int
    seconds: float

    def __str__(self) -> str:
        return told(self.step, self.operator_steps, self.seconds)


def first_reaching(rows: Iterable[Mapping[str, Any]], rate: float, episodes: int = FULL) -> Milestone | None:
    """Find the first evaluation with enough successes.

    Args:
        rows: of `metrics.jsonl`, in order.
        rate: share of successful episodes, in [0, 1].
        episodes: evaluations with fewer episodes do not count.

    Returns:
        When that was; None if it never was.
    """
    for row in rows:
        if row["kind"] != "evaluation" or row["episodes"] < episodes:
            continue
        # 0.07 * 100 is 7.000000000000001.
        if row["successes"] >= rate * row["episodes"] - 1e-9:
            return Milestone(row["step"], row["operator_steps"], row["seconds"])
    return None


def clock_time(seconds: float) -> str:
    """A duration as people read it: `1:05` for 65 s, `2:01:05` for two hours more."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def told(steps: float, operator_steps: float, seconds: float) -> str:
    """Steps and time in words: `2,310 steps, 812 of them the operator's, in 1:05 min`."""
    driven = f"{operator_steps:,.0f}" if operator_steps else "none"
    unit = "h" if seconds >= 3600 else "min"
    return f"{steps:,.0f} steps, {driven} of them the operator's, in {clock_time(seconds)} {unit}"
