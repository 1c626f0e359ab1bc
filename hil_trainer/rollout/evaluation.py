"""Evaluation of a policy: episodes from fixed seeds, without an operator, with the most likely action of each step."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hil_trainer.agents.agent import Action, Agent, Plans
from hil_trainer.agents.policy import BasePolicy, BaseShape, Weights, load_weights
from hil_trainer.child_process import exit_with_parent, interrupts_blocked
from hil_trainer.config import NO_OPERATOR, TrainConfig
from hil_trainer.data.observations import Observation
from hil_trainer.errors import LearnerError
from hil_trainer.rollout.env import RolloutEnv, RolloutEnvs, make_envs

if TYPE_CHECKING:
    from hil_trainer.agents.frozen_encoder import FrozenEncoder

Frames = list[NDArray[np.uint8]]


class Evaluation(NamedTuple):
    """Result of an evaluation."""

    seed: int  # of the first episode; the others count up from it
    outcomes: list[bool]  # success of each episode
    lengths: list[int]  # steps of each episode
    frames: list[Frames]  # images of the first episodes, of those that were filmed

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.outcomes)

    @property
    def successes(self) -> int:
        """Number of successful episodes."""
        return sum(self.outcomes)

    @property
    def rate(self) -> float:
        """Success rate."""
        return self.successes / self.episodes

    @property
    def mean_length(self) -> float:
        """Mean steps of an episode."""
        return float(np.mean(self.lengths))


def greedy(policy: BasePolicy) -> Agent:
    """Acts with the most likely action of a policy."""
    return partial(policy.plans, greedy=True)


def evaluation_envs(
    config: TrainConfig, count: int, *, encoder: FrozenEncoder | None = None, filmed: bool = False
) -> RolloutEnvs:
    """Environments for `count` episodes at a time: without an operator, with the simulation's success.

    Args:
        config: of the run.
        count: number of environments.
        encoder: of the images; None for that of the configuration.
        filmed: whether episodes will be filmed.
    """
    env = dataclasses.replace(config.env, reward_classifier=None, real_time=False, console=False)
    config = dataclasses.replace(config, env=env)
    return make_envs(config, count, operator=NO_OPERATOR, encoder=encoder, filmed=filmed)


def evaluate(env: RolloutEnv | RolloutEnvs, agent: Agent, *, episodes: int, seed: int, filmed: int = 0) -> Evaluation:
    """Run episodes, as many at a time as there are environments.

    Args:
        env: from `evaluation_envs`.
        agent: to evaluate.
        episodes: number of episodes.
        seed: of the first episode; the others count up from it.
        filmed: number of episodes, from the first one, whose images are kept, if the environment renders any.
    """
    envs = RolloutEnvs.of(env)
    plans, waiting = Plans(len(envs)), deque(range(episodes))
    running: dict[int, _Episode] = {}  # environment -> its episode
    ended: list[_Episode] = []

    def begin(index: int) -> None:
        running[index].see(envs[index], envs[index].reset(seed + running[index].number))

    def advance(index: int) -> None:
        episode, step = running[index], envs[index].step(actions[index])
        episode.length, episode.success = episode.length + 1, step.success
        episode.ended = step.terminated or step.truncated
        episode.see(envs[index], step.obs)

    while running or waiting:
        free = [index for index in range(len(envs)) if index not in running][: len(waiting)]
        for index in free:
            number = waiting.popleft()
            running[index] = _Episode(number, [] if number < filmed else None)
            plans.drop(index)
        envs.run(begin, free)
        actions = plans.act(agent, {index: episode.obs for index, episode in running.items()})
        envs.run(advance, list(running))
        ended += [running.pop(index) for index in list(running) if running[index].ended]
    ended.sort(key=lambda episode: episode.number)
    films = [episode.film for episode in ended if episode.film is not None]
    return Evaluation(seed, [episode.success for episode in ended], [episode.length for episode in ended], films)


@dataclasses.dataclass(eq=False)
class _Episode:
    """One episode of an evaluation, in the environment that is free for it; `film` is None if it is not filmed."""

    number: int
    film: Frames | None
    obs: Observation = dataclasses.field(init=False)
    length: int = 0
    success: bool = False
    ended: bool = False

    def see(self, env: RolloutEnv, obs: Observation) -> None:
        """Note an observation, and film it."""
        self.obs = obs
        if self.film is not None:
            frame = env.render()
            self.film = None if frame is None else [*self.film, frame]


class Evaluator:
    """Evaluates in another process, so that neither the operator nor the learner has to wait.

    Raises:
        LearnerError: the process has ended; of all methods.
    """

    def __init__(self, config: TrainConfig, shape: BaseShape):
        context = multiprocessing.get_context("spawn")
        self._stop, self._group = context.Event(), config.group
        self._pool = ProcessPoolExecutor(1, context, initializer=_prepare, initargs=(config, shape, self._stop))

    def start(self, weights: Weights, *, episodes: int, seed: int) -> Future[Evaluation]:
        """Start the evaluation of a policy."""
        try:
            with interrupts_blocked():
                return self._pool.submit(_evaluate, weights, episodes, seed)
        except BrokenProcessPool as error:
            raise self._ended() from error

    def result(self, evaluation: Future[Evaluation]) -> Evaluation:
        """Wait for an evaluation that was started."""
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


def _prepare(config: TrainConfig, shape: BaseShape, stop: Any) -> None:
    exit_with_parent()
    torch.set_num_threads(1)
    _worker.update(envs=evaluation_envs(config, config.evaluation_envs), policy=shape.make_policy().eval(), stop=stop)


def _evaluate(weights: Weights, episodes: int, seed: int) -> Evaluation:
    envs, policy = _worker["envs"], _worker["policy"]
    # Checked here because an error while the process starts is reported only as its end.
    envs[0].layout.require_encoding_of(policy.shape.layout)
    load_weights(policy, weights)

    def act_until_stopped(observations: Sequence[Observation]) -> list[list[Action]]:
        if _worker["stop"].is_set():
            raise _StoppedError
        return policy.plans(observations, greedy=True)

    return evaluate(envs, act_until_stopped, episodes=episodes, seed=seed)
