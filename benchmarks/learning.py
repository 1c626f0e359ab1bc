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
from typing import Any, NamedTuple

from benchmarks import reward_classifier
from gym_hil.teleop.scripted.operator import ScriptedOperator
from hil_trainer.logging.metrics import clock_time, final_evaluation, first_reaching, read_metrics
from hil_trainer.logging.plots import draw_comparison, find_runs

SEEDS = (0, 1, 2, 3, 4)
RESULTS = Path(__file__).with_name("learning.md")
KINDS = ("state", "pixels", "boxes", "peg")  # with which the names of conditions begin; each has an image of its own
DONE = "done.json"
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
        demos: task of which 60 demonstrations with force and torque are recorded first, the same for all runs.
    """

    name: str
    words: str
    arguments: list[str]
    rates: tuple[float, ...]
    bar: str = "reported"
    classifier: bool = False
    demos: str | None = None


_LONG, _SHORT = ["--steps", "12000"], ["--steps", "8000"]
_PIXELS, _UNPRIVILEGED = ["--obs", "pixels"], ["--no-privileged", *_LONG]
_IMAGENET = [*_PIXELS, "--encoder", "imagenet", "--target", "0.95"]
_SAC, _BC, _ACFQL = (["--algorithm", name] for name in ("sac", "bc", "acfql"))
_BOXES, _PEG = ["--task", "PandaArrangeBoxes-v1"], ["--task", "PandaInsertPeg-v1", "--target", "0.95"]
_RECORDED = [*_BC, *_PEG, "--operator", "none", "--steps", "0"]

CONDITIONS = (
    Condition("state", "state", _SAC, (0.99,), "3,500 steps, 900 by the operator, 90 s"),
    Condition("state_bc", "state, imitation by chunks", _BC, (0.99,), "200 steps by the operator"),
    Condition("state_acfql", "state, ACFQL", _ACFQL, (0.99,)),
    Condition("state_always", "state, the operator watches every episode", [*_SAC, *_HELP_ALWAYS, *_LONG], (0.99,)),
    Condition("state_no_demos", "state, no demonstrations", [*_SAC, "--demos", "0", *_LONG], (0.99,)),
    Condition("state_demos", "state, demonstrations only", [*_SAC, *_NO_HELP_LATER, *_LONG], (0.99,)),
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
        "pixels_imagenet",
        "pixels (128 px) through a frozen encoder from ImageNet",
        [*_SAC, *_IMAGENET, *_LONG],
        (0.95,),
    ),
    Condition(
        "pixels_imagenet_real",
        "pixels (128 px) through a frozen encoder from ImageNet, nothing privileged",
        [*_SAC, *_IMAGENET, *_UNPRIVILEGED],
        (0.95,),
    ),
    Condition(
        "pixels_imagenet_bc",
        "pixels (128 px) through a frozen encoder from ImageNet, nothing privileged, imitation by chunks",
        [*_BC, *_IMAGENET, "--no-privileged"],
        (0.95,),
        "1,000 steps by the operator, 3 minutes",
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
        [*_SAC, *_BOXES, "--target", "0.9", "--steps", "30000"],
        (0.01, 0.9),
        "above 0 of 100",
    ),
    Condition(
        "boxes_bc",
        "ArrangeBoxes from state, imitation by chunks",
        [*_BC, *_BOXES, "--target", "0.98", "--steps", "20000"],
        (0.98,),
        "12,000 steps by the operator, 6 minutes",
    ),
    Condition(
        "peg_bc",
        "InsertPeg from state, imitation by chunks",
        [*_BC, *_PEG, "--steps", "4000"],
        (0.95,),
        "3,000 steps by the operator, 10 minutes",
    ),
    Condition("peg_acfql", "InsertPeg from state, ACFQL", [*_ACFQL, *_PEG, "--steps", "4000"], (0.95,)),
    Condition("boxes_acfql", "ArrangeBoxes from state, ACFQL", [*_ACFQL, *_BOXES, "--target", "0.98"], (0.98,)),
    # From as many demonstrations as the others take.
    Condition("state_few_sac", "state, SAC from 7 demonstrations", [*_SAC, "--demos", "7", "--steps", "6000"], (0.99,)),
    Condition("peg_few_sac", "InsertPeg from state, SAC", [*_SAC, *_PEG, "--demos", "40", "--steps", "8000"], (0.95,)),
    Condition(
        "peg_recorded",
        "InsertPeg from state, imitation of 60 recorded demonstrations",
        _RECORDED,
        (0.95,),
        demos="PandaInsertPeg-v1",
    ),
    Condition(
        "peg_recorded_force",
        "InsertPeg from state with force and torque, imitation of the same demonstrations",
        [*_RECORDED, "--force-torque"],
        (0.95,),
        demos="PandaInsertPeg-v1",
    ),
)


def imperfect_operator(env: Any) -> ScriptedOperator:
    """The scripted operator as it is in training, for `gym-hil record --device benchmarks.learning:...`."""
    return ScriptedOperator.for_env(env, reaction_delay=3, motion_noise=0.1)


imperfect_operator.human = False  # type: ignore[attr-defined]


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
        "Steps of the environment, steps that the operator drove, and wall time, to the first evaluation of 100 "
        "episodes with that many successes: median over the seeds, range in brackets. All three count the "
        "demonstrations that come before: of SAC twenty (60 of ArrangeBoxes), of the others 7 from state, 35 from "
        "pixels, 40 of InsertPeg and 45 of ArrangeBoxes. The operator is the scripted one, with a delay of 3 steps and "
        "a tremor of 0.1. Cubes are placed at random (`PandaPickCube-v1`). The final evaluation is of 100 episodes "
        "whose seeds chose nothing: successes, and steps of an episode. Written by `python -m benchmarks.learning`.\n",
        f"{os.cpu_count()} cores, no GPU. {remark}\n",
        "| what | successes of 100 | runs | steps | by the operator | time | final evaluation | its steps | bar |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for condition in CONDITIONS:
        runs = _finished(folder / condition.name)
        for rate in condition.rates if runs else ():
            lines.append(_line(condition, rate, runs))
    images = [f"![Success rate against steps and minutes]({_image(kind).name})\n" for kind in _kinds(folder)]
    return "\n".join([*lines, "", *images])


def _finished(folder: Path) -> list[Path]:
    """Finished runs of one condition."""
    return [done.parent for done in sorted(folder.glob(f"*/{DONE}"))]


def _kinds(folder: Path) -> dict[str, list[Path]]:
    """Kinds with finished runs -> folders of their conditions."""
    found = [folder / condition.name for condition in CONDITIONS if _finished(folder / condition.name)]
    kinds = {kind: [path for path in found if path.name.startswith(kind)] for kind in KINDS}
    return {kind: folders for kind, folders in kinds.items() if folders}


def _image(kind: str) -> Path:
    return RESULTS.with_name(f"learning_{kind}.png")


class Reached(NamedTuple):
    """When a run reached a rate, demonstrations included."""

    steps: int
    operator_steps: int
    seconds: float


def _line(condition: Condition, rate: float, runs: list[Path]) -> str:
    rows = [read_metrics(run) for run in runs]
    milestones = [found for run, its in zip(runs, rows, strict=True) if (found := reached(run, its, rate)) is not None]
    finals = [row for its in rows if (row := final_evaluation(its)) is not None]
    rates = [100 * row["successes"] / row["episodes"] for row in finals]
    cells = [
        condition.words,
        f"{100 * rate:g}",
        f"{len(milestones)} of {len(runs)}",
        *(_spread([getattr(one, name) for one in milestones], len(runs), name) for name in Reached._fields),
        _median(rates, "{:g}"),
        _median([row["length"] for row in finals], "{:.0f}"),
        condition.bar,
    ]
    return f"| {' | '.join(cells)} |"


def reached(run: Path, rows: list[dict], rate: float) -> Reached | None:
    """When a run first reached a rate in a full evaluation; None if it never did."""
    milestone = first_reaching(rows, rate)
    if milestone is None:
        return None
    shown = [row for row in rows if row["kind"] == "episode" and row["demonstration"]]
    offline = json.loads((run / "config.json").read_text(encoding="utf-8"))["offline_steps"]
    return Reached(
        milestone.step - offline + sum(row["length"] for row in shown),
        milestone.operator_steps + sum(row["operator_steps"] for row in shown),
        milestone.seconds,
    )


def _median(values: list[float], form: str) -> str:
    if not values:
        return "-"
    return " ".join([form.format(statistics.median(values)), f"({form} to {form})".format(min(values), max(values))])


def _spread(values: list[float], runs: int, name: str) -> str:
    """Median and range; a run that never got there counts as longer than all others."""
    values = sorted(values)
    show = clock_time if name == "seconds" else lambda value: f"{value:,.0f}"
    if not values:
        return "never"
    middle = (
        "never"
        if (runs - 1) / 2 > len(values) - 1
        else show(statistics.median(values + [values[-1]] * (runs - len(values))))
    )
    return f"{middle} ({show(values[0])} to {show(values[-1])})"


def _run(condition: Condition, seed: int, out: Path) -> None:
    """Train, unless that was done."""
    if (out / DONE).exists():
        return
    words = ["--out", str(out), "--seed", str(seed), *condition.arguments]
    words += ["--resume"] if (out / "config.json").exists() else []
    words += ["--reward-classifier", str(_classifier(out / "classifier", seed))] if condition.classifier else []
    if condition.demos is not None:
        words += ["--demos", str(_demonstrations(out.parents[1] / f"demos_{condition.demos}", condition.demos))]
    print(f"{condition.name}, seed {seed} ...", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "output.txt", "a", encoding="utf-8") as output:
        subprocess.run(
            [sys.executable, "-m", "hil_trainer", "train", *words], stdout=output, stderr=subprocess.STDOUT, check=True
        )
    (out / DONE).write_text(json.dumps({"arguments": condition.arguments}) + "\n", encoding="utf-8")
    print(f"  {output_tail(out)}", flush=True)


def _classifier(folder: Path, seed: int) -> Path:
    """Make a reward classifier from 20 episodes that are recorded for it, unless that was done."""
    model = folder / "model"
    if not (model / "report.md").exists():
        shutil.rmtree(folder, ignore_errors=True)
        recorded = reward_classifier.record(folder, 10, seed=seed)
        reward_classifier.train(["classifier", "train", *map(str, recorded), "--out", str(model), "--seed", str(seed)])
    return model


def _demonstrations(folder: Path, task: str) -> Path:
    """Record 60 demonstrations of the imperfect operator, unless that was done."""
    info = folder / "meta" / "info.json"
    if not info.exists() or json.loads(info.read_text(encoding="utf-8"))["total_episodes"] < 60:
        words = ["record", "--task", task, "--device", "benchmarks.learning:imperfect_operator"]
        words += ["--episodes", "60", "--seed", "0", "--no-images", "--force-torque", "--overwrite"]
        subprocess.run(
            [sys.executable, "-m", "gym_hil", *words, "--repo-id", "local/demos", "--root", str(folder)], check=True
        )
    return folder


def output_tail(out: Path) -> str:
    """The last line but one that a run printed."""
    return (out / "output.txt").read_text(encoding="utf-8").splitlines()[-2]


if __name__ == "__main__":
    sys.exit(main())
