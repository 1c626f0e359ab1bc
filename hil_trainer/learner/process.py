"""The learner in a process of its own: messages go through a queue, snapshots come back through a pipe."""

from __future__ import annotations

import multiprocessing
import queue
import threading
from pathlib import Path
from typing import Any

from gym_hil.errors import GymHilError
from hil_trainer.child_process import exit_with_parent, interrupts_blocked
from hil_trainer.data.transitions import Rollout
from hil_trainer.errors import LearnerError
from hil_trainer.learner.learner import LearnerLoop, LearnerSetup, SaveRequest, Snapshot, StopRequest

_STOP_TIMEOUT = 120.0  # s; a checkpoint with many images takes a while


class ProcessLearner:
    """A learner in a child process.

    Args:
        setup: of the learner.
        directory: of the run.
        lockstep: see `LearnerLoop`. In lockstep, `snapshot` returns the one after exactly as many rollouts as are asked
            for; otherwise the newest.
        checkpoint: to go on from.
        env_steps: of the checkpoint.

    Raises:
        LearnerError: the process does not start.
    """

    def __init__(
        self,
        setup: LearnerSetup,
        directory: Path,
        *,
        lockstep: bool,
        checkpoint: Path | None = None,
        env_steps: int = 0,
    ):
        # A forked child would share the locks of the parent's threads, and cannot use CUDA.
        context = multiprocessing.get_context("spawn")
        self._lockstep, self._group = lockstep, setup.config.group
        self._messages: Any = context.Queue()
        # Not a queue: this process would hold both of its ends, and wait for the rest of a snapshot that a killed child
        # began to write.
        self._receiver, sender = context.Pipe(duplex=False)
        arguments = (setup, directory, lockstep, checkpoint, env_steps, self._messages, sender)
        self._process = context.Process(target=_serve, args=arguments, daemon=True, name="hil-learner")
        with interrupts_blocked():
            self._process.start()
        sender.close()
        self._snapshots: queue.SimpleQueue[Snapshot | Exception | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True, name="hil-learner-reader")
        self._reader.start()
        self._ended = self._closed = False
        try:
            self._newest = self._next()
        except BaseException:
            self.close()
            raise

    def send(self, rollout: Rollout) -> None:
        """Send a rollout; returns at once."""
        self._messages.put(rollout)

    def snapshot(self, *, rollouts: int = 0) -> Snapshot:
        """The newest snapshot, once the learner has learned from at least that many rollouts of this process.

        Raises:
            LearnerError: the learner has ended.
            DivergenceError: a loss was not finite.
            CheckpointError: a checkpoint could not be written.
        """
        while self._newest.rollouts < rollouts:
            self._newest = self._next()
        while not self._lockstep and not self._snapshots.empty():
            self._newest = self._next()
        return self._newest

    def save(self, step: int, run: dict[str, Any]) -> None:
        """Ask for a checkpoint of what is learned from all rollouts that were sent; returns at once."""
        self._messages.put(SaveRequest(step, run))

    def close(self) -> None:
        """End the process, once its checkpoints are written.

        Raises:
            LearnerError: the learner ended before, which `snapshot` has not raised yet, or it does not end.
            GymHilError: something else went wrong since.
        """
        if self._closed:
            return
        self._closed = True
        raised = self._ended
        try:
            self._messages.put(StopRequest())
            self._process.join(_STOP_TIMEOUT)
            late = self._process.is_alive()
        finally:
            self._process.kill()
            self._process.join()
            self._reader.join()
            self._receiver.close()
            self._messages.cancel_join_thread()
            self._messages.close()
        if late:
            raise LearnerError(
                f"The learner did not end within {_STOP_TIMEOUT:.0f} s. Its last checkpoint may be missing; the "
                "previous one is kept."
            )
        while not raised and not self._snapshots.empty():
            snapshot = self._snapshots.get()
            if isinstance(snapshot, Exception):
                raise snapshot
        if not raised and self._process.exitcode != 0:
            raise self._gone()

    def _read(self) -> None:
        """Read snapshots as they come, so that the child never waits."""
        while True:
            try:
                self._snapshots.put(self._receiver.recv())
            except (EOFError, OSError):
                self._snapshots.put(None)
                return

    def _next(self) -> Snapshot:
        if self._ended:
            raise self._gone()
        snapshot = self._snapshots.get()
        if isinstance(snapshot, Snapshot):
            return snapshot
        self._ended = True
        if snapshot is not None:
            raise snapshot
        self._process.join()
        raise self._gone()

    def _gone(self) -> LearnerError:
        return LearnerError(
            f"The learner's process ended with exit code {self._process.exitcode}. If the machine ran out of memory, "
            f"lower --{self._group}.buffer-capacity; then go on with --resume."
        )


def _serve(
    setup: LearnerSetup,
    directory: Path,
    lockstep: bool,
    checkpoint: Path | None,
    env_steps: int,
    messages: Any,
    sender: Any,
) -> None:
    """The child's main function."""
    exit_with_parent()

    def receive(block: bool) -> Any:
        try:
            return messages.get(block=block)
        except queue.Empty:
            return None

    try:
        loop = LearnerLoop(setup, directory, lockstep=lockstep, checkpoint=checkpoint, env_steps=env_steps)
        loop.run(receive, sender.send)
    except GymHilError as error:
        sender.send(error)
    except Exception as error:
        sender.send(LearnerError(f"The learner failed with {type(error).__name__}: {error}"))
        raise  # so that the traceback is printed
