"""Kill a training at any moment, see what it leaves, and let it go on.

python -m benchmarks.resuming [--quick] [--kills N] [--keep DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import psutil

from benchmarks.row import Row

KILLS, QUICK_KILLS = 10, 2
CHECKPOINT_SECONDS, QUICK_CHECKPOINT_SECONDS = 5.0, 0.5
LATE_SECONDS = 5.0  # for what is done between two looks at the clock, and for the checkpoint that is being written
LONGEST, QUICK_LONGEST = 12.0, 2.0  # s that a process lives, at most, after it has begun to train
EARLY = 0.2  # of the kills come at any time from the start of the process on, the others once it has begun
EPISODES, QUICK_EPISODES, EVALUATION_SEED = 20, 2, 50_000
SEED = 0  # of the moments
PATIENCE = 300.0  # s until a process has begun, whatever else the machine does
CHILDREN_SECONDS = 20.0  # until the children of a process that was killed have noticed
WORDS = ("--no-tensorboard", "--threads", "1", "--evaluation.every", "100")
QUICK_WORDS = (
    *("--steps", "1000", "--demos", "3", "--evaluation.quick-episodes", "2", "--evaluation.episodes", "2"),
    *("--agent.width", "16"),
    *("--agent.utd-ratio", "1", "--agent.batch-size", "16"),
    *("--agent.buffer-capacity", "3000", "--mixed-precision", "off"),
)
COMMAND = "import sys; from hil_trainer.cli import main\nif __name__ == '__main__': sys.exit(main())"


class Kill(NamedTuple):
    """What was found after a kill.

    Attributes:
        time: of the kill, s since 1970.
        during: what the run was doing.
        checkpoint: the name of the newest one; None if there was none yet.
        steps: that were lost, as far as episodes that had ended tell.
        seconds: of training that were lost.
        successes: of the policy in the checkpoint, and of the one that a learner begins with that goes on from it.
        same_weights: whether the two are equal to the bit.
        problems: what is wrong.
    """

    time: float
    during: str
    checkpoint: str | None
    steps: int
    seconds: float
    successes: tuple[int, int]
    same_weights: bool
    problems: list[str]


class Process:
    """`hil-trainer train`, in a process group of its own.

    Args:
        directory: of the run; gone on with if it has one already.
        words: further ones of the command.

    Attributes:
        started: s since 1970.
        killed: likewise; infinite if it was not.
    """

    def __init__(self, directory: Path, words: Sequence[str]):
        self.directory, self.started, self.killed = directory, time.time(), math.inf
        resumed = (directory / "config.json").exists()
        command = [sys.executable, "-c", COMMAND, "train", "--out", str(directory)]
        command += ["--resume"] if resumed else words
        with directory.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def wait_until_begun(self) -> None:
        """Until it has written a row.

        Raises:
            RuntimeError: it does not, for too long.
        """
        while self._process.poll() is None and not any(row["time"] > self.started for row in rows(self.directory)):
            if time.time() > self.started + PATIENCE:
                raise RuntimeError(f"the training does nothing; see {self.directory.with_suffix('.log')}")
            time.sleep(0.02)

    def wait(self, seconds: float | None = None) -> int | None:
        """Returns its exit status; None if it has not ended until then."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self, *, whole_group: bool) -> list[str]:
        """Kill it, with its children or without.

        Returns:
            What is wrong: children that did not end. They have now.
        """
        children = psutil.Process(self._process.pid).children(recursive=True)
        if whole_group:
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()
        self.killed = time.time()
        found = []
        for child in psutil.wait_procs(children, timeout=CHILDREN_SECONDS)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                # Where nobody collects it, what has ended stays in the list of processes.
                if child.status() != psutil.STATUS_ZOMBIE:
                    child.kill()
                    found.append(f"process {child.pid}, a child of a killed training, went on")
        return found


def resumed_runs(quick: bool = False) -> Row:
    """Trainings from state that are killed at random moments, go on with what they left, and reach their target."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), kills=QUICK_KILLS if quick else KILLS, quick=quick)


def measure(folder: Path, *, kills: int, quick: bool = False) -> Row:
    """Kill and resume; the run is left in the folder. If it reaches its target before, another one follows."""
    longest, checkpoint_seconds, episodes, words = LONGEST, CHECKPOINT_SECONDS, EPISODES, [*WORDS]
    if quick:
        longest, checkpoint_seconds, episodes = QUICK_LONGEST, QUICK_CHECKPOINT_SECONDS, QUICK_EPISODES
        words += QUICK_WORDS
    moments = random.Random(SEED)
    found: list[Kill] = []
    ended: list[dict[str, Any]] = []  # the last evaluations of runs that ended
    problems: list[str] = []
    continued = 0
    while len(found) < kills:
        directory = folder / f"run_{len(ended)}"
        seed = ("--seed", str(len(ended)))
        here: list[Kill] = []
        status = None
        while status is None:
            with Process(directory, [*words, "--checkpoint-seconds", str(checkpoint_seconds), *seed]) as process:
                if len(found) + len(here) == kills:
                    status = process.wait()
                    break
                if moments.random() >= EARLY:
                    process.wait_until_begun()
                status = process.wait(moments.uniform(0.0, longest))
                if status is None:
                    # In turns, because children have to end with a parent that is killed alone, too.
                    orphans = process.kill(whole_group=len(here) % 2 == 0)
                    here.append(look(directory, process.started, process.killed, orphans, episodes=episodes))
                    print(json.dumps(here[-1]._asdict()), file=sys.stderr, flush=True)
        ended.append(_end(directory, status, problems, quick=quick))
        continued += gone_on(directory, here)
        problems += [problem for kill in here for problem in kill.problems]
        problems += [
            f"{kill.seconds} s are lost, with checkpoints every {checkpoint_seconds:g} s"
            for kill in here
            if not quick and kill.checkpoint is not None and kill.seconds > checkpoint_seconds + LATE_SECONDS
        ]
        found += here
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    steps, seconds = max(kill.steps for kill in found), max(kill.seconds for kill in found)
    evaluated = [kill for kill in found if kill.checkpoint is not None]
    same = sum(kill.same_weights for kill in evaluated)
    before, after = (sum(kill.successes[number] for kill in evaluated) for number in (0, 1))
    during = ", ".join(sorted({kill.during for kill in found}))
    ends = ", ".join(
        f"{end['successes']}/{end['episodes']} after {end['step']:,} steps in {end['seconds']:.0f} s" for end in ended
    )
    return Row(
        f"kill -9 at {kills} random moments of a training from state, with checkpoints every {checkpoint_seconds:g} s",
        "each continues; evaluation after resume within noise of before",
        f"{continued} of {kills} continued; lost at most {steps} steps and {seconds:.1f} s; of {len(evaluated)} "
        f"checkpoints {same} gave the same weights to the bit, with {before} successes before and {after} after in "
        f"{episodes * len(evaluated)} episodes; killed while {during}; {len(problems)} problems; in the end {ends}",
        continued == kills and same == len(evaluated) and before == after and not problems,
    )


def rows(directory: Path) -> list[dict[str, Any]]:
    """What a run has written so far."""
    from hil_trainer.logging.metrics import FILE, read_metrics

    return read_metrics(directory) if (directory / FILE).exists() else []


def look(directory: Path, started: float, killed: float, orphans: Sequence[str], *, episodes: int) -> Kill:
    """Look at what a killed training left, and evaluate what goes on from it.

    Args:
        directory: of the run.
        started: when the process was, s since 1970.
        killed: when it was.
        orphans: what is wrong with its children.
        episodes: of an evaluation.
    """
    from hil_trainer.checkpoints import checkpoints, read_run_state
    from hil_trainer.errors import CheckpointError

    problems: list[str] = [*orphans]
    written: list[dict[str, Any]] = []
    newest: Path | None = None
    state: dict[str, Any] = {"step": 0, "seconds": 0.0}
    before, after, same = 0, 0, True
    try:
        written = rows(directory)
        problems += joins(written)
        newest = next(reversed(checkpoints(directory)), None)
        if newest is not None:
            state = read_run_state(newest)
            before, after, same = compare(directory, newest, episodes)
    except CheckpointError as error:
        problems.append(f"cannot be read: {error}")
    steps, seconds = _lost([row for row in written if row["time"] > started], killed, state)
    name = None if newest is None else newest.name
    during = _during(directory, written, started)
    return Kill(killed, during, name, steps, seconds, (before, after), same, problems)


def _lost(written: Sequence[dict[str, Any]], killed: float, state: dict[str, Any]) -> tuple[int, float]:
    """Steps and seconds of what one process did since the newest checkpoint, or since it went on with that."""
    if not written:
        return 0, 0.0
    first, last = written[0], max(written, key=lambda row: row["time"])
    kept = max(state["seconds"], first["seconds"] if _is_resumed(first) else 0.0)
    steps = max(row["step"] for row in written) - state["step"]
    return max(steps, 0), round(max(last["seconds"] + killed - last["time"] - kept, 0.0), 2)


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


def compare(directory: Path, checkpoint: Path, episodes: int) -> tuple[int, int, bool]:
    """Compare the policy in a checkpoint with the first that a learner tells which goes on from it.

    The learner is a process, as `hil-trainer train --resume` starts it.

    Args:
        directory: of the run.
        checkpoint: of it.
        episodes: to evaluate both in, each time the same.

    Returns:
        Successes of the one, of the other, and whether their weights are equal to the bit.
    """
    import numpy as np

    from hil_trainer.agents.policy import Policy, load_weights
    from hil_trainer.checkpoints import read_learner_state
    from hil_trainer.cli.train import parse
    from hil_trainer.learner.learner import LearnerSetup
    from hil_trainer.learner.process import ProcessLearner
    from hil_trainer.rollout.evaluation import Greedy, evaluate, evaluation_env

    config = parse(["--resume", "--out", str(directory)]).settings
    env = evaluation_env(config)
    try:
        setup = LearnerSetup(config, env.layout, env.actions)
        kept = {name: value.numpy() for name, value in read_learner_state(checkpoint)[0]["sac"]["policy"].items()}
        learner = ProcessLearner(setup, directory, lockstep=True, checkpoint=checkpoint)
        try:
            told = learner.snapshot().weights
        finally:
            learner.close()
        policy, successes = Policy(setup.shape).eval(), []
        for weights in (kept, told):
            load_weights(policy, weights)
            successes.append(evaluate(env, Greedy(policy), episodes=episodes, seed=EVALUATION_SEED).successes)
    finally:
        env.close()
    same = kept.keys() == told.keys() and all(np.array_equal(kept[name], told[name]) for name in kept)
    return successes[0], successes[1], same


def gone_on(directory: Path, kills: Sequence[Kill]) -> int:
    """How many kills were followed by a training that went on with the newest checkpoint, or began anew without one."""
    from hil_trainer.logging.metrics import DISCARDED

    every = rows(directory)
    if (directory / DISCARDED).exists():
        for line in (directory / DISCARDED).read_text().splitlines():
            with contextlib.suppress(ValueError):  # killed while it was written
                every.append(json.loads(line))
    every.sort(key=lambda row: row["time"])
    count = 0
    for kill in kills:
        # Killed again before it said so, it left what it found; then the one after that says it.
        after = next((row for row in every if row["time"] > kill.time), None)
        wanted = "" if kill.checkpoint is None else f"resumed from checkpoints/{kill.checkpoint}"
        count += after is not None and after.get("text", "") == wanted
    return count


def _during(directory: Path, written: Sequence[dict[str, Any]], started: float) -> str:
    """What a training was doing when it was killed, as far as its files tell."""
    if not written or written[-1]["time"] < started or _is_resumed(written[-1]):
        return "starting"
    if any(path.stat().st_mtime > started for path in (directory / "checkpoints").glob(".unfinished-*")):
        return "writing a checkpoint"
    if not any(row["step"] for row in written):
        return "shown demonstrations"
    begun = [row["step"] for row in written if _is_resumed(row) or row["kind"] == "evaluation"]
    every = _config(directory)["evaluate_every"]
    is_due = written[-1]["step"] >= (max([0, *begun]) // every + 1) * every
    return "evaluating" if is_due else "acting and learning"


def _is_resumed(row: dict[str, Any]) -> bool:
    return str(row.get("text", "")).startswith("resumed from")


def _config(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "config.json").read_text(encoding="utf-8"))


def _end(directory: Path, status: int | None, problems: list[str], *, quick: bool) -> dict[str, Any]:
    """The last evaluation of a run that has ended; what is wrong with its end is added to the problems."""
    written = rows(directory)
    evaluations = [row for row in written if row["kind"] == "evaluation"]
    if status != 0 or not evaluations:
        log = directory.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"the training ended with {status}: {log[-2000:]}")
    problems += joins(written)
    last, target = evaluations[-1], _config(directory)["target"]
    if not quick and last["successes"] < target * last["episodes"]:
        problems.append(f"the target was not reached: {last['successes']} of {last['episodes']} succeed")
    return last


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the row; exit status 1 if the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resuming", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a training that learns nothing, to see that it runs")
    parser.add_argument("--kills", type=int, metavar="N", help=f"how many ({KILLS})")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the runs there")
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    kills = options.kills or (QUICK_KILLS if options.quick else KILLS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        row = measure(folder, kills=kills, quick=options.quick)
    print(f"| {row.what} | {row.bar} | {row.measured} | {'yes' if row.met else '**no**'} |")
    return 0 if row.met else 1


if __name__ == "__main__":
    sys.exit(main())
