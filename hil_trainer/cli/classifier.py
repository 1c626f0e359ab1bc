"""Train a reward classifier on recorded episodes, evaluate it on others, and relabel datasets with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from gym_hil.datasets.transform import relabel_dataset
from gym_hil.errors import DatasetError
from hil_trainer.reward_classifier import (
    TrainingSettings,
    classifier_rewards,
    evaluate_classifier,
    train_classifier,
)

Datasets = Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="DATASET [DATASET ...]")]


def run_words(words: Sequence[str]) -> int:
    """Run `hil-trainer classifier`."""
    tyro.extras.subcommand_cli_from_dict(
        {"train": train, "evaluate": evaluate, "relabel": relabel},
        args=words,
        prog="hil-trainer classifier",
        description=__doc__,
        sort_subcommands=False,
    )
    return 0


def train(
    datasets: Datasets,
    *,
    out: Path,
    settings: Annotated[TrainingSettings, tyro.conf.arg(name="")] = TrainingSettings(),  # noqa: B008  # it is frozen
) -> None:
    """Train a classifier on recorded episodes.

    Args:
        datasets: folders of datasets, recorded with --steps-after-success.
        out: folder for the classifier and its report.
        settings: of the training.
    """
    trained = train_classifier(datasets, out, settings, log=lambda line: print(line, flush=True))
    print(f"trained in {trained.seconds:.0f} s")
    if not trained.precise:
        print(
            f"no threshold reaches a precision of {settings.precision:g}; record more episodes like those in "
            f"{out}/hardest_frames.png"
        )
    print(f"episodes that were not trained on: {trained.scores}")
    print(f"classifier and report.md in {out}")


def evaluate(datasets: Datasets, *, model: Path, out: Path | None = None, threshold: float | None = None) -> None:
    """Evaluate a classifier on recorded episodes that it was not trained on.

    Args:
        datasets: folders of datasets.
        model: folder of the classifier.
        out: folder for a report.
        threshold: probability from which on a frame counts as success; if not given, the classifier's own.
    """
    scores = evaluate_classifier(model, datasets, out, threshold=threshold)
    if out is not None:
        print(f"report.md in {out}")
    print(scores)


def relabel(
    dataset: Annotated[Positional[Path], tyro.conf.arg(metavar="DATASET")],
    *,
    model: Path,
    out: Path,
    threshold: float | None = None,
    repo_id: str | None = None,
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Write a dataset with the rewards of a classifier.

    Args:
        dataset: folder of the dataset.
        model: folder of the classifier.
        out: folder of the new dataset.
        threshold: probability from which on a frame is rewarded; if not given, the classifier's own.
        repo_id: name of the new dataset on the Hub, user/name; if not given, that of the old one.
        overwrite: replace a dataset in that folder.
    """
    try:
        rewards = classifier_rewards(model, threshold=threshold)
        new = relabel_dataset(dataset, out, rewards, repo_id=repo_id, overwrite=overwrite)
    except DatasetError as error:
        raise DatasetError(str(error).replace("overwrite=True", "--overwrite")) from error
    rewarded = sum(int((episode["next.reward"] > 0).sum()) for episode in new)
    print(f"{new.path}: {len(new)} episodes, {new.total_frames} frames, {rewarded} of them rewarded")
