"""The one who acts: drives an environment with the policy and its operator, and notes what happened."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hil_trainer.data.n_step import NStepReturns
from hil_trainer.data.observations import Observation
from hil_trainer.data.replay_buffer import Transition
from hil_trainer.rollout.env import RolloutEnv, Step


class Chooser(Protocol):
    """Chooses actions: a policy."""

    def act(self, obs: Observation) -> NDArray[np.float32]:
        """(actions,) float32 in [-1, 1]."""


class EpisodeSummary(NamedTuple):
    """How an episode went.

    Attributes:
        success: whether the task was done.
        length: steps.
        operator_steps: of these, the operator's.
        total: of the rewards.
        demonstration: whether the operator was asked to show the task.
        simulator_success: what the simulator said of success in the end, where a classifier decides; else None.
        misjudged: steps in which the classifier and the simulator differed; None where no classifier decides.
    """

    success: bool
    length: int
    operator_steps: int
    total: float
    demonstration: bool
    simulator_success: bool | None = None
    misjudged: int | None = None


class Rollout(NamedTuple):
    """What happened during some steps.

    Attributes:
        transitions: in order.
        episodes: that ended.
        steps: how many there were.
        operator_steps: of these, the operator's.
        demonstration: whether the operator was asked to show the task.
        quit: whether the operator wants to stop.
    """

    transitions: list[Transition]
    episodes: list[EpisodeSummary]
    steps: int
    operator_steps: int
    demonstration: bool = False
    quit: bool = False


class Actor:
    """Makes steps in an environment, one episode after the other.

    An episode that its operator wants recorded again is forgotten, as far as it has not been handed out yet.

    Args:
        env: to act in.
        discount: of a reward one step later.
        n_step: over how many steps rewards are added up.
        seed: of all episodes together.
    """

    def __init__(self, env: RolloutEnv, *, discount: float, n_step: int, seed: int | np.random.SeedSequence):
        self.env = env
        self.episodes = 0
        self._returns = NStepReturns(discount, n_step)
        self._rng = np.random.default_rng(seed)
        self._seen: Observation | None = None
        self._length = self._operator_steps = self._misjudged = 0
        self._total = 0.0

    def run(self, policy: Chooser, steps: int) -> Rollout:
        """Make some steps, over the ends of episodes.

        Args:
            policy: acts while the operator does not.
            steps: how many; fewer if the operator wants to stop.
        """
        transitions: list[Transition] = []
        episodes: list[EpisodeSummary] = []
        made = by_operator = earlier = 0
        wants_to_stop = False
        while made < steps and not wants_to_stop:
            if self._seen is None:
                self._begin()
            assert self._seen is not None
            step = self.env.step(policy.act(self._seen))
            made += 1
            by_operator += step.is_intervention
            wants_to_stop = step.quit
            transitions += self._note(self._seen, step)
            self._seen = step.obs
            if step.terminated or step.truncated:
                if step.discarded:
                    del transitions[earlier:]
                else:
                    episodes.append(self._summary(step, demonstration=False))
                earlier = len(transitions)
                self._end()
        return Rollout(transitions, episodes, made, by_operator, quit=wants_to_stop)

    def demonstrate(self, resting: Chooser) -> Rollout:
        """Have the operator show the task, for one whole episode.

        Args:
            resting: acts until the operator does.
        """
        operator = self.env.scripted_operator
        if operator is not None:
            operator.demonstrates = True
        try:
            self._begin()
            transitions: list[Transition] = []
            while True:
                assert self._seen is not None
                step = self.env.step(resting.act(self._seen))
                transitions += self._note(self._seen, step)
                self._seen = step.obs
                if step.terminated or step.truncated:
                    summary = self._summary(step, demonstration=True)
                    self._end()
                    kept = [] if step.discarded else [summary]
                    return Rollout(
                        [] if step.discarded else transitions,
                        kept,
                        summary.length,
                        summary.operator_steps,
                        demonstration=True,
                        quit=step.quit,
                    )
        finally:
            if operator is not None:
                operator.demonstrates = False

    def state_dict(self) -> dict[str, Any]:
        """How to go on with other episodes than those that were."""
        return {"episodes": self.episodes, "generator": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned. The episode that ran then is gone."""
        self._rng.bit_generator.state = state["generator"]
        self.set_episodes(state["episodes"])
        self._end()

    def set_episodes(self, number: int) -> None:
        """Say how many episodes there were, so that a scripted operator helps accordingly."""
        self.episodes = number
        if self.env.scripted_operator is not None:
            self.env.scripted_operator.episodes = number

    def _begin(self) -> None:
        self._returns.clear()
        self._length = self._operator_steps = self._misjudged = 0
        self._total = 0.0
        self._seen = self.env.reset(int(self._rng.integers(2**31)))

    def _end(self) -> None:
        self._seen = None
        self._returns.clear()

    def _summary(self, step: Step, *, demonstration: bool) -> EpisodeSummary:
        if not demonstration:
            self.set_episodes(self.episodes + 1)
        return EpisodeSummary(
            step.success,
            self._length,
            self._operator_steps,
            self._total,
            demonstration,
            step.simulator_success,
            None if step.simulator_success is None else self._misjudged,
        )

    def _note(self, obs: Observation, step: Step) -> list[Transition]:
        """The transitions that this step completes."""
        self._length += 1
        self._operator_steps += step.is_intervention
        self._total += step.reward
        self._misjudged += step.simulator_success not in (None, step.success)
        if step.discarded:
            return []
        return self._returns.add(
            obs,
            step.action,
            step.reward,
            step.obs,
            penalty=step.penalty,
            terminated=step.terminated,
            truncated=step.truncated,
            is_intervention=step.is_intervention,
        )
