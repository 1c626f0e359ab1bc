"""How many more steps two actors on Ray make than one."""

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import Row
from hil_trainer.logging.metrics import read_metrics

WARM_UP, MEASURED, QUICK_MEASURED = 1_000, 6_000, 500  # steps
ROUNDS, QUICK_ROUNDS = 3, 1
FASTER = 1.7  # times
ARGUMENTS = (
    *("--ray=local", "--ray.no-wait", "--rollout-steps", "40", "--threads", "1", "--demos", "2", "--no-tensorboard"),
    *("--evaluation.every", "1000000", "--evaluation.episodes", "1", "--steps", str(10 * MEASURED + WARM_UP)),
)


def actors_speed(quick: bool = False) -> Row:
    """Steps a second of two actors on Ray beside those of one."""
    what = "Two Ray actors from state, as fast as possible, beside one"
    bar = f"at least {FASTER} times, where cores allow"
    if not importlib.util.find_spec("ray"):
        return Row(what, bar, "Ray is not installed: pip install 'gym-hil[ray]'", None)
    rounds, steps = (QUICK_ROUNDS, QUICK_MEASURED) if quick else (ROUNDS, MEASURED)
    with tempfile.TemporaryDirectory() as folder:
        results = [
            [speed(Path(folder) / f"{number}_{actors}", actors, steps) for actors in (1, 2)] for number in range(rounds)
        ]
    times = [two / one for one, two in results]
    words = (
        f"{statistics.median(times):.2f} times ({min(times):.2f} to {max(times):.2f}), up to "
        f"{max(map(max, results)):,.0f} steps/s; median of {rounds}; {os.cpu_count()} cores"
    )
    return Row(what, bar, words, statistics.median(times) >= FASTER)


def speed(directory: Path, actors: int, steps: int) -> float:
    """Steps a second of a training with some actors, after its first steps."""
    command = [sys.executable, "-m", "hil_trainer", "train", "--out", str(directory), "--actors", str(actors)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    training = subprocess.Popen([*command, *ARGUMENTS], env=environment, stdout=subprocess.DEVNULL)
    try:
        rows: list[dict[str, Any]] = []
        while not rows or rows[-1]["step"] < WARM_UP + steps:
            time.sleep(0.5)
            if training.poll() is not None:
                raise RuntimeError(f"the training ended with {training.returncode} at step {rows and rows[-1]['step']}")
            if (directory / "metrics.jsonl").exists():
                rows = [row for row in read_metrics(directory) if row["kind"] == "learning" and row["step"] >= WARM_UP]
    finally:
        training.terminate()
        training.wait()
    return (rows[-1]["step"] - rows[0]["step"]) / (rows[-1]["seconds"] - rows[0]["seconds"])
