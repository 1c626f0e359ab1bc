"""Runs side by side: runs that differ only in their seeds as one curve with a band, and how soon each got how far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil_trainer.errors import CheckpointError, ConfigurationError
from hil_trainer.logging.figures import COLOURS, GREY, INK, new_figure, save_figure, show_percent, show_thousands
from hil_trainer.logging.metrics import FILE, read_metrics

_LINES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)))


@dataclass(frozen=True, slots=True)
class Run:
    """A run and what happened in it.

    Attributes:
        path: its folder.
        label: runs of the same label belong together.
        rows: of its `metrics.jsonl`.
    """

    path: Path
    label: str
    rows: Sequence[Mapping[str, Any]]


def find_runs(directories: Sequence[str | Path], labels: Sequence[str] | None = None) -> list[Run]:
    """Find the runs in some folders.

    Args:
        directories: each is a run, or holds runs at any depth.
        labels: one for each directory; without them the folder that a run lies in is its label.

    Returns:
        The runs, by directory and then by path; each once.

    Raises:
        CheckpointError: a directory has no run, or its metrics are damaged.
        ConfigurationError: labels and directories are of different number.
    """
    if labels is not None and len(labels) != len(directories):
        raise ConfigurationError(
            f"{len(labels)} labels were given for {len(directories)} folders; expected one for each."
        )
    found: dict[Path, str | None] = {}
    for number, directory in enumerate(directories):
        paths = sorted(path.parent.resolve() for path in Path(directory).rglob(FILE))
        if not paths:
            raise CheckpointError(
                f"{directory} has no {FILE}, nor has a folder in it; expected runs of `hil-trainer train`."
            )
        for path in paths:
            found.setdefault(path, None if labels is None else labels[number])
    names = _short_names({path.parent for path in found})
    return [
        Run(path, names[path.parent] if label is None else label, read_metrics(path)) for path, label in found.items()
    ]


def draw_comparison(runs: Sequence[Run], out: str | Path) -> Path:
    """Draw the success rates of runs in evaluations, against steps and against minutes.

    Runs of one label make one line, their median, in a band from the worst to the best. A run that has ended stays at
    its last evaluation.

    Args:
        runs: at least one with an evaluation.
        out: a .png, .svg or .pdf file.

    Returns:
        Its path.

    Raises:
        ConfigurationError: no run has an evaluation, or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if any(row["kind"] == "evaluation" for row in run.rows):
            groups.setdefault(run.label, []).append(run)
    if not groups:
        raise ConfigurationError("None of these runs has an evaluation yet; there is nothing to draw.")
    columns = 3 if max(len(label) for label in groups) < 20 else 2
    lines = -(-len(groups) // columns)
    height = 3.9 + 0.24 * lines
    figure, axes = new_figure(1, 2, (9, height), sharey=True)
    for number, (label, members) in enumerate(groups.items()):
        look: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)]}
        for one, unit in zip(axes[0], ("step", "minutes"), strict=True):
            curves = [_curve(run.rows, unit) for run in members]
            x, low, middle, high = _band(curves)
            one.fill_between(x, low, high, alpha=0.16, linewidth=0, **look)
            title = label if len(members) == 1 else f"{label} ({len(members)} runs)"
            one.plot(x, middle, linewidth=2, linestyle=_LINES[number % len(_LINES)], label=title, **look)
            for run_x, run_y in curves:
                one.plot(run_x[-1], run_y[-1], marker="o", markersize=5, markeredgecolor="white", zorder=4, **look)
    for one, title in zip(axes[0], ("environment steps", "minutes of training"), strict=True):
        one.set_xlabel(title)
        one.set_xlim(left=0)
        show_thousands(one)
        show_percent(one)
    axes[0, 0].set_title("success rate in evaluations", loc="left", fontsize=10.5, fontweight="bold", color=INK)
    note = (
        "A line is the median of its runs, the band reaches from the worst to the best, a point is where a run ended."
    )
    figure.text(0.07, 0.10 / height, note, fontsize=8.5, color=GREY, va="bottom")
    handles, titles = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, titles, loc="lower left", bbox_to_anchor=(0.058, 0.30 / height), ncols=columns, frameon=False,
        fontsize=9.5, labelcolor=INK, handlelength=3.2,
    )  # fmt: skip
    figure.subplots_adjust(
        left=0.07, right=0.98, top=1 - 0.35 / height, bottom=(0.95 + 0.24 * lines) / height, wspace=0.08
    )
    return save_figure(figure, out)


def _curve(rows: Iterable[Mapping[str, Any]], unit: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where a run was evaluated, and its success rates there; of several at one step, the one of most episodes."""
    best: dict[float, tuple[int, float]] = {}
    kept: dict[int, Mapping[str, Any]] = {}
    for row in rows:
        if row["kind"] == "evaluation" and row["episodes"]:
            known = kept.get(row["step"])
            if known is None or row["episodes"] >= known["episodes"]:
                kept[row["step"]] = row
    for row in kept.values():
        best[row["step"] if unit == "step" else row["seconds"] / 60] = (
            row["episodes"],
            row["successes"] / row["episodes"],
        )
    x = np.array(sorted(best), dtype=np.float64)
    return x, np.array([best[at][1] for at in x], dtype=np.float64)


def _band(
    curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Positions, and there the lowest, the median and the highest of the curves, from where all have begun."""
    x = np.unique(np.concatenate([curve[0] for curve in curves]))
    x = x[x >= max(curve[0][0] for curve in curves)]
    # Behind its last evaluation a curve stays where it is: a run ends when it is good enough.
    values = np.stack([np.interp(x, *curve) for curve in curves])
    return x, values.min(axis=0), np.median(values, axis=0), values.max(axis=0)


def _short_names(folders: Iterable[Path]) -> dict[Path, str]:
    """As many last parts of each path as it takes to tell them apart."""
    names: dict[Path, str] = {}
    folders = set(folders)
    for folder in folders:
        count = 1
        while any(other != folder and other.parts[-count:] == folder.parts[-count:] for other in folders):
            count += 1
        names[folder] = "/".join(folder.parts[-count:])
    return names
