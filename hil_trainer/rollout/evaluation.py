"""Evaluation of a policy: episodes from fixed seeds, without an operator, with the most likely action of each step."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hil_trainer.agents.agent import Agent, Plans
from hil_trainer.agents.policy import BasePolicy, BaseShape, Weights, load_weights
from hil_trainer.child_process import exit_with_parent, interrupts_blocked
from hil_trainer.config import NO_OPERATOR, TrainConfig
from hil_trainer.data.observations import Observation
from hil_trainer.errors import LearnerError
from hil_trainer.rollout.env import RolloutEnv, RolloutEnvs

if TYPE_CHECKING:
    from hil_trainer.agents.frozen_encoder import FrozenEncoder

Frames = list[NDArray[np.uint8]]


class Evaluation(NamedTuple):
    """Result of an evaluation.

    Attributes:
        episodes: number of episodes.
        successes: number of successful ones.
        lengths: steps of each episode.
        seed: of the first episode; the others count up from it.
        outcomes: success of each episode.
        frames: images of the first episodes, of those that were filmed.
    """

    episodes: int
    successes: int
    lengths: list[int]
    seed: int
    outcomes: list[bool]
    frames: list[Frames]

    @property
    def rate(self) -> float:
        """Success rate."""
        return self.successes / self.episodes

    @property
    def mean_length(self) -> float:
        """Mean steps of an episode."""
        return float(np.mean(self.lengths))


class Greedy:
    """Acts with the most likely action of a policy.

    Args:
        policy: to act with.
    """

    def __init__(self, policy: BasePolicy):
        self.policy = policy

    def reset(self) -> None:
        """Forget what was planned."""
        self.policy.reset()

    def act(self, obs: Observation) -> NDArray[np.float32]:
        """(actions,) float32 in [-1, 1]."""
        return self.policy.act(obs, greedy=True)

    def plans(self, observations: Sequence[Observation]) -> list[list[NDArray[np.float32]]]:
        """See `BasePolicy.plans`."""
        return self.policy.plans(observations, greedy=True)


def evaluation_env(config: TrainConfig, *, encoder: FrozenEncoder | None = None, filmed: bool = False) -> RolloutEnv:
    """The environment for evaluations: without an operator, with the simulation's success.

    Args:
        config: of the run.
        encoder: of the images; None for that of the configuration.
        filmed: whether episodes will be filmed.
    """
    env = dataclasses.replace(config.env, reward_classifier=None, real_time=False, console=False)
    config = dataclasses.replace(config, env=env)
    return RolloutEnv(config, operator=NO_OPERATOR, encoder=encoder, filmed=filmed)


def evaluation_envs(
    config: TrainConfig, count: int, *, encoder: FrozenEncoder | None = None, filmed: bool = False
) -> RolloutEnvs:
    """Environments for `count` episodes at a time; see `evaluation_env`."""
    return RolloutEnvs.make(
        lambda first: evaluation_env(config, encoder=encoder if first is None else first.encoder, filmed=filmed), count
    )


def evaluate(env: RolloutEnv | RolloutEnvs, policy: Agent, *, episodes: int, seed: int, filmed: int = 0) -> Evaluation:
    """Run episodes, as many at a time as there are environments.

    Args:
        env: from `evaluation_env` or `evaluation_envs`.
        policy: to evaluate.
        episodes: number of episodes.
        seed: of the first episode; the others count up from it.
        filmed: number of episodes, from the first one, whose images are kept, if the environment renders any.
    """
    envs = RolloutEnvs.of(env)
    plans, waiting = Plans(len(envs)), deque(range(episodes))
    running: dict[int, _Episode] = {}  # environment -> its episode
    ended: list[_Episode] = []

    def begin(index: int) -> None:
        running[index].begin(envs[index])

    def advance(index: int) -> None:
        running[index].advance(envs[index], actions[index])

    while running or waiting:
        free = [index for index in range(len(envs)) if index not in running][: len(waiting)]
        for index in free:
            number = waiting.popleft()
            running[index] = _Episode(number, seed + number, [] if number < filmed else None)
        envs.run(begin, free)
        for index in free:
            plans.drop(policy, index)
        actions = plans.act(policy, {index: episode.obs for index, episode in running.items()})
        envs.run(advance, list(running))
        for index in [index for index, episode in running.items() if episode.ended]:
            ended.append(running.pop(index))
    ended.sort(key=lambda episode: episode.number)
    outcomes, lengths = [episode.success for episode in ended], [episode.length for episode in ended]
    films = [episode.film for episode in ended if episode.film is not None]
    return Evaluation(episodes, sum(outcomes), lengths, seed, outcomes, films)


class _Episode:
    """One episode of an evaluation, in the environment that is free for it."""

    obs: Observation

    def __init__(self, number: int, seed: int, film: Frames | None):
        self.number, self.film = number, film
        self.length, self.ended, self.success = 0, False, False
        self._seed = seed

    def begin(self, env: RolloutEnv) -> None:
        """Reset the environment."""
        self.obs = env.reset(self._seed)
        self.film = _filmed(env, self.film)

    def advance(self, env: RolloutEnv, action: NDArray[np.float32]) -> None:
        """Make a step."""
        step = env.step(action)
        self.obs, self.length = step.obs, self.length + 1
        self.ended, self.success = step.terminated or step.truncated, step.success
        self.film = _filmed(env, self.film)


def _filmed(env: RolloutEnv, film: Frames | None) -> Frames | None:
    """A film with one more frame; None if there is no film or the environment renders nothing."""
    frame = None if film is None else env.render()
    if film is None or frame is None:
        return None
    film.append(frame)
    return film


class Evaluator:
    """Evaluates in another process, so that neither the operator nor the learner has to wait.

    Args:
        config: of the run.
        shape: of its policies.
    """

    def __init__(self, config: TrainConfig, shape: BaseShape):
        context = multiprocessing.get_context("spawn")
        self._stop, self._group = context.Event(), config.group
        self._pool = ProcessPoolExecutor(1, context, initializer=_prepare, initargs=(config, shape, self._stop))

    def start(self, weights: Weights, *, episodes: int, seed: int) -> Future[Evaluation]:
        """Start the evaluation of a policy.

        Raises:
            LearnerError: the process has ended.
        """
        try:
            with interrupts_blocked():
                return self._pool.submit(_evaluate, weights, episodes, seed)
        except BrokenProcessPool as error:
            raise self._ended() from error

    def result(self, evaluation: Future[Evaluation]) -> Evaluation:
        """Wait for an evaluation.

        Args:
            evaluation: from `start`.

        Raises:
            LearnerError: the process has ended.
        """
        try:
            return evaluation.result()
        except BrokenProcessPool as error:
            raise self._ended() from error

    def close(self) -> None:
        """Drop unfinished evaluations, and end the process."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _ended(self) -> LearnerError:
        return LearnerError(
            "The process that evaluates has ended. If the machine ran out of memory, lower "
            f"--{self._group}.buffer-capacity; then go on with --resume."
        )


_worker: dict[str, Any] = {}


class _StoppedError(Exception):
    """The run ends before the evaluation does."""


class _Stoppable(Greedy):
    def act(self, obs: Observation) -> NDArray[np.float32]:
        _stop_if_asked()
        return super().act(obs)

    def plans(self, observations: Sequence[Observation]) -> list[list[NDArray[np.float32]]]:
        _stop_if_asked()
        return super().plans(observations)


def _stop_if_asked() -> None:
    if _worker["stop"].is_set():
        raise _StoppedError


def _prepare(config: TrainConfig, shape: BaseShape, stop: Any) -> None:
    exit_with_parent()
    torch.set_num_threads(1)
    _worker.update(envs=evaluation_envs(config, config.evaluation_envs), policy=shape.make_policy().eval(), stop=stop)


def _evaluate(weights: Weights, episodes: int, seed: int) -> Evaluation:
    # Checked here because an error while the process starts is reported only as its end.
    _worker["envs"][0].layout.require_encoding_of(_worker["policy"].shape.layout)
    load_weights(_worker["policy"], weights)
    return evaluate(_worker["envs"], _Stoppable(_worker["policy"]), episodes=episodes, seed=seed)
