"""Evaluations of a run: when they are due, what they decide, and which policy is exported."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hil_trainer.agents.policy import BasePolicy, Weights, load_weights
from hil_trainer.agents.policy_file import NAME as POLICY_FILE
from hil_trainer.agents.policy_file import load_policy, read_description, save_policy
from hil_trainer.config import ENV_OPTIONS, TrainConfig
from hil_trainer.errors import CheckpointError
from hil_trainer.logging.metrics import FINAL, Milestone
from hil_trainer.logging.status import TrainingStatus
from hil_trainer.logging.videos import write_grid_video
from hil_trainer.rollout.env import RolloutEnv
from hil_trainer.rollout.evaluation import Evaluation, Evaluator, evaluate, evaluation_envs, greedy

QUICK_MARGIN = 0.05  # by which a quick evaluation may miss the target and still be followed by a full one
FINAL_SEED_OFFSET = 1_000_000  # from the seeds of evaluations during training, which choose the exported policy
FILMED = 9  # episodes of the final evaluation in the video
VIDEO = "report/evaluation.mp4"


class Candidate(NamedTuple):
    """The policy at some step of a run."""

    step: int  # of training
    operator_steps: int  # of these, driven by the operator
    updates: int  # so far
    weights: Weights  # of the policy


class _Running(NamedTuple):
    """A running evaluation."""

    purpose: str
    candidate: Candidate
    result: Future[Evaluation]


class _Result(NamedTuple):
    """How the policy of a step of training did."""

    step: int
    evaluation: Evaluation

    def is_better(self, other: _Result, target: float) -> bool:
        """Whether it did better than another one in the episodes that both have: the first ones have the same seeds.

        Policies that reach the target are compared by how quick they are.
        """
        episodes = min(self.evaluation.episodes, other.evaluation.episodes)

        def rank(one: _Result) -> tuple[float, float, int]:
            outcomes, lengths = one.evaluation.outcomes[:episodes], one.evaluation.lengths[:episodes]
            return min(float(np.mean(outcomes)), target), -float(np.mean(lengths)), one.step

        return rank(self) > rank(other)


class RunEvaluations:
    """Evaluates the policy of a run in another process, exports the best one, and notes when the target is reached.

    A quick evaluation shows progress. If it comes near the target, or does better than the exported policy did in the
    same episodes of a full evaluation, a full evaluation of the same policy follows, which decides. All of these have
    the same seeds; the final evaluation of the exported policy has others.

    Args:
        config: of the run.
        directory: of the run, to which the best policy is exported.
        env: of the run; its action space goes into the exported file.
        policy: of the run; a copy of it is exported.
        step: of training so far.
        resume: a policy in the directory is replaced by a better one only.
        log: writes a row of metrics, of a kind, for a step, and returns the row's seconds.
        progress: shows the run at the terminal.

    Attributes:
        reached: when the target was reached; None before.

    Raises:
        CheckpointError: the policy in the directory cannot be read.
        LearnerError: the process that evaluates has ended; of all methods that evaluate.
    """

    def __init__(
        self,
        config: TrainConfig,
        directory: Path,
        env: RolloutEnv,
        policy: BasePolicy,
        *,
        step: int,
        resume: bool,
        log: Callable[..., float],
        progress: TrainingStatus,
    ):
        self.reached: Milestone | None = None
        self._config, self._directory = config, directory
        self._file = directory / POLICY_FILE
        self._env, self._policy = env, policy
        self._log, self._progress = log, progress
        # After a kill the exported policy may be newer than the checkpoint: the score of the file counts.
        self._best = _result_of_file(self._file) if resume and self._file.is_file() else None
        self._running: _Running | None = None
        self._next = self._after(step)
        self._evaluator = Evaluator(config, policy.shape)

    @property
    def successful_lengths(self) -> list[int]:
        """Steps of the successful episodes of the exported policy."""
        if self._best is None:
            return []
        _, outcomes, lengths, _ = self._best.evaluation
        return [length for success, length in zip(outcomes, lengths, strict=True) if success]

    def advance(self, newest: Candidate) -> None:
        """Take in a finished evaluation, and start one of the newest policy when it is due."""
        running = self._running
        if running is not None and running.result.done():
            self._running = self._start("full", running.candidate) if self._take(running) else None
        if self._running is None and self.reached is None and newest.step >= self._next:
            self._next = self._after(newest.step)
            self._running = self._start("quick", newest)

    def finish(self) -> None:
        """Wait for a running evaluation."""
        running, self._running = self._running, None
        if running is not None and self._take(running):
            self.decide(running.candidate)

    def decide(self, candidate: Candidate) -> None:
        """Run a full evaluation of a policy, and wait for it."""
        self._next = self._after(candidate.step)
        self._take(self._start("full", candidate))

    def keep(self, candidate: Candidate) -> None:
        """Export a policy without an evaluation, if none was exported: the run was stopped before its first one."""
        if candidate.step and not self._file.is_file():
            self._export(candidate, None)

    def final(self) -> Evaluation | None:
        """Evaluate the exported policy, if there is one, on held-out seeds, write a row of it, and make a video."""
        if not self._file.is_file():
            return None
        loaded = load_policy(self._file)
        episodes, seed = self._config.evaluation.episodes, self._config.evaluation.seed + FINAL_SEED_OFFSET
        envs = evaluation_envs(self._config, self._config.evaluation_envs, encoder=loaded.encoder, filmed=True)
        with closing(envs):
            evaluation = evaluate(envs, greedy(loaded.policy), episodes=episodes, seed=seed, filmed=FILMED)
            fps = round(1 / envs[0].control_dt)
        provenance = loaded.description["provenance"]
        self._write(FINAL, provenance["step"], provenance["operator_steps"], evaluation)
        if evaluation.frames:
            write_grid_video(self._directory / VIDEO, evaluation.frames, fps, evaluation.outcomes[:FILMED])
        else:
            self._log("event", provenance["step"], text=f"no video: {envs[0].render_problem}")
        return evaluation

    def close(self) -> None:
        """Drop unfinished evaluations, and end their process."""
        self._evaluator.close()

    def _after(self, step: int) -> int:
        """Step of the next evaluation; it does not depend on when a run was resumed."""
        every = self._config.evaluation.every
        return (step // every + 1) * every

    def _start(self, purpose: str, candidate: Candidate) -> _Running:
        config = self._config
        episodes = config.evaluation.quick_episodes if purpose == "quick" else config.evaluation.episodes
        result = self._evaluator.start(candidate.weights, episodes=episodes, seed=config.evaluation.seed)
        return _Running(purpose, candidate, result)

    def _take(self, running: _Running) -> bool:
        """Take in a result. Returns whether a full evaluation of the same policy has to follow."""
        evaluation, candidate = self._evaluator.result(running.result), running.candidate
        target, best = self._config.evaluation.target, self._best
        seconds = self._write(running.purpose, candidate.step, candidate.operator_steps, evaluation)
        result, exported_of = _Result(candidate.step, evaluation), 0 if best is None else best.evaluation.episodes
        is_better, in_full = best is None or result.is_better(best, target), running.purpose == "full"
        is_near = evaluation.rate >= target - QUICK_MARGIN
        if not in_full and (is_near or (is_better and exported_of > evaluation.episodes)):
            return True
        # The few episodes of a quick evaluation say less than a target that was reached in full.
        reaches = in_full and evaluation.rate >= target - 1e-9
        if is_better or (reaches and exported_of < evaluation.episodes):
            self._best = result
            self._export(candidate, evaluation)
        longest = self._config.evaluation.target_length
        if reaches and (longest is None or evaluation.mean_length <= longest):
            self.reached = Milestone(candidate.step, candidate.operator_steps, seconds)
            self._progress.target_reached(target, self.reached)
        return False

    def _write(self, purpose: str, step: int, operator_steps: int, evaluation: Evaluation) -> float:
        """Write a row of metrics. Returns its seconds."""
        return self._log(
            "evaluation",
            step,
            episodes=evaluation.episodes,
            successes=evaluation.successes,
            length=evaluation.mean_length,
            seed=evaluation.seed,
            operator_steps=operator_steps,
            purpose=purpose,
        )

    def _export(self, candidate: Candidate, evaluation: Evaluation | None) -> None:
        # A copy: the initial weights of a new policy would change the random numbers of the actions that follow.
        policy = copy.deepcopy(self._policy)
        load_weights(policy, candidate.weights)
        names = ("episodes", "successes", "seed", "outcomes", "lengths")
        found = None if evaluation is None else {name: getattr(evaluation, name) for name in names}
        save_policy(
            self._file,
            policy,
            action_scale=self._env.action_scale,
            encoder=self._env.encoder,
            provenance={
                "task": self._config.env.task,
                "obs": self._config.env.obs,
                "env": {name: getattr(self._config.env, name) for name in ENV_OPTIONS},
                "critics_saw_simulation_state": bool(self._env.layout.privileged),
                "seed": self._config.seed,
                "step": candidate.step,
                "operator_steps": candidate.operator_steps,
                "updates": candidate.updates,
                "evaluation": found,
            },
        )


def _result_of_file(file: Path) -> _Result | None:
    """The result with which a policy was exported; None if it was exported without an evaluation."""
    try:
        provenance = read_description(file)["provenance"]
        evaluation = provenance["evaluation"]
        if evaluation is None:
            return None
        episodes, successes = evaluation["episodes"], evaluation["successes"]
        # Files of older versions do not say which episodes succeeded.
        outcomes = evaluation.get("outcomes", [number < successes for number in range(episodes)])
        lengths = evaluation.get("lengths", [0] * episodes)
        return _Result(provenance["step"], Evaluation(evaluation["seed"], outcomes, lengths, []))
    except CheckpointError as error:
        raise CheckpointError(f"{error} Move it away to go on.") from error
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{file} has no record of its evaluation. Move it away to go on.") from error
