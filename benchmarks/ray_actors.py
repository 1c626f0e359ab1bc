"""What several actors on Ray buy, and what killing them costs.

python -m benchmarks.ray_actors speed|killed [--out DIR]

speed   steps a second from state, as fast as possible, with one actor and with two: once as Ray and the system place
        them, and once with a core for each actor and the learner at the lowest priority, so that it takes only what
        they leave. Where there are fewer cores than processes, the second says what the actors themselves do.
killed  two trainings to the target, in one of which an actor is killed five times.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
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

from benchmarks.row import Row
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
CHUNK = 40  # steps between two deliveries
ROUNDS, QUICK_ROUNDS = 3, 1
KILLS, BETWEEN_KILLS, STEPS = (0, 5), 300, 12_000  # times, steps, steps
QUICK_KILLS, QUICK_STEPS = (1,), 900
FASTER, SUCCESSES = 1.7, 99  # times, of 100
PLACEMENTS = AS_THEY_COME, CORE_EACH = "as they come", "with a core for each actor"
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
        """Wait until so many steps are made, or it has ended."""
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
    told = "; ".join(_told(results, placement) for placement in PLACEMENTS)
    met = statistics.median(_times_one_actor(results, AS_THEY_COME)) >= FASTER
    return Row(what, bar, f"{told}; median of {rounds}; {os.cpu_count()} cores", met)


def killed_actors(quick: bool = False) -> Row:
    """A training from state on Ray in which actors are killed, beside one in which none is."""
    what = "Ray actors that are killed during a training from state"
    bar = f"replaced, and {SUCCESSES} of 100 as without"
    if not importlib.util.find_spec("ray"):
        return Row(what, bar, WITHOUT_RAY, None)
    with tempfile.TemporaryDirectory() as folder:
        results = killed(Path(folder), *((QUICK_KILLS, QUICK_STEPS) if quick else (KILLS, STEPS)))
    told = "; ".join(
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
    return Row(what, bar, told, met)


def speed(folder: Path, rounds: int = ROUNDS, measured: int = MEASURED) -> list[dict[str, Any]]:
    """Steps a second with one actor and with two, over so many steps, in turns."""
    results = []
    for number, placement, actors in itertools.product(range(rounds), PLACEMENTS, (1, 2)):
        words = ["--actors", str(actors), "--ray.no-wait", "--rollout-steps", str(CHUNK)]
        words += ["--threads", "1", "--demos", "2"]
        words += ["--evaluation.every", "1000000", "--evaluation.episodes", "1"]
        words += ["--steps", str(10 * measured + 2 * WARM_UP)]
        with running(folder / f"speed_{number}_{PLACEMENTS.index(placement)}_{actors}", *words) as run:
            run.until(WARM_UP)
            if placement == CORE_EACH:
                _give_cores(run)
            run.until(2 * WARM_UP + measured)
            rows = [row for row in run.rows("learning") if row["step"] >= 2 * WARM_UP]
        made, seconds = rows[-1]["step"] - rows[0]["step"], rows[-1]["seconds"] - rows[0]["seconds"]
        updates = rows[-1]["updates"] - rows[0]["updates"]
        results.append(
            {
                "actors": actors,
                "placement": placement,
                "steps_per_second": round(made / seconds, 1),
                "updates_per_second": round(updates / seconds, 1),
            }
        )
        print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    return results


def _give_cores(run: Run) -> None:
    """Keep each actor on a core of its own, and the learner to what they leave."""
    for core, process in enumerate(run.find("_ActorWorker")):
        for thread in process.threads():
            os.sched_setaffinity(thread.id, {core})
    for process in run.find("_LearnerActor"):
        for thread in process.threads():
            os.setpriority(os.PRIO_PROCESS, thread.id, 19)


def _times_one_actor(results: list[dict[str, Any]], placement: str) -> list[float]:
    """How much more two actors did than the one measured just before, in each round."""
    one, two = (
        [result["steps_per_second"] for result in results if (result["placement"], result["actors"]) == wanted]
        for wanted in ((placement, 1), (placement, 2))
    )
    return [many / single for single, many in zip(one, two, strict=True)]


def _told(results: list[dict[str, Any]], placement: str) -> str:
    times = _times_one_actor(results, placement)
    steps = [result["steps_per_second"] for result in results if result["placement"] == placement]
    return (
        f"{statistics.median(times):.2f} times ({min(times):.2f} to {max(times):.2f}) {placement}, up to "
        f"{max(steps):,.0f} steps/s"
    )


def killed(folder: Path, kills_each: Sequence[int], steps: int = STEPS) -> list[dict[str, Any]]:
    """Trainings to the target, in which actors are killed so many times."""
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


def main() -> None:
    """Measure one thing, and print it as JSON, one line a training, to standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "killed"))
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--kills", type=int, nargs="+", default=KILLS, help="of each training of `killed`")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.out or Path(scratch)
        if arguments.what == "speed":
            speed(folder)
        else:
            killed(folder, arguments.kills)


if __name__ == "__main__":
    main()
