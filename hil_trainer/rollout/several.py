"""Several environments of one process, stepped in threads, and one agent that acts in all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError
from gym_hil.threads import WorkThreads
from hil_trainer.config import TrainConfig
from hil_trainer.data.observations import Observation
from hil_trainer.rollout.env import Agent, RolloutEnv


class RolloutEnvs:
    """Several environments, alike but for their operators.

    Args:
        envs: at least one. The first is the one of a human operator and of the console.
    """

    def __init__(self, envs: Sequence[RolloutEnv]):
        self._envs = list(envs)
        self._threads = WorkThreads(len(self._envs), main=0)

    def __len__(self) -> int:
        return len(self._envs)

    def __getitem__(self, index: int) -> RolloutEnv:
        return self._envs[index]

    def __iter__(self) -> Iterator[RolloutEnv]:
        return iter(self._envs)

    def run(self, work: Callable[[int], None], indices: Sequence[int]) -> None:
        """Do some work for some environments; see `WorkThreads.run`."""
        self._threads.run(work, indices)

    def close(self) -> None:
        """End the threads, and close all environments."""
        self._threads.close()
        for env in self._envs:
            env.close()


def several(env: RolloutEnv | RolloutEnvs) -> RolloutEnvs:
    """One environment as several."""
    return env if isinstance(env, RolloutEnvs) else RolloutEnvs([env])


def make_several(make: Callable[[RolloutEnv | None], RolloutEnv], count: int) -> RolloutEnvs:
    """Make several environments, or none where one cannot be made.

    Args:
        make: makes one; called with the first one, None for that itself.
        count: number of environments.
    """
    made: list[RolloutEnv] = []
    try:
        for _ in range(count):
            made.append(make(made[0] if made else None))
    except BaseException:
        for env in made:
            env.close()
        raise
    return RolloutEnvs(made)


def make_envs(config: TrainConfig, count: int, *, operator: str | None = None) -> RolloutEnvs:
    """Make the environments of a configuration.

    Args:
        config: of the run.
        count: number of environments.
        operator: who can take over in each; None for the one of the configuration.

    Raises:
        ConfigurationError: there is no such environment, a setting does not fit it, or several would have one human or
            one real time.
    """
    unseen = dataclasses.replace(config, env=dataclasses.replace(config.env, console=False))

    def make(first: RolloutEnv | None) -> RolloutEnv:
        if first is not None and (first.is_human or first.in_real_time):
            raise ConfigurationError(
                f"num_envs is {count}, but {'a human drives' if first.is_human else 'real time is for'} one "
                "environment; leave --num-envs out. Evaluations have --evaluation.num-envs."
            )
        if first is None:
            return RolloutEnv(config, operator=operator)
        return RolloutEnv(unseen, operator=operator, encoder=first.encoder)

    return make_several(make, count)


class Plans:
    """The actions that one agent has planned, in each of several environments.

    In a single one the agent keeps its plan itself.

    Args:
        count: number of environments.
    """

    def __init__(self, count: int):
        self._plans: list[list[NDArray[np.float32]]] = [[] for _ in range(count)]

    def drop(self, agent: Agent, index: int) -> None:
        """Drop what is planned in one environment: an episode begins, or the operator has acted."""
        self._plans[index] = []
        if len(self._plans) == 1:
            agent.reset()

    def act(self, agent: Agent, observations: Mapping[int, Observation]) -> dict[int, NDArray[np.float32]]:
        """The next action in each environment, chosen for all at once where nothing is planned."""
        if len(self._plans) == 1:
            return {index: agent.act(obs) for index, obs in observations.items()}
        empty = [index for index in observations if not self._plans[index]]
        if empty:
            plans = agent.plans([observations[index] for index in empty])
            for index, plan in zip(empty, plans, strict=True):
                self._plans[index] = list(plan)
        return {index: self._plans[index].pop(0) for index in observations}
