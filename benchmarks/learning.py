"""How much a policy learns from how much help: runs of `hil-trainer train` and the table that comes out.

python -m benchmarks.learning [--only NAME...] [--seeds 0 1 2 3 4] [--out outputs/learning]

Finished runs in the output folder are kept, so that the table can grow over several calls; it is written to
`benchmarks/learning.md`, with an image for each kind beside it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import reward_classifier
from hil_trainer.logging.metrics import Milestone, clock_time, first_reaching, read_metrics
from hil_trainer.logging.plots import draw_comparison, find_runs

SEEDS = (0, 1, 2, 3, 4)
RESULTS = Path(__file__).with_name("learning.md")
KINDS = ("state", "pixels", "boxes")  # with which the names of conditions begin; each has an image of its own
_DONE = "done.json"
_HELP_ALWAYS = ["--operator.min-help-fraction", "1"]
_NO_HELP_LATER, _NO_HELP = ["--operator.help-probability", "0"], ["--operator", "none", "--demos", "0"]


class Condition(NamedTuple):
    """One kind of run.

    Attributes:
        name: of its folder.
        words: what it is, for the table.
        arguments: of `hil-trainer train`.
        rates: of success that are looked for in evaluations of 100 episodes.
        bar: what it should reach.
        classifier: whether a classifier rewards, which is made first from episodes that are recorded for it.
    """

    name: str
    words: str
    arguments: list[str]
    rates: tuple[float, ...]
    bar: str = "reported"
    classifier: bool = False


_LONG, _SHORT = ["--steps", "12000"], ["--steps", "8000"]
_PIXELS, _UNPRIVILEGED = ["--obs", "pixels"], ["--no-privileged", *_LONG]
_IMAGENET = [*_PIXELS, "--encoder", "imagenet", "--target", "0.95"]

CONDITIONS = (
    Condition("state", "state", [], (0.99,), "3,500 steps, 900 by the operator, 90 s"),
    Condition("state_always", "state, the operator watches every episode", [*_HELP_ALWAYS, *_LONG], (0.99,)),
    Condition("state_no_demos", "state, no demonstrations", ["--demos", "0", *_LONG], (0.99,)),
    Condition("state_demos", "state, demonstrations only", [*_NO_HELP_LATER, *_LONG], (0.99,)),
    Condition("state_alone", "state, no operator at all", [*_NO_HELP, *_LONG], (0.99,)),
    Condition(
        "pixels",
        "pixels; critics and an auxiliary loss see simulation state",
        [*_PIXELS, "--target", "0.99", *_SHORT],
        (0.95, 0.99),
        "95: 5,000 steps, 12 minutes",
    ),
    Condition("pixels_real", "pixels, nothing privileged", [*_PIXELS, *_UNPRIVILEGED], (0.95,)),
    Condition("pixels_demos", "pixels, demonstrations only", [*_PIXELS, *_NO_HELP_LATER, *_SHORT], (0.95,)),
    Condition("pixels_alone", "pixels, no operator at all", [*_PIXELS, *_NO_HELP, *_SHORT], (0.95,)),
    Condition(
        "pixels_imagenet", "pixels (128 px) through a frozen encoder from ImageNet", [*_IMAGENET, *_LONG], (0.95,)
    ),
    Condition(
        "pixels_imagenet_real",
        "pixels (128 px) through a frozen encoder from ImageNet, nothing privileged",
        [*_IMAGENET, *_UNPRIVILEGED],
        (0.95,),
    ),
    Condition(
        "pixels_classifier",
        "as pixels, but rewarded by a classifier of 20 recorded episodes",
        [*_PIXELS, "--target", "0.95", *_SHORT],
        (0.95,),
        "95 is reached",
        classifier=True,
    ),
    Condition(
        "boxes",
        "ArrangeBoxes from state",
        ["--task", "PandaArrangeBoxes-v1", "--target", "0.9", "--steps", "30000"],
        (0.01, 0.9),
        "above 0 of 100",
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[c.name for c in CONDITIONS], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--out", type=Path, default=Path("outputs/learning"))
    parser.add_argument("--remark", default="", help="what else has to be known about the machine")
    options = parser.parse_args(arguments)
    for seed in options.seeds:
        for condition in CONDITIONS:
            if not options.only or condition.name in options.only:
                _run(condition, seed, options.out / condition.name / f"seed_{seed}")
    RESULTS.write_text(table(options.out, options.remark), encoding="utf-8")
    for kind, folders in _kinds(options.out).items():
        draw_comparison(find_runs(folders), _image(kind))
    return 0


def table(folder: Path, remark: str = "") -> str:
    """The table of all finished runs in a folder."""
    lines = [
        "# Learning\n",
        "Steps of the environment, how many of them the operator drove, and wall time, to the first evaluation of 100 "
        "episodes with that many successes: median over the seeds, range in brackets. Twenty demonstrations "
        "(60 of ArrangeBoxes) come before; they are not counted as steps, but their time is. The operator is the "
        "scripted one, with a delay of 3 steps and a tremor of 0.1. Cubes are placed at random (`PandaPickCube-v1`). "
        "Written by `python -m benchmarks.learning`.\n",
        f"{os.cpu_count()} cores, no GPU. {remark}\n",
        "| what | successes of 100 | runs | steps | by the operator | time | last evaluation | bar |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for condition in CONDITIONS:
        runs = _finished(folder / condition.name)
        for rate in condition.rates if runs else ():
            lines.append(_line(condition, rate, [read_metrics(run) for run in runs]))
    images = [f"![Success rate against steps and minutes]({_image(kind).name})\n" for kind in _kinds(folder)]
    return "\n".join([*lines, "", *images])


def _finished(folder: Path) -> list[Path]:
    """Finished runs of one condition."""
    return [done.parent for done in sorted(folder.glob(f"*/{_DONE}"))]


def _kinds(folder: Path) -> dict[str, list[Path]]:
    """Kinds with finished runs -> folders of their conditions."""
    found = [folder / condition.name for condition in CONDITIONS if _finished(folder / condition.name)]
    kinds = {kind: [path for path in found if path.name.startswith(kind)] for kind in KINDS}
    return {kind: folders for kind, folders in kinds.items() if folders}


def _image(kind: str) -> Path:
    return RESULTS.with_name(f"learning_{kind}.png")


def _line(condition: Condition, rate: float, runs: list[list[dict]]) -> str:
    found = [first_reaching(rows, rate) for rows in runs]
    reached = [milestone for milestone in found if milestone is not None]
    last = [row for rows in runs for row in [_last_evaluation(rows)] if row is not None]
    final = statistics.median(100 * row["successes"] / row["episodes"] for row in last) if last else float("nan")
    cells = [
        condition.words,
        f"{100 * rate:g}",
        f"{len(reached)} of {len(runs)}",
        *(_spread(reached, len(runs), name) for name in ("step", "operator_steps", "seconds")),
        f"{final:g}",
        condition.bar,
    ]
    return f"| {' | '.join(cells)} |"


def _spread(reached: list[Milestone], runs: int, name: str) -> str:
    """Median and range; a run that never got there counts as longer than all others."""
    values = sorted(getattr(milestone, name) for milestone in reached)
    show = clock_time if name == "seconds" else lambda value: f"{value:,.0f}"
    if not values:
        return "never"
    middle = (
        "never"
        if (runs - 1) / 2 > len(values) - 1
        else show(statistics.median(values + [values[-1]] * (runs - len(values))))
    )
    return f"{middle} ({show(values[0])} to {show(values[-1])})"


def _last_evaluation(rows: list[dict]) -> dict | None:
    full = [row for row in rows if row["kind"] == "evaluation" and row["episodes"] >= 100]
    return full[-1] if full else None


def _run(condition: Condition, seed: int, out: Path) -> None:
    """Train, unless that was done."""
    if (out / _DONE).exists():
        return
    words = ["--out", str(out), "--seed", str(seed), *condition.arguments]
    words += ["--resume"] if (out / "config.json").exists() else []
    words += ["--reward-classifier", str(_classifier(out / "classifier", seed))] if condition.classifier else []
    print(f"{condition.name}, seed {seed} ...", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "output.txt", "a", encoding="utf-8") as output:
        subprocess.run(
            [sys.executable, "-m", "hil_trainer", "train", *words], stdout=output, stderr=subprocess.STDOUT, check=True
        )
    (out / _DONE).write_text(json.dumps({"arguments": condition.arguments}) + "\n", encoding="utf-8")
    print(f"  {output_tail(out)}", flush=True)


def _classifier(folder: Path, seed: int) -> Path:
    """Make a reward classifier from 20 episodes that are recorded for it, unless that was done."""
    model = folder / "model"
    if not (model / "report.md").exists():
        shutil.rmtree(folder, ignore_errors=True)
        recorded = reward_classifier.record(folder, 10, seed=seed)
        reward_classifier.train(["classifier", "train", *map(str, recorded), "--out", str(model), "--seed", str(seed)])
    return model


def output_tail(out: Path) -> str:
    """The last line but one that a run printed."""
    return (out / "output.txt").read_text(encoding="utf-8").splitlines()[-2]


if __name__ == "__main__":
    sys.exit(main())
