"""Where a run's numbers are shown while it runs: TensorBoard, and Weights & Biases for those who ask for it."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any, Protocol

from hil_trainer.errors import ConfigurationError, MissingExtraError

WANDB_RUN = "wandb_run"  # the file with the run's name at Weights & Biases
_NO_CURVES = {"kind", "step", "seconds", "time", "episode", "seed"}


class Mirror(Protocol):
    """Shows rows somewhere else."""

    def write(self, row: dict[str, Any]) -> None:
        """Show a row."""

    def close(self) -> None:
        """Wait until everything is shown, and end."""


def scalars(row: dict[str, Any]) -> dict[str, float]:
    """The numbers of a row that make curves.

    Args:
        row: as in `metrics.jsonl`.

    Returns:
        Tags like `episode/success` and their values. Evaluations gain `evaluation/success_rate`, episodes
        `episode/intervention_rate`.
    """
    numbers = {
        f"{row['kind']}/{name}": float(value)
        for name, value in row.items()
        if name not in _NO_CURVES and isinstance(value, (bool, int, float))
    }
    if row["kind"] == "evaluation" and row.get("episodes"):
        numbers["evaluation/success_rate"] = row["successes"] / row["episodes"]
    if row["kind"] == "episode" and row.get("length"):
        numbers["episode/intervention_rate"] = row["operator_steps"] / row["length"]
    return numbers


def load_summary_writer() -> Any:
    """The class that writes events for TensorBoard.

    Raises:
        MissingExtraError: TensorBoard or torch is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError(
            "Curves in TensorBoard need torch and tensorboard: pip install 'gym-hil[train]' (or go without them)."
        ) from error
    return SummaryWriter


def load_wandb() -> Any:
    """The module `wandb`.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import wandb
    except ImportError as error:
        raise MissingExtraError("Curves in Weights & Biases need wandb: pip install 'gym-hil[wandb]'") from error
    return wandb


class TensorBoardMirror:
    """Event files for TensorBoard.

    Args:
        summary_writer: the class, from `load_summary_writer`.
        directory: of the event files.
        resume_step: TensorBoard hides what earlier files say of later steps; None for nothing.
    """

    def __init__(self, summary_writer: Any, directory: Path, resume_step: int | None):
        purge_step = None if resume_step is None else resume_step + 1
        self._writer = summary_writer(str(directory), purge_step=purge_step, flush_secs=10)

    def write(self, row: dict[str, Any]) -> None:
        """Add the numbers of a row, or the words of an event."""
        for tag, value in scalars(row).items():
            self._writer.add_scalar(tag, value, row["step"], walltime=row["time"])
        if row["kind"] == "event":
            self._writer.add_text("event", str(row["text"]), row["step"], walltime=row["time"])

    def close(self) -> None:
        """Write what is waiting."""
        self._writer.close()


class WandbMirror:
    """A run at Weights & Biases.

    Args:
        module: `wandb`, from `load_wandb`.
        project: to put the run into.
        directory: of the run; its `config.json`, if it is there, is shown beside the curves.
        resume: go on with the run whose name the directory holds.

    Raises:
        ConfigurationError: the run does not start.
    """

    def __init__(self, module: Any, project: str, directory: Path, *, resume: bool):
        named, configuration = directory / WANDB_RUN, directory / "config.json"
        run = named.read_text(encoding="utf-8").strip() if resume and named.exists() else secrets.token_hex(4)
        try:
            self._run = module.init(
                project=project,
                id=run,
                name=directory.resolve().name,
                dir=str(directory),
                config=json.loads(configuration.read_text(encoding="utf-8")) if configuration.exists() else None,
                resume="allow",
            )
        except module.Error as error:
            reason = str(error).rstrip(".")
            raise ConfigurationError(
                f"Weights & Biases does not start: {reason}. Run `wandb login`, or set WANDB_MODE=offline."
            ) from error
        named.write_text(f"{run}\n", encoding="utf-8")
        # Its own step may never go back, as ours does after a resume.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def write(self, row: dict[str, Any]) -> None:
        """Log the numbers of a row."""
        numbers = scalars(row)
        if numbers:
            self._run.log({**numbers, "step": row["step"], "minutes": row["seconds"] / 60})

    def close(self) -> None:
        """Wait until everything is uploaded."""
        self._run.finish()
