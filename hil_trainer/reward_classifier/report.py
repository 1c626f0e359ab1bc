"""What an operator looks at to judge a classifier: numbers, the ROC curve, and the frames that are hardest for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.features import IMAGES
from hil_trainer.errors import CheckpointError
from hil_trainer.reward_classifier.examples import Examples
from hil_trainer.reward_classifier.scores import Scores, curve

REPORT, ROC, HARDEST = "report.md", "roc.png", "hardest_frames.png"
MOST = 24  # frames on the sheet
PICTURE = 128  # pixels
_GAP, _BAR, _MARK = 10, 24, 5  # pixels: between frames, the words above, the stripe beside
_INK, _PAPER = (236, 240, 243), (18, 24, 31)
_RIGHT, _WRONG = (46, 204, 113), (224, 90, 78)


def write_report(
    folder: Path,
    examples: Examples,
    probabilities: NDArray[np.float64],
    scores: Scores,
    cameras: Sequence[str],
    facts: Mapping[str, str],
) -> Path:
    """Write `report.md` and its two images.

    Args:
        folder: made if it is missing.
        examples: that were judged.
        probabilities: (n,) of success.
        scores: at the threshold.
        cameras: to show.
        facts: what else to tell, name -> words.

    Returns:
        The report.

    Raises:
        CheckpointError: the folder cannot be written.
        DatasetError: an image cannot be read again.
    """
    wrong = (probabilities >= scores.threshold) != examples.success
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw_curves(folder / ROC, probabilities, examples.success, scores)
        shown = draw_hardest(folder / HARDEST, examples, probabilities, scores.threshold, cameras)
        told = (
            f"The {shown} frames that are most wrong" if wrong.any() else f"No frame is wrong; the {shown} least sure"
        )
        lines = [
            "# Reward classifier",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {words} |" for name, words in facts.items()),
            f"| accuracy | {scores.accuracy:.2%} of {scores.frames} frames |",
            f"| precision, recall | {scores.precision:.4f}, {scores.recall:.4f} at threshold {scores.threshold:.3f} |",
            f"| area under the ROC curve | {scores.auc:.5f} |",
            f"| success, told / missed | {scores.true_positives} / {scores.false_negatives} |",
            f"| no success, told / taken for success | {scores.true_negatives} / {scores.false_positives} |",
            "",
            f"![ROC curve, precision and recall]({ROC})",
            "",
            f"{told}, hardest first; each with its dataset, episode and frame, the probability of success "
            "that it was given, and what was recorded:",
            "",
            f"![the hardest frames]({HARDEST})",
        ]
        path = folder / REPORT
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error}. Choose another folder.") from error
    return path


def draw_curves(path: Path, probabilities: NDArray[np.float64], success: NDArray[np.bool_], scores: Scores) -> None:
    """Draw the ROC curve, and precision and recall over the threshold.

    Args:
        path: a .png file.
        probabilities: (n,) of success.
        success: (n,) what is true.
        scores: at the threshold that is marked.
    """
    # Its own canvas: whatever back end the process draws with elsewhere stays as it is.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    thresholds, hits, alarms = curve(probabilities, success)
    positives, negatives = max(int(success.sum()), 1), max(int((~success).sum()), 1)
    figure = Figure(figsize=(9.6, 4.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    rate, found = np.concatenate([[0], alarms]) / negatives, np.concatenate([[0], hits]) / positives
    left.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    left.plot(rate, found, color="C0")
    left.plot(
        scores.false_positives / negatives, scores.true_positives / positives, "o", color="C3", label="the threshold"
    )
    left.set(
        xlabel="other frames taken for success (share)",
        ylabel="frames of success told (share)",
        title=f"ROC, area {scores.auc:.4f}",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
    )
    left.legend(loc="lower right")
    right.step(thresholds, hits / (hits + alarms), where="post", label="precision", color="C0")
    right.step(thresholds, hits / positives, where="post", label="recall", color="C2")
    right.axvline(scores.threshold, color="C3", linewidth=1, label=f"threshold {scores.threshold:.3f}")
    right.set(xlabel="threshold", title=f"{scores.frames} frames", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    right.legend(loc="lower left")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path)


def draw_hardest(
    path: Path, examples: Examples, probabilities: NDArray[np.float64], threshold: float, cameras: Sequence[str]
) -> int:
    """Draw the frames that a classifier gets most wrong; if it gets none wrong, those that it is least sure of.

    Args:
        path: a .png file.
        examples: that were judged.
        probabilities: (n,) of success.
        threshold: from which on a frame counts as success.
        cameras: to show, side by side.

    Returns:
        How many frames are on it, at most `MOST`.
    """
    from PIL import Image, ImageDraw, ImageFont

    chosen = hardest(probabilities, examples.success, threshold)
    columns = max(1, min(len(chosen), 3 if len(cameras) < 3 else 2))
    width, height = _MARK + len(cameras) * PICTURE + _GAP, _BAR + PICTURE + _GAP
    size = columns * width + _GAP, max(1, math.ceil(len(chosen) / columns)) * height + _GAP
    sheet = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, row in enumerate(chosen.tolist()):
        left, top = _GAP + width * (number % columns), _GAP + height * (number // columns)
        episode, frame = examples.sources[examples.episodes[row]], int(examples.frames[row])
        is_success = bool(examples.success[row])
        name = f"{episode.dataset.path.name} {episode.record.index}"
        title = f"{name}, frame {frame}: {probabilities[row]:.3f}, "
        title += "success" if is_success else "no success"
        draw.text((left + _MARK, top + _BAR / 2), title, fill=_INK, font=font, anchor="lm")
        mark = _RIGHT if (probabilities[row] >= threshold) == is_success else _WRONG
        draw.rectangle((left, top + _BAR, left + _MARK - 1, top + _BAR + PICTURE - 1), fill=mark)
        for index, camera in enumerate(cameras):
            image = Image.fromarray(episode.image(IMAGES + camera, frame))
            image = image.resize((PICTURE, PICTURE), Image.Resampling.BILINEAR)
            sheet.paste(image, (left + _MARK + index * PICTURE, top + _BAR))
    sheet.save(path)
    return len(chosen)


def hardest(
    probabilities: NDArray[np.float64], success: NDArray[np.bool_], threshold: float, most: int = MOST
) -> NDArray[np.int64]:
    """Numbers of the frames that are most wrong, hardest first; if none is wrong, of those nearest to it.

    Args:
        probabilities: (n,) of success.
        success: (n,) what is true.
        threshold: from which on a frame counts as success.
        most: how many at most.
    """
    wrong = (probabilities >= threshold) != success
    # How far on the wrong side of the threshold.
    distance = np.where(success, threshold - probabilities, probabilities - threshold)
    order = np.lexsort((-distance, ~wrong))
    return order[: min(most, int(wrong.sum()) or most)]
