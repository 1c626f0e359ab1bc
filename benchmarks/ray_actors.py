"""What several actors on Ray gain, and what killing them costs."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import Row
from hil_trainer.logging.metrics import read_metrics

COMMAND = """
import sys
from hil_trainer.cli.train import parse
from hil_trainer.train import Training

arguments = parse(sys.argv[1:])
training = Training(arguments.settings, arguments.out)
try:
    training.run()
finally:
    training.close()
"""
WARM_UP, MEASURED, QUICK_MEASURED = 500, 6_000, 500  # steps
CHUNK = 40  # steps between two uploads
ROUNDS, QUICK_ROUNDS = 3, 1
KILLS, BETWEEN_KILLS, STEPS = (0, 5), 300, 12_000  # times, steps, steps
QUICK_KILLS, QUICK_STEPS = (1,), 900
FASTER, SUCCESSES = 1.7, 99  # times, of 100
WITHOUT_RAY = "Ray is not installed: pip install 'gym-hil[ray]'"


class Run:
    """A training in a process of its own."""

    def __init__(self, directory: Path, *words: str):
        self.directory = directory
        command = [sys.executable, "-c", COMMAND, "--out", str(directory), "--ray=local", "--no-tensorboard", *words]
        self.process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """What it has written so far."""
        if not (self.directory / "metrics.jsonl").exists():
            return []
        return [row for row in read_metrics(self.directory) if row["kind"] == kind]

    def until(self, step: int) -> None:
        """Wait until a number of steps are made, or it has ended."""
        while self.process.poll() is None and max((row["step"] for row in self.rows("learning")), default=0) < step:
            time.sleep(0.5)

    def find(self, name: str) -> list[psutil.Process]:
        """Its processes of one kind, by the title that Ray gives them."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "".join(child.cmdline()[:1]).startswith(f"ray::{name}"):
                    found.append(child)
        return found


@contextlib.contextmanager
def running(directory: Path, *words: str) -> Iterator[Run]:
    """A training that has ended when this ends."""
    run = Run(directory, *words)
    try:
        yield run
    finally:
        run.process.terminate()
        run.process.wait()


def actors_speed(quick: bool = False) -> Row:
    """Steps a second of two actors on Ray beside those of one."""
    what, bar = (
        "Two Ray actors from state, as fast as possible, beside one",
        f"at least {FASTER} times, where cores allow",
    )
    if not importlib.util.find_spec("ray"):
        return Row(what, bar, WITHOUT_RAY, None)
    with tempfile.TemporaryDirectory() as folder:
        rounds, steps = (QUICK_ROUNDS, QUICK_MEASURED) if quick else (ROUNDS, MEASURED)
        results = speed(Path(folder), rounds, steps)
    times = [many / one for one, many in results]
    words = (
        f"{statistics.median(times):.2f} times ({min(times):.2f} to {max(times):.2f}), up to "
        f"{max(max(pair) for pair in results):,.0f} steps/s; median of {rounds}; {os.cpu_count()} cores"
    )
    return Row(what, bar, words, statistics.median(times) >= FASTER)


def killed_actors(quick: bool = False) -> Row:
    """A training from state on Ray in which actors are killed, beside one in which none is."""
    what = "Ray actors that are killed during a training from state"
    bar = f"replaced, and {SUCCESSES} of 100 as without"
    if not importlib.util.find_spec("ray"):
        return Row(what, bar, WITHOUT_RAY, None)
    with tempfile.TemporaryDirectory() as folder:
        results = killed(Path(folder), *((QUICK_KILLS, QUICK_STEPS) if quick else (KILLS, STEPS)))
    words = "; ".join(
        f"{result['kills']} killed, {result['replaced']} replaced: {result['successes']} after {result['steps']:,} "
        f"steps in {result['seconds']} s"
        for result in results
    )
    met = all(
        result["exit_status"] == 0
        and result["replaced"] == result["kills"]
        and (quick or int(result["successes"].partition("/")[0]) >= SUCCESSES)
        for result in results
    )
    return Row(what, bar, words, met)


def speed(folder: Path, rounds: int, measured: int) -> list[tuple[float, float]]:
    """Steps a second with one actor and with two, measured over some steps, of each round."""
    results = []
    for number in range(rounds):
        speeds = []
        for actors in (1, 2):
            words = ["--actors", str(actors), "--ray.no-wait", "--rollout-steps", str(CHUNK)]
            words += ["--threads", "1", "--demos", "2"]
            words += ["--evaluation.every", "1000000", "--evaluation.episodes", "1"]
            words += ["--steps", str(10 * measured + 2 * WARM_UP)]
            with running(folder / f"speed_{number}_{actors}", *words) as run:
                run.until(2 * WARM_UP + measured)
                rows = [row for row in run.rows("learning") if row["step"] >= 2 * WARM_UP]
            speeds.append((rows[-1]["step"] - rows[0]["step"]) / (rows[-1]["seconds"] - rows[0]["seconds"]))
        results.append((speeds[0], speeds[1]))
    return results


def killed(folder: Path, kills_each: Sequence[int], steps: int) -> list[dict[str, Any]]:
    """Trainings to the target, in each of which some actors are killed."""
    results = []
    for kills in kills_each:
        with running(folder / f"killed_{kills}", "--actors", "2", "--steps", str(steps)) as run:
            for number in range(kills):
                run.until((number + 1) * BETWEEN_KILLS)
                for process in run.find("_ActorWorker")[:1]:
                    process.kill()
            run.process.wait()
            evaluations = run.rows("evaluation")
            results.append(
                {
                    "kills": kills,
                    "exit_status": run.process.returncode,
                    "steps": evaluations[-1]["step"],
                    "seconds": round(evaluations[-1]["seconds"]),
                    "operator_steps": evaluations[-1]["operator_steps"],
                    "successes": f"{evaluations[-1]['successes']}/{evaluations[-1]['episodes']}",
                    "replaced": sum("takes its place" in row["text"] for row in run.rows("event")),
                }
            )
        print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    return results
