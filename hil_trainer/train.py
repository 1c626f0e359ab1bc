"""A training run: demonstrate, act, learn, evaluate and save, until the policy is good enough."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from gym_hil.errors import ConfigurationError
from gym_hil.files import atomic_write
from gym_hil.teleop.session import Choice, OperatorSession
from hil_trainer.agents.agent import help_after
from hil_trainer.agents.policy import load_weights
from hil_trainer.checkpoints import checkpoints, read_run_state
from hil_trainer.config import CONFIG_FILE, TrainConfig, to_dict
from hil_trainer.data.demonstrations import read_demonstrations
from hil_trainer.data.transitions import EpisodeSummary, Rollout
from hil_trainer.errors import CheckpointError, DivergenceError
from hil_trainer.learner.device import find_device
from hil_trainer.learner.learner import LearnerSetup
from hil_trainer.learner.process import ProcessLearner
from hil_trainer.logging.metrics import MetricsLog, Milestone, ResumePoint, read_metrics
from hil_trainer.logging.status import TrainingStatus
from hil_trainer.rollout.actor import Actor
from hil_trainer.rollout.env import RolloutEnv, make_envs
from hil_trainer.rollout.evaluation import Evaluation
from hil_trainer.rollout.run_evaluations import Candidate, RunEvaluations

if TYPE_CHECKING:
    from hil_trainer.rollout.ray_actors import RayActors

MAX_LAG = 20  # rollouts, by which the acting policy may be behind the learner's rollouts in real time
_OFFLINE_STEPS = 50  # between two messages to the learner
_LOG_EVERY = 100  # steps between two rows of losses
_REPORTS_TIMEOUT = 0.1  # s, for actors elsewhere
_REQUESTS = ("save", "stop")  # that the web console can send


class Outcome(NamedTuple):
    """How a run ended."""

    reached: Milestone | None  # when the target was reached; None if it was not
    steps: int  # of training
    stopped: bool  # whether the operator stopped it
    final: Evaluation | None = None  # evaluation of the exported policy on held-out seeds; None if the run was stopped


class Training:
    """One run, in one directory.

    Args:
        config: settings.
        directory: where everything is written.
        resume: go on from the newest checkpoint in it.
        progress: shows the run at the terminal.

    Raises:
        CheckpointError: the directory holds a run already, or none to resume.
        GymHilError: something is wrong with the configuration, the demonstrations or the learner.
    """

    _sent: int  # rollouts
    _policy_rollouts: int  # that the acting policy has learned from
    _staleness: int  # steps that the policies of actors on Ray were behind, at most

    def __init__(
        self, config: TrainConfig, directory: Path, *, resume: bool = False, progress: TrainingStatus | None = None
    ):
        self._started = time.perf_counter()
        self.config, self.directory = config, directory
        find_device(config.device)
        checkpoint = _find_checkpoint(directory, resume=resume)
        state: dict[str, Any] = {"step": 0} if checkpoint is None else read_run_state(checkpoint)
        self._step, self._operator_steps = state["step"], state.get("operator_steps", 0)
        self._offline_steps = state.get("offline_steps", min(self._step, config.offline_steps))
        self._demonstrations = state.get("demonstrations", 0)
        self._demonstrated: list[int] = state.get("demonstrated", [])  # steps of successful demonstrations
        self._seconds_before = state.get("seconds", 0.0)
        self._stopped = False
        self.progress = TrainingStatus() if progress is None else progress
        point = ResumePoint(-1, 0) if resume else None  # without a checkpoint it begins anew; no metrics count
        if checkpoint is not None:
            point = ResumePoint(self._step, self._demonstrations + state["actor"]["episodes"])
            rows = [row for row in read_metrics(directory) if point.covers(row)]
            # An evaluation that ended after the checkpoint is kept.
            self._seconds_before = max(self._seconds_before, *(row["seconds"] for row in rows), 0.0)
            self.progress.restore(rows)
        torch.set_num_threads(1)
        torch.manual_seed(config.seed + 1)
        with ExitStack() as resources:
            self._start(resources, checkpoint, state, point)
            self._resources = resources.pop_all()
        if checkpoint is not None:
            self._log("event", text=f"resumed from {checkpoint.relative_to(directory)}")
        if self._actors is not None:
            self._log("event", text=self._actors.summary)
        if self.env.channel is not None:
            self.env.channel.set_requests(_REQUESTS)
            self.env.channel.set_session(activity="training")
            self.env.channel.farewell = "Training has ended"

    def run(self) -> Outcome:
        """Train until the target is reached, all steps are made, or the operator stops it.

        Raises:
            DivergenceError: a loss is not finite.
            LearnerError: the learner's process ended.
        """
        try:
            self._demonstrate()
            self._learn_offline()
            if self._actors is not None:
                self._actors.start()
            while not self._stopped and self._evaluations.reached is None and self._step < self._last_step:
                step_before = self._step
                self._act()
                self._report(step_before)
                self._evaluations.advance(self._candidate())
                self._save_if_due()
                self._handle_requests()
            if self._actors is not None:
                self._actors.stop()
                self._collect_reports()
            self._evaluate_last()
            self._save()
            self._evaluations.keep(self._candidate())
            final = None if self._stopped else self._evaluations.final()
        except DivergenceError as error:
            self._log("event", text=str(error))
            raise
        except KeyboardInterrupt:
            self._log("event", text="stopped by Ctrl-C; go on with --resume")
            self._save()
            self._evaluations.keep(self._candidate())
            raise
        return Outcome(self._evaluations.reached, self._step, self._stopped, final)

    def _demonstrate(self) -> None:
        """Send the demonstrations that are still missing to the learner: of a dataset, or of the operator."""
        if self._step:
            return
        rollouts: Iterator[Rollout]
        if self._dataset is not None:
            rollouts = itertools.islice(self._dataset, self._demonstrations, None)
        else:
            missing = self.config.demo_episodes - self._demonstrations
            rollouts = itertools.islice(self._operator_demonstrations(), max(missing, 0))
        number = successes = steps = operator_steps = 0
        for rollout in rollouts:
            self._send(rollout)
            self._demonstrations += len(rollout.episodes)
            self._demonstrated += [episode.length for episode in rollout.episodes if episode.success]
            number, steps, operator_steps = number + 1, steps + rollout.steps, operator_steps + rollout.operator_steps
            successes += sum(episode.success for episode in rollout.episodes)
            if self._stopped:
                return
            self._save_if_due()
        if self.env.channel is not None:
            self.env.channel.set_session(activity="training")
        if number:
            self._log(
                "event",
                text=f"{number} demonstrations: {successes} succeed, {operator_steps} of {steps} steps by an operator",
            )
        self._save()

    def _learn_offline(self) -> None:
        """Learn from the demonstrations before the policy acts, and evaluate what was learned."""
        end = self.config.offline_steps
        if not end or self._offline_steps > end or self._step > self._offline_steps:
            return
        nothing = self.actor.run(self.policy.plans, 0)
        while not self._stopped and self._offline_steps < end:
            step_before = self._step
            steps = min(_OFFLINE_STEPS, end - self._offline_steps)
            self._step += steps
            self._offline_steps += steps
            self._send(nothing._replace(steps=steps, offline=True))
            self._snapshot = self.learner.snapshot(rollouts=max(self._sent - self._max_lag, 0))
            self._report(step_before)
            self._save_if_due()
            self._handle_requests()
        if not self._stopped:
            self._snapshot = self.learner.snapshot(rollouts=self._sent)
            while self._snapshot.env_steps < self._step:  # in real time the learner may be behind
                time.sleep(0.05)
                self._snapshot = self.learner.snapshot()
            self._save()
            self._evaluations.decide(self._candidate())

    def _report(self, step_before: int) -> None:
        """Show progress, and log it now and then."""
        self._collect_reports()
        if self._step // _LOG_EVERY != step_before // _LOG_EVERY:
            self._log_learning()

    def _operator_demonstrations(self) -> Iterator[Rollout]:
        """Demonstrations without those that the operator discards, or does not drive; a human is waited for."""
        session = OperatorSession(
            self.env.env, self.progress.line, activity="training", has_policy=False, episodes=self.config.demo_episodes
        )

        def wait() -> bool:
            chosen = session.wait_until_ready()
            session.run()
            return chosen is not Choice.QUIT

        while True:
            session.prepare(self._demonstrations + 1)
            rollout = self.actor.demonstrate(wait if self.env.is_human else None)
            if rollout.quit or (rollout.episodes and (rollout.operator_steps or not self.env.is_human)):
                yield rollout
            elif rollout.episodes:
                session.note_undriven()
                self.progress.print("a demonstration is not kept, as the operator did not drive")

    def _act(self) -> None:
        """Make some steps with the learner's newest policy, and send them; unless only actors on Ray act."""
        if self._actors is not None and not self.env.is_human:
            return
        self._snapshot = self.learner.snapshot(rollouts=max(self._sent - self._max_lag, 0))
        if self._snapshot.rollouts > self._policy_rollouts:
            load_weights(self.policy, self._snapshot.weights)
            self._policy_rollouts = self._snapshot.rollouts
        if self.config.operator.ask:
            self.actor.help_after = help_after([*self._demonstrated, *self._evaluations.successful_lengths])
        rollout = self.actor.run(self.policy.plans, min(self.config.rollout_steps, self._last_step - self._step))
        self._step += rollout.steps
        self._operator_steps += rollout.operator_steps
        self._send(rollout)

    def _send(self, rollout: Rollout) -> None:
        self.learner.send(rollout)
        self._sent += 1
        self._stopped = self._stopped or rollout.quit
        self._log_episodes(rollout.episodes)

    def _collect_reports(self) -> None:
        """Count the steps of the actors on Ray, and show progress."""
        if self._actors is not None:
            reports = self._actors.reports(0.0 if self.env.is_human else _REPORTS_TIMEOUT)
            for event in reports.events:
                self._log("event", text=event)
            self._step += reports.steps
            self._operator_steps += reports.operator_steps
            self.actor.set_episodes(self.actor.episodes + len(reports.episodes))
            self._log_episodes(reports.episodes)
            self._staleness = max(self._staleness, reports.staleness)
            self._snapshot = self.learner.snapshot()
        self.progress.update(self._step, self.seconds, asks_for_help=self.env.asks_for_help)

    def _evaluate_last(self) -> None:
        """Evaluate what was learned in full, when the training ends without having reached its target."""
        if self._evaluations.reached is not None or self._stopped or self._step == self._offline_steps > 0:
            return
        self._evaluations.finish()
        if self._evaluations.reached is None and self._step:
            self._snapshot = self.learner.snapshot(rollouts=self._sent)
            self._evaluations.decide(self._candidate())

    def _candidate(self) -> Candidate:
        return Candidate(self._step, self._operator_steps, self._snapshot.updates, self._snapshot.weights)

    def _save_if_due(self) -> None:
        if time.perf_counter() - self._last_checkpoint > self.config.checkpoint_seconds:
            self._save()

    def _save(self) -> None:
        """Ask the learner for a checkpoint."""
        self._last_checkpoint = time.perf_counter()
        state = {
            "operator_steps": self._operator_steps,
            "offline_steps": self._offline_steps,
            "demonstrations": self._demonstrations,
            "demonstrated": self._demonstrated,
            "seconds": self.seconds,
            "actor": self.actor.state_dict(),
            "torch": torch.get_rng_state().tolist(),
        }
        self.learner.save(self._step, state)
        self.progress.checkpoint(f"at step {self._step}")

    def _handle_requests(self) -> None:
        """Do what the web console asks for."""
        requests = [] if self.env.channel is None else self.env.channel.take_requests()
        if "save" in requests:
            self._save()
            self.env.channel.log_event("training", f"checkpoint at step {self._step}")
        if "stop" in requests:
            self._log("event", text="stopped on the console; go on with --resume")
            self._stopped = True

    @property
    def _last_step(self) -> int:
        return self._offline_steps + self.config.steps

    @property
    def seconds(self) -> float:
        """Wall time of the training so far, of all its parts: demonstrations, evaluations, starting processes."""
        return self._seconds_before + time.perf_counter() - self._started

    def _log_learning(self) -> None:
        snapshot = self._snapshot
        if not snapshot.metrics:
            return
        values: dict[str, Any] = {
            **snapshot.metrics,
            "updates": snapshot.updates,
            "staleness": self._step - snapshot.env_steps if self._actors is None else self._staleness,
            "steps_per_second": self._step / max(self.seconds, 1e-9),
            "updates_per_second": snapshot.updates / max(self.seconds, 1e-9),
        }
        self._staleness = 0
        self._log("learning", **values)
        if self.env.channel is not None:
            self.env.channel.publish_metrics(values)

    def _log_episodes(self, episodes: Iterable[EpisodeSummary]) -> None:
        for episode in episodes:
            self._episode += 1
            values = {name: value for name, value in episode._asdict().items() if value is not None}
            self._log("episode", episode=self._episode, **{"return": values.pop("total")}, **values)

    def _log(self, kind: str, at: int | None = None, /, **values: Any) -> float:
        """Write a row of metrics for the current step, or an earlier one. Returns the row's seconds."""
        step, seconds = self._step if at is None else at, self.seconds
        self._metrics.write(kind, step, seconds, **values)
        self.progress.write(kind, step, seconds, **values)
        return seconds

    def close(self) -> None:
        """End all processes once what was asked for is done, and close the environment and the files."""
        self._resources.close()

    def _start(
        self, resources: ExitStack, checkpoint: Path | None, state: dict[str, Any], point: ResumePoint | None
    ) -> None:
        """Start the environment, the log, the actor, the evaluations and the learner; `resources` closes them."""
        config = self.config
        resources.callback(self.progress.close)
        # On Ray the actors have several, and here is a human's, or one to look at.
        self._envs = make_envs(config, config.num_envs if config.ray.address is None else 1)
        resources.callback(self._envs.close)
        self.env = self._envs[0]
        loggers: dict[str, Any] = {"tensorboard": config.tensorboard, "wandb": config.wandb}
        self._metrics = MetricsLog(self.directory, **loggers, config=to_dict(config), resume=point)
        resources.callback(self._metrics.close)
        _check_chunk_size(config, self.env)
        seed, in_chunks = np.random.SeedSequence(config.seed), config.chunk_size > 1
        self.actor = Actor(self._envs, **config.returns, seed=seed, whole_episodes=in_chunks)
        self._dataset: Iterator[Rollout] | None = None
        if config.demo_dataset is not None and not self._step:
            self._dataset = read_demonstrations(
                config.demo_dataset,
                self.env.layout,
                action_scale=self.env.action_scale,
                **config.returns,
                encoder=self.env.encoder,
                chunk_size=config.chunk_size,
            )
        setup = LearnerSetup(config, self.env.layout, self.env.actions)
        self.policy = setup.shape.make_policy().eval()
        if checkpoint is not None:
            self.actor.load_state_dict(state["actor"])
            # Not before the policy's initial weights are drawn: what is drawn next are actions.
            torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
        self._evaluations = RunEvaluations(
            config,
            self.directory,
            self.env,
            self.policy,
            step=self._step,
            resume=point is not None,
            log=self._log,
            progress=self.progress,
        )
        resources.callback(self._evaluations.close)
        self._start_learner(resources, setup, checkpoint)
        # Only once it is known that this can be learned, and that a checkpoint fits.
        self.directory.mkdir(parents=True, exist_ok=True)
        atomic_write(self.directory / CONFIG_FILE, json.dumps(to_dict(config), indent=2) + "\n")
        self._snapshot = self.learner.snapshot()
        self._sent, self._policy_rollouts, self._staleness = 0, -1, 0
        self._episode = self._demonstrations + self.actor.episodes
        self._last_checkpoint = time.perf_counter()

    def _start_learner(self, resources: ExitStack, setup: LearnerSetup, checkpoint: Path | None) -> None:
        self._actors: RayActors | None = None
        self.learner: ProcessLearner | RayActors
        if self.config.ray.address is None:
            real_time = self.env.in_real_time
            self._max_lag = MAX_LAG if real_time else 1
            self.learner = ProcessLearner(
                setup, self.directory, lockstep=not real_time, checkpoint=checkpoint, env_steps=self._step
            )
            resources.callback(self.learner.close)
        else:
            from hil_trainer.rollout.ray_actors import MAX_PENDING, RayActors

            self.learner = self._actors = RayActors(setup, self.directory, resume=checkpoint is not None)
            self._max_lag = MAX_PENDING  # an operator never waits for a learner that is started again
            resources.callback(self._actors.close)


def _check_chunk_size(config: TrainConfig, env: RolloutEnv) -> None:
    episode = None if env.env.spec is None else env.env.spec.max_episode_steps
    if episode is not None and config.chunk_size > episode:
        raise ConfigurationError(
            f"chunk_size is {config.chunk_size}, but an episode of {config.env.task} has at most {episode} steps; "
            f"choose a smaller --{config.group}.chunk-size."
        )


def _find_checkpoint(directory: Path, *, resume: bool) -> Path | None:
    """The checkpoint to go on from, if there is one; refuses a directory in which the run cannot be."""
    exists = (directory / CONFIG_FILE).is_file()
    if resume and not exists:
        raise CheckpointError(f"There is no run to resume in {directory}: it has no {CONFIG_FILE}.")
    if exists and not resume:
        raise CheckpointError(f"{directory} holds a run already. Go on with --resume, or choose another --out.")
    found = checkpoints(directory)
    return found[-1] if resume and found else None
