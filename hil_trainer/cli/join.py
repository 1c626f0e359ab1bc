"""Act in a training that runs on Ray, with or without an operator at this machine."""

from __future__ import annotations

import argparse

from hil_trainer.config import NO_OPERATOR
from hil_trainer.rollout.ray_actors import join


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hil-trainer join`."""
    parser.add_argument("address", nargs="?", default="auto", help="of Ray: host:port, or auto for one that runs here")
    parser.add_argument("--run", help="name of the training, the last part of its --out; needed if there are several")
    parser.add_argument(
        "--operator",
        default=NO_OPERATOR,
        help="who can take over at this machine: a device as for train, or none (%(default)s)",
    )
    parser.add_argument("--intervention", choices=("toggle", "hold", "auto"), help="when a human operator drives")


def run(arguments: argparse.Namespace) -> int:
    """Run `hil-trainer join`."""
    join(arguments.address, run=arguments.run, operator=arguments.operator, intervention=arguments.intervention)
    return 0
