"""Actors on Ray: they act with the newest weights, and are replaced when they die."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hil_trainer.agents.policy import Policy
from hil_trainer.config import NO_OPERATOR, SCRIPTED
from hil_trainer.errors import ActorError
from hil_trainer.learner.learner import LearnerSetup
from hil_trainer.learner.link import Link, act
from hil_trainer.learner.ray_cluster import Cluster, exchange_with
from hil_trainer.learner.ray_learner import News, RayLearner
from hil_trainer.rollout.actor import Actor
from hil_trainer.rollout.env import RolloutEnv

_FAILURES = 3  # of an actor in a row, without anything delivered, after which it is not replaced any more
_SECONDS_TO_END = 5.0


class ActorHost:
    """What Ray runs: an environment with or without the scripted operator.

    Args:
        host: handle of the learner.
        setup: see `LearnerSetup`.
        name: of the actor.
        helped: whether the scripted operator helps.
        key: of its random numbers; no two actors may have the same.
    """

    def __init__(self, host: Any, setup: LearnerSetup, name: str, *, helped: bool, key: tuple[int, ...]):
        self._host, self._setup, self._name = host, setup, name
        self._helped, self._key = helped, key

    def run(self) -> int:
        """Act until training ends. Returns the steps that were made."""
        import ray

        torch.set_num_threads(1)
        config = dataclasses.replace(self._setup.config, env=dataclasses.replace(self._setup.config.env, console=False))
        env_seed, policy_seed = np.random.SeedSequence(config.seed, spawn_key=self._key).spawn(2)
        torch.manual_seed(int(policy_seed.generate_state(1)[0]))
        env = RolloutEnv(config, operator=SCRIPTED if self._helped else NO_OPERATOR)
        link = Link(self._name, exchange_with(ray, self._host), waits=not env.in_real_time)
        try:
            env.layout.require_encoding_of(self._setup.layout)
            actor = Actor(env, discount=config.agent.discount, n_step=config.agent.n_step, seed=env_seed)
            return act(actor, Policy(self._setup.shape).eval(), link, config.rollout_steps)
        finally:
            link.close()
            env.close()


class RayActors:
    """A learner on Ray and the actors that feed it.

    Args:
        setup: see `LearnerSetup`.
        directory: of the run.
        resume: go on from the newest checkpoint there.
        step: of training, from which it goes on.

    Attributes:
        learner: the learner.

    Raises:
        MissingExtraError: Ray is not installed.
        LearnerError: there is no such Ray, or the learner does not start.
    """

    def __init__(self, setup: LearnerSetup, directory: Path, *, resume: bool, step: int):
        config = setup.config
        assert config.ray.address is not None
        self._setup, self._step = setup, step
        self._cluster = Cluster(config.ray.address)
        try:
            self.learner = RayLearner(self._cluster, setup, directory, resume=resume)
        except BaseException:
            self._cluster.close()
            raise
        # Where the cluster says how many cores it has, actors take one each, or their share.
        cores = self._cluster.ray.cluster_resources().get("CPU", 0.0)
        self._host = self._cluster.ray.remote(ActorHost).options(
            num_cpus=round(min(1.0, cores / (config.ray.actors + 1)), 2),
            scheduling_strategy="DEFAULT" if self._cluster.is_local else "SPREAD",
        )
        helped = config.ray.actors if config.ray.helped_actors is None else config.ray.helped_actors
        self._helped = helped if config.operator.device == SCRIPTED else 0
        self._dismissed = False
        self._lives = [0] * config.ray.actors
        self._failures = [0] * config.ray.actors
        self._actors: list[Any] = [None] * config.ray.actors
        self._runs: list[Any] = [None] * config.ray.actors
        for number in range(config.ray.actors):
            self._start(number)

    @property
    def summary(self) -> str:
        """Who acts, and how others may, in words."""
        return (
            f"actors on Ray: {len(self._actors)}, with the scripted operator: {self._helped}; more may join with: "
            f"hil-trainer join {self._cluster.address}"
        )

    def begin(self) -> None:
        """Let actors act."""
        self.learner.begin()

    def news(self, wait: float) -> News:
        """What others did since this was asked last; actors that have died are replaced.

        Args:
            wait: s; at most so long, if nothing did.

        Raises:
            ActorError: an actor dies again and again.
        """
        events = [] if self._dismissed else self._replace_dead()
        news = self.learner.news(wait)
        for report in news.reports:
            for number in range(len(self._actors)):
                if report.actor == _name(number):
                    self._failures[number] = 0
        return news._replace(events=events + news.events)

    def dismiss(self) -> None:
        """Send actors home."""
        self._dismissed = True
        self.learner.dismiss()
        self._cluster.ray.wait(self._runs, num_returns=len(self._runs), timeout=_SECONDS_TO_END)
        self._kill()

    def close(self) -> None:
        """End the actors, the learner once its checkpoints are written, and the connection to Ray."""
        try:
            self._kill()
            self.learner.close()
        finally:
            self._cluster.close()

    def _start(self, number: int) -> None:
        key = (self._step, number, self._lives[number])
        self._actors[number] = self._host.remote(
            self.learner.host, self._setup, _name(number), helped=number < self._helped, key=key
        )
        self._runs[number] = self._actors[number].run.remote()

    def _replace_dead(self) -> list[str]:
        ray = self._cluster.ray
        ended, _ = ray.wait(self._runs, num_returns=len(self._runs), timeout=0)
        events = []
        for run in ended:
            number = self._runs.index(run)
            try:
                ray.get(run)
                why = "has lost the learner"
            except ray.exceptions.RayActorError:
                why = "has died"
            except ray.exceptions.RayTaskError as error:
                why = f"has failed ({error.cause!r})"
            self._failures[number] += 1
            if self._failures[number] > _FAILURES:
                raise ActorError(
                    f"{_name(number)} {why}, as {_FAILURES} before that took its place. Look whether the machine that "
                    "it runs on has what the training needs, such as gym-hil in the same version, and go on with "
                    "--resume."
                )
            ray.kill(self._actors[number])
            self.learner.forget(_name(number))
            self._lives[number] += 1
            self._start(number)
            events.append(f"{_name(number)} {why}; another one takes its place")
        return events

    def _kill(self) -> None:
        for actor in self._actors:
            self._cluster.ray.kill(actor)


def _name(number: int) -> str:
    return f"actor-{number}"
