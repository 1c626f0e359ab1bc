"""What a run leaves for people: its curves in one image, and evaluation episodes in one video."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hil_trainer.logging.figures import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    SKY,
    VERMILION,
    new_figure,
    rolling_share,
    save_figure,
    show_percent,
    show_thousands,
)
from hil_trainer.logging.metrics import read_metrics
from hil_trainer.logging.milestones import FULL, RATES, clock_time, first_reaching
from hil_trainer.logging.videos import write_grid_video

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_curves", "write_grid_video", "write_report"]

CURVES = "report/curves.png"
WINDOW = 20  # episodes of a rolling mean
Row = Mapping[str, Any]
Rows = Sequence[Row]


def write_report(directory: str | Path) -> Path:
    """Draw the curves of a run: success, episode length and intervention against steps and against minutes.

    Demonstrations are left out. Lines are means over the last 20 episodes, points are evaluations.

    Args:
        directory: of the run, which may still be running.

    Returns:
        The image's path, `directory`/report/curves.png.

    Raises:
        CheckpointError: there are no metrics, or they are damaged.
        ConfigurationError: the image cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    directory = Path(directory)
    figure = draw_curves(read_metrics(directory), directory.resolve().name)
    return save_figure(figure, directory / CURVES)


def draw_curves(rows: Rows, title: str) -> Figure:
    """Draw the curves of a run.

    Args:
        rows: of its `metrics.jsonl`.
        title: to write above.

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
        show_thousands(axes[2, column])
        axes[2, column].set_xlim(left=0, right=None if rows else 1)
        _mark_target(axes[0, column], rows, unit)
    axes[2, 0].set_xlabel("environment steps")
    axes[2, 1].set_xlabel("minutes of training")
    titles = ("success rate", "episode length (steps)", "share of steps driven by the operator")
    for one, heading in zip(axes[:, 0], titles, strict=True):
        one.set_title(heading, loc="left", fontsize=10.5, fontweight="bold", color=INK)
    figure.text(0.07, 0.972, title, fontsize=14, fontweight="bold", color=INK, va="center")
    figure.text(0.07, 0.945, _summary(rows), fontsize=9.5, color=GREY, va="center")
    note = f"Lines are means over the last {WINDOW} episodes of training; points are evaluations of the policy alone."
    figure.text(0.07, 0.022, note, fontsize=9, color=GREY, va="center")
    labelled = [axes[0, 0], axes[2, 0]]
    handles = {
        label: handle for one in labelled for handle, label in zip(*one.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="lower left", bbox_to_anchor=(0.058, 0.036), ncols=3, frameon=False,
        fontsize=9, labelcolor=INK,
    )  # fmt: skip
    figure.subplots_adjust(left=0.07, right=0.98, top=0.897, bottom=0.155, hspace=0.28, wspace=0.08)
    return figure


def _draw_success(axes: Axes, rows: Rows, unit: str) -> None:
    episodes = _episodes(rows)
    x, ones = _positions(episodes, unit), np.ones(len(episodes))
    success = [bool(row["success"]) for row in episodes]
    alone = [bool(row["success"]) and not row["operator_steps"] for row in episodes]
    if _helped(episodes):
        axes.plot(x, rolling_share(success, ones, WINDOW), color=SKY, linewidth=1.4, label="policy and operator")
    axes.plot(x, rolling_share(alone, ones, WINDOW), color=BLUE, linewidth=1.8, label="policy alone")
    _draw_evaluations(axes, rows, unit, lambda row: row["successes"] / row["episodes"])
    show_percent(axes)


def _draw_length(axes: Axes, rows: Rows, unit: str) -> None:
    episodes = _episodes(rows)
    mean = rolling_share([row["length"] for row in episodes], np.ones(len(episodes)), WINDOW)
    axes.plot(_positions(episodes, unit), mean, color=SKY if _helped(episodes) else BLUE, linewidth=1.8)
    _draw_evaluations(axes, rows, unit, lambda row: row["length"])
    # A little room above, so that a line of episodes that all ran out of time is obs.
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1] if rows else 100)


def _draw_intervention(axes: Axes, rows: Rows, unit: str) -> None:
    episodes = _episodes(rows)
    share = rolling_share([row["operator_steps"] for row in episodes], [row["length"] for row in episodes], WINDOW)
    x = _positions(episodes, unit)
    axes.fill_between(x, share, color=ORANGE, alpha=0.25, linewidth=0)
    axes.plot(x, share, color=ORANGE, linewidth=1.8, label="driven by the operator")
    show_percent(axes)


def _draw_evaluations(axes: Axes, rows: Rows, unit: str, value: Callable[[Row], Any]) -> None:
    evaluations = [row for row in rows if row["kind"] == "evaluation" and row["episodes"]]
    for full in (False, True):
        shown = [row for row in evaluations if (row["episodes"] >= FULL) == full and value(row) is not None]
        if not shown:
            continue
        marks: dict[str, Any] = {"marker": "o", "markersize": 4.5, "markerfacecolor": "white", "markeredgewidth": 1.1}
        label = f"quick evaluation ({shown[-1]['episodes']} episodes)"
        if full:
            marks = {"marker": "D", "markersize": 6, "markeredgecolor": "white", "markeredgewidth": 0.8}
            label = f"full evaluation ({shown[-1]['episodes']} episodes)"
        x, y = _positions(shown, unit), [value(row) for row in shown]
        axes.plot(x, y, linestyle="none", color=VERMILION if full else INK, label=label, zorder=3 + full, **marks)


def _mark_target(axes: Axes, rows: Rows, unit: str) -> None:
    """Say when the highest success rate that counts was reached first."""
    for rate in sorted(RATES, reverse=True):
        milestone = first_reaching(rows, rate)
        if milestone is not None:
            break
    else:
        return
    at, told = float(milestone.step), f"{milestone.step:,}"
    if unit == "minutes":
        at, told = milestone.seconds / 60, clock_time(milestone.seconds)
    axes.axvline(at, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    left = at > 0.3 * axes.get_xlim()[1]
    axes.annotate(
        f"{rate:.0%} at {told}", (at, 0), (-4 if left else 4, 3), textcoords="offset points",
        ha="right" if left else "left", va="bottom", fontsize=9, color=INK,
    )  # fmt: skip


def _mark_resumes(axes: Axes, rows: Rows, unit: str) -> None:
    resumes = [row for row in rows if row["kind"] == "event" and str(row["text"]).startswith("resumed")]
    for number, at in enumerate(_positions(resumes, unit)):
        label = "resumed" if number == 0 else None
        axes.axvline(at, color=GREEN, linewidth=1.1, linestyle=":", zorder=1, label=label)


def _summary(rows: Rows) -> str:
    if not rows:
        return "nothing has happened yet"
    told = [f"{rows[-1]['step']:,} steps in {clock_time(rows[-1]['seconds'])}"]
    driven = sum(row["operator_steps"] for row in _episodes(rows))
    told.append(f"{driven:,} of them the operator's" if driven else "nobody helped")
    demonstrations = sum(row["kind"] == "episode" and bool(row["demonstration"]) for row in rows)
    if demonstrations:
        told.append(f"{demonstrations} demonstrations before")
    full = [row for row in rows if row["kind"] == "evaluation" and row["episodes"] >= FULL]
    if full:
        told.append(f"last full evaluation {full[-1]['successes']} of {full[-1]['episodes']}")
    return "   ·   ".join(told)


def _helped(episodes: Rows) -> bool:
    return any(row["operator_steps"] for row in episodes)


def _episodes(rows: Rows) -> list[Row]:
    return [row for row in rows if row["kind"] == "episode" and not row["demonstration"]]


def _positions(rows: Rows, unit: str) -> NDArray[np.float64]:
    return np.array([row["step"] if unit == "step" else row["seconds"] / 60 for row in rows], dtype=np.float64)
