"""Act in a training that runs on Ray, with or without an operator at this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from hil_trainer.config import NO_OPERATOR
from hil_trainer.rollout import ray_actors


def run_words(words: Sequence[str]) -> int:
    """Run `hil-trainer join`."""
    tyro.cli(join, args=words, prog="hil-trainer join", description=__doc__)
    return 0


def join(
    address: Annotated[Positional[str], tyro.conf.arg(metavar="ADDRESS")] = "auto",
    *,
    run: str | None = None,
    operator: str = NO_OPERATOR,
    intervention: Literal["toggle", "hold", "auto"] | None = None,
) -> None:
    """Act in a training.

    Args:
        address: address of the Ray that it runs on: host:port, or auto for one on this machine.
        run: name of the training, the last part of its --out; needed if there are several.
        operator: who can take over at this machine: a device as for train, or none.
        intervention: when a human operator drives: toggle, hold or auto; if not given, the device's own mode.
    """
    ray_actors.join(address, run=run, operator=operator, intervention=intervention)
