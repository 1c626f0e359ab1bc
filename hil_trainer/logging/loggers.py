"""Loggers that show a run's numbers while it runs: TensorBoard, and on request Weights & Biases."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gym_hil.errors import ConfigurationError, MissingExtraError
from gym_hil.files import atomic_write

WANDB_RUN = "wandb_run"  # file with the id of the run at Weights & Biases
_NOT_PLOTTED = {"kind", "step", "seconds", "time", "episode", "seed"}


def scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row that make curves.

    Returns:
        Tag -> value, such as `episode/success`. An evaluation gets `evaluation/success_rate`, or
        `evaluation/final_success_rate` if it is the final one; an episode gets `episode/intervention_rate`.
    """
    numbers = {
        f"{row['kind']}/{name}": float(value)
        for name, value in row.items()
        if name not in _NOT_PLOTTED and isinstance(value, (bool, int, float))
    }
    if row["kind"] == "evaluation" and row["episodes"]:
        if row["purpose"] == "final":
            return {"evaluation/final_success_rate": row["successes"] / row["episodes"]}
        numbers["evaluation/success_rate"] = row["successes"] / row["episodes"]
    if row["kind"] == "episode" and row["length"]:
        numbers["episode/intervention_rate"] = row["operator_steps"] / row["length"]
    return numbers


def load_summary_writer() -> Any:
    """The class that writes events for TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError(
            "Curves in TensorBoard need torch and tensorboard: pip install 'gym-hil[train]', or --no-tensorboard."
        ) from error
    return SummaryWriter


def load_wandb() -> Any:
    """The module `wandb`."""
    try:
        import wandb
    except ImportError as error:
        raise MissingExtraError("Curves in Weights & Biases need wandb: pip install 'gym-hil[wandb]'") from error
    return wandb


class TensorBoardLogger:
    """Event files for TensorBoard."""

    def __init__(self, summary_writer: Any, directory: Path, purge_step: int | None):
        self._writer = summary_writer(str(directory / "tensorboard"), purge_step=purge_step, flush_secs=10)
        self.close = self._writer.close

    def write(self, row: Mapping[str, Any]) -> None:
        for tag, value in scalars(row).items():
            self._writer.add_scalar(tag, value, row["step"], walltime=row["time"])
        if row["kind"] == "event":
            self._writer.add_text("event", str(row["text"]), row["step"], walltime=row["time"])


class WandbLogger:
    """A run at Weights & Biases.

    Raises:
        ConfigurationError: the run does not start.
    """

    def __init__(self, module: Any, project: str, directory: Path, *, config: Mapping[str, Any], resume: bool):
        stored = directory / WANDB_RUN
        run = stored.read_text(encoding="utf-8").strip() if resume and stored.exists() else secrets.token_hex(4)
        name = directory.resolve().name
        try:
            self._run = module.init(
                project=project, id=run, name=name, dir=str(directory), config=dict(config), resume="allow"
            )
        except module.Error as error:
            reason = str(error).rstrip(".")
            raise ConfigurationError(
                f"Weights & Biases does not start: {reason}. Run `wandb login`, or set WANDB_MODE=offline."
            ) from error
        atomic_write(stored, f"{run}\n")
        # The step of wandb itself may not go back, as the run's does after a resume.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        self.close = self._run.finish

    def write(self, row: Mapping[str, Any]) -> None:
        if numbers := scalars(row):
            self._run.log({**numbers, "step": row["step"], "minutes": row["seconds"] / 60})
