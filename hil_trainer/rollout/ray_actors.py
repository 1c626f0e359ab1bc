"""Actors on Ray: they act with the newest policy, are restarted by Ray when they die, and others may join them."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gym_hil.errors import ConfigurationError
from hil_trainer.agents.policy import load_weights
from hil_trainer.config import NO_OPERATOR, SCRIPTED
from hil_trainer.data.transitions import Rollout
from hil_trainer.errors import ActorError, LearnerError
from hil_trainer.learner.learner import LearnerSetup, Snapshot
from hil_trainer.learner.ray import NO_VERSION, LearnerActor, Reply, Report, connected
from hil_trainer.rollout.actor import Actor
from hil_trainer.rollout.env import make_envs

MAX_PENDING = 600  # rollouts that an operator may be ahead of the learner; ten minutes at ten steps a second
MAX_RESTARTS = 20  # of an actor, after which something is wrong with its machine
_THREADS = 64  # of the learner, besides one for each actor
_ASK_EVERY = 0.5  # s, while an actor that does not wait may not act yet
_REPORT_EVERY = 0.05  # s; more often would take a third of a core from acting and learning
_STOP_TIMEOUT = 5.0  # s, for actors
_SAVE_TIMEOUT = 120.0  # s; a checkpoint with many images takes a while


def make_actor(setup: LearnerSetup, *, operator: str, intervention: Any = None) -> Actor:
    """Make an actor with random numbers of its own."""
    torch.set_num_threads(1)
    torch.seed()
    config = dataclasses.replace(
        setup.config,
        env=dataclasses.replace(setup.config.env, console=False),
        operator=dataclasses.replace(setup.config.operator, intervention=intervention),
    )
    envs = make_envs(config, config.num_envs if operator in (NO_OPERATOR, SCRIPTED) else 1, operator=operator)
    try:
        envs[0].layout.require_encoding_of(setup.layout)
    except BaseException:
        envs.close()
        raise
    return Actor(envs, **config.returns, seed=np.random.SeedSequence())


def act(learner: Any, setup: LearnerSetup, actor: Actor) -> None:
    """Act with the newest policy until the training ends, the learner is gone or the operator wants to stop.

    An actor sends a rollout and makes the next one while the learner receives it. One that is held to real time never
    waits: while the learner does not answer, it acts on, up to `MAX_PENDING` rollouts.
    """
    import ray

    waits = not actor.env.in_real_time
    policy, policy_steps, version = setup.shape.make_policy().eval(), 0, NO_VERSION
    pending: deque[Any] = deque()
    reply: Reply | None = None
    rollout: Rollout | None = None
    with contextlib.suppress(ray.exceptions.RayActorError, ConnectionError):
        while True:
            pending.append(learner.exchange.remote(rollout, policy_steps, version, waits=waits))
            if rollout is not None and rollout.quit:
                ray.wait(list(pending), num_returns=len(pending), timeout=_STOP_TIMEOUT)
                return
            while pending and (
                reply is None or len(pending) > (1 if waits else MAX_PENDING) or ray.wait([pending[0]], timeout=0)[0]
            ):
                reply = ray.get(pending.popleft())
            assert reply is not None
            if reply.stop:
                return
            if reply.snapshot is not None and reply.version != version:
                load_weights(policy, reply.snapshot.weights)
                version, policy_steps = reply.version, reply.snapshot.env_steps
            if reply.act:
                actor.set_episodes(reply.episodes)
                rollout = actor.run(policy.plans, setup.config.rollout_steps)
            else:
                if not waits:
                    time.sleep(_ASK_EVERY)
                reply = rollout = None


class _ActorWorker:
    """An actor in a Ray actor's process: an environment with or without the scripted operator."""

    def __init__(self, learner: Any, setup: LearnerSetup, name: str, *, helped: bool):
        self._learner, self._setup, self._name, self._helped = learner, setup, name, helped

    def run(self) -> None:
        """Act until the training ends."""
        import ray

        actor = make_actor(self._setup, operator=SCRIPTED if self._helped else NO_OPERATOR)
        restarted = ray.get_runtime_context().was_current_actor_reconstructed
        self._learner.log.remote(f"{self._name} {'died and was started again' if restarted else 'has joined'}")
        try:
            act(self._learner, self._setup, actor)
        finally:
            actor.envs.close()


class RayActors:
    """A learner on Ray and the actors that send rollouts to it; a training uses it as it uses a `ProcessLearner`.

    Ray starts a learner that was killed again, which goes on from its newest checkpoint, and repeats calls that it has
    not answered. What it had learned since the checkpoint is lost.

    Raises:
        MissingExtraError: Ray is not installed.
        LearnerError: there is no such Ray, or the learner does not start.
        ConfigurationError: another run has this name.
    """

    def __init__(self, setup: LearnerSetup, directory: Path, *, resume: bool):
        config = setup.config
        assert config.ray.address is not None
        self._setup = setup
        helped = config.ray.actors if config.ray.helped_actors is None else config.ray.helped_actors
        self._helped = helped if config.operator.device == SCRIPTED else 0
        self._workers: list[Any] = []
        self._runs: list[Any] = []
        self._pending: deque[Any] = deque()  # replies to rollouts of this process
        self._sent = self._received = 0
        self._saving: Any = None
        self._reporting: Any = None
        with contextlib.ExitStack() as resources:
            self._ray = resources.enter_context(connected(config.ray.address))
            directory.mkdir(parents=True, exist_ok=True)
            self._learner = self._start_learner(directory.resolve(), resume=resume)
            resources.callback(self._ray.kill, self._learner)
            self._version, self._snapshot = NO_VERSION, Snapshot(0, 0, 0, {}, {})
            self._take_in(self._learner.report.remote(NO_VERSION))
            self._resources = resources.pop_all()

    @property
    def summary(self) -> str:
        """A sentence on who acts, and how others can join."""
        return (
            f"actors on Ray: {self._setup.config.ray.actors}, with the scripted operator: {self._helped}; more may "
            f"join with: hil-trainer join {self._ray.get_runtime_context().gcs_address}"
        )

    def start(self) -> None:
        """Start the actors, and let them and those that have joined act."""
        count = self._setup.config.ray.actors
        # Where the cluster says how many cores it has, actors take one each, or their share.
        cores = self._ray.cluster_resources().get("CPU", 0.0)
        remote = self._ray.remote(_ActorWorker).options(
            num_cpus=round(min(1.0, cores / (count + 1)), 2),
            scheduling_strategy="SPREAD",
            max_restarts=MAX_RESTARTS,
            max_task_retries=-1,
        )
        for number in range(count):
            helped = number < self._helped
            self._workers.append(remote.remote(self._learner, self._setup, f"actor-{number}", helped=helped))
        self._runs = [worker.run.remote() for worker in self._workers]
        self._learner.start.remote()

    def send(self, rollout: Rollout) -> None:
        """Send a rollout of this process; returns at once, unless `MAX_PENDING` are waiting."""
        self._pending.append(self._learner.add.remote(rollout, self._snapshot.env_steps))
        self._sent += 1
        self._collect_replies(MAX_PENDING)

    def snapshot(self, *, rollouts: int = 0) -> Snapshot:
        """The newest snapshot, once the learner has received at least that many rollouts of this process."""
        self._collect_replies(self._sent - rollouts)
        return self._snapshot._replace(rollouts=self._received)

    def save(self, step: int, run: dict[str, Any]) -> None:
        """Ask for a checkpoint; returns at once."""
        self._saving = self._learner.save.remote(step, run)

    def reports(self, timeout: float) -> Report:
        """What actors did since the previous call.

        Args:
            timeout: s, at most, to wait for news.

        Raises:
            ActorError: an actor cannot be kept alive.
            LearnerError: the learner has ended for good.
            DivergenceError: a loss was not finite.
        """
        ray = self._ray
        ended, self._runs = ray.wait(self._runs, num_returns=len(self._runs), timeout=0) if self._runs else ([], [])
        for run in ended:
            try:
                ray.get(run)
            except (ray.exceptions.RayActorError, ray.exceptions.RayTaskError) as error:
                failed = isinstance(error, ray.exceptions.RayTaskError)
                why = f"has failed ({error.cause!r})" if failed else f"has died more than {MAX_RESTARTS} times"
                raise ActorError(
                    f"An actor {why}. Check that the machine it runs on has what the training needs, such as gym-hil "
                    "in the same version, and go on with --resume."
                ) from error
        time.sleep(min(timeout, _REPORT_EVERY))
        if self._reporting is None:
            self._reporting = self._learner.report.remote(self._version)
        if not ray.wait([self._reporting], timeout=timeout)[0]:
            return Report()
        reference, self._reporting = self._reporting, None
        return self._take_in(reference)

    def stop(self) -> None:
        """Let all actors end, and wait for their last rollouts."""
        self._learner.stop.remote()
        if self._runs:
            self._ray.wait(self._runs, num_returns=len(self._runs), timeout=_STOP_TIMEOUT)
        self._kill_workers()

    def close(self) -> None:
        """End the actors, the learner once its checkpoints are written, and the connection to Ray."""
        with self._resources:
            self._kill_workers()
            if self._saving is not None:
                if not self._ray.wait([self._saving], timeout=_SAVE_TIMEOUT)[0]:
                    raise LearnerError(
                        f"The last checkpoint was not written within {_SAVE_TIMEOUT:.0f} s. The previous one is kept."
                    )
                self._take_in(self._learner.report.remote(self._version))

    def _start_learner(self, directory: Path, *, resume: bool) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        config, here = self._setup.config, self._ray.get_runtime_context().get_node_id()
        has_gpu = any(node["NodeID"] == here and node["Resources"].get("GPU") for node in self._ray.nodes())
        remote = self._ray.remote(LearnerActor).options(
            name=directory.name,
            num_cpus=0,
            num_gpus=1 if config.device != "cpu" and has_gpu else 0,
            max_restarts=-1,
            max_task_retries=-1,
            max_concurrency=config.ray.actors + _THREADS,
            scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
        )
        try:
            return remote.remote(self._setup, str(directory), resume=resume)
        except ValueError as error:
            raise ConfigurationError(
                f"A run named {directory.name} is being trained on this Ray. Choose another folder for --out."
            ) from error

    def _collect_replies(self, limit: int) -> None:
        """Note the replies that have come, and wait until at most `limit` are missing."""
        while self._pending:
            timeout = None if len(self._pending) > limit else 0
            if not self._ray.wait([self._pending[0]], timeout=timeout)[0]:
                return
            self._get(self._pending.popleft())
            self._received += 1

    def _take_in(self, reference: Any) -> Report:
        report, error, self._version, snapshot = self._get(reference)
        if error is not None:
            raise error
        self._snapshot = snapshot._replace(weights=snapshot.weights or self._snapshot.weights)
        return report

    def _get(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise LearnerError(f"The learner on Ray ended for good: {lines[-1] if lines else error!r}") from error

    def _kill_workers(self) -> None:
        for worker in self._workers:
            self._ray.kill(worker)
        self._workers, self._runs = [], []
