"""The actor: drives an environment with the policy and its operator, and collects transitions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil_trainer.data.observations import Observation
from hil_trainer.data.transitions import EpisodeSummary, NStepReturns, Rollout, RowFormat, Step
from hil_trainer.rollout.env import Agent, RolloutEnv


class NeutralAgent:
    """Holds still: what drives a demonstration while the operator does not.

    Args:
        actions: size of an action.
    """

    def __init__(self, actions: int):
        self._action = np.zeros(actions, np.float32)

    def act(self, obs: Observation) -> NDArray[np.float32]:
        """(actions,) zeros."""
        return self._action

    def reset(self) -> None:
        """Nothing is planned."""


class Actor:
    """Makes steps in an environment, one episode after the other.

    An episode that its operator wants to record again is discarded, as far as it has not been returned yet.

    Args:
        env: to act in.
        discount: discount factor of one step.
        n_step: steps over which rewards are summed.
        seed: of all episodes together.

    Attributes:
        episodes: that have ended so far, without demonstrations.
    """

    def __init__(self, env: RolloutEnv, *, discount: float, n_step: int, seed: int | np.random.SeedSequence):
        self.env = env
        self.episodes = 0
        self._returns = NStepReturns(RowFormat(env.layout, env.actions), discount, n_step)
        self._rng = np.random.default_rng(seed)
        self._obs: Observation | None = None
        self._length = self._operator_steps = self._misjudged = 0
        self._total = 0.0

    def run(self, agent: Agent, steps: int) -> Rollout:
        """Make some steps, across the ends of episodes.

        Args:
            agent: acts while the operator does not.
            steps: how many; fewer if the operator wants to stop.
        """
        episodes: list[EpisodeSummary] = []
        made = operator_steps = 0
        quit = False
        while made < steps and not quit:
            step, summary = self._step(agent)
            made, operator_steps, quit = made + 1, operator_steps + step.is_intervention, step.quit
            if summary is not None and not step.rerecord:
                episodes.append(summary)
                self.set_episodes(self.episodes + 1)
        return Rollout(self._returns.take(), episodes, made, operator_steps, quit=quit)

    def demonstrate(self) -> Rollout:
        """Have the operator demonstrate the task, for one whole episode."""
        scripted_operator, agent = self.env.scripted_operator, NeutralAgent(self.env.actions)
        if scripted_operator is not None:
            scripted_operator.demonstrates = True
        self.abandon_episode()
        summary = None
        try:
            while summary is None:
                step, summary = self._step(agent)
        finally:
            if scripted_operator is not None:
                scripted_operator.demonstrates = False
        episodes = [] if step.rerecord else [summary._replace(demonstration=True)]
        transitions = self._returns.take()
        return Rollout(
            transitions, episodes, summary.length, summary.operator_steps, demonstration=True, quit=step.quit
        )

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on with other episodes than before."""
        return {"episodes": self.episodes, "generator": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned. The episode that was running then is lost."""
        self._rng.bit_generator.state = state["generator"]
        self.set_episodes(state["episodes"])
        self.abandon_episode()

    def set_episodes(self, number: int) -> None:
        """Set the number of episodes so far, on which the scripted operator's help depends."""
        self.episodes = number
        if self.env.scripted_operator is not None:
            self.env.scripted_operator.episodes = number

    def abandon_episode(self) -> None:
        """Discard the running episode; the next step begins another one."""
        self._returns.discard_episode()
        self._obs = None

    def _step(self, agent: Agent) -> tuple[Step, EpisodeSummary | None]:
        """Make a step. Returns it, and a summary if it ended the episode."""
        if self._obs is None:
            self._length = self._operator_steps = self._misjudged = 0
            self._total = 0.0
            self._obs = self.env.reset(int(self._rng.integers(2**31)))
            agent.reset()
        step = self.env.step(agent.act(self._obs))
        if step.is_intervention:
            agent.reset()  # a plan from before is of no use once the operator lets go
        self._length += 1
        self._operator_steps += step.is_intervention
        self._total += step.reward
        self._misjudged += step.simulator_success not in (None, step.success)
        if step.rerecord:
            self._returns.discard_episode()
        else:
            self._returns.add(self._obs, step)
        self._obs = step.obs
        if not (step.terminated or step.truncated):
            return step, None
        self._obs = None
        misjudged = None if step.simulator_success is None else self._misjudged
        counts = self._length, self._operator_steps, self._total
        return step, EpisodeSummary(step.success, *counts, False, step.simulator_success, misjudged)
