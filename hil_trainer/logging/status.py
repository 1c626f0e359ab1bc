"""How training goes, for the operator at the terminal: a line that changes, and a sentence when something happens."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from hil_trainer.logging.milestones import Milestone, clock_time

WINDOW = 20  # episodes
_REDRAW = 0.1  # s
_PURPOSES = {"quick": "quick evaluation", "full": "evaluation", "final": "final evaluation"}


class Progress:
    """Tells about a run.

    On a terminal one line is rewritten in place; elsewhere (a file, a pipe) a plain line follows every `interval`
    seconds. It takes the rows that `MetricsLog` takes, and several threads may tell it:

        step 2,310  1:05  alone 18/20  operator 12%  eval 97/100  critic 0.0013  actor -0.41  36 steps/s

    `alone` counts those of the last 20 episodes that the policy finished without the operator, `operator` is the
    operator's share of their steps, `eval` the last evaluation.

    Args:
        out: where to; standard output if None.
        interval: s between two plain lines.
        verbose: tell about checkpoints too.
        clock: tells seconds.
    """

    def __init__(
        self,
        out: TextIO | None = None,
        *,
        interval: float = 10.0,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._out = sys.stdout if out is None else out
        self._live = self._out.isatty()
        self._interval = _REDRAW if self._live else interval
        self._verbose, self._clock = verbose, clock
        self._lock = threading.Lock()
        self._told = clock()
        self._shown = ""
        self._step, self._seconds = 0, 0.0
        self._episodes: deque[Mapping[str, Any]] = deque(maxlen=WINDOW)
        self._evaluation: Mapping[str, Any] | None = None
        self._learning: Mapping[str, Any] = {}

    def restore(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take in the rows of a run that is resumed, and say nothing about them."""
        with self._lock:
            for row in rows:
                self._take(row)

    def write(self, kind: str, step: int, seconds: float, **values: Any) -> None:
        """Take in a row, as `MetricsLog.write` does.

        Args:
            kind: of row.
            step: environment steps so far.
            seconds: s of training so far.
            values: what the row tells.
        """
        row = {"kind": kind, "step": step, "seconds": seconds, **values}
        with self._lock:
            self._take(row)
            if kind == "evaluation":
                self._say(_evaluated(row))
            elif kind == "event":
                self._say(str(row["text"]))
            else:
                self._refresh()

    def update(self, step: int, seconds: float) -> None:
        """A step was made; cheap enough to be called for each."""
        with self._lock:
            self._step, self._seconds = step, seconds
            self._refresh()

    def target_reached(self, rate: float, milestone: Milestone) -> None:
        """The success rate that was wanted holds.

        Args:
            rate: share of successful episodes, in [0, 1].
            milestone: when it was reached.
        """
        with self._lock:
            self._say(f"target reached: {rate:.0%} after {milestone}")

    def checkpoint(self, name: str) -> None:
        """A checkpoint is on the disk; told when verbose."""
        if self._verbose:
            with self._lock:
                self._say(f"checkpoint {name}")

    def say(self, text: str) -> None:
        """Put a sentence above the line."""
        with self._lock:
            self._say(text)

    def close(self) -> None:
        """Leave the last line where it can be read."""
        with self._lock:
            line = self.line()
            if self._live:
                self._out.write(f"\r\x1b[K{line}\n")
            elif line != self._shown:
                self._out.write(f"{line}\n")
            self._out.flush()

    def line(self, width: int | None = None) -> str:
        """The line as it is now.

        Args:
            width: characters; what does not fit is left out from the end, part by part. None for no limit.
        """
        parts = [f"step {self._step:,}", clock_time(self._seconds)]
        if self._episodes:
            alone = sum(bool(row["success"]) and not row["operator_steps"] for row in self._episodes)
            steps = sum(row["length"] for row in self._episodes)
            operator = sum(row["operator_steps"] for row in self._episodes)
            parts += [f"alone {alone}/{len(self._episodes)}", f"operator {operator / max(steps, 1):.0%}"]
        if self._evaluation is not None:
            parts.append(f"eval {self._evaluation['successes']}/{self._evaluation['episodes']}")
        for name in ("critic", "actor"):
            loss = self._learning.get(f"{name}_loss")
            if loss is not None:
                parts.append(f"{name} {float(loss):.2g}")
        speed = self._learning.get("steps_per_second")
        if speed is not None:
            parts.append(f"{float(speed):.0f} steps/s")
        line = parts[0]
        for part in parts[1:]:
            if width is not None and len(line) + 2 + len(part) > width:
                break
            line = f"{line}  {part}"
        return line

    def _take(self, row: Mapping[str, Any]) -> None:
        self._step, self._seconds = row["step"], row["seconds"]
        if row["kind"] == "episode" and not row["demonstration"]:
            self._episodes.append(row)
        elif row["kind"] == "evaluation":
            self._evaluation = row
        elif row["kind"] == "learning":
            self._learning = row

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._told < self._interval:
            return
        self._told = now
        if self._live:
            # One column stays free: some terminals wrap when the last one is written.
            self._shown = self.line(shutil.get_terminal_size().columns - 1)
            self._out.write(f"\r\x1b[K{self._shown}")
        else:
            self._shown = self.line()
            self._out.write(f"{self._shown}\n")
        self._out.flush()

    def _say(self, text: str) -> None:
        told = f"step {self._step:,}  {clock_time(self._seconds)}  {text}"
        self._out.write(f"\r\x1b[K{told}\n{self._shown}" if self._live else f"{told}\n")
        self._out.flush()


def _evaluated(row: Mapping[str, Any]) -> str:
    told = f"{_PURPOSES.get(row['purpose'], 'evaluation')}: {row['successes']} of {row['episodes']} succeed"
    if row.get("length") is not None:
        told += f", {row['length']:.0f} steps on average"
    if row.get("operator_steps"):
        told += f"; the operator has driven {row['operator_steps']:,} steps so far"
    return told
