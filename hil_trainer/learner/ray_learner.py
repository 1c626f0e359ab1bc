"""The learner on Ray, where it is started again from the newest checkpoint when it dies."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from gym_hil.errors import ConfigurationError
from hil_trainer.errors import LearnerError
from hil_trainer.learner.learner import LearnerSetup
from hil_trainer.learner.link import Link
from hil_trainer.learner.process import Learned
from hil_trainer.learner.ray_cluster import Cluster, exchange_with
from hil_trainer.learner.server import NONE_YET, Account, LearnerServer, Report
from hil_trainer.rollout.actor import Rollout

TRAINER = "trainer"
SILENT = 15.0  # s, after which an actor that says nothing is missed
_THREADS = 64  # of the learner's, besides those that actors wait in
_LOOK_EVERY = 0.1  # s
_ASK_EVERY = 0.05  # s; more often would take a third of a core from those who act and learn
_SECONDS_TO_END = 120.0  # a checkpoint with many images takes a while


class LearnerHost(LearnerServer):
    """What Ray runs, and runs again when it dies; see `LearnerServer`."""

    def __init__(self, setup: LearnerSetup, directory: str, *, resume: bool):
        import ray

        again = ray.get_runtime_context().was_current_actor_reconstructed
        super().__init__(setup, directory, resume=resume or again)


class News(NamedTuple):
    """What happened elsewhere.

    Attributes:
        reports: what other actors did.
        events: in words.
        staleness: steps by which weights were behind when what they did came in; the most.
    """

    reports: list[Report]
    events: list[str]
    staleness: int


class RayLearner:
    """A learner on Ray, as the process sees it that looks after the run.

    What this process delivers is kept until a checkpoint has it, and delivered again to a learner that was started
    anew. What other actors delivered since the checkpoint is lost then.

    Args:
        cluster: where to run it.
        setup: see `LearnerSetup`.
        directory: of the run.
        resume: go on from the newest checkpoint there.

    Attributes:
        host: handle of the learner, for actors.

    Raises:
        LearnerError: it does not start.
        ConfigurationError: another run has this name.
    """

    def __init__(self, cluster: Cluster, setup: LearnerSetup, directory: Path, *, resume: bool):
        self._ray, config = cluster.ray, setup.config
        directory.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {
            "name": directory.resolve().name,
            "num_cpus": 0,
            "num_gpus": 1 if config.device != "cpu" and cluster.gpus() else 0,
            "max_restarts": -1,
            "max_concurrency": config.ray.actors + _THREADS,
            **cluster.here(),
        }
        try:
            host = self._ray.remote(LearnerHost).options(**options)
            self.host = host.remote(setup, str(directory.resolve()), resume=resume)
        except ValueError as error:
            raise ConfigurationError(
                f"A run named {options['name']} is being trained on this Ray. Choose another folder for --out."
            ) from error
        self._account: Account | None = None
        self._learned = Learned(0, 0, 0, {}, {})
        self._asked: Any = None
        self._next_asked = time.monotonic()
        self._seen = 0  # number of the newest report
        self._reports: list[Report] = []
        self._events: list[str] = []
        self._staleness = 0
        self._present: dict[str, bool] = {}  # whether an actor is heard of
        self._forgotten: set[str] = set()  # until the learner has forgotten them, too
        self._answers = True
        self._begun = self._dismissed = self._closed = False
        self._delivered = 0
        self._link: Link | None = None
        self._unsaved: dict[int, tuple[Rollout, str]] = {}  # what was delivered -> with the life of the learner
        self._forgiven = -1  # number of a delivery; a learner that was started anew knows none up to it
        self._save_number = -1
        self._save_pending: tuple[int, dict[str, Any], list[int]] | None = None
        while self._account is None:
            self._look(_LOOK_EVERY)

    def deliver(self, rollout: Rollout) -> None:
        """See `LearnerHandle.deliver`."""
        self._delivered += 1
        if self._link is None:
            exchange = exchange_with(self._ray, self.host)
            self._link = Link(TRAINER, exchange, waits=False, wants_weights=False, taken=self._note_taken)
        self._link.deliver(rollout)

    def newest(self, *, deliveries: int = 0) -> Learned:
        """See `LearnerHandle.newest`.

        Raises:
            LearnerError: the learner has ended for good.
            DivergenceError: a loss was not finite.
        """
        self._look(0)
        while self._known < deliveries:
            self._look(_LOOK_EVERY)
        return self._learned._replace(deliveries=self._known)

    def news(self, wait: float) -> News:
        """What others did since this was asked last.

        Args:
            wait: s; at most so long, if nothing did.
        """
        self._look(wait)
        news = News(self._reports, self._events, self._staleness)
        self._reports, self._events, self._staleness = [], [], 0
        return news

    def begin(self) -> None:
        """Let actors act."""
        self._begun = True
        self.host.begin.remote()

    def forget(self, actor: str) -> None:
        """Do not miss an actor that has died."""
        self._present.pop(actor, None)
        self._forgotten.add(actor)
        self.host.leave.remote(actor)

    def dismiss(self) -> None:
        """Send actors home."""
        self._dismissed = True
        self.host.dismiss.remote()

    def save(self, directory: Path, step: int, run: dict[str, Any]) -> None:
        """See `LearnerHandle.save`."""
        # What has been taken comes before the checkpoint. What is under way may come after, and is kept.
        saved = [] if self._save_pending is None else self._save_pending[2]
        self._save_number += 1
        self._save_pending = (step, run, [*saved, *self._unsaved])
        self.host.save.remote(self._save_number, step, run)

    def close(self) -> None:
        """See `LearnerHandle.close`.

        Raises:
            LearnerError: the last checkpoint was not written in time, or the learner has ended for good.
            HilTrainerError: something else went wrong.
        """
        if self._closed:
            return
        self._closed = True
        deadline = time.monotonic() + _SECONDS_TO_END
        try:
            while self._save_pending is not None and not self._failed and time.monotonic() < deadline:
                self._look(_LOOK_EVERY)
        finally:
            if self._link is not None:
                self._link.close()
            self._ray.kill(self.host)
        if self._save_pending is not None and not self._failed:
            raise LearnerError(
                f"The learner did not end within {_SECONDS_TO_END:.0f} s. Its last checkpoint may be missing; the one "
                "before is kept."
            )

    @property
    def _failed(self) -> bool:
        return self._account is not None and self._account.error is not None

    @property
    def _known(self) -> int:
        """How many deliveries are learned from, or were lost with a learner."""
        if self._link is None or self._account is None:
            return self._delivered
        return self._delivered - (self._link.sent - max(self._account.taken, self._forgiven))

    def _note_taken(self, number: int, rollout: Rollout, life: str) -> None:
        self._unsaved[number] = (rollout, life)

    def _look(self, wait: float) -> None:
        """Ask how learning goes, and take in the answer if there is one by then."""
        if self._asked is None:
            early = max(self._next_asked - time.monotonic(), 0.0)
            time.sleep(min(early, wait))
            if early > wait:
                return
            wait -= early
            self._next_asked = time.monotonic() + _ASK_EVERY
            knows = NONE_YET if self._account is None else self._account.version
            self._asked = self.host.account.remote(TRAINER, knows, self._seen)
        ready, _ = self._ray.wait([self._asked], timeout=wait)
        if not ready:
            return
        asked, self._asked = self._asked, None
        errors = self._ray.exceptions
        try:
            account: Account = self._ray.get(asked)
        except errors.ActorUnavailableError:
            if self._answers:
                self._events.append("the learner does not answer; if it has ended, it is started again")
            self._answers = False
        except errors.RayActorError as error:
            told = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise LearnerError(f"The learner on Ray ended for good: {told[-1] if told else error!r}") from error
        else:
            self._answers = True
            self._take_in(account)

    def _take_in(self, account: Account) -> None:
        before, self._account = self._account, account
        is_new = before is not None and before.version[0] != account.version[0]
        if account.error is not None:
            raise account.error
        weights = self._learned.weights if account.weights is None else account.weights
        self._learned = Learned(0, account.steps, account.updates, weights, account.numbers)
        self._staleness = max(self._staleness, account.staleness)
        self._seen = max((number for number, _ in account.reports), default=0 if is_new else self._seen)
        self._reports += [report for _, report in account.reports if report.actor != TRAINER]
        if before is not None and is_new:
            self._start_over(account, before.version[0])
        elif self._save_pending is not None and account.saved >= self._save_number:
            for number in self._save_pending[2]:
                self._unsaved.pop(number, None)
            self._save_pending = None
        self._look_around(account)

    def _start_over(self, account: Account, former: str) -> None:
        """Give a learner that was started anew what the former one took with it."""
        self._forgotten.clear()
        source = "nothing" if account.checkpoint is None else account.checkpoint
        self._events.append(f"the learner was started again from {source}; actors go on")
        if self._link is not None:
            self._forgiven = self._link.sent
            for number, (rollout, life) in list(self._unsaved.items()):
                if life == former:
                    del self._unsaved[number]
                    self._link.deliver(rollout)
        if self._begun:
            self.host.begin.remote()
        if self._dismissed:
            self.host.dismiss.remote()
        if self._save_pending is not None:
            step, run, _ = self._save_pending
            self._save_pending = (step, run, [])
            self.host.save.remote(self._save_number, step, run)

    def _look_around(self, account: Account) -> None:
        """Note who came, who went, and who says nothing."""
        for _, report in account.reports:
            if not report.leaves:
                continue
            if report.actor in self._forgotten:
                self._forgotten.remove(report.actor)
            elif self._present.pop(report.actor, None) is not None and not self._dismissed:
                self._events.append(f"{report.actor} has left")
        for actor, seconds in account.silent.items():
            if actor == TRAINER or actor in self._forgotten:
                continue
            heard = seconds < SILENT
            if actor not in self._present:
                self._events.append(f"{actor} has joined")
            elif self._present[actor] and not heard:
                self._events.append(f"{actor} has not been heard of for {seconds:.0f} s")
            elif heard and not self._present[actor]:
                self._events.append(f"{actor} is back")
            self._present[actor] = heard
