"""Compare runs: one figure of their success rates, and how soon each of them learned the task."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from hil_trainer.logging.metrics import RATES, Milestone, Row, final_evaluation, first_reaching
from hil_trainer.logging.plots import Run, draw_comparison, find_runs


def run_words(words: Sequence[str]) -> int:
    """Run `hil-trainer plot`."""
    tyro.cli(plot, args=words, prog="hil-trainer plot", description=__doc__)
    return 0


def plot(
    directories: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="DIR [DIR ...]")],
    *,
    out: Path = Path("outputs/comparison.png"),
    labels: tuple[str, ...] | None = None,
) -> None:
    """Compare runs.

    Args:
        directories: runs, or folders of runs.
        out: figure to write: .png, .svg or .pdf.
        labels: one label for each directory; runs of one label form one line with a band. If not given, runs in one
            folder belong together.
    """
    runs = find_runs(directories, labels)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.label, []).append(run)
    for label, members in groups.items():
        for run in members:
            reached = [_reached(rate, first_reaching(run.rows, rate)) for rate in RATES]
            print(f"{label}, {run.path.name}: {'; '.join([*reached, _final([run.rows])])}")
        if len(members) > 1:
            medians = [_median(rate, members) for rate in RATES]
            final = _final([run.rows for run in members])
            print(f"{label}, median of {len(members)}: {'; '.join([*medians, final])}")
    print(f"figure in {draw_comparison(runs, out)}")


def _reached(rate: float, milestone: Milestone | None) -> str:
    return f"{rate:.0%} " + ("not reached" if milestone is None else f"after {milestone}")


def _median(rate: float, runs: Sequence[Run]) -> str:
    """The median of each number by itself; a run that has not reached the rate counts as never."""
    found = [first_reaching(run.rows, rate) for run in runs]
    milestones = [Milestone(math.inf, math.inf, math.inf) if one is None else one for one in found]
    step, operator_steps, seconds = (
        statistics.median(numbers) for numbers in zip(*map(astuple, milestones), strict=True)
    )
    count = f"{len(runs) - found.count(None)} of {len(runs)}"
    if math.isinf(step):
        return f"{rate:.0%} not reached ({count} reached it)"
    return _reached(rate, Milestone(step, operator_steps, seconds)) + (
        f" (reached by {count})" if None in found else ""
    )


def _final(runs: Sequence[Sequence[Row]]) -> str:
    """The success rate on held-out seeds."""
    found = [row for row in map(final_evaluation, runs) if row is not None]
    if not found:
        return "no final evaluation yet"
    if len(runs) == 1:
        return f"final evaluation {found[0]['successes']} of {found[0]['episodes']}"
    return f"final evaluation {statistics.median(row['successes'] / row['episodes'] for row in found):.0%}"
