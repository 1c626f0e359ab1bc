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
        person_steps: how many of them the person drove.
        seconds: s of training.
    """

    step: int
    person_steps: int
    seconds: float

    def __str__(self) -> str:
        return told(self.step, self.person_steps, self.seconds)


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
            return Milestone(row["step"], row["person_steps"], row["seconds"])
    return None


def clock_time(seconds: float) -> str:
    """A duration as people read it: `1:05` for 65 s, `2:01:05` for two hours more."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def told(steps: float, person_steps: float, seconds: float) -> str:
    """Steps and time in words: `2,310 steps, 812 of them the person's, in 1:05 min`."""
    driven = f"{person_steps:,.0f}" if person_steps else "none"
    unit = "h" if seconds >= 3600 else "min"
    return f"{steps:,.0f} steps, {driven} of them the person's, in {clock_time(seconds)} {unit}"
