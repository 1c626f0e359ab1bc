"""Compare runs: one image of their success rates, and how soon each of them got how far."""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Iterable

from hil_trainer.logging.metrics import RATES, Milestone, first_reaching
from hil_trainer.logging.plots import Run, draw_comparison, find_runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hil-trainer plot`."""
    parser.add_argument("directories", nargs="+", metavar="DIR", help="a run, or a folder of runs")
    parser.add_argument(
        "--out", default="outputs/comparison.png", metavar="FILE", help=".png, .svg, .pdf (%(default)s)"
    )
    parser.add_argument(
        "--labels", nargs="+", metavar="LABEL", help="one for each DIR; runs of one label make one line with a band. "
        "Without them, runs in one folder belong together."
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Run `hil-trainer plot`."""
    runs = find_runs(arguments.directories, arguments.labels)
    groups: dict[str, list[Run]] = {}
    for one in runs:
        groups.setdefault(one.label, []).append(one)
    for label, members in groups.items():
        for one in members:
            reached = "; ".join(_reached(rate, first_reaching(one.rows, rate)) for rate in RATES)
            print(f"{label}, {one.path.name}: {reached}")
        if len(members) > 1:
            print(f"{label}, median of {len(members)}: " + "; ".join(_median(rate, members) for rate in RATES))
    print(f"image in {draw_comparison(runs, arguments.out)}")
    return 0


def _reached(rate: float, milestone: Milestone | None) -> str:
    return f"{rate:.0%} " + ("not reached" if milestone is None else f"after {milestone}")


def _median(rate: float, runs: Iterable[Run]) -> str:
    """The median of each number by itself; a run that has not reached the rate counts as one that never will."""
    milestones = [first_reaching(one.rows, rate) for one in runs]
    reached = sum(milestone is not None for milestone in milestones)

    def middle(name: str) -> float:
        return statistics.median(math.inf if one is None else getattr(one, name) for one in milestones)

    if math.isinf(middle("step")):
        return f"{rate:.0%} not reached ({reached} of {len(milestones)} reached it)"
    text = f"{rate:.0%} after {Milestone(middle('step'), middle('operator_steps'), middle('seconds'))}"
    return text if reached == len(milestones) else f"{text} (reached by {reached} of {len(milestones)})"
