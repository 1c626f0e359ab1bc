"""Plots: the curves of one run, and runs side by side."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.errors import ConfigurationError, MissingExtraError
from gym_hil.files import atomic_write, expand_path, writing
from hil_trainer.errors import CheckpointError
from hil_trainer.logging.metrics import (
    FILE,
    FINAL,
    FULL,
    RATES,
    Row,
    clock_time,
    final_evaluation,
    first_reaching,
    read_metrics,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008), in an order that keeps neighbours apart for colour-blind readers.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLOURS = (BLUE, VERMILION, GREEN, SKY, ORANGE, PURPLE)
INK, GREY, GRID = "#22303c", "#6b7885", "#e6e9ec"
CURVES = "report/curves.png"
WINDOW = 20  # episodes of a rolling mean
_SUFFIXES = (".png", ".svg", ".pdf")
_AXES = {"step": "environment steps", "minutes": "minutes of training"}
_LINES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)))
_HEADING: dict[str, Any] = {"loc": "left", "fontsize": 10.5, "fontweight": "bold", "color": INK}
_MARKS: dict[str, dict[str, Any]] = {
    "quick": {"color": INK, "marker": "o", "markersize": 4.5, "markerfacecolor": "white"},
    "full": {"color": VERMILION, "marker": "D", "markersize": 6, "markeredgecolor": "white"},
    FINAL: {"color": PURPLE, "marker": "*", "markersize": 12, "markeredgecolor": "white"},
}
_STYLE: Any = {
    "axes.axisbelow": True, "axes.edgecolor": GREY, "axes.grid": True, "axes.grid.axis": "y", "axes.labelcolor": INK,
    "axes.spines.right": False, "axes.spines.top": False, "grid.color": GRID,
    "xtick.color": GREY, "xtick.labelcolor": INK, "ytick.color": GREY, "ytick.labelcolor": INK,
}  # fmt: skip

Rows = Sequence[Row]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Run:
    """A run to compare."""

    path: Path
    label: str
    rows: Rows


def write_report(directory: str | Path) -> Path:
    """Draw the curves of a run, which may still be running, to `directory`/report/curves.png.

    Raises:
        CheckpointError: there are no metrics, or they are damaged.
        ConfigurationError: the image cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    directory = Path(directory)
    figure = draw_curves(read_metrics(directory), directory.resolve().name)
    return save_figure(figure, directory / CURVES)


def draw_curves(rows: Rows, title: str) -> Figure:
    """Draw success, episode length and intervention of a run against steps and against minutes.

    Demonstrations are left out. Lines are means over the last 20 episodes, points are evaluations.
    """
    figure, axes = new_figure(3, 2, (9, 8.2), sharex="col", sharey="row")
    for column, unit in zip(axes.T, _AXES, strict=True):
        _draw_run(column, rows, unit)
        _label_axis(column[-1], unit)
        column[-1].set_xlim(left=0, right=None if rows else 1)
    headings = ("success rate", "episode length (steps)", "share of steps driven by the operator")
    for one, heading in zip(axes[:, 0], headings, strict=True):
        one.set_title(heading, **_HEADING)
    figure.suptitle(f"{title}\n{_summary(rows)}", x=0.01, ha="left", fontsize=10.5, color=INK)
    note = (
        f"Lines are means over the last {WINDOW} episodes of training; points are evaluations of the policy alone, the "
        "final one on other seeds."
    )
    _draw_legend(figure, axes[:, 0], note)
    return figure


def find_runs(directories: Sequence[str | Path], labels: Sequence[str] | None = None) -> list[Run]:
    """Find the runs in folders.

    Args:
        directories: each is a run, or contains runs at any depth.
        labels: one for each directory; None for the name of the folder that contains a run.

    Raises:
        CheckpointError: a directory has no run, or its metrics are damaged.
        ConfigurationError: labels and directories differ in number.
    """
    if labels is not None and len(labels) != len(directories):
        raise ConfigurationError(f"Got {len(labels)} labels for {len(directories)} folders; expected one for each.")
    found: dict[Path, str | None] = {}
    for number, directory in enumerate(directories):
        paths = sorted(path.parent.resolve() for path in expand_path(directory).rglob(FILE))
        if not paths:
            raise CheckpointError(f"{directory} contains no {FILE}; expected runs of `hil-trainer train`.")
        for path in paths:
            found.setdefault(path, None if labels is None else labels[number])

    def folder_name(folder: Path) -> str:
        """Names of several folders are paths from the folder that they have in common."""
        common = os.path.commonpath([path.parent for path in found])
        return folder.relative_to(common).as_posix() if folder != Path(common) else folder.name

    return [
        Run(path, folder_name(path.parent) if label is None else label, read_metrics(path))
        for path, label in found.items()
    ]


def draw_comparison(runs: Sequence[Run], out: str | Path) -> Path:
    """Draw the success rates of runs in evaluations, against steps and against minutes.

    Runs of one label form one line, their median, in a band from the worst to the best. A run that has ended stays at
    its last evaluation. A star is the final evaluation of a run, on held-out seeds.

    Raises:
        ConfigurationError: no run has an evaluation, or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if _evaluations(run.rows):
            groups.setdefault(run.label, []).append(run)
    if not groups:
        raise ConfigurationError("None of these runs has an evaluation yet; there is nothing to plot.")
    figure, axes = new_figure(1, 2, (9, 4.5 + 0.12 * len(groups)), sharey=True)
    for one, unit in zip(axes[0], _AXES, strict=True):
        for number, (label, members) in enumerate(groups.items()):
            colour = COLOURS[number % len(COLOURS)]
            curves = [_curve(run.rows, unit) for run in members]
            x, low, middle, high = _band(curves)
            one.fill_between(x, low, high, alpha=0.16, linewidth=0, color=colour)
            name = label if len(members) == 1 else f"{label} ({len(members)} runs)"
            one.plot(x, middle, linewidth=2, linestyle=_LINES[number % len(_LINES)], label=name, color=colour)
            for run, curve in zip(members, curves, strict=True):
                final = final_evaluation(run.rows)
                end, marker, size = (curve[1][-1], "o", 5) if final is None else (_rate(final), "*", 10)
                one.plot(curve[0][-1], end, marker, markersize=size, markeredgecolor="white", zorder=4, color=colour)
        _label_axis(one, unit)
        _show_percent(one)
        one.set_xlim(left=0)
    axes[0, 0].set_title("success rate in evaluations", **_HEADING)
    note = "Line: median of the runs. Band: worst to best. Star: final evaluation of a run, on held-out seeds."
    _draw_legend(figure, axes[0, :1], note, ncols=2, handlelength=3.2)
    return save_figure(figure, out)


def new_figure(
    rows: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple[Figure, NDArray[np.object_]]:
    """Create a figure of empty axes.

    Args:
        rows: of axes.
        columns: of axes.
        size: width and height in inches; 9 inches wide reads well at the width of a README.
        options: for `Figure.subplots`.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Plots need matplotlib: pip install 'gym-hil[train]'") from error
    with matplotlib.rc_context(_STYLE):
        # pyplot would keep every figure in a state that the whole process shares.
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure atomically; a ConfigurationError for another file type, or if that fails."""
    path = expand_path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigurationError(f"{path} ends in {path.suffix!r}; expected one of {', '.join(_SUFFIXES)}.")
    with writing(path, ConfigurationError):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda file: figure.savefig(file, format=path.suffix[1:].lower()))
    return path


def rolling_share(parts: ArrayLike, wholes: ArrayLike, window: int = WINDOW) -> NDArray[np.float64]:
    """(n,) sums of the last parts over sums of the last wholes; 0 where the wholes are all zero.

    Args:
        parts: (n,) numbers.
        wholes: (n,) numbers; with ones, it is a rolling mean.
        window: how many are summed; fewer at the beginning.
    """
    if not (count := np.size(parts)):
        return np.zeros(0)
    above, below = (np.convolve(np.asarray(one, np.float64), np.ones(window))[:count] for one in (parts, wholes))
    return np.divide(above, below, out=np.zeros(count), where=below > 0)


def _draw_run(axes: Iterable[Axes], rows: Rows, unit: str) -> None:
    """Draw a run into the three axes of a column."""
    success, length, intervention = axes
    episodes = _episodes(rows)
    x, ones = _positions(episodes, unit), np.ones(len(episodes))
    steps, driven = (np.array([row[name] for row in episodes]) for name in ("length", "operator_steps"))
    done = np.array([row["success"] for row in episodes], dtype=bool)
    if driven.any():
        success.plot(x, rolling_share(done, ones), color=SKY, linewidth=1.4, label="policy and operator")
    success.plot(x, rolling_share(done & (driven == 0), ones), color=BLUE, linewidth=1.8, label="policy alone")
    length.plot(x, rolling_share(steps, ones), color=SKY if driven.any() else BLUE, linewidth=1.8)
    share = rolling_share(driven, steps)
    intervention.fill_between(x, share, color=ORANGE, alpha=0.25, linewidth=0)
    intervention.plot(x, share, color=ORANGE, linewidth=1.8, label="driven by the operator")
    for kind, marks in _MARKS.items():
        found = [row for row in rows if row["kind"] == "evaluation" and row["purpose"] == kind and row["episodes"]]
        found = found[-1:] if kind == FINAL else found
        look: dict[str, Any] = {"linestyle": "none", "zorder": 3.5, **marks}
        if found:
            at, label = _positions(found, unit), f"{kind} evaluation ({found[-1]['episodes']} episodes)"
            success.plot(at, [_rate(row) for row in found], label=label, **look)
            length.plot(at, np.array([row["length"] for row in found], dtype=np.float64), **look)
    length.set_ylim(bottom=0)
    for one in (success, intervention):
        _show_percent(one)
    resumes = [row for row in rows if row["kind"] == "event" and str(row["text"]).startswith("resumed")]
    for one in (success, length, intervention):
        for resume in _positions(resumes, unit):
            one.axvline(resume, color=GREEN, linewidth=1.1, linestyle=":", zorder=1, label="resumed")
    for rate in sorted(RATES, reverse=True):
        if milestone := first_reaching(rows, rate):
            by_step = unit == "step"
            where = milestone.step if by_step else milestone.seconds / 60
            text = f" {rate:.0%} at {f'{milestone.step:,}' if by_step else clock_time(milestone.seconds)} "
            success.axvline(where, color=INK, linewidth=0.9, linestyle="--", zorder=1)
            success.text(where, 0, text, ha="right" if where > 0.3 * success.get_xlim()[1] else "left", fontsize=9)
            break


def _label_axis(axes: Axes, unit: str) -> None:
    """Few large numbers on the horizontal axis, as 2,500."""
    axes.set_xlabel(_AXES[unit])
    axes.locator_params(axis="x", nbins=6, steps=[1, 2, 5, 10])
    axes.xaxis.set_major_formatter("{x:,.6g}")


def _show_percent(axes: Axes) -> None:
    axes.set(ylim=(-0.03, 1.03), yticks=np.linspace(0, 1, 5))
    axes.yaxis.set_major_formatter("{x:.0%}")


def _draw_legend(figure: Figure, axes: Iterable[Axes], note: str, **options: Any) -> None:
    """Draw one legend of some axes below a figure, each label once, with a note above it."""
    handles: dict[str, Any] = {}
    for one in axes:
        handles |= {label: handle for handle, label in zip(*one.get_legend_handles_labels(), strict=True)}
    options = {"ncols": 3, "frameon": False, "labelcolor": INK, "fontsize": 9, "title_fontsize": 9, **options}
    options |= {"loc": "outside lower left", "title": note, "alignment": "left"}
    figure.legend(handles.values(), handles.keys(), **options)


def _summary(rows: Rows) -> str:
    if not rows:
        return "no metrics yet"
    seconds, driven = max(row["seconds"] for row in rows), sum(row["operator_steps"] for row in _episodes(rows))
    parts = [
        f"{max(row['step'] for row in rows):,} steps in {clock_time(seconds)}",
        f"{driven:,} of them the operator's" if driven else "no intervention",
    ]
    if demonstrations := sum(row["kind"] == "episode" and bool(row["demonstration"]) for row in rows):
        parts.append(f"{demonstrations} demonstrations before")
    if final := final_evaluation(rows):
        parts.append(f"final evaluation, on other seeds: {final['successes']} of {final['episodes']}")
    elif full := [row for row in _evaluations(rows) if row["episodes"] >= FULL]:
        parts.append(f"last full evaluation {full[-1]['successes']} of {full[-1]['episodes']}")
    return "   ·   ".join(parts)


def _episodes(rows: Rows) -> list[Row]:
    return [row for row in rows if row["kind"] == "episode" and not row["demonstration"]]


def _evaluations(rows: Rows) -> list[Row]:
    """Evaluations during training."""
    return [row for row in rows if row["kind"] == "evaluation" and row["purpose"] != FINAL and row["episodes"]]


def _rate(evaluation: Row) -> float:
    return evaluation["successes"] / evaluation["episodes"]


def _positions(rows: Rows, unit: str) -> NDArray[np.float64]:
    return np.array([row["step"] if unit == "step" else row["seconds"] / 60 for row in rows], dtype=np.float64)


def _curve(rows: Rows, unit: str) -> Curve:
    """Success rates of a run over steps or minutes; of several evaluations of one step, the one of more episodes."""
    kept = {row["step"]: row for row in sorted(_evaluations(rows), key=lambda row: row["episodes"])}
    ordered = sorted(kept.values(), key=lambda row: row["step" if unit == "step" else "seconds"])
    return _positions(ordered, unit), np.array([_rate(row) for row in ordered])


def _band(curves: Sequence[Curve]) -> tuple[NDArray[np.float64], ...]:
    """Positions, and the minimum, median and maximum of the curves there, from where all have begun."""
    x = np.unique(np.concatenate([curve[0] for curve in curves]))
    x = x[x >= max(curve[0][0] for curve in curves)]
    # A curve stays at its last evaluation: a run ends when it is good enough.
    values = np.stack([np.interp(x, *curve) for curve in curves])
    return x, values.min(axis=0), np.median(values, axis=0), values.max(axis=0)
