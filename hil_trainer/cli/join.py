"""Act in a training that runs on Ray, with or without an operator at this machine."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Sequence
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from hil_trainer.config import NO_OPERATOR
from hil_trainer.errors import LearnerError
from hil_trainer.learner.ray import NAMESPACE, connected
from hil_trainer.rollout.ray_actors import act, make_actor


def run_words(words: Sequence[str]) -> int:
    """Run `hil-trainer join`."""
    tyro.cli(join, args=words, prog="hil-trainer join", description=__doc__)
    return 0


def join(
    address: Annotated[Positional[str], tyro.conf.arg(metavar="ADDRESS")] = "auto",
    *,
    run: str | None = None,
    operator: str = NO_OPERATOR,
    intervention: Literal["toggle", "stay", "hold", "auto"] | None = None,
) -> None:
    """Act in a training.

    Args:
        address: address of the Ray that it runs on: host:port, or auto for one on this machine.
        run: name of the training, the last part of its --out; needed if there are several.
        operator: who can take over at this machine: a device as for train, or none.
        intervention: when a human operator drives: toggle, stay, hold or auto; if not given, the device's own mode.
    """
    with connected(address) as ray:
        actors = ray.util.list_named_actors(all_namespaces=True)
        names = sorted(actor["name"] for actor in actors if actor["namespace"] == NAMESPACE)
        if run is None and len(names) == 1:
            run = names[0]
        if run not in names:
            raise LearnerError(
                f"Trainings on this Ray: {', '.join(names) or 'none'}. "
                + ("Choose one with --run." if names else "Start one with `hil-trainer train --ray`.")
            )
        learner, name = ray.get_actor(run, namespace=NAMESPACE), f"{platform.node()}-{os.getpid()}"
        setup = ray.get(learner.setup.remote())
        actor = make_actor(setup, operator=operator, intervention=intervention)
        try:
            if actor.env.introduction:
                print(actor.env.introduction, flush=True)
            print(f"{name} acts in this training; Ctrl-C leaves it", flush=True)
            learner.log.remote(f"{name} has joined")
            with contextlib.suppress(KeyboardInterrupt):
                act(learner, setup, actor)
            learner.log.remote(f"{name} has left")
            print("the training goes on, or has ended, without this actor")
        finally:
            actor.envs.close()
