"""One look for all images of curves: quiet axes, and colours that colour-blind people can tell apart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hil_trainer.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008), those that are hardest to mistake for each other first.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLOURS = (BLUE, VERMILION, GREEN, SKY, ORANGE, PURPLE)
INK, GREY, GRID = "#22303c", "#6b7885", "#e6e9ec"
SUFFIXES = (".png", ".svg", ".pdf")
_DOTS_PER_INCH = 150


def new_figure(
    rows: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple[Figure, NDArray[np.object_]]:
    """Make an image of empty axes.

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
        raise MissingExtraError("Images of curves need matplotlib: pip install 'gym-hil[train]'") from error
    # pyplot would keep every figure in a state that the whole process shares.
    figure = Figure(figsize=size, dpi=_DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for one in axes.flat:
        _quieten(one)
    return figure, axes


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write an image; what was at its place stays until the new one is whole.

    Args:
        figure: to draw.
        path: a .png, .svg or .pdf file; its folder is made if it is missing.

    Returns:
        The path.

    Raises:
        ConfigurationError: another ending, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(f"{path} ends in {path.suffix!r}; expected one of {', '.join(SUFFIXES)}.")
    part = path.with_name(f".part-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(part)
        os.replace(part, path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}. Choose another place.") from error
    return path


def show_percent(axes: Axes) -> None:
    """Let the vertical axis go from 0 to 100%, for values in [0, 1]."""
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks(np.linspace(0, 1, 5), ["0%", "25%", "50%", "75%", "100%"])


def show_thousands(axes: Axes) -> None:
    """Write large numbers of the horizontal axis as 2,500, and few of them."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def rolling_share(parts: ArrayLike, wholes: ArrayLike, window: int) -> NDArray[np.float64]:
    """Sum of the last parts over the sum of the last wholes; with wholes of one, a rolling mean.

    Args:
        parts: (n,) numbers.
        wholes: (n,) numbers.
        window: how many count, itself included; fewer at the beginning.

    Returns:
        (n,) ratios; 0 where the wholes are all zero.
    """
    above, below = (np.concatenate([[0.0], np.cumsum(np.asarray(one, dtype=np.float64))]) for one in (parts, wholes))
    last = np.arange(1, len(above))
    first = np.maximum(last - window, 0)
    total = below[last] - below[first]
    return np.divide(above[last] - above[first], total, out=np.zeros(len(last)), where=total > 0)


def _quieten(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor=INK, labelsize=9, length=3)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.title.set_color(INK)
