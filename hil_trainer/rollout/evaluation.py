"""How good a policy is: episodes from fixed seeds, without anybody helping, with the likeliest action each time."""

from __future__ import annotations

import dataclasses
import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hil_trainer.agents.policy import Policy, PolicyShape
from hil_trainer.config import NO_OPERATOR, TrainConfig
from hil_trainer.data.observations import Observation
from hil_trainer.errors import LearnerError
from hil_trainer.learner.child import deaf, obey_parent
from hil_trainer.learner.learner import Weights
from hil_trainer.rollout.actor import Chooser
from hil_trainer.rollout.env import RolloutEnv

if TYPE_CHECKING:
    from hil_trainer.agents.frozen_encoder import FrozenEncoder

Frames = list[NDArray[np.uint8]]


class Evaluation(NamedTuple):
    """How episodes went.

    Attributes:
        episodes: how many.
        successes: of them.
        lengths: steps of each.
        seed: of the first; the others count on from there.
        outcomes: success of each.
        frames: images of the first episodes, as many episodes as were asked for.
    """

    episodes: int
    successes: int
    lengths: list[int]
    seed: int
    outcomes: list[bool]
    frames: list[Frames]

    @property
    def rate(self) -> float:
        """Successes by episodes."""
        return self.successes / self.episodes

    @property
    def mean_length(self) -> float:
        """Steps an episode."""
        return float(np.mean(self.lengths))


class Greedy:
    """A policy that takes the likeliest action.

    Args:
        policy: the policy.
    """

    def __init__(self, policy: Policy):
        self.policy = policy

    def act(self, obs: Observation) -> NDArray[np.float32]:
        """(actions,) float32 in [-1, 1]."""
        return self.policy.act(obs, greedy=True)


def evaluation_env(config: TrainConfig, *, encoder: FrozenEncoder | None = None) -> RolloutEnv:
    """The task as it is evaluated: nobody helps, and the simulation says what success is.

    Args:
        config: of the run.
        encoder: see `RolloutEnv`.
    """
    env = dataclasses.replace(config.env, reward_classifier=None, real_time=False, console=False)
    config = dataclasses.replace(config, env=env)
    return RolloutEnv(config, operator=NO_OPERATOR, encoder=encoder)


def evaluate(env: RolloutEnv, policy: Chooser, *, episodes: int, seed: int, filmed: int = 0) -> Evaluation:
    """Run episodes.

    Args:
        env: from `evaluation_env`.
        policy: to evaluate.
        episodes: how many.
        seed: of the first; the others count on from there.
        filmed: of how many, from the first on, images are kept.
    """
    outcomes: list[bool] = []
    lengths: list[int] = []
    films: list[Frames] = []
    for number in range(episodes):
        film: Frames | None = [] if number < filmed else None
        obs, length = env.reset(seed + number), 0
        while True:
            if film is not None:
                film.append(env.render())
            step = env.step(policy.act(obs))
            obs, length = step.obs, length + 1
            if step.terminated or step.truncated:
                break
        if film is not None:
            films.append([*film, env.render()])
        outcomes.append(step.success)
        lengths.append(length)
    return Evaluation(episodes, sum(outcomes), lengths, seed, outcomes, films)


class Evaluator:
    """Evaluates in a process of its own, so that neither an operator nor the learner has to wait.

    Args:
        config: of the run.
        shape: of its policies.
    """

    def __init__(self, config: TrainConfig, shape: PolicyShape):
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._pool = ProcessPoolExecutor(1, context, initializer=_prepare, initargs=(config, shape, self._stop))

    def start(self, weights: Weights, *, episodes: int, seed: int) -> Future[Evaluation]:
        """Begin to evaluate a policy.

        Raises:
            LearnerError: the process has ended.
        """
        try:
            with deaf():
                return self._pool.submit(_evaluate, weights, episodes, seed)
        except BrokenProcessPool as error:
            raise _ended() from error

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
            raise _ended() from error

    def close(self) -> None:
        """Drop what is not done, and end the process."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)


def load_weights(policy: Policy, weights: Weights) -> None:
    """Put weights into a policy."""
    # Copied, because weights that came through shared memory must not be written to.
    policy.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})


_worker: dict[str, Any] = {}


class _StoppedError(Exception):
    """Nobody wants to know any more."""


class _Stoppable(Greedy):
    def act(self, obs: Observation) -> NDArray[np.float32]:
        if _worker["stop"].is_set():
            raise _StoppedError
        return super().act(obs)


def _prepare(config: TrainConfig, shape: PolicyShape, stop: Any) -> None:
    obey_parent()
    torch.set_num_threads(1)
    _worker.update(env=evaluation_env(config), policy=Policy(shape).eval(), stop=stop)


def _evaluate(weights: Weights, episodes: int, seed: int) -> Evaluation:
    # Not before: an error while the process starts is told as its end.
    _worker["env"].layout.require_encoding_of(_worker["policy"].shape.layout)
    load_weights(_worker["policy"], weights)
    return evaluate(_worker["env"], _Stoppable(_worker["policy"]), episodes=episodes, seed=seed)


def _ended() -> LearnerError:
    return LearnerError(
        "The process that evaluates has ended. If the machine ran out of memory, lower --capacity; then go on with "
        "--resume."
    )
