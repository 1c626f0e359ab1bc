"""Evaluation of a classifier on recorded episodes, with a report: scores, ROC curve, and the hardest frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from gym_hil.datasets.features import IMAGES
from gym_hil.errors import ConfigurationError
from gym_hil.files import expand_path
from hil_trainer.errors import CheckpointError
from hil_trainer.logging.plots import BLUE, GREEN, GREY, VERMILION, new_figure, save_figure
from hil_trainer.reward_classifier.examples import Examples, open_datasets, read_examples
from hil_trainer.reward_classifier.model import RewardClassifier, load_classifier
from hil_trainer.reward_classifier.scores import Scores, score

REPORT, ROC, HARDEST = "report.md", "roc.png", "hardest_frames.png"
MAX_FRAMES = 24  # on the sheet
_SIDE = 128  # pixels of an image on the sheet
_GAP, _TITLE, _MARK = 10, 24, 5  # pixels: between frames, height of the title, width of the mark
_TEXT, _BACKGROUND = (236, 240, 243), (18, 24, 31)
_RIGHT, _WRONG = (46, 204, 113), (224, 90, 78)


def evaluate_classifier(
    classifier: RewardClassifier | str | PathLike[str],
    paths: Sequence[str | PathLike[str]],
    out: str | PathLike[str] | None = None,
    *,
    threshold: float | None = None,
) -> Scores:
    """Compare a classifier with recorded success.

    Args:
        classifier: or its folder.
        paths: of datasets that it was not trained on.
        out: folder for a report; None for none.
        threshold: None for the classifier's own.

    Raises:
        CheckpointError: there is no classifier, or the report cannot be written.
        ConfigurationError: a dataset lacks what the classifier sees.
        DatasetError: a dataset cannot be read.
        DemonstrationsError: success was not recorded.
    """
    if not isinstance(classifier, RewardClassifier):
        classifier = load_classifier(classifier)
    examples = read_examples(open_datasets(paths), classifier.shape)
    probabilities = classifier.judge(examples.images, examples.states)
    scores = score(probabilities, examples.success, classifier.threshold if threshold is None else threshold)
    if out is not None:
        facts = {"judged": "all episodes of the datasets", "datasets": ", ".join(map(str, paths))}
        write_report(out, examples, probabilities, scores, classifier.shape.cameras, facts)
    return scores


def write_report(
    folder: str | PathLike[str],
    examples: Examples,
    probabilities: NDArray[np.float64],
    scores: Scores,
    cameras: Sequence[str],
    facts: Mapping[str, str],
) -> Path:
    """Write `report.md` and its two images.

    Args:
        folder: created if missing.
        examples: that were judged.
        probabilities: (n,) of success.
        scores: of these at the threshold.
        cameras: to show.
        facts: other rows of the table, name -> text.

    Returns:
        Path of the report.

    Raises:
        CheckpointError: the folder cannot be written to.
        DatasetError: an image cannot be read again.
    """
    folder = expand_path(folder)
    wrong = (probabilities >= scores.threshold) != examples.success
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _draw_curves(folder / ROC, probabilities, examples.success, scores)
        count = _draw_hardest(folder / HARDEST, examples, probabilities, scores.threshold, cameras)
        shown = f"The {count} most wrong frames" if wrong.any() else f"No frame is wrong; the {count} least certain"
        lines = [
            "# Reward classifier",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {text} |" for name, text in facts.items()),
            f"| accuracy | {scores.accuracy:.2%} of {scores.frames} frames |",
            f"| precision, recall | {scores.precision:.4f}, {scores.recall:.4f} at threshold {scores.threshold:.3f} |",
            f"| area under the ROC curve | {scores.auc:.5f} |",
            f"| true positives, false negatives | {scores.true_positives}, {scores.false_negatives} |",
            f"| true negatives, false positives | {scores.true_negatives}, {scores.false_positives} |",
            "",
            f"![ROC curve, precision and recall]({ROC})",
            "",
            f"{shown}, hardest first; each with its dataset, episode and frame, the predicted probability of success, "
            "and the recorded label:",
            "",
            f"![the hardest frames]({HARDEST})",
        ]
        path = folder / REPORT
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except (OSError, ConfigurationError) as error:
        raise CheckpointError(f"The report in {folder} cannot be written: {error}") from error
    return path


def hardest(
    probabilities: NDArray[np.float64], success: NDArray[np.bool_], threshold: float, most: int = MAX_FRAMES
) -> NDArray[np.int64]:
    """Indices of the frames that are wrong by the largest margin; if none is wrong, of those nearest to the threshold.

    Args:
        probabilities: (n,) of success.
        success: (n,) labels.
        threshold: from which on a frame counts as success.
        most: maximum number of frames.
    """
    wrong = (probabilities >= threshold) != success
    # Distance beyond the threshold, on the wrong side.
    distance = np.where(success, threshold - probabilities, probabilities - threshold)
    order = np.lexsort((-distance, ~wrong))
    return order[: min(most, int(wrong.sum()) or most)]


def _draw_curves(path: Path, probabilities: NDArray[np.float64], success: NDArray[np.bool_], scores: Scores) -> None:
    """Draw the ROC curve, and precision and recall over the threshold."""
    figure, axes = new_figure(1, 2, (9.6, 4.2))
    left, right = axes[0]
    marks = {"linestyle": "none", "marker": "o", "color": VERMILION, "label": f"threshold {scores.threshold:.3f}"}
    left.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    if 0 < success.sum() < len(success):
        false_rate, true_rate, _ = metrics.roc_curve(success, probabilities, drop_intermediate=False)
        left.plot(false_rate, true_rate, color=BLUE)
        left.plot(scores.false_positives / (~success).sum(), scores.true_positives / success.sum(), **marks)
        left.legend(loc="lower right", frameon=False)
    left.set(xlabel="false positive rate", ylabel="true positive rate", title=f"ROC, area {scores.auc:.4f}")
    if success.any():
        precision, recall, thresholds = metrics.precision_recall_curve(success, probabilities)
        right.step(thresholds, precision[:-1], where="pre", label="precision", color=BLUE)
        right.step(thresholds, recall[:-1], where="pre", label="recall", color=GREEN)
        right.axvline(scores.threshold, color=VERMILION, linewidth=1, label=marks["label"])
        right.legend(loc="lower left", frameon=False)
    right.set(xlabel="threshold", title=f"{scores.frames} frames")
    for one in (left, right):
        one.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    figure.subplots_adjust(left=0.08, right=0.98, top=0.91, bottom=0.13, wspace=0.18)
    save_figure(figure, path)


def _draw_hardest(
    path: Path, examples: Examples, probabilities: NDArray[np.float64], threshold: float, cameras: Sequence[str]
) -> int:
    """Draw the hardest frames, the cameras side by side. Returns how many there are."""
    from PIL import Image, ImageDraw, ImageFont

    chosen = hardest(probabilities, examples.success, threshold)
    columns = max(1, min(len(chosen), 3 if len(cameras) < 3 else 2))
    width, height = _MARK + len(cameras) * _SIDE + _GAP, _TITLE + _SIDE + _GAP
    size = columns * width + _GAP, max(1, math.ceil(len(chosen) / columns)) * height + _GAP
    sheet = Image.new("RGB", size, _BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, row in enumerate(chosen.tolist()):
        left, top = _GAP + width * (number % columns), _GAP + height * (number // columns)
        episode, frame = examples.sources[examples.episodes[row]], int(examples.frames[row])
        success = bool(examples.success[row])
        title = f"{episode.dataset.path.name} {episode.record.index}, frame {frame}: {probabilities[row]:.3f}, "
        title += "success" if success else "no success"
        draw.text((left + _MARK, top + _TITLE / 2), title, fill=_TEXT, font=font, anchor="lm")
        mark = _RIGHT if (probabilities[row] >= threshold) == success else _WRONG
        draw.rectangle((left, top + _TITLE, left + _MARK - 1, top + _TITLE + _SIDE - 1), fill=mark)
        for index, camera in enumerate(cameras):
            image = Image.fromarray(episode.image(IMAGES + camera, frame))
            image = image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
            sheet.paste(image, (left + _MARK + index * _SIDE, top + _TITLE))
    sheet.save(path)
    return len(chosen)
