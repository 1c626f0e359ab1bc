"""A run: one acts, one learns, one evaluates, until the policy is good enough."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hil_trainer.agents.policy import Policy
from hil_trainer.checkpoints import checkpoints, read_run_state
from hil_trainer.config import CONFIG_FILE, TrainConfig, to_dict
from hil_trainer.data.demonstrations import read_demonstrations
from hil_trainer.data.observations import Observation
from hil_trainer.errors import CheckpointError, DivergenceError
from hil_trainer.learner.learner import LearnerSetup
from hil_trainer.learner.link import KEPT
from hil_trainer.learner.process import Learned, LearnerHandle, LearnerProcess
from hil_trainer.logging.metrics import MetricsLog, Milestone, ResumePoint, read_metrics
from hil_trainer.logging.status import TrainingStatus
from hil_trainer.rollout.actor import Actor, EpisodeSummary, Rollout
from hil_trainer.rollout.env import RolloutEnv
from hil_trainer.rollout.evaluation import Evaluation, load_weights
from hil_trainer.rollout.run_evaluations import Candidate, RunEvaluations

if TYPE_CHECKING:
    from hil_trainer.learner.ray_actors import RayActors

LAG = 20  # deliveries, by which the weights that act may be behind in real time
_LEARNING_ROWS_EVERY = 100  # steps
_WAIT_FOR_OTHERS = 0.1  # s
_REQUESTS = ("save", "stop")


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
        reached: when the target was reached; None if it was not.
        steps: of training.
        stopped: whether the operator wanted to stop.
        final: evaluation of the exported policy on seeds that chose nothing; None if the run was stopped.
    """

    reached: Milestone | None
    steps: int
    stopped: bool
    final: Evaluation | None = None


class _Resting:
    def __init__(self, actions: int):
        self._still = np.zeros(actions, np.float32)

    def act(self, obs: Observation) -> NDArray[np.float32]:
        return self._still


class Training:
    """One run, in one directory.

    Args:
        config: what to train.
        directory: where everything is written.
        resume: go on from the newest checkpoint in it.
        progress: tells the operator at the terminal.

    Raises:
        CheckpointError: the directory holds a run already, or none to resume.
        HilTrainerError: something is wrong with the configuration, the demonstrations or the learner.
    """

    def __init__(
        self, config: TrainConfig, directory: Path, *, resume: bool = False, progress: TrainingStatus | None = None
    ):
        self._started = time.perf_counter()
        self.config, self.directory = config, directory
        checkpoint = _find_checkpoint(directory, resume=resume)
        state = {} if checkpoint is None else read_run_state(checkpoint)
        self._step, self._operator_steps = state.get("step", 0), state.get("operator_steps", 0)
        self._seconds_before = state.get("seconds", 0.0)
        self._shown = state.get("shown", 0)  # demonstrations so far
        self._resumed = checkpoint is not None
        # Without a checkpoint a run that is resumed begins anew; nothing of it counts.
        point = ResumePoint(self._step, self._shown + state["actor"]["episodes"]) if state else ResumePoint(-1, 0)
        self.progress = TrainingStatus() if progress is None else progress
        if self._resumed:
            rows = [row for row in read_metrics(directory) if point.covers(row)]
            # An evaluation may have ended after the checkpoint, and is kept.
            self._seconds_before = max(self._seconds_before, *(row["seconds"] for row in rows), 0.0)
            self.progress.restore(rows)

        torch.set_num_threads(1)
        torch.manual_seed(config.seed + 1)
        self._opened = ExitStack()
        with ExitStack() as opened:
            self._open(config, directory, checkpoint, state, opened, point if resume else None)
            self._opened = opened.pop_all()
        if checkpoint is not None:
            self._tell("event", text=f"resumed from {checkpoint.relative_to(directory)}")
        if self._others is not None:
            self._tell("event", text=self._others.summary)
        if self.env.channel is not None:
            self.env.channel.set_requests(_REQUESTS)

    def _open(
        self,
        config: TrainConfig,
        directory: Path,
        checkpoint: Path | None,
        state: dict[str, Any],
        opened: ExitStack,
        resume: ResumePoint | None,
    ) -> None:
        """Start everything; what `opened` was told is closed, the last first, if something does not start."""
        opened.callback(self.progress.close)
        self.env = RolloutEnv(config)
        opened.callback(self.env.close)
        self._log = MetricsLog(
            directory,
            tensorboard=config.tensorboard,
            wandb=config.wandb,
            config=to_dict(config),
            resume=resume,
        )
        opened.callback(self._log.close)
        self.actor = Actor(
            self.env,
            discount=config.agent.discount,
            n_step=config.agent.n_step,
            seed=np.random.SeedSequence(config.seed),
        )
        self._recorded = None
        if config.demo_dataset is not None and not self._step:
            self._recorded = read_demonstrations(
                config.demo_dataset,
                self.env.layout,
                action_low=self.env.action_low,
                action_high=self.env.action_high,
                discount=config.agent.discount,
                n_step=config.agent.n_step,
                encoder=self.env.encoder,
            )
        setup = LearnerSetup(config, self.env.layout, self.env.actions)
        self.policy = Policy(setup.shape).eval()
        if checkpoint is not None:
            self.actor.load_state_dict(state["actor"])
            # Not before the policy has drawn its first weights: what is drawn next are actions.
            torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
        self._evaluations = RunEvaluations(
            config,
            directory,
            self.env,
            self.policy,
            step=self._step,
            resume=resume is not None,
            tell=self._tell,
            progress=self.progress,
        )
        opened.callback(self._evaluations.close)
        self._in_real_time = self.env.in_real_time
        self._lag = LAG if self._in_real_time else 1
        self._others: RayActors | None = None
        self._staleness = 0  # of others' weights
        self.learner: LearnerHandle
        if config.ray.address is None:
            self.learner = LearnerProcess(setup, keep_pace=self._in_real_time, checkpoint=checkpoint, steps=self._step)
            opened.callback(self.learner.close)
        else:
            from hil_trainer.learner.ray_actors import RayActors

            self._others = RayActors(setup, directory, resume=self._resumed, step=self._step)
            self.learner = self._others.learner
            opened.callback(self._others.close)
            self._lag = KEPT  # nobody waits for a learner that is started again
        # Not before it is known that this can be learned, and that a checkpoint fits it.
        _write_config(config, directory)
        self._delivered = 0
        self._learned = self.learner.newest()
        self._acts_since = -1  # deliveries that the acting weights have learned from
        self._episode = self._shown + self.actor.episodes
        self._last_checkpoint = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time of training so far, of all its parts: demonstrations, evaluations, starting processes."""
        return self._seconds_before + time.perf_counter() - self._started

    def run(self) -> Outcome:
        """Train until the target is reached, all steps are made, or the operator wants to stop.

        Raises:
            DivergenceError: a loss is not finite.
            LearnerError: the learner's process ended.
        """
        try:
            stopped = self._demonstrate()
            if self._others is not None:
                self._others.begin()
            while not stopped and self._evaluations.reached is None and self._step < self.config.steps:
                stopped = self._advance()
            if self._others is not None:
                self._others.dismiss()
                self._hear_others(self._others)
            if self._evaluations.reached is None and not stopped:
                self._evaluate_last()
            self._save()
            self._evaluations.keep(self._candidate())
            final = None if stopped else self._evaluations.final()
        except DivergenceError as error:
            self._tell("event", text=str(error))
            raise
        except KeyboardInterrupt:
            self._tell("event", text="stopped by Ctrl-C; go on with --resume")
            self._save()
            self._evaluations.keep(self._candidate())
            raise
        return Outcome(self._evaluations.reached, self._step, stopped, final)

    def close(self) -> None:
        """End all processes, and close the environment and the files. What was asked for is finished first."""
        self._opened.close()

    def _demonstrate(self) -> bool:
        """Have the task shown before training, as far as it was not. Returns whether the operator wants to stop."""
        config = self.config
        if self._step:
            return False
        rollouts: Iterator[Rollout]
        if self._recorded is not None:
            rollouts = itertools.islice(self._recorded, self._shown, None)
        else:
            rollouts = self._shown_by_operator(config.demo_episodes - self._shown)
        successes = number = steps = by_operator = 0
        for rollout in rollouts:
            self._deliver(rollout)
            self._shown += len(rollout.episodes)
            number, steps, by_operator = number + 1, steps + rollout.steps, by_operator + rollout.operator_steps
            successes += sum(episode.success for episode in rollout.episodes)
            if rollout.quit:
                return True
            self._save_in_time()
        if number:
            self._tell(
                "event",
                text=f"{number} demonstrations: {successes} succeed, {by_operator} of {steps} steps by an operator",
            )
        self._save()
        return False

    def _shown_by_operator(self, episodes: int) -> Iterator[Rollout]:
        resting = _Resting(self.env.actions)
        shown = 0
        while shown < episodes:
            rollout = self.actor.demonstrate(resting)
            shown += len(rollout.episodes)
            if rollout.episodes or rollout.quit:
                yield rollout

    def _advance(self) -> bool:
        """Act for a while, and see to everything else. Returns whether to stop."""
        before, wants_to_stop = self._step, False
        if self._others is None or self.env.is_human:
            wants_to_stop = self._act()
        if self._others is not None:
            self._hear_others(self._others)
        self.progress.update(self._step, self.seconds)
        if before // _LEARNING_ROWS_EVERY != self._step // _LEARNING_ROWS_EVERY and self._learned.numbers:
            self._report(self._learned)
        self._evaluations.advance(self._candidate())
        self._save_in_time()
        return self._answer_requests() or wants_to_stop

    def _act(self) -> bool:
        """Make some steps here. Returns whether the operator wants to stop."""
        config = self.config
        self._learned = self.learner.newest(deliveries=max(self._delivered - self._lag, 0))
        if self._learned.deliveries > self._acts_since:
            load_weights(self.policy, self._learned.weights)
            self._acts_since = self._learned.deliveries
        rollout = self.actor.run(self.policy, min(config.rollout_steps, config.steps - self._step))
        self._step += rollout.steps
        self._operator_steps += rollout.operator_steps
        self._deliver(rollout)
        return rollout.quit

    def _hear_others(self, others: RayActors) -> None:
        """Note what actors elsewhere did."""
        news = others.news(0.0 if self.env.is_human else _WAIT_FOR_OTHERS)
        for event in news.events:
            self._tell("event", text=event)
        for report in news.reports:
            self._step += report.steps
            self._operator_steps += report.operator_steps
            self.actor.set_episodes(self.actor.episodes + len(report.episodes))
            self._note_episodes(report.episodes)
        self._staleness = max(self._staleness, news.staleness)
        self._learned = self.learner.newest()

    def _deliver(self, rollout: Rollout) -> None:
        self.learner.deliver(rollout)
        self._delivered += 1
        self._note_episodes(rollout.episodes)

    def _note_episodes(self, episodes: Iterable[EpisodeSummary]) -> None:
        for episode in episodes:
            self._episode += 1
            judged: dict[str, Any] = {}
            if episode.simulator_success is not None:
                judged = {"simulator_success": episode.simulator_success, "misjudged": episode.misjudged}
            self._tell(
                "episode",
                episode=self._episode,
                success=episode.success,
                length=episode.length,
                operator_steps=episode.operator_steps,
                **{"return": episode.total},
                demonstration=episode.demonstration,
                **judged,
            )

    def _report(self, learned: Learned) -> None:
        values: dict[str, Any] = {
            **learned.numbers,
            "updates": learned.updates,
            "staleness": self._step - learned.steps if self._others is None else self._staleness,
            "steps_per_second": self._step / max(self.seconds, 1e-9),
            "updates_per_second": learned.updates / max(self.seconds, 1e-9),
        }
        self._staleness = 0
        self._tell("learning", **values)
        if self.env.channel is not None:
            self.env.channel.publish_metrics(values)

    def _candidate(self) -> Candidate:
        """What there is to evaluate."""
        return Candidate(self._step, self._operator_steps, self._learned.updates, self._learned.weights)

    def _evaluate_last(self) -> None:
        """Decide about what was learned, when it ends without the target reached."""
        self._evaluations.finish()
        if self._evaluations.reached is None and self._step:
            self._learned = self.learner.newest(deliveries=self._delivered)
            self._evaluations.decide(self._candidate())

    def _save_in_time(self) -> None:
        """Have a checkpoint written if the last one is old."""
        if time.perf_counter() - self._last_checkpoint > self.config.checkpoint_seconds:
            self._save()

    def _save(self) -> None:
        """Have a checkpoint written."""
        self._last_checkpoint = time.perf_counter()
        state = {
            "operator_steps": self._operator_steps,
            "shown": self._shown,
            "seconds": self.seconds,
            "actor": self.actor.state_dict(),
            "torch": torch.get_rng_state().tolist(),
        }
        self.learner.save(self.directory, self._step, state)
        self.progress.checkpoint(f"at step {self._step}")

    def _answer_requests(self) -> bool:
        """Do what was asked for on the console. Returns whether to stop."""
        asked = [] if self.env.channel is None else self.env.channel.take_requests()
        if "save" in asked:
            self._save()
            self.env.channel.log_event("training", f"checkpoint at step {self._step}")
        if "stop" in asked:
            self._tell("event", text="stopped on the console; go on with --resume")
        return "stop" in asked

    def _tell(self, kind: str, at: int | None = None, /, **values: Any) -> float:
        step, seconds = self._step if at is None else at, self.seconds
        self._log.write(kind, step, seconds, **values)
        self.progress.write(kind, step, seconds, **values)
        return seconds


def _find_checkpoint(directory: Path, *, resume: bool) -> Path | None:
    """See whether a run can be there. Returns the checkpoint to go on from, if there is one."""
    there = (directory / CONFIG_FILE).is_file()
    if resume and not there:
        raise CheckpointError(f"There is no run to resume in {directory}: it has no {CONFIG_FILE}.")
    if there and not resume:
        raise CheckpointError(f"{directory} holds a run already. Go on with --resume, or choose another --out.")
    found = checkpoints(directory)
    return found[-1] if resume and found else None


def _write_config(config: TrainConfig, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = directory / f".{CONFIG_FILE}"
    unfinished.write_text(json.dumps(to_dict(config), indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, directory / CONFIG_FILE)
