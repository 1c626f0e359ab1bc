"""A learner that many actors share: it takes what they did as it comes, and tells each when and how to go on."""

from __future__ import annotations

import platform
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hil_trainer.checkpoints import checkpoints, read_learner_state, read_run_state, save_checkpoint
from hil_trainer.errors import HilTrainerError, LearnerError
from hil_trainer.learner.learner import Learner, LearnerSetup, Weights
from hil_trainer.learner.process import DEBT, TELL_EVERY
from hil_trainer.rollout.actor import EpisodeSummary, Rollout

_PATIENCE = 1.0  # s, after which an actor that has to wait is answered anyway, and asks again
Version = tuple[str, int]
_NO_NUMBERS: dict[str, float] = {}
NONE_YET: Version = ("", -1)


class Delivery(NamedTuple):
    """What an actor says to the learner.

    Attributes:
        actor: its name.
        link: another one for each connection; an actor that takes the place of one that has died begins anew.
        number: counts the deliveries of a link, so that one that comes twice is taken once.
        rollout: what happened; None only asks for orders.
        acted_with: steps that the weights that acted had learned from.
        knows: the weights that the actor has; None if it wants none.
        waits: whether it waits while the learner is behind. An operator does not.
    """

    actor: str
    link: str
    number: int
    rollout: Rollout | None
    acted_with: int
    knows: Version | None
    waits: bool


class Order(NamedTuple):
    """What the learner says to an actor.

    Attributes:
        version: of the newest weights.
        weights: these; None if the actor has them.
        learned: steps that they have learned from.
        episodes: of all actors together, demonstrations not counted.
        go: whether to act now; otherwise ask again.
        over: training has ended.
    """

    version: Version
    weights: Weights | None
    learned: int
    episodes: int
    go: bool
    over: bool

    @property
    def life(self) -> str:
        """Changes when the learner is started again."""
        return self.version[0]


class Report(NamedTuple):
    """What an actor delivered, in numbers.

    Attributes:
        actor: its name.
        steps: of the environment, demonstrations not counted.
        operator_steps: of these, an operator's.
        episodes: that ended.
        leaves: whether it was the last.
    """

    actor: str
    steps: int
    operator_steps: int
    episodes: list[EpisodeSummary]
    leaves: bool = False


class Account(NamedTuple):
    """How learning goes, for the one who looks after it.

    Attributes:
        version: of the newest weights.
        weights: these; None if they are known.
        checkpoint: that learning went on from; None if it began anew.
        taken: number of the newest delivery, of the one who asks, that is learned from.
        steps: learned from.
        updates: of the critics.
        numbers: the newest losses and values.
        staleness: steps by which weights were behind, when what they did came in: the most since the last account.
        reports: of what came in, each with a number.
        saved: number of the newest checkpoint that is on the disk.
        error: that ended learning.
        silent: actor -> s since it was last heard of.
    """

    version: Version
    weights: Weights | None
    checkpoint: str | None
    taken: int
    steps: int
    updates: int
    numbers: dict[str, float]
    staleness: int
    reports: list[tuple[int, Report]]
    saved: int
    error: Exception | None
    silent: dict[str, float]


class LearnerServer:
    """Learns in a thread of its own; its methods may be called from many.

    Actors wait while more is owed than one delivery of each, if the configuration says so. Then weights are never
    further behind than three deliveries of each actor and what is learned between two publications, unless an actor is
    cut off in between. Otherwise, and for an operator, who never waits, the learner leaves out what it owes beyond
    `DEBT` steps.

    Args:
        setup: see `LearnerSetup`.
        directory: of the run.
        resume: go on from the newest checkpoint there.

    Raises:
        LearnerError: the directory is not on this machine.
        CheckpointError: the checkpoint is damaged.
    """

    def __init__(self, setup: LearnerSetup, directory: str, *, resume: bool):
        self.setup = setup
        self._directory = Path(directory)
        if not self._directory.is_dir():
            raise LearnerError(
                f"The learner runs on {platform.node()}, where {directory} is not. Start the training there, or "
                "choose a folder for --out that both machines see."
            )
        self._learner = Learner(setup)
        found = checkpoints(self._directory) if resume else []
        self._checkpoint = found[-1] if found else None
        self._learned = self._episodes = 0
        if self._checkpoint is not None:
            self._learner.load_state_dict(read_learner_state(self._checkpoint))
            state = read_run_state(self._checkpoint)
            self._learned, self._episodes = state["step"], state["actor"]["episodes"]
        self._received = self._learned
        self._left_out = 0
        self._behind = setup.config.rollout_steps * max(setup.config.ray.actors, 1)
        self._changed = threading.Condition()
        self._inbox: list[Callable[[], None]] = []
        self._accepted: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._heard: dict[str, float] = {}
        self._reports: list[tuple[int, Report]] = []
        self._reported = self._staleness = 0
        self._saved = -1
        self._begun = self._dismissed = self._ending = False
        self._error: Exception | None = None
        self._life, self._version = uuid.uuid4().hex, 0
        self._published = (self._learned, self._learner.updates, self._learner.weights(), _NO_NUMBERS)
        self._untold = 0
        self._thread = threading.Thread(target=self._work, name="hil-learner", daemon=True)
        self._thread.start()

    def describe(self) -> LearnerSetup:
        """What is trained, for an actor that joins."""
        return self.setup

    def begin(self) -> None:
        """Let actors act."""
        with self._changed:
            self._begun = True
            self._changed.notify_all()

    def exchange(self, delivery: Delivery) -> Order:
        """Take what an actor did, and tell it how to go on: later, if it is to wait."""
        with self._changed:
            self._heard[delivery.actor] = time.monotonic()
            if delivery.rollout is not None and delivery.number > self._accepted.get(delivery.link, -1):
                self._accept(delivery, delivery.rollout)
            if delivery.waits:
                self._changed.wait_for(self._may_go, timeout=_PATIENCE)
            version = (self._life, self._version)
            learned, _, weights, _ = self._published
            return Order(
                version,
                None if delivery.knows in (None, version) else weights,
                learned,
                self._episodes,
                go=self._may_go() if delivery.waits else self._begun and not self._is_over(),
                over=self._is_over(),
            )

    def leave(self, actor: str) -> None:
        """An actor goes, and will not be missed."""
        with self._changed:
            self._heard.pop(actor, None)
            self._report(Report(actor, 0, 0, [], leaves=True))

    def account(self, actor: str, knows: Version, obs: int) -> Account:
        """Tell how learning goes.

        Args:
            actor: who asks.
            knows: the weights that it has.
            obs: the number of the newest report that it has; it is not told again.
        """
        with self._changed:
            if knows[0] != self._life:
                obs = 0  # of reports that an earlier learner gave
            self._reports = [entry for entry in self._reports if entry[0] > obs]
            staleness, self._staleness = self._staleness, 0
            steps, updates, weights, numbers = self._published
            version, now = (self._life, self._version), time.monotonic()
            return Account(
                version,
                None if knows == version else weights,
                None if self._checkpoint is None else self._checkpoint.name,
                self._taken.get(actor, -1),
                steps,
                updates,
                numbers,
                staleness,
                list(self._reports),
                self._saved,
                self._error,
                {name: now - heard for name, heard in self._heard.items()},
            )

    def save(self, number: int, step: int, run: dict[str, Any]) -> None:
        """Have a checkpoint written.

        Args:
            number: to know it by.
            step: of training.
            run: everything but the learner's state.
        """

        def write() -> None:
            save_checkpoint(self._directory, step, self._learner.state_dict(), run)
            self._saved = max(self._saved, number)

        self._put(write)

    def dismiss(self) -> None:
        """Send all actors home. What came in is learned from, and checkpoints are written as before."""
        with self._changed:
            self._dismissed = True
            self._changed.notify_all()

    def close(self) -> None:
        """Send all actors home, write the checkpoints that were asked for, and stop learning."""
        with self._changed:
            self._dismissed = self._ending = True
            self._changed.notify_all()
        self._thread.join()

    def _put(self, order: Callable[[], None]) -> None:
        with self._changed:
            self._inbox.append(order)
            self._changed.notify_all()

    def _accept(self, delivery: Delivery, rollout: Rollout) -> None:
        self._accepted[delivery.link] = delivery.number
        steps = 0 if rollout.demonstration else rollout.steps
        if steps:
            self._staleness = max(self._staleness, self._received - delivery.acted_with)
            self._received += steps
            self._episodes += len(rollout.episodes)
        config = self.setup.config
        if not (delivery.waits and config.ray.wait):
            self._left_out = max(self._left_out, self._received - self._learned - max(DEBT, self._behind))
        self._report(Report(delivery.actor, steps, rollout.operator_steps if steps else 0, rollout.episodes))

        def take() -> None:
            self._learner.take(rollout)
            self._taken[delivery.actor] = delivery.number

        self._inbox.append(take)
        self._changed.notify_all()

    def _report(self, report: Report) -> None:
        self._reported += 1
        self._reports.append((self._reported, report))

    @property
    def _owed(self) -> int:
        return self._received - self._learned - self._left_out

    def _is_over(self) -> bool:
        return self._dismissed or self._error is not None

    def _may_go(self) -> bool:
        config = self.setup.config
        if self._is_over():
            return False
        in_step = self._owed <= self._behind or not config.ray.wait
        return self._begun and in_step and self._received < config.steps

    def _work(self) -> None:
        """What the thread does."""
        try:
            while self._work_a_little():
                pass
        except HilTrainerError as error:
            self._fail(error)
        except Exception as error:
            self._fail(LearnerError(f"The learner failed: {error!r}. Go on with --resume once that is mended."))

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _work_a_little(self) -> bool:
        """Do what came in, and learn as much as one step is worth. Returns whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: self._inbox or self._owed > 0 or self._ending)
            inbox, self._inbox = self._inbox, []
            if self._ending and not inbox:
                return False
            learns = self._owed > 0 and not self._ending
        for order in inbox:
            order()
        if learns:
            self._learner.learn(1)
            self._untold += 1
        with self._changed:
            self._learned += learns
            if self._untold and (self._owed <= 0 or self._untold >= TELL_EVERY):
                self._untold = 0
                learner = self._learner
                self._published = (
                    self._learned + self._left_out,
                    learner.updates,
                    learner.weights(),
                    learner.numbers(),
                )
                self._version += 1
            self._changed.notify_all()
        return True
