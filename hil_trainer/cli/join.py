"""Act in a training that runs on Ray: as an operator at this machine, or with nobody."""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import time
from typing import Any

import numpy as np
import torch

from hil_trainer.agents.policy import Policy
from hil_trainer.config import NO_OPERATOR
from hil_trainer.errors import LearnerError
from hil_trainer.learner.learner import LearnerSetup
from hil_trainer.learner.link import Link, act
from hil_trainer.learner.ray_cluster import NAMESPACE, Cluster, exchange_with
from hil_trainer.rollout.actor import Actor
from hil_trainer.rollout.env import RolloutEnv

_SEARCHES_FOR = 120.0  # s, for a training that was there and is not any more
_SEARCH_EVERY = 3.0  # s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command is told."""
    parser.add_argument("address", nargs="?", default="auto", help="of Ray: host:port, or auto for one that runs here")
    parser.add_argument("--run", help="name of the training, the last part of its --out; needed if there are several")
    parser.add_argument(
        "--operator",
        default=NO_OPERATOR,
        help="who may take over here, as for train; nobody, if not given",
    )
    parser.add_argument("--intervention", choices=("toggle", "hold", "auto"), help="when a human operator drives")


def run(arguments: argparse.Namespace) -> int:
    """Act until the training ends, or the operator wants to stop."""
    cluster, host = _connect(arguments)
    try:
        setup: LearnerSetup = cluster.ray.get(host.describe.remote())
        config = dataclasses.replace(
            setup.config,
            demos="0",
            env=dataclasses.replace(setup.config.env, console=False),
            operator=dataclasses.replace(
                setup.config.operator, device=arguments.operator, intervention=arguments.intervention
            ),
            ray=dataclasses.replace(setup.config.ray, helped_actors=None),
        )
        torch.set_num_threads(1)
        env = RolloutEnv(config)
        env.layout.require_encoding_of(setup.layout)
    except BaseException:
        cluster.close()
        raise
    try:
        actor = Actor(env, discount=config.agent.discount, n_step=config.agent.n_step, seed=np.random.SeedSequence())
        policy = Policy(setup.shape).eval()
        name = f"{platform.node()}-{os.getpid()}"
        if env.introduction:
            print(env.introduction, flush=True)
        print(f"{name} acts in this training; Ctrl-C leaves it", flush=True)
        while True:
            try:
                lost = _act(cluster, host, name, actor, policy, config.rollout_steps)
            except KeyboardInterrupt:
                lost = False
            if not lost:
                break
            print("the connection to the training is lost; looking for it", flush=True)
            cluster.close()
            cluster, host = _connect(arguments, patience=_SEARCHES_FOR)
        host.leave.remote(name)
        print("the training goes on, or has ended, without this one")
        return 0
    finally:
        env.close()
        cluster.close()


def _act(cluster: Cluster, host: Any, name: str, actor: Actor, policy: Policy, chunk: int) -> bool:
    """Act until there is nothing more to do. Returns whether the connection was lost."""
    link = Link(name, exchange_with(cluster.ray, host), waits=not actor.env.in_real_time)
    try:
        act(actor, policy, link, chunk)
    finally:
        link.close()
    return link.is_lost


def _connect(arguments: argparse.Namespace, *, patience: float = 0.0) -> tuple[Cluster, Any]:
    """Find Ray, and the training on it.

    Args:
        arguments: say where and which.
        patience: s, for how long to try.

    Raises:
        LearnerError: there is no Ray, no training on it, or there are several.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            cluster = Cluster(arguments.address)
            try:
                return cluster, _find(cluster.ray, arguments.run)
            except BaseException:
                cluster.close()
                raise
        except LearnerError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_SEARCH_EVERY)


def _find(ray: Any, run: str | None) -> Any:
    names = sorted(
        actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True) if actor["namespace"] == NAMESPACE
    )
    if run is None and len(names) == 1:
        run = names[0]
    if run not in names:
        raise LearnerError(
            f"Trainings on this Ray: {', '.join(names) or 'none'}. "
            + ("Choose one with --run." if names else "Start one with `hil-trainer train --ray`.")
        )
    return ray.get_actor(run, namespace=NAMESPACE)
