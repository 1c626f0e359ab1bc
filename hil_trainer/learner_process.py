"""The learner in a process of its own, beside the one that acts."""

from __future__ import annotations

import multiprocessing
import queue
import time
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from hil_trainer.actor import Rollout
from hil_trainer.checkpoints import read_learner_state, save_checkpoint
from hil_trainer.errors import HilTrainerError, LearnerError
from hil_trainer.learner import Learner, LearnerSetup, Weights

DEBT = 100  # steps; a learner that cannot keep pace with real time leaves out what it owes beyond
TELL_EVERY = 10  # steps' worth of updates, when it runs behind
_LOOK_EVERY = 0.5  # s, whether the process is still there
_SECONDS_TO_END = 10.0


class Learned(NamedTuple):
    """What the learner has come to.

    Attributes:
        deliveries: rollouts that it has learned from.
        steps: of the environment in them, demonstrations not counted.
        updates: of the critics.
        weights: the policy's.
        numbers: the newest losses and values.
    """

    deliveries: int
    steps: int
    updates: int
    weights: Weights
    numbers: dict[str, float]


class LearnerHandle(Protocol):
    """A learner somewhere, as those who act see it."""

    def deliver(self, rollout: Rollout) -> None:
        """Hand over what happened. Comes back at once."""

    def newest(self, *, deliveries: int = 0) -> Learned:
        """The newest weights, once at least so many deliveries are learned from."""

    def save(self, directory: Path, step: int, run: dict[str, Any]) -> None:
        """Have a checkpoint written, of what is learned when all deliveries are. Comes back at once."""

    def close(self) -> None:
        """End the learner, once all that was asked for is done."""


class LearnerProcess:
    """A learner in a child process.

    Args:
        setup: see `LearnerSetup`.
        keep_pace: deliveries come in real time. The learner takes all that have come before it goes on, and leaves out
            what it owes if it cannot keep up. Otherwise it takes them one by one, and the same seed learns the same.
        checkpoint: to go on from.
        waited: deliveries and steps that the checkpoint has learned from.

    Raises:
        LearnerError: the process does not start.
    """

    def __init__(self, setup: LearnerSetup, *, keep_pace: bool, checkpoint: Path | None = None, steps: int = 0):
        # A forked child would share the parent's threads' locks, and cannot use CUDA.
        context = multiprocessing.get_context("spawn")
        self._orders: Any = context.Queue()
        self._news: Any = context.Queue()
        arguments = (setup, keep_pace, checkpoint, steps, self._orders, self._news)
        self._process = context.Process(target=_serve, args=arguments, daemon=True, name="hil-learner")
        self._process.start()
        self._delivered = 0
        self._newest: Learned = self._next()

    def deliver(self, rollout: Rollout) -> None:
        """See `LearnerHandle.deliver`."""
        self._delivered += 1
        self._orders.put(("take", rollout))

    def newest(self, *, deliveries: int = 0) -> Learned:
        """See `LearnerHandle.newest`.

        Raises:
            LearnerError: the learner has ended.
            DivergenceError: a loss was not finite.
        """
        while self._newest.deliveries < deliveries:
            self._newest = self._next()
        while True:
            try:
                self._newest = self._understood(self._news.get_nowait())
            except queue.Empty:
                return self._newest

    def save(self, directory: Path, step: int, run: dict[str, Any]) -> None:
        """See `LearnerHandle.save`."""
        self._orders.put(("save", (directory, step, run)))

    def close(self) -> None:
        """See `LearnerHandle.close`."""
        if self._process.is_alive():
            self._orders.put(("end", None))
        deadline = time.monotonic() + _SECONDS_TO_END
        # A child does not end before what it wrote has been read.
        while self._process.is_alive() and time.monotonic() < deadline:
            try:
                self._news.get(timeout=0.05)
            except queue.Empty:
                continue
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        for one in (self._orders, self._news):
            one.cancel_join_thread()
            one.close()

    def _next(self) -> Learned:
        while True:
            try:
                return self._understood(self._news.get(timeout=_LOOK_EVERY))
            except queue.Empty:
                if not self._process.is_alive():
                    code = self._process.exitcode
                    raise LearnerError(
                        f"The learner's process ended with exit code {code}. If the machine ran out of memory, lower "
                        "--capacity; then go on with --resume."
                    ) from None

    def _understood(self, news: Any) -> Learned:
        if isinstance(news, Exception):
            raise news
        return news


def _serve(setup: LearnerSetup, keep_pace: bool, checkpoint: Path | None, steps: int, orders: Any, news: Any) -> None:
    """What the child does."""
    try:
        learner = Learner(setup)
        if checkpoint is not None:
            learner.load_state_dict(read_learner_state(checkpoint))
        _obey(learner, keep_pace, steps, orders, news)
    except HilTrainerError as error:
        news.put(error)
    except KeyboardInterrupt:
        pass  # the parent ends too, and says so


def _obey(learner: Learner, keep_pace: bool, steps: int, orders: Any, news: Any) -> None:
    deliveries = owed = untold = 0
    news.put(Learned(deliveries, steps, learner.updates, learner.weights(), {}))
    while True:
        try:
            order, what = orders.get(block=owed == 0)
        except queue.Empty:
            order, what = "learn", None
        if order == "take":
            learner.take(what)
            deliveries += 1
            if not what.demonstration:
                steps += what.steps
                owed += what.steps
        elif order == "save":
            directory, step, run = what
            save_checkpoint(directory, step, learner.state_dict(), run)
        elif order == "end":
            return
        if owed and (order == "learn" or not keep_pace):
            part = 1 if keep_pace else owed
            learner.learn(part)
            owed = min(owed - part, DEBT)
            untold += part
        if (order == "take" and not keep_pace) or (untold and (not owed or untold >= TELL_EVERY)):
            news.put(Learned(deliveries, steps, learner.updates, learner.weights(), learner.numbers()))
            untold = 0
