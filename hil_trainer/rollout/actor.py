"""The actor: drives environments with the policy and their operator, and collects transitions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hil_trainer.agents.agent import Action, Agent, Plans
from hil_trainer.data.observations import Observation
from hil_trainer.data.transitions import EpisodeSummary, NStepReturns, Rollout, RowFormat, Step, Transitions
from hil_trainer.rollout.env import RolloutEnv, RolloutEnvs


class Actor:
    """Makes steps in one or several environments, in each one episode after the other.

    An episode that its operator wants to record again is discarded, as far as it has not been returned yet.

    Args:
        env: to act in; demonstrations are made in the first of several.
        discount: discount factor of one step.
        n_step: steps over which rewards are summed.
        seed: of all episodes together.
        whole_episodes: return the transitions of several environments by whole episodes, so that the steps of each
            stay together, for what learns from windows of steps.

    Attributes:
        envs: to act in.
        env: the first of them.
        episodes: that have ended so far, without demonstrations.
        help_after: steps of an episode after which the policy asks for help.
    """

    def __init__(
        self,
        env: RolloutEnv | RolloutEnvs,
        *,
        discount: float,
        n_step: int,
        seed: int | np.random.SeedSequence,
        whole_episodes: bool = False,
    ):
        self.envs = RolloutEnvs.of(env)
        self.env = self.envs[0]
        self.episodes = 0
        self.help_after = math.inf
        self._whole_episodes = whole_episodes and len(self.envs) > 1
        self._format, self._number = RowFormat(self.env.layout, self.env.actions), 0
        self._running = [_Episode(NStepReturns(self._format, discount, n_step)) for _ in range(len(self.envs))]
        self._plans = Plans(len(self.envs))
        self._rng = np.random.default_rng(seed)

    def run(self, agent: Agent, steps: int) -> Rollout:
        """Make some steps, across the ends of episodes.

        Args:
            agent: acts while the operator does not.
            steps: how many, rounded up to as many in each environment; fewer if the operator wants to stop.
        """
        episodes: list[EpisodeSummary] = []
        parts: list[Transitions] = []
        made = operator_steps = 0
        quit = False
        while made < steps and not quit:
            for running, (step, summary) in zip(self._running, self._step(agent, len(self.envs)), strict=True):
                made, operator_steps, quit = made + 1, operator_steps + step.is_intervention, quit or step.quit
                if summary is not None and not step.rerecord:
                    episodes.append(summary)
                    self.set_episodes(self.episodes + 1)
                    if self._whole_episodes:
                        parts.append(running.returns.take())
        if not self._whole_episodes:
            parts = [running.returns.take() for running in self._running]
        return Rollout(self._joined(parts), episodes, made, operator_steps, quit=quit)

    def demonstrate(self, wait: Callable[[], bool] | None = None) -> Rollout:
        """Have the operator demonstrate the task, for one whole episode, in the first environment.

        Args:
            wait: called after the reset, returns when the operator is ready, or False if the operator wants to stop.
        """
        scripted_operator = self.env.scripted_operator

        def hold_still(observations: Sequence[Observation]) -> list[list[Action]]:
            return [[np.zeros(self.env.actions, np.float32)] for _ in observations]

        if scripted_operator is not None:
            scripted_operator.demonstrates = True
        self.abandon_episode()
        summary = None
        try:
            if wait is not None:
                self._begin(1)
                if not wait():
                    self.abandon_episode()
                    return Rollout(
                        self._joined([self._running[0].returns.take()]), [], 0, 0, demonstration=True, quit=True
                    )
                self.env.restart_pace()
            while summary is None:
                ((step, summary),) = self._step(hold_still, 1)
        finally:
            if scripted_operator is not None:
                scripted_operator.demonstrates = False
        episodes = [] if step.rerecord else [summary._replace(demonstration=True)]
        transitions = self._joined([self._running[0].returns.take()])
        return Rollout(
            transitions, episodes, summary.length, summary.operator_steps, demonstration=True, quit=step.quit
        )

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on with other episodes than before."""
        return {"episodes": self.episodes, "generator": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned. The episodes that were running then are lost."""
        self._rng.bit_generator.state = state["generator"]
        self.set_episodes(state["episodes"])
        self.abandon_episode()

    def set_episodes(self, number: int) -> None:
        """Set the number of episodes so far, on which the scripted operator's help depends."""
        self.episodes = number
        for env in self.envs:
            if env.scripted_operator is not None:
                env.scripted_operator.episodes = number

    def abandon_episode(self) -> None:
        """Discard the running episodes; the next steps begin others."""
        for running in self._running:
            running.abandon()

    def _joined(self, parts: Sequence[Transitions]) -> Transitions:
        if len(self.envs) == 1:
            return parts[0]
        joined, self._number = self._format.join(parts, self._number)
        return joined

    def _begin(self, count: int) -> None:
        """Reset those of the first environments in which no episode runs."""
        begins = [index for index in range(count) if self._running[index].obs is None]
        seeds = {index: int(self._rng.integers(2**31)) for index in begins}

        def begin(index: int) -> None:
            self._running[index].begin(self.envs[index], seeds[index])

        self.envs.run(begin, begins)
        for index in begins:
            self._plans.drop(index)

    def _step(self, agent: Agent, count: int) -> list[tuple[Step, EpisodeSummary | None]]:
        """Make a step in the first environments. Returns each, and a summary if it ended its episode."""
        indices = range(count)
        made: list[Any] = [None] * count

        def advance(index: int) -> None:
            made[index] = self._running[index].advance(self.envs[index], actions[index], self.help_after)

        self._begin(count)
        observations = {index: self._running[index].obs for index in indices}
        actions = self._plans.act(agent, observations)  # type: ignore[arg-type]  # all have begun
        self.envs.run(advance, indices)
        for index, (step, _) in enumerate(made):
            if step.is_intervention:
                self._plans.drop(index)  # a plan from before is of no use once the operator lets go
        return made


class _Episode:
    """The running episode of one environment.

    Attributes:
        obs: the newest observation; None before the first.
    """

    def __init__(self, returns: NStepReturns):
        self.returns = returns
        self.obs: Observation | None = None

    def begin(self, env: RolloutEnv, seed: int) -> None:
        """Reset the environment."""
        self._length = self._operator_steps = self._misjudged = 0
        self._total = 0.0
        self.obs = env.reset(seed)

    def advance(self, env: RolloutEnv, action: Action, help_after: float) -> tuple[Step, EpisodeSummary | None]:
        """Make a step. Returns it, and a summary if it ended the episode."""
        assert self.obs is not None
        if self._length >= help_after:
            env.ask_for_help()
        step = env.step(action)
        self._length += 1
        self._operator_steps += step.is_intervention
        self._total += step.reward
        self._misjudged += step.simulator_success not in (None, step.success)
        if step.rerecord:
            self.returns.discard_episode()
        else:
            self.returns.add(self.obs, step)
        self.obs = step.obs
        if not (step.terminated or step.truncated):
            return step, None
        self.obs = None
        misjudged = None if step.simulator_success is None else self._misjudged
        counts = self._length, self._operator_steps, self._total
        return step, EpisodeSummary(step.success, *counts, False, step.simulator_success, misjudged)

    def abandon(self) -> None:
        """Discard it."""
        self.returns.discard_episode()
        self.obs = None
