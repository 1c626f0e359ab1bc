"""Actors on Ray: they act with the newest policy, are restarted by Ray when they die, and others may join them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import time
import uuid
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hil_trainer.agents.policy import Policy, load_weights
from hil_trainer.config import NO_OPERATOR, SCRIPTED, TrainConfig
from hil_trainer.data.transitions import Rollout
from hil_trainer.errors import ActorError, LearnerError
from hil_trainer.learner.learner import LearnerSetup
from hil_trainer.learner.ray import (
    MAX_PENDING,
    NAMESPACE,
    NO_VERSION,
    ActorMessage,
    Cluster,
    RayLearnerClient,
    Reply,
    Reports,
)
from hil_trainer.rollout.actor import Actor
from hil_trainer.rollout.env import RolloutEnv

MAX_RESTARTS = 20  # of an actor, after which something is wrong with its machine
_STOP_TIMEOUT = 5.0  # s
_ASK_EVERY = 0.5  # s, while an actor that does not wait may not act yet


def act(learner: Any, actor: Actor, policy: Policy, *, name: str, rollout_steps: int) -> bool:
    """Act with the newest policy until the training ends or the operator wants to stop.

    An actor sends a rollout and makes the next one while the learner receives it. One that is held to real time never
    waits: while the learner does not answer, it acts on, up to `MAX_PENDING` rollouts.

    Args:
        learner: handle of the learner.
        actor: makes the steps.
        policy: chooses actions; gets the learner's weights.
        name: of the actor.
        rollout_steps: steps between two messages.

    Returns:
        Whether it ended as it should; False if the learner is gone.
    """
    import ray

    waits = not actor.env.in_real_time
    max_pending = 1 if waits else MAX_PENDING
    session, version, policy_steps = uuid.uuid4().hex, NO_VERSION, 0
    pending: deque[Any] = deque()
    reply: Reply | None = None

    def send(rollout: Rollout | None) -> None:
        pending.append(learner.exchange.remote(ActorMessage(name, session, rollout, policy_steps, version, waits)))

    try:
        send(None)
        while True:
            while pending and (
                reply is None or len(pending) > max_pending or ray.wait([pending[0]], timeout=0, fetch_local=False)[0]
            ):
                reply = ray.get(pending.popleft())
            assert reply is not None
            if reply.stop:
                return True
            if reply.version != version and reply.weights:
                try:
                    load_weights(policy, ray.get(reply.weights[0]))
                    version, policy_steps = reply.version, reply.policy_steps
                except ray.exceptions.ObjectLostError:
                    pass  # with a learner that was killed since; the next one publishes its own
            if not reply.act or version == NO_VERSION:
                if not waits:
                    time.sleep(_ASK_EVERY)
                reply = None
                if not pending:
                    send(None)
                continue
            actor.set_episodes(reply.episodes)
            rollout = actor.run(policy, rollout_steps)
            send(rollout)
            if rollout.quit:
                ray.wait(list(pending), num_returns=len(pending), timeout=_STOP_TIMEOUT)
                return True
    except (ray.exceptions.RayActorError, ConnectionError):
        return False


class _ActorWorker:
    """An actor in a Ray actor's process: an environment with or without the scripted operator."""

    def __init__(self, learner: Any, setup: LearnerSetup, name: str, *, helped: bool):
        self._learner, self._setup, self._name, self._helped = learner, setup, name, helped

    def run(self) -> None:
        """Act until the training ends."""
        torch.set_num_threads(1)
        config = _without_console(self._setup.config)
        # An actor that was restarted draws other random numbers.
        env_seed, policy_seed = np.random.SeedSequence(config.seed, spawn_key=tuple(os.urandom(8))).spawn(2)
        torch.manual_seed(int(policy_seed.generate_state(1)[0]))
        env = RolloutEnv(config, operator=SCRIPTED if self._helped else NO_OPERATOR)
        try:
            env.layout.require_encoding_of(self._setup.layout)
            actor = Actor(env, discount=config.agent.discount, n_step=config.agent.n_step, seed=env_seed)
            policy = Policy(self._setup.shape).eval()
            act(self._learner, actor, policy, name=self._name, rollout_steps=config.rollout_steps)
        finally:
            env.close()


class RayActors:
    """A learner on Ray and the actors that send rollouts to it.

    Args:
        setup: of the learner.
        directory: of the run.
        resume: go on from the newest checkpoint in it.

    Attributes:
        learner: the learner.

    Raises:
        MissingExtraError: Ray is not installed.
        LearnerError: there is no such Ray, or the learner does not start.
    """

    def __init__(self, setup: LearnerSetup, directory: Path, *, resume: bool):
        config = setup.config
        assert config.ray.address is not None
        self._setup = setup
        self._cluster = Cluster(config.ray.address)
        try:
            self.learner = RayLearnerClient(self._cluster, setup, directory, resume=resume)
        except BaseException:
            self._cluster.close()
            raise
        helped = config.ray.actors if config.ray.helped_actors is None else config.ray.helped_actors
        self._helped = helped if config.operator.device == SCRIPTED else 0
        self._workers: list[Any] = []
        self._runs: list[Any] = []

    @property
    def summary(self) -> str:
        """A sentence on who acts, and how others can join."""
        return (
            f"actors on Ray: {self._setup.config.ray.actors}, with the scripted operator: {self._helped}; more may "
            f"join with: hil-trainer join {self._cluster.address}"
        )

    def start(self) -> None:
        """Start the actors, and let them and those that have joined act."""
        ray, count = self._cluster.ray, self._setup.config.ray.actors
        # Where the cluster says how many cores it has, actors take one each, or their share.
        cores = ray.cluster_resources().get("CPU", 0.0)
        remote = ray.remote(_ActorWorker).options(
            num_cpus=round(min(1.0, cores / (count + 1)), 2),
            scheduling_strategy="DEFAULT" if self._cluster.is_local else "SPREAD",
            max_restarts=MAX_RESTARTS,
            max_task_retries=-1,
        )
        for number in range(count):
            helped = number < self._helped
            worker = remote.remote(self.learner.actor, self._setup, f"actor-{number}", helped=helped)
            self._workers.append(worker)
            self._runs.append(worker.run.remote())
        self.learner.actor.start.remote()

    def reports(self, timeout: float) -> Reports:
        """What actors did since the previous call.

        Args:
            timeout: s, at most, to wait for news.

        Raises:
            ActorError: an actor cannot be kept alive.
        """
        ray = self._cluster.ray
        ended, self._runs = ray.wait(self._runs, num_returns=len(self._runs), timeout=0) if self._runs else ([], [])
        for run in ended:
            try:
                ray.get(run)
            except ray.exceptions.RayActorError as error:
                raise _actor_error(f"has died more than {MAX_RESTARTS} times") from error
            except ray.exceptions.RayTaskError as error:
                raise _actor_error(f"has failed ({error.cause!r})") from error
        return self.learner.reports(timeout)

    def stop(self) -> None:
        """Let all actors end, and wait for their last rollouts."""
        ray = self._cluster.ray
        self.learner.actor.stop.remote()
        if self._runs:
            ray.wait(self._runs, num_returns=len(self._runs), timeout=_STOP_TIMEOUT)
        self._kill()

    def close(self) -> None:
        """End the actors, the learner once its checkpoints are written, and the connection to Ray."""
        try:
            self._kill()
            self.learner.close()
        finally:
            self._cluster.close()

    def _kill(self) -> None:
        for worker in self._workers:
            self._cluster.ray.kill(worker)
        self._workers, self._runs = [], []


def join(address: str, *, run: str | None, operator: str, intervention: Any = None) -> None:
    """Act in a training that runs on Ray, until it ends, the operator wants to stop, or Ctrl-C.

    Args:
        address: of Ray.
        run: name of the training; None if there is only one.
        operator: who can take over here.
        intervention: see `OperatorConfig`.

    Raises:
        MissingExtraError: Ray is not installed.
        LearnerError: there is no Ray, no such training on it, or there are several.
    """
    cluster = Cluster(address)
    try:
        learner = _find_learner(cluster.ray, run)
        setup: LearnerSetup = cluster.ray.get(learner.describe.remote())
        config = dataclasses.replace(
            _without_console(setup.config),
            demos="0",
            operator=dataclasses.replace(setup.config.operator, device=operator, intervention=intervention),
            ray=dataclasses.replace(setup.config.ray, helped_actors=None),
        )
        torch.set_num_threads(1)
        env = RolloutEnv(config)
        try:
            env.layout.require_encoding_of(setup.layout)
            actor = Actor(
                env, discount=config.agent.discount, n_step=config.agent.n_step, seed=np.random.SeedSequence()
            )
            policy, name = Policy(setup.shape).eval(), f"{platform.node()}-{os.getpid()}"
            if env.introduction:
                print(env.introduction, flush=True)
            print(f"{name} acts in this training; Ctrl-C leaves it", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                act(learner, actor, policy, name=name, rollout_steps=config.rollout_steps)
            learner.leave.remote(name)
            print("the training goes on, or has ended, without this actor")
        finally:
            env.close()
    finally:
        cluster.close()


def _find_learner(ray: Any, run: str | None) -> Any:
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


def _without_console(config: TrainConfig) -> TrainConfig:
    return dataclasses.replace(config, env=dataclasses.replace(config.env, console=False))


def _actor_error(why: str) -> ActorError:
    return ActorError(
        f"An actor {why}. Check that the machine it runs on has what the training needs, such as gym-hil in the same "
        "version, and go on with --resume."
    )
