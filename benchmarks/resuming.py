"""Trainings that are killed at random moments and go on from what they left."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.report import Row

KILLS, QUICK_KILLS = 10, 2
CHECKPOINT_SECONDS, QUICK_CHECKPOINT_SECONDS = 5.0, 0.5
LONGEST, QUICK_LONGEST = 12.0, 2.0  # s that a process lives, at most, after it has begun to train
EARLY = 0.2  # of the kills come at any time from the start of the process on, the others once it has begun
BEGIN_SECONDS = 300.0  # until a process has begun
CHILDREN_SECONDS = 20.0  # until the children of a process that was killed have ended
ARGUMENTS = ("--no-tensorboard", "--threads", "1", "--evaluation.every", "100")
QUICK_ARGUMENTS = (
    *("--steps", "1000", "--demos", "3", "--evaluation.quick-episodes", "2", "--evaluation.episodes", "2"),
    *("--agent.width", "16", "--agent.utd-ratio", "1", "--agent.batch-size", "16"),
    *("--agent.buffer-capacity", "3000", "--mixed-precision", "off"),
)


class Kill(NamedTuple):
    """A kill: when, in s since 1970, and the name of the newest checkpoint then, None for none."""

    time: float
    checkpoint: str | None


def resumed_runs(quick: bool = False) -> Row:
    """Trainings from state that are killed, go on, and reach their target."""
    kills, longest, every = KILLS, LONGEST, CHECKPOINT_SECONDS
    arguments = [*ARGUMENTS]
    if quick:
        kills, longest, every = QUICK_KILLS, QUICK_LONGEST, QUICK_CHECKPOINT_SECONDS
        arguments += QUICK_ARGUMENTS
    arguments += ["--checkpoint-seconds", str(every)]
    moments = random.Random(0)
    problems: list[str] = []
    ends: list[str] = []
    done = resumed = 0
    with tempfile.TemporaryDirectory() as folder:
        while done < kills:
            directory = Path(folder) / f"run_{len(ends)}"
            found = _run(directory, [*arguments, "--seed", str(len(ends))], kills - done, longest, moments, problems)
            done += len(found)
            resumed += resumed_after(directory, found)
            problems += joins(rows(directory))
            ends.append(_end(directory, problems, reach_target=not quick))
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    return Row(
        f"kill -9 at {kills} random moments of a training from state, with checkpoints every {every:g} s",
        "each goes on from its newest checkpoint, curves join, the target is reached",
        f"{resumed} of {kills} went on; {len(problems)} problems; in the end {', '.join(ends)}",
        resumed == kills and not problems,
    )


def _run(
    directory: Path, arguments: Sequence[str], kills: int, longest: float, moments: random.Random, problems: list[str]
) -> list[Kill]:
    """Train until the end, killed at most `kills` times; children that go on are added to the problems."""
    found: list[Kill] = []
    while True:
        process = _start(directory, arguments)
        started = time.time()
        try:
            if len(found) == kills:
                process.wait()
                return found
            if moments.random() >= EARLY:
                _wait_until_begun(process, directory, started)
            try:
                process.wait(moments.uniform(0.0, longest))
                return found
            except subprocess.TimeoutExpired:
                # In turns, because children have to end with a parent that is killed alone, too.
                problems += _kill(process, whole_group=len(found) % 2 == 0)
            names = sorted(path.name for path in (directory / "checkpoints").glob("step_*"))
            found.append(Kill(time.time(), names[-1] if names else None))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _start(directory: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """`hil-trainer train` in a process group of its own; goes on with the directory if it holds a run."""
    words = ["--resume"] if (directory / "config.json").exists() else arguments
    command = [sys.executable, "-m", "hil_trainer", "train", "--out", str(directory), *words]
    with directory.with_suffix(".log").open("ab") as log:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment)


def _wait_until_begun(process: subprocess.Popen[bytes], directory: Path, started: float) -> None:
    while process.poll() is None and not any(row["time"] > started for row in rows(directory)):
        if time.time() > started + BEGIN_SECONDS:
            raise RuntimeError(f"the training does nothing; see {directory.with_suffix('.log')}")
        time.sleep(0.02)


def _kill(process: subprocess.Popen[bytes], *, whole_group: bool) -> list[str]:
    """Kill a training, with its children or without. Returns the children that went on; they are killed now."""
    children = psutil.Process(process.pid).children(recursive=True)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    found = []
    for child in psutil.wait_procs(children, timeout=CHILDREN_SECONDS)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                child.kill()
                found.append(f"process {child.pid}, a child of a killed training, went on")
    return found


def rows(directory: Path) -> list[dict[str, Any]]:
    """What a run has written so far."""
    from hil_trainer.logging.metrics import FILE, read_metrics

    return read_metrics(directory) if (directory / FILE).exists() else []


def joins(written: Sequence[dict[str, Any]]) -> list[str]:
    """What is wrong with curves: steps or seconds that go back, episodes that are missing or there twice."""
    found = []
    seconds = [row["seconds"] for row in written]
    if seconds != sorted(seconds):
        found.append("seconds go back")
    for kind in {row["kind"] for row in written}:
        steps = [row["step"] for row in written if row["kind"] == kind]
        if steps != sorted(steps):
            found.append(f"steps of rows of kind {kind} go back")
    numbers = [row["episode"] for row in written if row["kind"] == "episode"]
    if numbers != list(range(1, len(numbers) + 1)):
        found.append("episodes are not counted on")
    return found


def resumed_after(directory: Path, kills: Sequence[Kill]) -> int:
    """How many kills were followed by a training from the newest checkpoint, or from the start without one."""
    from hil_trainer.logging.metrics import DISCARDED

    every = rows(directory)
    if (directory / DISCARDED).exists():
        for line in (directory / DISCARDED).read_text().splitlines():
            with contextlib.suppress(ValueError):  # killed while it was written
                every.append(json.loads(line))
    every.sort(key=lambda row: row["time"])
    count = 0
    for kill in kills:
        # Killed again before it wrote anything, it left what it found; then the next one counts for both.
        after = next((row for row in every if row["time"] > kill.time), None)
        wanted = "" if kill.checkpoint is None else f"resumed from checkpoints/{kill.checkpoint}"
        count += after is not None and after.get("text", "") == wanted
    return count


def _end(directory: Path, problems: list[str], *, reach_target: bool) -> str:
    """The last evaluation of a run that has ended, in words."""
    evaluations = [row for row in rows(directory) if row["kind"] == "evaluation"]
    if not evaluations:
        log = directory.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"the training ended without an evaluation: {log[-2000:]}")
    last = evaluations[-1]
    words = f"{last['successes']}/{last['episodes']} after {last['step']:,} steps in {last['seconds']:.0f} s"
    target = json.loads((directory / "config.json").read_text(encoding="utf-8"))["evaluation"]["target"]
    if reach_target and last["successes"] < target * last["episodes"]:
        problems.append(f"the target was not reached: {words}")
    return words
