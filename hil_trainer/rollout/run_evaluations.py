"""The evaluations of a run: when they are due, what they decide, and which policy is kept."""

from __future__ import annotations

import copy
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple, Protocol

from hil_trainer.agents.policy import Policy
from hil_trainer.agents.policy_file import NAME as POLICY_FILE
from hil_trainer.agents.policy_file import read_description, save_policy
from hil_trainer.config import TrainConfig
from hil_trainer.errors import CheckpointError
from hil_trainer.learner.learner import Weights
from hil_trainer.logging.metrics import Milestone
from hil_trainer.logging.status import TrainingStatus
from hil_trainer.rollout.env import RolloutEnv
from hil_trainer.rollout.evaluation import Evaluation, Evaluator, load_weights

QUICK_MARGIN = 0.05  # by which few episodes may be below the target, and many are run

Score = tuple[float, int]  # what policies are compared by: share of successes, and then the step


class Candidate(NamedTuple):
    """A policy as it was at some step of a run.

    Attributes:
        step: of training.
        operator_steps: of them.
        updates: of the critics.
        weights: the policy's.
    """

    step: int
    operator_steps: int
    updates: int
    weights: Weights


class Tell(Protocol):
    """Writes a row of metrics."""

    def __call__(self, kind: str, at: int, /, **values: object) -> float:
        """Write it for a step. Returns the row's seconds."""


class _Running(NamedTuple):
    """An evaluation that is under way."""

    purpose: str
    candidate: Candidate
    result: Future[Evaluation]


class RunEvaluations:
    """Evaluates a run beside it, exports the best policy, and sees when the target is reached.

    An evaluation of few episodes shows how it goes. If it comes near the target, the same policy is evaluated in many,
    and these decide.

    Args:
        config: of the run.
        directory: of the run; the best policy is exported to it.
        env: the run's environment; says what actions are.
        policy: the run's. It is copied for what is exported.
        step: of training so far.
        resume: the policy that the directory has already is replaced by a better one only.
        tell: writes rows of metrics.
        progress: tells the operator at the terminal.

    Attributes:
        reached: when the target was reached; None until it is.

    Raises:
        CheckpointError: the policy that the directory has already cannot be read.
    """

    def __init__(
        self,
        config: TrainConfig,
        directory: Path,
        env: RolloutEnv,
        policy: Policy,
        *,
        step: int,
        resume: bool,
        tell: Tell,
        progress: TrainingStatus,
    ):
        self.reached: Milestone | None = None
        self._config, self._file = config, directory / POLICY_FILE
        self._env, self._policy = env, policy
        self._tell, self._progress = tell, progress
        # What is exported is newer than the checkpoint if the run was killed in between: the file itself knows best.
        self._best = _score_of_file(self._file) if resume and self._file.is_file() else (-1.0, 0)
        self._running: _Running | None = None
        self._next = self._after(step)
        self._evaluator = Evaluator(config, policy.shape)

    def advance(self, newest: Candidate) -> None:
        """Take in an evaluation that is done, and start one when it is time.

        Args:
            newest: what there is to evaluate.

        Raises:
            LearnerError: the process that evaluates has ended.
        """
        running = self._running
        if running is not None and running.result.done():
            self._running = self._start("full", running.candidate) if self._take(running) else None
        if self._running is None and self.reached is None and newest.step >= self._next:
            self._next = self._after(newest.step)
            self._running = self._start("quick", newest)

    def finish(self) -> None:
        """Wait for what is under way.

        Raises:
            LearnerError: the process that evaluates has ended.
        """
        running, self._running = self._running, None
        if running is not None and self._take(running):
            self.decide(running.candidate)

    def decide(self, candidate: Candidate) -> None:
        """Evaluate in many episodes, and wait for it.

        Args:
            candidate: what to evaluate.

        Raises:
            LearnerError: the process that evaluates has ended.
        """
        self._take(self._start("full", candidate))

    def close(self) -> None:
        """Drop what is not done, and end the process that evaluates."""
        self._evaluator.close()

    def _after(self, step: int) -> int:
        """When the next evaluation is due: at steps that do not depend on when a run was resumed."""
        every = self._config.evaluation.every
        return (step // every + 1) * every

    def _start(self, purpose: str, candidate: Candidate) -> _Running:
        config = self._config
        episodes = config.evaluation.quick_episodes if purpose == "quick" else config.evaluation.episodes
        result = self._evaluator.start(candidate.weights, episodes=episodes, seed=config.evaluation.seed)
        return _Running(purpose, candidate, result)

    def _take(self, running: _Running) -> bool:
        """Note a result. Returns whether it was of few episodes and so good that many should be run."""
        evaluation, candidate, target = (
            self._evaluator.result(running.result),
            running.candidate,
            self._config.evaluation.target,
        )
        seconds = self._tell(
            "evaluation",
            candidate.step,
            episodes=evaluation.episodes,
            successes=evaluation.successes,
            length=evaluation.mean_length,
            seed=evaluation.seed,
            operator_steps=candidate.operator_steps,
            purpose=running.purpose,
        )
        score = _score(evaluation.successes, evaluation.episodes, candidate.step)
        if score > self._best:
            self._best = score
            self._export(candidate, evaluation)
        if running.purpose == "full" and evaluation.rate >= target - 1e-9:
            self.reached = Milestone(candidate.step, candidate.operator_steps, seconds)
            self._progress.target_reached(target, self.reached)
        return running.purpose == "quick" and evaluation.rate >= target - QUICK_MARGIN

    def _export(self, candidate: Candidate, evaluation: Evaluation) -> None:
        # Not a new one: its random weights would change what is drawn for the actions that follow.
        policy = copy.deepcopy(self._policy)
        load_weights(policy, candidate.weights)
        save_policy(
            self._file,
            policy,
            action_low=self._env.action_low,
            action_high=self._env.action_high,
            encoder=self._env.encoder,
            provenance={
                "task": self._config.env.task,
                "obs": self._config.env.obs,
                "critics_saw_simulation_state": bool(self._env.layout.privileged),
                "seed": self._config.seed,
                "step": candidate.step,
                "operator_steps": candidate.operator_steps,
                "updates": candidate.updates,
                "evaluation": {
                    "episodes": evaluation.episodes,
                    "successes": evaluation.successes,
                    "seed": evaluation.seed,
                },
            },
        )


def _score(successes: int, episodes: int, step: int) -> Score:
    # Few episodes say less than many: their share of successes counts as if one more had succeeded and one failed.
    return (successes + 1) / (episodes + 2), step


def _score_of_file(file: Path) -> Score:
    """The score by which a policy was exported."""
    try:
        provenance = read_description(file)["provenance"]
        evaluation = provenance["evaluation"]
        return _score(evaluation["successes"], evaluation["episodes"], provenance["step"])
    except CheckpointError as error:
        raise CheckpointError(f"{error} Move it away to go on.") from error
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{file} does not say how it was evaluated. Move it away to go on.") from error
