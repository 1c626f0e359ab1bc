"""The learner in a process of its own, beside the one that acts."""

from __future__ import annotations

import multiprocessing
import queue
import threading
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from hil_trainer.checkpoints import read_learner_state, save_checkpoint
from hil_trainer.errors import HilTrainerError, LearnerError
from hil_trainer.learner.child import deaf, obey_parent
from hil_trainer.learner.learner import Learner, LearnerSetup, Weights
from hil_trainer.rollout.actor import Rollout

DEBT = 100  # steps; a learner that cannot keep pace with real time leaves out what it owes beyond
TELL_EVERY = 10  # steps' worth of updates, when it runs behind
_SECONDS_TO_END = 120.0  # a checkpoint with many images takes a while


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
            what it owes if it cannot keep up. Otherwise it takes them one by one, `newest` returns what it had come to
            after as many as are asked for, and the same seed learns the same.
        checkpoint: to go on from.
        steps: of the environment that the checkpoint has learned from.

    Raises:
        LearnerError: the process does not start.
    """

    def __init__(self, setup: LearnerSetup, *, keep_pace: bool, checkpoint: Path | None = None, steps: int = 0):
        # A forked child would share the parent's threads' locks, and cannot use CUDA.
        context = multiprocessing.get_context("spawn")
        self._keep_pace = keep_pace
        self._orders: Any = context.Queue()
        # Not a queue: of that, this process would hold both ends, and wait for the rest of what a killed child began to
        # write.
        self._receiver, sender = context.Pipe(duplex=False)
        arguments = (setup, keep_pace, checkpoint, steps, self._orders, sender)
        self._process = context.Process(target=_serve, args=arguments, daemon=True, name="hil-learner")
        with deaf():
            self._process.start()
        sender.close()
        self._news: queue.SimpleQueue[Learned | Exception | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True, name="hil-learner-news")
        self._listener.start()
        self._ended = self._closed = False
        try:
            self._newest = self._next()
        except BaseException:
            self.close()
            raise

    def deliver(self, rollout: Rollout) -> None:
        """See `LearnerHandle.deliver`."""
        self._orders.put(("take", rollout))

    def newest(self, *, deliveries: int = 0) -> Learned:
        """See `LearnerHandle.newest`.

        Raises:
            LearnerError: the learner has ended.
            DivergenceError: a loss was not finite.
        """
        while self._newest.deliveries < deliveries:
            self._newest = self._next()
        while self._keep_pace and not self._news.empty():
            self._newest = self._next()
        return self._newest

    def save(self, directory: Path, step: int, run: dict[str, Any]) -> None:
        """See `LearnerHandle.save`."""
        self._orders.put(("save", (directory, step, run)))

    def close(self) -> None:
        """See `LearnerHandle.close`.

        Raises:
            LearnerError: the learner ended before, which `newest` has not told yet, or it does not end.
            HilTrainerError: something else went wrong since.
        """
        if self._closed:
            return
        self._closed = True
        told = self._ended
        try:
            self._orders.put(("end", None))
            self._process.join(_SECONDS_TO_END)
            late = self._process.is_alive()
        finally:
            self._process.kill()
            self._process.join()
            self._listener.join()
            self._receiver.close()
            self._orders.cancel_join_thread()
            self._orders.close()
        if late:
            raise LearnerError(
                f"The learner did not end within {_SECONDS_TO_END:.0f} s. Its last checkpoint may be missing; the one "
                "before is kept."
            )
        while not told and not self._news.empty():
            news = self._news.get()
            if isinstance(news, Exception):
                raise news
        if not told and self._process.exitcode != 0:
            raise self._gone()

    def _listen(self) -> None:
        """Read what the child says as it comes, so that it never waits."""
        while True:
            try:
                self._news.put(self._receiver.recv())
            except (EOFError, OSError):
                self._news.put(None)
                return

    def _next(self) -> Learned:
        if self._ended:
            raise self._gone()
        news = self._news.get()
        if isinstance(news, Learned):
            return news
        self._ended = True
        if news is not None:
            raise news
        self._process.join()
        raise self._gone()

    def _gone(self) -> LearnerError:
        return LearnerError(
            f"The learner's process ended with exit code {self._process.exitcode}. If the machine ran out of memory, "
            "lower --capacity; then go on with --resume."
        )


def _serve(setup: LearnerSetup, keep_pace: bool, checkpoint: Path | None, steps: int, orders: Any, news: Any) -> None:
    """What the child does."""
    obey_parent()
    try:
        learner = Learner(setup)
        if checkpoint is not None:
            learner.load_state_dict(read_learner_state(checkpoint))
        _obey(learner, keep_pace, steps, orders, news)
    except HilTrainerError as error:
        news.send(error)
    except Exception as error:
        news.send(LearnerError(f"The learner failed with {type(error).__name__}: {error}"))
        raise  # for where it happened to be printed


def _obey(learner: Learner, keep_pace: bool, steps: int, orders: Any, news: Any) -> None:
    deliveries = owed = untold = 0
    news.send(Learned(deliveries, steps, learner.updates, learner.weights(), {}))
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
        if (order == "take" and not (keep_pace and owed)) or (untold and (not owed or untold >= TELL_EVERY)):
            numbers = learner.numbers()  # first, because a loss says more than what it did to the weights
            news.send(Learned(deliveries, steps, learner.updates, learner.weights(), numbers))
            untold = 0
