"""Train a reward classifier on recorded episodes, try it on others, and relabel datasets with it."""

from __future__ import annotations

import argparse
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hil-trainer classifier`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    train = actions.add_parser("train", help="learn what success looks like", description="Train a classifier.")
    train.add_argument("datasets", nargs="+", metavar="DATASET", help="recorded with --steps-after-success")
    train.add_argument("--out", required=True, metavar="DIR", help="folder for the classifier and its report")
    train.add_argument("--epochs", type=int, metavar="N", help="at most (40)")
    train.add_argument("--patience", type=int, metavar="N", help="epochs without getting better before it stops (8)")
    train.add_argument("--seed", type=int, metavar="S", help="the same brings the same, on one thread (0)")
    train.add_argument("--precision", type=float, metavar="P", help="that the threshold is chosen for (0.99)")
    train.add_argument(
        "--validation-share", type=float, metavar="F", help="of the episodes, that each network leaves out (0.2)"
    )
    train.add_argument("--members", type=int, metavar="N", help="networks; as many as leave each episode out once")
    train.add_argument("--cameras", nargs="+", metavar="NAME", help="to look at (all)")
    train.add_argument("--image-size", type=int, metavar="PIXELS", help="that images are brought to (64)")
    train.add_argument("--no-state", dest="state", action="store_false", default=None, help="look at images only")
    train.add_argument("--batch-size", type=int, metavar="N", help="frames (64)")
    train.add_argument("--learning-rate", type=float, metavar="X", help="of AdamW (0.001)")
    train.add_argument("--device", metavar="NAME", help="where to train: cpu, cuda (cpu)")

    evaluate = actions.add_parser(
        "evaluate", help="try it on episodes that it has not obs", description="Try a classifier on other episodes."
    )
    evaluate.add_argument("datasets", nargs="+", metavar="DATASET", help="that it was not trained with")
    evaluate.add_argument("--out", metavar="DIR", help="folder for a report")

    relabel = actions.add_parser(
        "relabel", help="give a dataset its rewards", description="Write a dataset with a classifier's rewards."
    )
    relabel.add_argument("dataset", metavar="DATASET")
    relabel.add_argument("--out", required=True, metavar="NEW", help="folder of the new dataset")
    relabel.add_argument("--repo-id", metavar="USER/NAME", help="its name on the Hub; that of the old one if not given")
    relabel.add_argument("--overwrite", action="store_true", help="replace a dataset that is there")
    for action in (evaluate, relabel):
        action.add_argument("--model", required=True, metavar="DIR", help="folder of the classifier")
        action.add_argument("--threshold", type=float, metavar="P", help="the classifier's own if not given")


def run(arguments: argparse.Namespace) -> int:
    """Run `hil-trainer classifier`."""
    return {"train": _train, "evaluate": _evaluate, "relabel": _relabel}[arguments.action](arguments)


def _train(arguments: argparse.Namespace) -> int:
    from hil_trainer.reward_classifier import TrainingSettings, train_classifier

    settings: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in TrainingSettings.__dataclass_fields__
        if getattr(arguments, name, None) is not None
    }
    if "cameras" in settings:
        settings["cameras"] = tuple(settings["cameras"])
    outcome = train_classifier(arguments.datasets, arguments.out, TrainingSettings(**settings), tell=_tell)
    print(f"trained in {outcome.seconds:.0f} s")
    if not outcome.precise:
        print(
            f"no threshold reaches the precision that is wanted; record more "
            f"episodes like those in {arguments.out}/hardest_frames.png"
        )
    print(f"episodes that were left out: {outcome.scores}")
    print(f"classifier and report.md in {arguments.out}")
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from hil_trainer.reward_classifier import evaluate_classifier

    scores = evaluate_classifier(arguments.model, arguments.datasets, arguments.out, threshold=arguments.threshold)
    if arguments.out is not None:
        print(f"report.md in {arguments.out}")
    print(scores)
    return 0


def _relabel(arguments: argparse.Namespace) -> int:
    from hil_trainer.reward_classifier import relabel_with_classifier

    made = relabel_with_classifier(
        arguments.dataset,
        arguments.model,
        arguments.out,
        threshold=arguments.threshold,
        repo_id=arguments.repo_id,
        overwrite=arguments.overwrite,
    )
    rewarded = sum(int((episode["next.reward"] > 0).sum()) for episode in made)
    print(f"{made.path}: {len(made)} episodes, {made.total_frames} frames, {rewarded} of them rewarded")
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)
