"""How good a classifier is on recorded episodes: scores, threshold, and a report with ROC curve and hardest frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from gym_hil.datasets.features import IMAGES
from gym_hil.errors import ConfigurationError
from gym_hil.files import expand_path
from hil_trainer.errors import CheckpointError
from hil_trainer.logging.plots import BLUE, GREEN, GREY, VERMILION, new_figure, save_figure
from hil_trainer.reward_classifier.examples import Examples, open_datasets, read_examples
from hil_trainer.reward_classifier.model import RewardClassifier, judge, load_classifier

MIN_THRESHOLD = 0.5
REPORT, ROC, HARDEST = "report.md", "roc.png", "hardest_frames.png"
MAX_FRAMES = 24  # on the sheet
_LOGIT_MARGIN = 1e-9  # distance from 0 and 1 at which log-odds are computed


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a classifier at a threshold; NaN for what is undefined."""

    frames: int  # number of frames
    threshold: float  # probability from which on a frame counts as success
    accuracy: float  # share of the frames that are right
    precision: float  # share of success among the frames that count as success
    recall: float  # share of the frames of success that count as success
    auc: float  # area under the ROC curve
    true_positives: int  # frames of success that count as success
    false_positives: int  # other frames that count as success
    false_negatives: int  # frames of success that do not count as success
    true_negatives: int  # other frames that do not count as success
    stage_accuracy: float = math.nan  # share of the frames that count as the stage that they show; NaN without stages

    def as_json(self) -> dict[str, Any]:
        """All numbers; None for those that are undefined."""
        return {name: None if math.isnan(value) else round(value, 6) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        precision, recall, auc = (
            "undefined" if math.isnan(value) else f"{value:.4f}" for value in (self.precision, self.recall, self.auc)
        )
        return (
            f"{self.accuracy:.2%} of {self.frames} frames right, precision {precision}, recall {recall}, AUC {auc} at "
            f"threshold {self.threshold:.3f}"
        ) + ("" if math.isnan(self.stage_accuracy) else f", {self.stage_accuracy:.2%} in the right stage")


def score(probabilities: NDArray[np.float64], success: NDArray[np.bool_], threshold: float) -> Scores:
    """Score (n,) probabilities of success against (n,) labels at a threshold."""
    predicted = probabilities >= threshold
    counts = metrics.confusion_matrix(success, predicted, labels=[False, True]).ravel().tolist()
    true_negatives, false_positives, false_negatives, true_positives = counts
    return Scores(
        frames=len(success),
        threshold=float(threshold),
        accuracy=float(metrics.accuracy_score(success, predicted)),
        precision=float(metrics.precision_score(success, predicted, zero_division=np.nan)),
        recall=float(metrics.recall_score(success, predicted, zero_division=np.nan)),
        auc=float(metrics.roc_auc_score(success, probabilities)) if 0 < success.sum() < len(success) else math.nan,
        true_positives=true_positives,
        false_positives=false_positives,
        false_negatives=false_negatives,
        true_negatives=true_negatives,
    )


def calibrate(probabilities: NDArray[np.float64], success: NDArray[np.bool_], precision: float) -> tuple[float, bool]:
    """Find the threshold with the highest recall at a precision.

    Of thresholds with the same recall the one with the fewest false positives is taken. It is at least `MIN_THRESHOLD`:
    few frames say little about probabilities that none of them has, and a policy exploits what is rewarded by mistake.
    Between two probabilities that occur, all thresholds are equivalent; the middle in log-odds is taken.

    Args:
        probabilities: (n,) of success, of frames that were not trained on.
        success: (n,) labels.
        precision: in (0, 1].

    Returns:
        The threshold, and whether it reaches the precision. If none does, it is the one with the highest precision.
    """
    if not success.any():
        return MIN_THRESHOLD, False
    precisions, recalls, thresholds = metrics.precision_recall_curve(success, probabilities)
    precisions, recalls = precisions[:-1], recalls[:-1]  # without the point of no threshold
    usable = (thresholds >= MIN_THRESHOLD) & (recalls > 0)
    if not usable.any():
        return MIN_THRESHOLD, False
    enough = usable & (precisions >= precision)
    if enough.any():
        chosen = int(np.flatnonzero(enough & (recalls == recalls[enough].max()))[-1])
    else:
        chosen = int(np.flatnonzero(usable & (precisions == precisions[usable].max()))[0])
    upper = float(thresholds[chosen])
    lower = float(thresholds[chosen - 1]) if chosen else 0.0
    limits = np.clip([max(lower, MIN_THRESHOLD), upper], _LOGIT_MARGIN, 1 - _LOGIT_MARGIN)
    middle = float(1 / (1 + np.exp(-np.log(limits / (1 - limits)).mean())))
    return (middle if lower < middle <= upper else upper), bool(enough.any())


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
    classifier = load_classifier(classifier, threshold=threshold)
    examples = read_examples(open_datasets(paths), classifier.shape)
    probabilities = judge(classifier, classifier.views(examples.images), examples.states)
    scores, confusion = score_stages(classifier, probabilities, examples)
    if out is not None:
        facts = {"judged": "all episodes of the datasets", "datasets": ", ".join(map(str, paths))}
        write_report(out, examples, probabilities[:, -1], scores, classifier.shape.cameras, facts, confusion)
    return scores


def score_stages(
    classifier: RewardClassifier, probabilities: NDArray[np.float64], examples: Examples
) -> tuple[Scores, str]:
    """Score (n, classes) probabilities.

    Returns:
        The scores; and of a classifier of stages a table of stages and what they count as, in Markdown.
    """
    scores = score(probabilities[:, -1], examples.success, classifier.threshold)
    classes = classifier.shape.classes
    if len(classes) == 2:
        return scores, ""
    predicted = classifier.stage_of(probabilities)
    counts = metrics.confusion_matrix(examples.stages, predicted, labels=range(len(classes))).tolist()
    rows = [["frames that show", *(f"as {name}" for name in classes)], ["---"] * (len(classes) + 1)]
    rows += [[name, *map(str, row)] for name, row in zip(classes, counts, strict=True)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return replace(scores, stage_accuracy=float((predicted == examples.stages).mean())), f"\n{table}\n"


def write_report(
    folder: str | PathLike[str],
    examples: Examples,
    probabilities: NDArray[np.float64],
    scores: Scores,
    cameras: Sequence[str],
    facts: Mapping[str, str],
    confusion: str = "",
) -> None:
    """Write `report.md` and its two images.

    Args:
        folder: to write to.
        examples: what was judged.
        probabilities: (n,) of success.
        scores: of these.
        cameras: whose images are shown.
        facts: rows of the report's table.
        confusion: a table of stages.

    Raises:
        CheckpointError: the folder cannot be written to.
        DatasetError: an image cannot be read again.
    """
    folder = expand_path(folder)
    chosen = hardest(probabilities, examples.success, scores.threshold)
    wrong = (probabilities >= scores.threshold) != examples.success
    shown = "The {} most wrong frames" if wrong.any() else "No frame is wrong; the {} least certain"
    rows = {
        **facts,
        "accuracy": f"{scores.accuracy:.2%} of {scores.frames} frames",
        "precision, recall": f"{scores.precision:.4f}, {scores.recall:.4f} at threshold {scores.threshold:.3f}",
        "area under the ROC curve": f"{scores.auc:.5f}",
        "true positives, false negatives": f"{scores.true_positives}, {scores.false_negatives}",
        "true negatives, false positives": f"{scores.true_negatives}, {scores.false_positives}",
    }
    table = "".join(f"| {name} | {text} |\n" for name, text in rows.items())
    text = f"""# Reward classifier

| | |
|---|---|
{table}{confusion}
![ROC curve, precision and recall]({ROC})

{shown.format(len(chosen))}, hardest first; each with its dataset, episode and frame, the predicted probability of success, and the recorded label:

![the hardest frames]({HARDEST})
"""  # noqa: E501
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _draw_curves(folder / ROC, probabilities, examples.success, scores)
        _draw_frames(folder / HARDEST, examples, chosen, probabilities, wrong, cameras)
        (folder / REPORT).write_text(text, encoding="utf-8")
    except (OSError, ConfigurationError) as error:
        raise CheckpointError(f"The report in {folder} cannot be written: {error}") from error


def hardest(
    probabilities: NDArray[np.float64], success: NDArray[np.bool_], threshold: float, most: int = MAX_FRAMES
) -> NDArray[np.int64]:
    """Indices of the frames that are most wrong; if none is wrong, of those nearest to the threshold."""
    wrong = (probabilities >= threshold) != success
    # Distance beyond the threshold, on the wrong side.
    distance = np.where(success, threshold - probabilities, probabilities - threshold)
    order = np.lexsort((-distance, ~wrong))
    return order[: min(most, int(wrong.sum()) or most)]


def _draw_curves(path: Path, probabilities: NDArray[np.float64], success: NDArray[np.bool_], scores: Scores) -> None:
    """Draw the ROC curve, and precision and recall over the threshold."""
    figure, axes = new_figure(1, 2, (9.6, 4.2))
    left, right = axes[0]
    name = f"threshold {scores.threshold:.3f}"
    left.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    if 0 < success.sum() < len(success):
        false_rate, true_rate, _ = metrics.roc_curve(success, probabilities, drop_intermediate=False)
        left.plot(false_rate, true_rate, color=BLUE)
        at = scores.false_positives / (~success).sum(), scores.true_positives / success.sum()
        left.plot(*at, "o", color=VERMILION, label=name)
        left.legend(loc="lower right", frameon=False)
    if success.any():
        precision, recall, thresholds = metrics.precision_recall_curve(success, probabilities)
        right.step(thresholds, precision[:-1], where="pre", label="precision", color=BLUE)
        right.step(thresholds, recall[:-1], where="pre", label="recall", color=GREEN)
        right.axvline(scores.threshold, color=VERMILION, linewidth=1, label=name)
        right.legend(loc="lower left", frameon=False)
    left.set(xlabel="false positive rate", ylabel="true positive rate", title=f"ROC, area {scores.auc:.4f}")
    right.set(xlabel="threshold", title=f"{scores.frames} frames", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    save_figure(figure, path)


def _draw_frames(
    path: Path,
    examples: Examples,
    chosen: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    wrong: NDArray[np.bool_],
    cameras: Sequence[str],
) -> None:
    """Draw some frames, the cameras side by side; titles of those that are wrong are red."""
    columns = 3 if len(cameras) < 3 else 2
    rows = max(1, math.ceil(len(chosen) / columns))
    figure, axes = new_figure(rows, columns, (4.4 * columns, 0.4 + (4.4 / len(cameras)) * rows))
    cells: Any = axes.ravel()
    for axis, row in zip(cells, chosen, strict=False):
        episode, frame = examples.sources[examples.episodes[row]], int(examples.frames[row])
        axis.imshow(np.hstack([episode.image(IMAGES + camera, frame) for camera in cameras]))
        label = f"{probabilities[row]:.3f}, {'success' if examples.success[row] else 'no success'}"
        title = f"{episode.dataset.path.name} {episode.record.index}, frame {frame}: {label}"
        axis.set_title(title, fontsize=8, color=VERMILION if wrong[row] else GREEN)
    for axis in cells:
        axis.axis("off")
    save_figure(figure, path)
