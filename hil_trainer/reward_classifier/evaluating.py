"""Tries a classifier on episodes that it was not trained with."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from hil_trainer.reward_classifier.examples import open_datasets, read_examples
from hil_trainer.reward_classifier.model import RewardClassifier
from hil_trainer.reward_classifier.report import write_report
from hil_trainer.reward_classifier.scores import Scores, score
from hil_trainer.reward_classifier.storage import load_classifier


def evaluate_classifier(
    classifier: RewardClassifier | str | PathLike[str],
    paths: Sequence[str | PathLike[str]],
    out: str | PathLike[str] | None = None,
    *,
    threshold: float | None = None,
) -> Scores:
    """Compare a classifier with what was recorded.

    Args:
        classifier: or its folder.
        paths: of datasets that it has not obs.
        out: folder for a report; None for none.
        threshold: None for the classifier's own.

    Raises:
        CheckpointError: there is no classifier, or the report cannot be written.
        ConfigurationError: a dataset lacks what the classifier looks at.
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
        write_report(Path(out), examples, probabilities, scores, classifier.shape.cameras, facts)
    return scores
