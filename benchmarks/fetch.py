"""Fetch: how much help the pick-and-place task of gymnasium-robotics takes, beside SAC with HER for as many minutes.

python -m benchmarks.fetch [--seeds 0 1 2] [--minutes 8] [--out outputs/fetch] [--remark TEXT]

Both run in a virtual environment of their own, because gymnasium-robotics 1.4.2 fails with MuJoCo 4. Finished runs in
the output folder are kept. The page is `benchmarks/results/fetch.md`.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.learning import DONE, Reached, reached
from benchmarks.report import ONE_THREAD, RESULTS, ROOT, Row, page
from hil_trainer.logging.metrics import clock_time, final_evaluation, read_metrics

VENV = ROOT / ".cache" / "fetch-venv"
REQUIREMENTS = ("-e", f"{ROOT}[train]", "mujoco==3.3.*", "gymnasium-robotics==1.4.2", "stable-baselines3")
HER = Path(__file__).with_name("fetch_her.py")
RATE, BAR = 0.95, Reached(12_000, 1_300, 8 * 60)  # steps, steps by the operator, s
TRAIN = [
    *("--env", "gymnasium_robotics:FetchPickAndPlace-v4", "--operator", "fetch_operator:FetchOperator"),
    *("--algorithm", "bc", "--demos", "40", "--offline-steps", "3000", "--steps", "4000", "--target", str(RATE)),
]
TEXT = "`FetchPickAndPlace-v4` of gymnasium-robotics 1.4.2 with MuJoCo 3.3, in runs of several seeds. "
FACTS = [
    "An episode succeeds if the block is at the goal at any of its 50 steps. Minutes of SAC with HER are those of "
    "learning alone, in one thread; those of `hil-trainer train` include demonstrations and evaluations."
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing and write the page; exit status 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fetch", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=BAR.seconds / 60, help="that HER learns (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("outputs/fetch"))
    parser.add_argument("--python", type=Path, help="of an environment that has all that is needed (made if missing)")
    parser.add_argument("--remark", default="", help="what else has to be known about the machine")
    options = parser.parse_args(arguments)
    python = options.python or _install()
    out = options.out.absolute()
    for seed in options.seeds:
        _run(out / "bc" / f"seed_{seed}", [str(python), "-m", "hil_trainer", "train", *TRAIN], seed)
        _run(out / "her" / f"seed_{seed}", [str(python), str(HER), "--minutes", str(options.minutes)], seed)
    rows = [imitation(sorted(out.glob(f"bc/*/{DONE}"))), her(sorted(out.glob(f"her/*/{DONE}")))]
    facts = [*FACTS, options.remark] if options.remark else FACTS
    text = page("Fetch", rows, command="python -m benchmarks.fetch", text=TEXT, facts=facts)
    (RESULTS / "fetch.md").write_text(text, encoding="utf-8")
    print(text)
    return int(any(row.met is False for row in rows))


def imitation(done: Sequence[Path]) -> Row:
    """The row of `hil-trainer train`, by the files that mark its finished runs."""
    runs = [path.parent for path in done]
    metrics = [read_metrics(run) for run in runs]
    found = [reached(run, rows, RATE) for run, rows in zip(runs, metrics, strict=True)]
    finals = [row for rows in metrics if (row := final_evaluation(rows)) is not None]
    # A run that never gets there counts as longer than all others.
    never = Reached(math.inf, math.inf, math.inf)
    middle = Reached(*map(statistics.median, zip(*(one or never for one in found), strict=True)))
    each = "; ".join(map(_described, found))
    scores = ", ".join(f"{row['successes']} of {row['episodes']}" for row in finals)
    return Row(
        f"`hil-trainer train --algorithm bc` to {100 * RATE:g} of 100 successes, 40 demonstrations counted",
        f"median at most {BAR.steps:,} steps, {BAR.operator_steps:,} driven, {clock_time(BAR.seconds)}",
        f"{each}; median {_described(middle)}; on held-out seeds {scores}",
        all(value <= bar for value, bar in zip(middle, BAR, strict=True)),
    )


def _described(one: Reached | None) -> str:
    if one is None or math.isinf(one.seconds):
        return "never"
    return f"{one.steps:,.0f} steps, {one.operator_steps:,.0f} driven, {clock_time(one.seconds)}"


def her(done: Sequence[Path]) -> Row:
    """The row of Stable-Baselines3, likewise."""
    results: list[dict[str, Any]] = [json.loads(path.read_text(encoding="utf-8")) for path in done]
    each = "; ".join(
        f"{one['successes']} of {one['episodes']} after {one['steps']:,} steps, {clock_time(one['seconds'])}"
        for one in results
    )
    return Row("Stable-Baselines3's SAC with HER, no operator", "reported", each, None)


def _run(out: Path, command: Sequence[str], seed: int) -> None:
    """Run a command that trains, unless that was done; the line that it prints last is kept if it is JSON."""
    if (out / DONE).exists():
        return
    print(f"{out.parent.name}, seed {seed} ...", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    python_path = os.pathsep.join([str(ROOT), str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")])
    with open(out / "output.txt", "w", encoding="utf-8") as output:
        subprocess.run(
            [*command, "--seed", str(seed), "--out", str(out)],
            stdout=output,
            stderr=subprocess.STDOUT,
            check=True,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": python_path},
        )
    last = (out / "output.txt").read_text(encoding="utf-8").splitlines()[-1]
    (out / DONE).write_text((last if last.startswith("{") else "{}") + "\n", encoding="utf-8")
    print(f"  {last}", flush=True)


def _install() -> Path:
    """The Python of the environment, which is made if it is missing."""
    python = VENV / "bin" / "python"
    if not python.exists():
        constraints = ("-c", str(ROOT / ".ci" / "constraints.txt"))
        subprocess.run([str(ROOT / ".ci" / "install"), str(VENV), *REQUIREMENTS, *constraints], check=True)
    return python


if __name__ == "__main__":
    sys.exit(main())
