"""Plots: the curves of one run, and runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.errors import ConfigurationError, MissingExtraError
from gym_hil.files import atomic_write, expand_path
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
_DPI = 150
_LINES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)))
_HEADING: dict[str, Any] = {"loc": "left", "fontsize": 10.5, "fontweight": "bold", "color": INK}

Rows = Sequence[Row]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Run:
    """A run to compare.

    Attributes:
        path: its folder.
        label: runs of the same label form one group.
        rows: of its `metrics.jsonl`.
    """

    path: Path
    label: str
    rows: Rows


def write_report(directory: str | Path) -> Path:
    """Draw the curves of a run to `directory`/report/curves.png; see `draw_curves`.

    Args:
        directory: of the run, which may still be running.

    Returns:
        Path of the image.

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

    Args:
        rows: of its `metrics.jsonl`.
        title: of the figure.

    Returns:
        A figure of three rows (success, length, intervention) and two columns (steps, minutes).

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure, axes = new_figure(3, 2, (9, 8.2), sharex="col", sharey="row")
    for column, unit in enumerate(("step", "minutes")):
        _draw_success(axes[0, column], rows, unit)
        _draw_length(axes[1, column], rows, unit)
        _draw_intervention(axes[2, column], rows, unit)
        for one in axes[:, column]:
            _mark_resumes(one, rows, unit)
        _thousands(axes[2, column])
        axes[2, column].set_xlim(left=0, right=None if rows else 1)
        _mark_milestone(axes[0, column], rows, unit)
    axes[2, 0].set_xlabel("environment steps")
    axes[2, 1].set_xlabel("minutes of training")
    headings = ("success rate", "episode length (steps)", "share of steps driven by the operator")
    for one, heading in zip(axes[:, 0], headings, strict=True):
        one.set_title(heading, **_HEADING)
    figure.text(0.07, 0.972, title, fontsize=14, fontweight="bold", color=INK, va="center")
    figure.text(0.07, 0.945, _summary(rows), fontsize=9.5, color=GREY, va="center")
    note = (
        f"Lines are means over the last {WINDOW} episodes of training; points are evaluations of the policy alone, the "
        "final one on other seeds."
    )
    figure.text(0.07, 0.022, note, fontsize=9, color=GREY, va="center")
    handles: dict[Any, Any] = {}
    for one in (axes[0, 0], axes[2, 0]):
        found, labels = one.get_legend_handles_labels()
        handles |= dict(zip(labels, found, strict=True))
    figure.legend(
        handles.values(), handles.keys(), loc="lower left", bbox_to_anchor=(0.058, 0.036), ncols=3, frameon=False,
        fontsize=9, labelcolor=INK,
    )  # fmt: skip
    figure.subplots_adjust(left=0.07, right=0.98, top=0.897, bottom=0.155, hspace=0.28, wspace=0.08)
    return figure


def find_runs(directories: Sequence[str | Path], labels: Sequence[str] | None = None) -> list[Run]:
    """Find the runs in folders.

    Args:
        directories: each is a run, or contains runs at any depth.
        labels: one for each directory; None for the name of the folder that contains a run.

    Returns:
        The runs, by directory and then by path; each once.

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
    names = _short_names({path.parent for path in found})
    return [
        Run(path, names[path.parent] if label is None else label, read_metrics(path)) for path, label in found.items()
    ]


def draw_comparison(runs: Sequence[Run], out: str | Path) -> Path:
    """Draw the success rates of runs in evaluations, against steps and against minutes.

    Runs of one label form one line, their median, in a band from the worst to the best. A run that has ended stays at
    its last evaluation. A star is the final evaluation of a run, on seeds that chose nothing.

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
        if _evaluations(run.rows):
            groups.setdefault(run.label, []).append(run)
    if not groups:
        raise ConfigurationError("None of these runs has an evaluation yet; there is nothing to plot.")
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
            name = label if len(members) == 1 else f"{label} ({len(members)} runs)"
            one.plot(x, middle, linewidth=2, linestyle=_LINES[number % len(_LINES)], label=name, **look)
            for run, curve in zip(members, curves, strict=True):
                final = final_evaluation(run.rows)
                end = curve[1][-1] if final is None else final["successes"] / final["episodes"]
                marks = {"marker": "o", "markersize": 5} if final is None else {"marker": "*", "markersize": 10}
                one.plot(curve[0][-1], end, markeredgecolor="white", zorder=4, linestyle="none", **marks, **look)
    for one, label in zip(axes[0], ("environment steps", "minutes of training"), strict=True):
        one.set_xlabel(label)
        one.set_xlim(left=0)
        _thousands(one)
        _percent(one)
    axes[0, 0].set_title("success rate in evaluations", **_HEADING)
    note = (
        "Line: median of the runs. Band: worst to best. Star: final evaluation of a run, on seeds that chose nothing."
    )
    figure.text(0.07, 0.10 / height, note, fontsize=8.5, color=GREY, va="bottom")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="lower left", bbox_to_anchor=(0.058, 0.30 / height), ncols=columns, frameon=False,
        fontsize=9.5, labelcolor=INK, handlelength=3.2,
    )  # fmt: skip
    figure.subplots_adjust(
        left=0.07, right=0.98, top=1 - 0.35 / height, bottom=(0.95 + 0.24 * lines) / height, wspace=0.08
    )
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

    Returns:
        The figure and its (rows, columns) axes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Plots need matplotlib: pip install 'gym-hil[train]'") from error
    # pyplot would keep every figure in a state that the whole process shares.
    figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for one in axes.flat:
        one.spines[["top", "right"]].set_visible(False)
        one.spines[["left", "bottom"]].set_color(GREY)
        one.tick_params(colors=GREY, labelcolor=INK, labelsize=9, length=3)
        one.grid(axis="y", color=GRID, linewidth=0.8)
        one.set_axisbelow(True)
        one.xaxis.label.set_color(INK)
        one.yaxis.label.set_color(INK)
    return figure, axes


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure atomically.

    Args:
        figure: to write.
        path: a .png, .svg or .pdf file; its folder is created if missing.

    Returns:
        The path.

    Raises:
        ConfigurationError: another file type, or the file cannot be written.
    """
    path = expand_path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigurationError(f"{path} ends in {path.suffix!r}; expected one of {', '.join(_SUFFIXES)}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda file: figure.savefig(file, format=path.suffix[1:].lower()))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}. Choose another place.") from error
    return path


def rolling_share(parts: ArrayLike, wholes: ArrayLike, window: int) -> NDArray[np.float64]:
    """Sum of the last parts over the sum of the last wholes; with wholes of one, a rolling mean.

    Args:
        parts: (n,) numbers.
        wholes: (n,) numbers.
        window: how many are summed; fewer at the beginning.

    Returns:
        (n,) ratios; 0 where the wholes are all zero.
    """
    above, below = (np.concatenate([[0.0], np.cumsum(np.asarray(one, dtype=np.float64))]) for one in (parts, wholes))
    last = np.arange(1, len(above))
    first = np.maximum(last - window, 0)
    total = below[last] - below[first]
    return np.divide(above[last] - above[first], total, out=np.zeros(len(last)), where=total > 0)


def _draw_success(axes: Axes, rows: Rows, unit: str) -> None:
    episodes = _episodes(rows)
    x, ones = _positions(episodes, unit), np.ones(len(episodes))
    success = [bool(row["success"]) for row in episodes]
    alone = [bool(row["success"]) and not row["operator_steps"] for row in episodes]
    if _operator_steps(episodes):
        axes.plot(x, rolling_share(success, ones, WINDOW), color=SKY, linewidth=1.4, label="policy and operator")
    axes.plot(x, rolling_share(alone, ones, WINDOW), color=BLUE, linewidth=1.8, label="policy alone")
    _draw_evaluations(axes, rows, unit, lambda row: row["successes"] / row["episodes"])
    _percent(axes)


def _draw_length(axes: Axes, rows: Rows, unit: str) -> None:
    episodes = _episodes(rows)
    mean = rolling_share([row["length"] for row in episodes], np.ones(len(episodes)), WINDOW)
    colour = SKY if _operator_steps(episodes) else BLUE
    axes.plot(_positions(episodes, unit), mean, color=colour, linewidth=1.8)
    _draw_evaluations(axes, rows, unit, lambda row: row["length"])
    # A margin, so that a line of episodes that all reach the time limit is visible.
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1] if rows else 100)


def _draw_intervention(axes: Axes, rows: Rows, unit: str) -> None:
    episodes = _episodes(rows)
    share = rolling_share([row["operator_steps"] for row in episodes], [row["length"] for row in episodes], WINDOW)
    x = _positions(episodes, unit)
    axes.fill_between(x, share, color=ORANGE, alpha=0.25, linewidth=0)
    axes.plot(x, share, color=ORANGE, linewidth=1.8, label="driven by the operator")
    _percent(axes)


def _draw_evaluations(axes: Axes, rows: Rows, unit: str, value: Callable[[Row], Any]) -> None:
    marks: dict[str, dict[str, Any]] = {
        "quick": {"color": INK, "marker": "o", "markersize": 4.5, "markerfacecolor": "white", "markeredgewidth": 1.1},
        "full": {
            "color": VERMILION,
            "marker": "D",
            "markersize": 6,
            "markeredgecolor": "white",
            "markeredgewidth": 0.8,
        },
        FINAL: {"color": PURPLE, "marker": "*", "markersize": 12, "markeredgecolor": "white", "markeredgewidth": 0.8},
    }
    for kind, look in marks.items():
        found = [row for row in rows if row["kind"] == "evaluation" and row["purpose"] == kind and row["episodes"]]
        shown = [row for row in (found[-1:] if kind == FINAL else found) if value(row) is not None]
        if shown:
            label = f"{kind} evaluation ({shown[-1]['episodes']} episodes)"
            y = [value(row) for row in shown]
            axes.plot(_positions(shown, unit), y, linestyle="none", label=label, zorder=3.5, **look)


def _mark_milestone(axes: Axes, rows: Rows, unit: str) -> None:
    """Mark when the highest rate of `RATES` was reached first."""
    milestones = [(rate, first_reaching(rows, rate)) for rate in sorted(RATES, reverse=True)]
    rate, milestone = next(((rate, one) for rate, one in milestones if one is not None), (0.0, None))
    if milestone is None:
        return
    at, text = milestone.step, f"{milestone.step:,}"
    if unit == "minutes":
        at, text = milestone.seconds / 60, clock_time(milestone.seconds)
    axes.axvline(at, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    left = at > 0.3 * axes.get_xlim()[1]
    axes.annotate(
        f"{rate:.0%} at {text}", (at, 0), (-4 if left else 4, 3), textcoords="offset points",
        ha="right" if left else "left", va="bottom", fontsize=9, color=INK,
    )  # fmt: skip


def _mark_resumes(axes: Axes, rows: Rows, unit: str) -> None:
    resumes = [row for row in rows if row["kind"] == "event" and str(row["text"]).startswith("resumed")]
    for number, at in enumerate(_positions(resumes, unit)):
        axes.axvline(at, color=GREEN, linewidth=1.1, linestyle=":", zorder=1, label=None if number else "resumed")


def _summary(rows: Rows) -> str:
    if not rows:
        return "no metrics yet"
    last = max(rows, key=lambda row: row["seconds"])
    parts = [f"{max(row['step'] for row in rows):,} steps in {clock_time(last['seconds'])}"]
    driven = _operator_steps(_episodes(rows))
    parts.append(f"{driven:,} of them the operator's" if driven else "no intervention")
    demonstrations = sum(row["kind"] == "episode" and bool(row["demonstration"]) for row in rows)
    if demonstrations:
        parts.append(f"{demonstrations} demonstrations before")
    final = final_evaluation(rows)
    full = [row for row in _evaluations(rows) if row["episodes"] >= FULL]
    if final is not None:
        parts.append(f"final evaluation, on other seeds: {final['successes']} of {final['episodes']}")
    elif full:
        parts.append(f"last full evaluation {full[-1]['successes']} of {full[-1]['episodes']}")
    return "   ·   ".join(parts)


def _operator_steps(episodes: Rows) -> int:
    return sum(row["operator_steps"] for row in episodes)


def _episodes(rows: Rows) -> list[Row]:
    return [row for row in rows if row["kind"] == "episode" and not row["demonstration"]]


def _evaluations(rows: Rows) -> list[Row]:
    """Evaluations during training."""
    return [row for row in rows if row["kind"] == "evaluation" and row["purpose"] != FINAL and row["episodes"]]


def _positions(rows: Rows, unit: str) -> NDArray[np.float64]:
    return np.array([row["step"] if unit == "step" else row["seconds"] / 60 for row in rows], dtype=np.float64)


def _curve(rows: Rows, unit: str) -> Curve:
    """Success rates of a run over steps or minutes; of several evaluations of one step, the one of more episodes."""
    kept: dict[int, Mapping[str, Any]] = {}
    for row in _evaluations(rows):
        if row["step"] not in kept or row["episodes"] >= kept[row["step"]]["episodes"]:
            kept[row["step"]] = row
    ordered = sorted(kept.values(), key=lambda row: row["step" if unit == "step" else "seconds"])
    return _positions(ordered, unit), np.array([row["successes"] / row["episodes"] for row in ordered])


def _band(curves: Sequence[Curve]) -> tuple[NDArray[np.float64], ...]:
    """Positions, and the minimum, median and maximum of the curves there, from where all have begun."""
    x = np.unique(np.concatenate([curve[0] for curve in curves]))
    x = x[x >= max(curve[0][0] for curve in curves)]
    # A curve stays at its last evaluation: a run ends when it is good enough.
    values = np.stack([np.interp(x, *curve) for curve in curves])
    return x, values.min(axis=0), np.median(values, axis=0), values.max(axis=0)


def _short_names(folders: Iterable[Path]) -> dict[Path, str]:
    """As many last parts of each path as distinguish it from the others."""
    names: dict[Path, str] = {}
    folders = set(folders)
    for folder in folders:
        count = 1
        while any(other != folder and other.parts[-count:] == folder.parts[-count:] for other in folders):
            count += 1
        names[folder] = "/".join(folder.parts[-count:])
    return names


def _percent(axes: Axes) -> None:
    """Vertical axis from 0 to 100%, for values in [0, 1]."""
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks(np.linspace(0, 1, 5), ["0%", "25%", "50%", "75%", "100%"])


def _thousands(axes: Axes) -> None:
    """Few large numbers on the horizontal axis, as 2,500."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
