"""What happened in a run, one JSON object a line, so that curves survive a killed process and join after a resume."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from hil_trainer.errors import CheckpointError, ConfigurationError
from hil_trainer.logging.loggers import Mirror, TensorBoardMirror, WandbMirror, load_summary_writer, load_wandb

FILE = "metrics.jsonl"
DISCARDED = "metrics.discarded.jsonl"
# Kind of row -> what a row of it must tell. More may be told, and any value may be None.
KINDS: dict[str, tuple[str, ...]] = {
    "episode": ("episode", "success", "length", "operator_steps", "return", "demonstration"),
    "learning": (),
    "evaluation": ("episodes", "successes", "length", "seed", "operator_steps", "purpose"),
    "event": ("text",),
}


class ResumePoint(NamedTuple):
    """How far a run had come when the checkpoint was written that it goes on from.

    Attributes:
        step: of training; -1 if there is no checkpoint.
        episodes: that had ended.
    """

    step: int
    episodes: int

    def covers(self, row: dict[str, Any]) -> bool:
        """Whether a row tells of what was before. Demonstrations are all at step 0, and so episodes are counted."""
        return row["step"] <= self.step and (row["kind"] != "episode" or row["episode"] <= self.episodes)


class MetricsLog:
    """Writes the rows of a run, and shows their numbers in TensorBoard and Weights & Biases.

    A row is in the file once `write` is back, and a process that is killed while it writes costs that row only: what it
    left of it is removed when the file is opened again. Several threads may write.

    Args:
        directory: of the run; made if it is missing.
        tensorboard: also write events to `directory`/tensorboard.
        wandb: the project in Weights & Biases to show the numbers in; None for none. What it keeps of a run cannot be
            taken back, so after a resume it shows the steps since the checkpoint twice.
        resume: where the run goes on. Rows of what came later are moved to `metrics.discarded.jsonl`. None keeps all.

    Raises:
        MissingExtraError: TensorBoard or Weights & Biases is wanted but not installed.
        ConfigurationError: Weights & Biases does not start.
        CheckpointError: the rows that are there are damaged, or cannot be read or written.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        tensorboard: bool = True,
        wandb: str | None = None,
        resume: ResumePoint | None = None,
    ):
        directory = Path(directory)
        self.path = directory / FILE
        self._lock = threading.Lock()
        self._mirrors: list[Mirror] = []
        # What is missing is told before anything is touched.
        summary_writer = load_summary_writer() if tensorboard else None
        wandb_module = load_wandb() if wandb is not None else None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            _repair(self.path, resume)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        with ExitStack() as opened:
            if summary_writer is not None:
                resume_step = None if resume is None else resume.step
                self._mirrors.append(TensorBoardMirror(summary_writer, directory / "tensorboard", resume_step))
                opened.callback(self._mirrors[-1].close)
            if wandb_module is not None and wandb is not None:
                self._mirrors.append(WandbMirror(wandb_module, wandb, directory, resume=resume is not None))
                opened.callback(self._mirrors[-1].close)
            try:
                self._file = opened.enter_context(self.path.open("ab"))
            except OSError as error:
                raise _unwritable(self.path, error) from error
            self._opened = opened.pop_all()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def write(self, kind: str, step: int, seconds: float, **values: Any) -> None:
        """Append a row.

        Args:
            kind: one of `KINDS`.
            step: environment steps of training so far, demonstrations not counted.
            seconds: s of training so far, summed over resumes.
            values: numbers, truth values, words or None; what has one element and an `item()` (numpy, torch) is taken
                as that element. Numbers that are not finite are written as null, because JSON has no others.

        Raises:
            ConfigurationError: unknown kind, missing value, or a value of another type.
            CheckpointError: the file cannot be written.
        """
        if kind not in KINDS:
            raise ConfigurationError(f"There are no metrics of kind {kind!r}; expected one of {', '.join(KINDS)}.")
        missing = [name for name in KINDS[kind] if name not in values]
        if missing:
            raise ConfigurationError(
                f"A row of kind {kind!r} lacks {', '.join(missing)}; pass None for what is unknown."
            )
        row = {"kind": kind, "step": step, "seconds": seconds, "time": time.time(), **values}
        row = {name: _plain(name, value) for name, value in row.items()}
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        with self._lock:
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                raise _unwritable(self.path, error) from error
            for mirror in self._mirrors:
                mirror.write(row)

    def close(self) -> None:
        """Close the file, and wait until the mirrors have what was written."""
        self._opened.close()


def read_metrics(directory: str | Path) -> list[dict[str, Any]]:
    """Read the rows of a run, which may still be running.

    Args:
        directory: of the run.

    Returns:
        The rows in the order in which they were written. A last line that is not complete is left out.

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
    """Remove what a killed process left of its last line, and move rows after the point of a resume out of the way."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    kept: list[bytes] = []
    later: list[bytes] = []
    for line, row in _entries(content, path):
        (kept if resume is None or resume.covers(row) else later).append(line + b"\n")
    if later:
        # First to the one file, then out of the other: killed in between, a row is in both rather than in none.
        with path.with_name(DISCARDED).open("ab") as file:
            file.write(b"".join(later))
            _sync(file)
    whole = b"".join(kept)
    if whole != content:
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            file.write(whole)
            _sync(file)
        os.replace(part, path)


def _entries(content: bytes, path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """Lines and what they say, without a last one that is not complete."""
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
    return row if isinstance(row, dict) and row.get("kind") in KINDS and _is_number(row.get("step")) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain(name: str, value: Any) -> float | int | bool | str | None:
    """A value as JSON knows it."""
    if hasattr(value, "item") and getattr(value, "shape", ()) in ((), (1,)):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    raise ConfigurationError(f"{name} is {value!r}; metrics are numbers, truth values, words or None.")


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _unwritable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be written: {error}. Make room or choose another folder, then go on with --resume."
    )
