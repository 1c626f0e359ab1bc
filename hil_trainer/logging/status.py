"""What a training run shows at the terminal: a status line, and a sentence when something happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, TextIO

from gym_hil.status import StatusLine
from gym_hil.teleop.session import ASKS_FOR_HELP
from hil_trainer.logging.metrics import FINAL, Milestone, Row, clock_time

WINDOW = 20  # episodes
_PURPOSES = {"quick": "quick evaluation", "full": "evaluation", FINAL: "final evaluation, on other seeds"}


class TrainingStatus:
    """Shows how a run goes; takes the rows of `MetricsLog`.

        step 2,310  1:05  alone 18/20  operator 12%  eval 97/100  critic 0.0013  actor -0.41  36 steps/s

    `alone` counts the last 20 episodes that the policy finished without the operator, `operator` is the operator's
    share of their steps, `eval` the last evaluation.

    Args:
        file: where to write; standard output if None.
        verbose: also report checkpoints.

    Attributes:
        line: where it is shown.
    """

    def __init__(self, file: TextIO | None = None, *, verbose: bool = False):
        self.line, self._verbose = StatusLine(file, interval=10.0), verbose
        self._step, self._seconds, self._asks_for_help = 0, 0.0, False
        self._episodes: deque[Row] = deque(maxlen=WINDOW)
        self._evaluation: Row | None = None
        self._learning: Row = {}

    def restore(self, rows: Iterable[Row]) -> None:
        """Take in the rows of a run that is resumed, without a message."""
        for row in rows:
            self._take(row)

    def write(self, kind: str, step: int, seconds: float, **values: Any) -> None:
        """Take in a row; arguments as of `MetricsLog.write`."""
        row = {"kind": kind, "step": step, "seconds": seconds, **values}
        self._take(row)
        if kind == "evaluation":
            self.print(self._describe_evaluation(row))
        elif kind == "event":
            self.print(str(row["text"]))
        else:
            self.line.update(self._parts)

    def update(self, step: int, seconds: float, *, asks_for_help: bool = False) -> None:
        """Note a step, and whether the policy asks for help; cheap enough to be called for each one."""
        self._step, self._seconds = max(step, self._step), seconds
        self._asks_for_help = asks_for_help
        self.line.update(self._parts)

    def target_reached(self, rate: float, milestone: Milestone) -> None:
        """Report that the target success rate, in [0, 1], was reached."""
        self.print(f"target reached: {rate:.0%} after {milestone}")

    def checkpoint(self, name: str) -> None:
        """Report a checkpoint, if verbose."""
        if self._verbose:
            self.print(f"checkpoint {name}")

    def print(self, text: str) -> None:
        """Print a sentence above the line."""
        self.line.print(f"step {self._step:,}  {clock_time(self._seconds)}  {text}")

    def close(self) -> None:
        """Leave the last line on the screen."""
        self.line.close(keep=True)

    def _parts(self) -> list[str]:
        parts = [ASKS_FOR_HELP] if self._asks_for_help else []
        parts += [f"step {self._step:,}", clock_time(self._seconds)]
        if self._episodes:
            alone = sum(bool(row["success"]) and not row["operator_steps"] for row in self._episodes)
            steps = sum(row["length"] for row in self._episodes)
            operator = sum(row["operator_steps"] for row in self._episodes)
            parts += [f"alone {alone}/{len(self._episodes)}", f"operator {operator / max(steps, 1):.0%}"]
        if self._evaluation is not None:
            parts.append(f"eval {self._evaluation['successes']}/{self._evaluation['episodes']}")
        for name, text in (
            ("critic_loss", "critic {:.2g}"),
            ("actor_loss", "actor {:.2g}"),
            ("steps_per_second", "{:.0f} steps/s"),
        ):
            if self._learning.get(name) is not None:
                parts.append(text.format(float(self._learning[name])))
        return parts

    def _take(self, row: Row) -> None:
        # An evaluation ends when training is further than the policy that was evaluated; the line does not go back.
        self._step, self._seconds = max(self._step, row["step"]), max(self._seconds, row["seconds"])
        if row["kind"] == "episode" and not row["demonstration"]:
            self._episodes.append(row)
        elif row["kind"] == "evaluation":
            self._evaluation = row
        elif row["kind"] == "learning":
            self._learning = row

    def _describe_evaluation(self, row: Row) -> str:
        of = f" of step {row['step']:,}" if row["step"] < self._step else ""
        text = f"{_PURPOSES[row['purpose']]}{of}: {row['successes']} of {row['episodes']} succeed"
        if row["length"] is not None:
            text += f", {row['length']:.0f} steps on average"
        if row["operator_steps"] and row["purpose"] != FINAL:
            text += f"; the operator has driven {row['operator_steps']:,} steps so far"
        return text
