"""The learner on Ray: connecting to Ray, and the learner as a Ray actor."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import tempfile
import threading
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gym_hil.errors import ConfigurationError, GymHilError, MissingExtraError
from hil_trainer.checkpoints import checkpoints, read_run_state
from hil_trainer.config import LOCAL
from hil_trainer.data.transitions import EpisodeSummary, Rollout
from hil_trainer.errors import LearnerError
from hil_trainer.learner.learner import MAX_DEBT, LearnerLoop, LearnerSetup, Message, SaveRequest, Snapshot

NAMESPACE = "hil_trainer"
NO_VERSION = ""  # of an actor that has no weights yet
_OBJECT_STORE = 200 << 20  # bytes; weights and rollouts pass through it, nothing stays
_MAX_WAIT = 1.0  # s, after which an actor that has to wait gets a reply anyway
_SOCKET_PATH_LIMIT = 107  # bytes, of a Unix socket's path on Linux
_SOCKET = "ray/session_2000-01-01_00-00-00_000000_0000000/sockets/plasma_store"  # as long as Ray's longest
_SHORT_FOLDERS = ("/tmp", "/var/tmp")


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """A connection to Ray; gives the package.

    Args:
        address: see `RayConfig`. "local" starts a Ray that ends with the connection, and obeys only processes with the
            token in this user's home directory.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigurationError: it is an address of Ray's client.
        LearnerError: there is no Ray at this address.
    """
    is_local = address == LOCAL
    token = Path(os.path.expanduser("~/.ray/auth_token"))
    # A Ray listens on all addresses, and runs programs for everyone who reaches it, unless it asks for a token.
    if is_local or {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys() or token.is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    if address.startswith("ray://"):
        raise ConfigurationError(
            f"The address is {address}; expected host:port of a Ray that this machine is part of. See `ray start "
            "--address`."
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("Training with --ray needs Ray: pip install 'gym-hil[ray]'") from error
    folder = short_temporary_folder() if is_local else None
    options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.ERROR}
    if is_local:
        options |= {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _OBJECT_STORE}
    if folder is not None:
        options["_temp_dir"] = str(folder)
    try:
        try:
            ray.init(address=address, **options)
        except (OSError, RuntimeError, ValueError) as error:
            advice = "" if is_local else " Start one with `ray start --head`, or give --ray alone."
            raise LearnerError(f"No Ray can be reached at {address!r}: {str(error).strip()}{advice}") from error
        yield ray
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def short_temporary_folder() -> Path | None:
    """A folder for Ray's sockets, where the path of the usual one is too long; None where it is not.

    Raises:
        LearnerError: there is no shorter one.
    """
    usual = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or tempfile.gettempdir()
    if os.name == "nt" or len(os.fsencode(os.path.join(usual, _SOCKET))) <= _SOCKET_PATH_LIMIT:
        return None
    for folder in _SHORT_FOLDERS:
        if os.access(folder, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="hil-", dir=folder))
    longest = _SOCKET_PATH_LIMIT - len(_SOCKET) - 1
    raise LearnerError(
        f"The path of the temporary folder {usual} is too long for Ray's sockets. Set RAY_TMPDIR to a folder whose "
        f"path has at most {longest} characters."
    )


class Reply(NamedTuple):
    """The learner's reply to an actor."""

    act: bool
    stop: bool
    episodes: int
    version: str
    snapshot: Snapshot | None


class Report(NamedTuple):
    """What the actors on Ray did since the previous report."""

    steps: int = 0  # of all of them
    operator_steps: int = 0  # in them
    episodes: tuple[EpisodeSummary, ...] = ()  # in them
    staleness: int = 0  # maximum of the steps that a rollout's policy was behind, also of the training's own
    events: tuple[str, ...] = ()  # sentences for the log


class RayLearner:
    """The learner as a Ray actor: its loop runs in a thread, and other processes call its methods.

    Actors wait while more than one rollout of each is owed, if the configuration says so. The policy that acts is then
    at most three rollouts of each actor and `PUBLISH_EVERY` steps behind.

    Raises:
        LearnerError: the directory is not on this machine.
        CheckpointError: the checkpoint is damaged.
    """

    def __init__(self, setup: LearnerSetup, directory: str, *, resume: bool, restarted: bool = False):
        self._setup = setup
        config, path = setup.config, Path(directory)
        if not path.is_dir():
            raise LearnerError(
                f"The learner runs on {platform.node()}, where {directory} does not exist. Start the training there, "
                "or choose a folder for --out that both machines see."
            )
        found = checkpoints(path) if resume or restarted else []
        checkpoint = found[-1] if found else None
        state = {} if checkpoint is None else read_run_state(checkpoint)
        self._allowed_debt = config.rollout_steps * config.ray.actors
        self._loop = LearnerLoop(
            setup,
            path,
            lockstep=False,
            # Actors that wait never owe as much.
            max_debt=max(MAX_DEBT, self._allowed_debt * (4 if config.ray.wait else 1)),
            checkpoint=checkpoint,
            env_steps=state.get("step", 0),
        )
        self._received, self._requested_saves = self._loop.env_steps, 0
        self._episodes = state["actor"]["episodes"] if state else 0
        self._started, self._stopped = restarted, False
        self._changed = threading.Condition()
        self._inbox: deque[Message] = deque()
        self._error: Exception | None = None
        self._report = Report()
        if restarted:
            name = checkpoint.name if checkpoint else "nothing"
            self.log(f"the learner was started again from {name}; actors go on")
        self._publish(self._loop.snapshot())
        threading.Thread(target=self._run, daemon=True, name="hil-learner").start()

    def setup(self) -> LearnerSetup:
        """What is trained, for an actor that joins."""
        return self._setup

    def start(self) -> None:
        """Let the actors act."""
        with self._changed:
            self._started = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Let the actors end. Their rollouts are still learned from, and checkpoints are written."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def log(self, event: str) -> None:
        """Note a sentence for the log of the training."""
        with self._changed:
            self._report = self._report._replace(events=(*self._report.events, event))

    def add(self, rollout: Rollout, policy_steps: int) -> None:
        """Receive a rollout."""
        with self._changed:
            if not rollout.demonstration:
                staleness = max(self._report.staleness, self._received - policy_steps)
                self._report = self._report._replace(staleness=staleness)
                self._received += rollout.steps
                self._episodes += len(rollout.episodes)
            self._inbox.append(rollout)
            self._changed.notify_all()

    def exchange(self, rollout: Rollout | None, policy_steps: int, version: str, *, waits: bool) -> Reply:
        """Receive a rollout of an actor on Ray, and reply whether to go on with which policy."""
        with self._changed:
            if rollout is not None:
                self.add(rollout, policy_steps)
                self._report = self._report._replace(
                    steps=self._report.steps + rollout.steps,
                    operator_steps=self._report.operator_steps + rollout.operator_steps,
                    episodes=(*self._report.episodes, *rollout.episodes),
                )
            if waits:
                self._changed.wait_for(lambda: self._is_over() or self._may_act(waits=True), timeout=_MAX_WAIT)
            snapshot = None if version == self._version else self._snapshot
            act = not self._is_over() and self._may_act(waits=waits)
            return Reply(act, self._is_over(), self._episodes, self._version, snapshot)

    def report(self, version: str) -> tuple[Report, Exception | None, str, Snapshot]:
        """Report to the training, which has the weights of a version.

        Returns:
            The report, the error that ended learning, the version of the newest weights, and a snapshot: without
            weights if the training has them.
        """
        with self._changed:
            report, self._report = self._report, Report()
            snapshot = self._snapshot._replace(weights={}) if version == self._version else self._snapshot
            return report, self._error, self._version, snapshot

    def save(self, step: int, run: dict[str, Any]) -> None:
        """Write a checkpoint; returns once it is on disk, or learning has failed."""
        with self._changed:
            self._requested_saves = target = self._requested_saves + 1
            self._inbox.append(SaveRequest(step, run))
            self._changed.notify_all()
            while self._error is None and self._loop.saved < target:
                self._changed.wait(timeout=0.05)

    def _may_act(self, *, waits: bool) -> bool:
        config = self._setup.config
        is_behind = self._received - self._snapshot.env_steps > self._allowed_debt and config.ray.wait
        return self._started and (not waits or (not is_behind and self._received < config.steps))

    def _is_over(self) -> bool:
        return self._stopped or self._error is not None

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._loop.run(self._receive, self._publish)
        except GymHilError as failure:
            error = failure
        except Exception as failure:
            error = LearnerError(f"The learner failed: {failure!r}. Go on with --resume once that is mended.")
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _receive(self, block: bool) -> Message | None:
        with self._changed:
            if block:  # not for ever: the loop also looks whether a checkpoint could not be written
                self._changed.wait_for(lambda: self._inbox, timeout=_MAX_WAIT)
            return self._inbox.popleft() if self._inbox else None

    def _publish(self, snapshot: Snapshot) -> None:
        with self._changed:
            self._snapshot, self._version = snapshot, uuid.uuid4().hex
            self._changed.notify_all()


class LearnerActor(RayLearner):
    """`RayLearner` in a Ray actor's process."""

    def __init__(self, setup: LearnerSetup, directory: str, *, resume: bool):
        import ray

        restarted = ray.get_runtime_context().was_current_actor_reconstructed
        super().__init__(setup, directory, resume=resume, restarted=restarted)
