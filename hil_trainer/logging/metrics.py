"""Metrics of a run, one JSON object a line: they survive a killed process, and curves join after a resume."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gym_hil.files import atomic_write
from hil_trainer.errors import CheckpointError
from hil_trainer.logging.loggers import TensorBoardLogger, WandbLogger, load_summary_writer, load_wandb

FILE = "metrics.jsonl"
DISCARDED = "metrics.discarded.jsonl"
KINDS = ("episode", "learning", "evaluation", "event")
FULL = 100  # episodes of an evaluation that counts for a milestone
RATES = (0.95, 0.99)  # success rates of milestones
FINAL = "final"  # purpose of the evaluation on held-out seeds

Row = Mapping[str, Any]


class ResumePoint(NamedTuple):
    """How far a run was when the checkpoint was written from which it resumes."""

    step: int  # of training; -1 without a checkpoint
    episodes: int  # finished so far

    def covers(self, row: Row) -> bool:
        """Whether a row is from before. Demonstrations are all at step 0, so episodes are compared by their number."""
        return row["step"] <= self.step and (row["kind"] != "episode" or row["episode"] <= self.episodes)


class MetricsLog:
    """Writes the rows of a run to a file, and their numbers to TensorBoard and Weights & Biases.

    A row is in the file when `write` returns. A process that is killed while it writes loses only that row: the
    incomplete line is removed when the file is opened again.

    Args:
        directory: of the run; created if missing.
        tensorboard: also write events to `directory`/tensorboard.
        wandb: project in Weights & Biases to log to; None for none. What is logged there cannot be removed, so after a
            resume it shows the steps since the checkpoint twice.
        config: settings of the run, shown at Weights & Biases.
        resume: where the run resumes. Later rows are moved to `metrics.discarded.jsonl`. None keeps all rows.

    Raises:
        MissingExtraError: TensorBoard or Weights & Biases is requested but not installed.
        ConfigurationError: Weights & Biases does not start.
        CheckpointError: the existing rows are damaged, or the file cannot be read or written.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        tensorboard: bool = True,
        wandb: str | None = None,
        config: Mapping[str, Any] | None = None,
        resume: ResumePoint | None = None,
    ):
        directory = Path(directory)
        self.path = directory / FILE
        self._loggers: list[TensorBoardLogger | WandbLogger] = []
        # Missing packages are reported before any file is touched.
        summary_writer = load_summary_writer() if tensorboard else None
        wandb_module = load_wandb() if wandb is not None else None
        with ExitStack() as opened:
            try:
                directory.mkdir(parents=True, exist_ok=True)
                _repair(self.path, resume)
                self._file = opened.enter_context(self.path.open("ab"))
            except OSError as error:
                raise _unwritable(self.path, error) from error
            if summary_writer is not None:
                purge_step = None if resume is None else resume.step + 1
                self._loggers.append(TensorBoardLogger(summary_writer, directory, purge_step))
                opened.callback(self._loggers[-1].close)
            if wandb_module is not None and wandb is not None:
                resumed = resume is not None
                self._loggers.append(WandbLogger(wandb_module, wandb, directory, config=config or {}, resume=resumed))
                opened.callback(self._loggers[-1].close)
            self.close = opened.pop_all().close

    def write(self, kind: str, step: int, seconds: float, **values: Any) -> None:
        """Append a row.

        Args:
            kind: one of `KINDS`.
            step: environment steps of training so far, without demonstrations; of an evaluation, the step of the
                policy that was evaluated.
            seconds: s of training so far, summed over resumes.
            values: numbers, booleans, strings or None. Scalars of numpy and torch are converted. Numbers that are not
                finite are written as null, because JSON has no others.

        Raises:
            CheckpointError: the file cannot be written.
        """
        row = {"kind": kind, "step": step, "seconds": seconds, "time": time.time(), **values}
        row = {name: _plain(value) for name, value in row.items()}
        try:
            self._file.write(json.dumps(row, allow_nan=False).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise _unwritable(self.path, error) from error
        for logger in self._loggers:
            logger.write(row)


@dataclass(frozen=True, slots=True)
class Milestone:
    """When a success rate was reached."""

    step: float  # environment steps of training, without demonstrations
    operator_steps: float  # steps of these that the operator drove
    seconds: float  # s of training

    def __str__(self) -> str:
        driven = f"{self.operator_steps:,.0f}" if self.operator_steps else "none"
        unit = "h" if self.seconds >= 3600 else "min"
        return f"{self.step:,.0f} steps, {driven} of them the operator's, in {clock_time(self.seconds)} {unit}"


def first_reaching(rows: Iterable[Row], rate: float, episodes: int = FULL) -> Milestone | None:
    """Find the first evaluation during training with a success rate.

    Its seeds are the same at every evaluation and also choose the policy that is kept, so the rate itself is
    optimistic; `final_evaluation` is the number to report.
    """
    for row in rows:
        if row["kind"] != "evaluation" or row["purpose"] == FINAL or row["episodes"] < episodes:
            continue
        # 0.07 * 100 is 7.000000000000001.
        if row["successes"] >= rate * row["episodes"] - 1e-9:
            return Milestone(row["step"], row["operator_steps"], row["seconds"])
    return None


def final_evaluation(rows: Iterable[Row]) -> Row | None:
    """The last evaluation of the exported policy on held-out seeds; None if there is none."""
    found = [row for row in rows if row["kind"] == "evaluation" and row["purpose"] == FINAL and row["episodes"]]
    return found[-1] if found else None


def clock_time(seconds: float) -> str:
    """A duration as on a clock: `1:05` for 65 s, `2:01:05` for two hours more."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def read_metrics(directory: str | Path) -> list[dict[str, Any]]:
    """The rows of a run, which may still be running, as they were written, without an incomplete last line.

    Raises:
        CheckpointError: there are no metrics, or they are damaged.
    """
    path = Path(directory) / FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(
            f"{directory} has no {FILE}; expected the folder of a run of `hil-trainer train`."
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    return [row for _, row in _entries(content, path)]


def _repair(path: Path, resume: ResumePoint | None) -> None:
    """Remove an incomplete last line, and move the rows after a resume point to another file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    kept: list[bytes] = []
    later: list[bytes] = []
    for line, row in _entries(content, path):
        (kept if resume is None or resume.covers(row) else later).append(line + b"\n")
    if later:
        # Written to one file before it is removed from the other: a kill in between duplicates a row, but loses none.
        with path.with_name(DISCARDED).open("ab") as file:
            file.write(b"".join(later))
            file.flush()
            os.fsync(file.fileno())
    if b"".join(kept) != content:
        atomic_write(path, b"".join(kept))


def _entries(content: bytes, path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """Lines and their rows, without an incomplete last line."""
    *lines, tail = content.split(b"\n")
    entries = []
    for number, line in enumerate(lines, start=1):
        row = _parsed(line)
        if row is not None:
            entries.append((line, row))
        elif line.strip():
            raise CheckpointError(f"{path}, line {number} is not a row of metrics: {line[:80]!r}. Remove that line.")
    row = _parsed(tail)
    return entries if row is None else [*entries, (tail, row)]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    is_row = isinstance(row, dict) and row.get("kind") in KINDS
    return row if is_row and type(row.get("step")) in (int, float) else None


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unwritable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be written: {error}. Make room or choose another folder, then continue with --resume."
    )
