"""The learner on Ray: connecting to Ray, the learner as a Ray actor, and the training's view of it."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gym_hil.errors import ConfigurationError, GymHilError, MissingExtraError
from hil_trainer.agents.policy import Weights
from hil_trainer.checkpoints import checkpoints, read_run_state
from hil_trainer.config import LOCAL
from hil_trainer.data.transitions import EpisodeSummary, Rollout
from hil_trainer.errors import LearnerError
from hil_trainer.learner.learner import MAX_DEBT, LearnerLoop, LearnerSetup, Message, SaveRequest, Snapshot, StopRequest

NAMESPACE = "hil_trainer"
TRAINER = "trainer"  # name of the process that the user started
MAX_PENDING = 600  # rollouts that an operator may be ahead of the learner; ten minutes at ten steps a second
_OBJECT_STORE = 200 << 20  # bytes; weights and rollouts pass through it, nothing stays
_THREADS = 64  # of the learner, besides one for each actor
_MAX_WAIT = 1.0  # s, after which an actor that has to wait gets a reply anyway
_POLL_EVERY = 0.05  # s; more often would take a third of a core from acting and learning
_STOP_TIMEOUT = 120.0  # s; a checkpoint with many images takes a while
_SOCKET_PATH_LIMIT = 107  # bytes, of a Unix socket's path on Linux
_SOCKET = "ray/session_2000-01-01_00-00-00_000000_0000000/sockets/plasma_store"  # as long as Ray's longest
_SHORT_FOLDERS = ("/tmp", "/var/tmp")

Version = tuple[str, int]  # of published weights: the learner's life, and a number that counts up
NO_VERSION: Version = ("", -1)


def load_ray() -> Any:
    """The package.

    Raises:
        MissingExtraError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("Training with --ray needs Ray: pip install 'gym-hil[ray]'") from error
    return ray


class Cluster:
    """A connection to Ray.

    Args:
        address: see `RayConfig`. "local" starts a Ray that ends with this process, and obeys only processes with the
            token in this user's home directory.

    Attributes:
        ray: the package.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigurationError: it is an address of Ray's client.
        LearnerError: there is no Ray at this address.
    """

    def __init__(self, address: str):
        self.is_local = address == LOCAL
        # A Ray listens on all addresses, and runs programs for everyone who reaches it, unless it asks for a token.
        if self.is_local or _has_token():
            os.environ.setdefault("RAY_AUTH_MODE", "token")
        if address.startswith("ray://"):
            raise ConfigurationError(
                f"The address is {address}; expected host:port of a Ray that this machine is part of. See `ray start "
                "--address`."
            )
        self.ray = load_ray()
        self._folder: Path | None = None
        options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.ERROR}
        if self.is_local:
            options |= {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _OBJECT_STORE}
            self._folder = short_temporary_folder()
            if self._folder is not None:
                options["_temp_dir"] = str(self._folder)
        advice = "" if self.is_local else " Start one with `ray start --head`, or give --ray alone."
        try:
            self.ray.init(address=address, **options)
        except (OSError, RuntimeError, ValueError) as error:
            self._remove_folder()
            raise LearnerError(f"No Ray can be reached at {address!r}: {str(error).strip()}{advice}") from error

    @property
    def address(self) -> str:
        """The address at which others reach this Ray."""
        return self.ray.get_runtime_context().gcs_address

    def on_this_machine(self) -> dict[str, Any]:
        """Options by which Ray starts an actor on this machine."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(self._node, soft=False)}

    def gpus(self) -> int:
        """The number of GPUs on this machine."""
        nodes = [node for node in self.ray.nodes() if node["NodeID"] == self._node]
        return int(nodes[0]["Resources"].get("GPU", 0)) if nodes else 0

    def close(self) -> None:
        """End the connection, and a Ray that was started for it."""
        self.ray.shutdown()
        self._remove_folder()

    @property
    def _node(self) -> str:
        return self.ray.get_runtime_context().get_node_id()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


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


def _has_token() -> bool:
    """Whether this user has a token for Ray, which Ray does not always use by itself."""
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return True
    return Path(os.path.expanduser("~/.ray/auth_token")).is_file()


class ActorMessage(NamedTuple):
    """Message of an actor to the learner.

    Attributes:
        actor: its name.
        session: another one each time that the actor is started.
        rollout: what it did; None only asks for a reply.
        policy_steps: environment steps that the acting policy has learned from.
        version: of the weights that the actor has.
        waits: whether it waits while the learner is behind; an operator does not.
    """

    actor: str
    session: str
    rollout: Rollout | None
    policy_steps: int
    version: Version
    waits: bool


class Reply(NamedTuple):
    """The learner's reply to an actor.

    Attributes:
        act: act now; otherwise ask again.
        stop: the training is over.
        version: of the newest weights.
        weights: a list with their reference in Ray's object store; empty if the actor has them.
        policy_steps: environment steps that these have learned from.
        episodes: of all actors together, without demonstrations.
    """

    act: bool
    stop: bool
    version: Version
    weights: list[Any]
    policy_steps: int
    episodes: int


class Status(NamedTuple):
    """What the learner reports to the training; counts are those since the previous report.

    Attributes:
        snapshot: without weights.
        version: of the newest weights.
        weights: as in `Reply`.
        steps: of actors other than the training itself.
        operator_steps: in them.
        episodes: in them.
        staleness: maximum of the steps that a rollout's policy was behind.
        sessions: actor -> session, of all that have called.
        left: names of the actors that have left.
        restarted_from: the checkpoint that this learner was restarted from, or "nothing"; None if it was not.
        error: that ended learning.
    """

    snapshot: Snapshot
    version: Version
    weights: list[Any]
    steps: int
    operator_steps: int
    episodes: list[EpisodeSummary]
    staleness: int
    sessions: dict[str, str]
    left: list[str]
    restarted_from: str | None
    error: Exception | None


class RayLearner:
    """The learner as a Ray actor: its loop runs in a thread, and other processes call its methods.

    Actors wait while more than one rollout of each is owed, if the configuration says so. The policy that acts is then
    at most three rollouts of each actor and `PUBLISH_EVERY` steps behind.

    Args:
        setup: of the learner.
        directory: of the run.
        resume: go on from the newest checkpoint in it.
        restarted: Ray has started the learner again.
        put: stores weights for actors and returns a reference.

    Raises:
        LearnerError: the directory is not on this machine.
        CheckpointError: the checkpoint is damaged.
    """

    _staleness: int

    def __init__(
        self,
        setup: LearnerSetup,
        directory: str,
        *,
        resume: bool,
        restarted: bool = False,
        put: Callable[[Weights], Any] = lambda weights: weights,
    ):
        self.setup, self._put = setup, put
        config, path = setup.config, Path(directory)
        if not path.is_dir():
            raise LearnerError(
                f"The learner runs on {platform.node()}, where {directory} does not exist. Start the training there, "
                "or choose a folder for --out that both machines see."
            )
        found = checkpoints(path) if resume or restarted else []
        checkpoint = found[-1] if found else None
        state = {} if checkpoint is None else read_run_state(checkpoint)
        self._restarted_from = (checkpoint.name if checkpoint else "nothing") if restarted else None
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
        self._received, self._debt, self._requested_saves = self._loop.env_steps, 0, 0
        self._episodes = state["actor"]["episodes"] if state else 0
        self._started, self._stopped = restarted, False
        self._changed = threading.Condition()
        self._inbox: deque[Message] = deque()
        self._sessions: dict[str, str] = {}
        self._error: Exception | None = None
        self._life, self._number = uuid.uuid4().hex, 0
        self._snapshot, self._weights = self._loop.snapshot(), None
        self._clear_report()
        self._publish(self._snapshot)
        threading.Thread(target=self._run, daemon=True, name="hil-learner").start()

    def describe(self) -> LearnerSetup:
        """What is trained, for an actor that joins."""
        return self.setup

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

    def exchange(self, message: ActorMessage) -> Reply:
        """Receive a rollout, and reply whether to go on with which policy: later, if the actor is to wait."""
        with self._changed:
            self._sessions[message.actor] = message.session
            if message.rollout is not None:
                self._receive_rollout(message, message.rollout)
            if message.waits:
                self._changed.wait_for(lambda: self._is_over() or self._may_act(waits=True), timeout=_MAX_WAIT)
            weights = [] if message.version == (self._life, self._number) else [self._weights]
            act = self._may_act(waits=message.waits)
            version = (self._life, self._number)
            return Reply(act, self._is_over(), version, weights, self._snapshot.env_steps, self._episodes)

    def leave(self, actor: str) -> None:
        """An actor leaves."""
        with self._changed:
            if self._sessions.pop(actor, None) is not None:
                self._left.append(actor)

    def poll(self, version: Version) -> Status:
        """Report to the training, which has the weights of a version."""
        with self._changed:
            status = Status(
                self._snapshot,
                (self._life, self._number),
                [] if version == (self._life, self._number) else [self._weights],
                self._steps,
                self._operator_steps,
                self._summaries,
                self._staleness,
                dict(self._sessions),
                self._left,
                self._restarted_from,
                self._error,
            )
            self._clear_report()
            return status

    def save(self, step: int, run: dict[str, Any]) -> None:
        """Write a checkpoint; returns once it is on disk, or learning has failed."""
        with self._changed:
            self._requested_saves = target = self._requested_saves + 1
            self._inbox.append(SaveRequest(step, run))
            self._changed.notify_all()
            while self._error is None and self._loop.saved < target:
                self._changed.wait(timeout=_POLL_EVERY)

    def close(self) -> None:
        """End the thread, once checkpoints are written."""
        with self._changed:
            self._stopped = True
            self._inbox.append(StopRequest())
            self._changed.notify_all()

    def _receive_rollout(self, message: ActorMessage, rollout: Rollout) -> None:
        if not rollout.demonstration:
            self._staleness = max(self._staleness, self._received - message.policy_steps)
            self._received += rollout.steps
            self._episodes += len(rollout.episodes)
        if message.actor != TRAINER:
            self._steps += rollout.steps
            self._operator_steps += rollout.operator_steps
            self._summaries += rollout.episodes
        self._inbox.append(rollout)
        self._changed.notify_all()

    def _may_act(self, *, waits: bool) -> bool:
        if self._is_over() or not self._started:
            return False
        config = self.setup.config
        owed = self._debt + sum(message.steps for message in self._inbox if isinstance(message, Rollout))
        is_behind = owed > self._allowed_debt and config.ray.wait
        return not waits or (not is_behind and self._received < config.steps)

    def _is_over(self) -> bool:
        return self._stopped or self._error is not None

    def _clear_report(self) -> None:
        self._steps, self._operator_steps, self._staleness = 0, 0, 0
        self._summaries: list[EpisodeSummary] = []
        self._left: list[str] = []

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
            self._debt = self._loop.debt
            self._changed.notify_all()
            if block:  # not for ever: the loop also looks whether a checkpoint could not be written
                self._changed.wait_for(lambda: self._inbox, timeout=_MAX_WAIT)
            return self._inbox.popleft() if self._inbox else None

    def _publish(self, snapshot: Snapshot) -> None:
        # Outside the lock, which all actors need: weights take a while to copy and to store.
        weights = self._put(snapshot.weights)
        with self._changed:
            self._snapshot, self._weights = snapshot._replace(weights={}), weights
            self._number += 1
            self._changed.notify_all()


class _LearnerActor(RayLearner):
    """`RayLearner` in a Ray actor's process."""

    def __init__(self, setup: LearnerSetup, directory: str, *, resume: bool):
        import ray

        restarted = ray.get_runtime_context().was_current_actor_reconstructed
        super().__init__(setup, directory, resume=resume, restarted=restarted, put=ray.put)


class Reports(NamedTuple):
    """What actors did since the previous reports; see `Status`.

    Attributes:
        steps: of all of them.
        operator_steps: in them.
        episodes: in them.
        staleness: maximum of the steps that a rollout's policy was behind.
        events: sentences for the log.
    """

    steps: int = 0
    operator_steps: int = 0
    episodes: tuple[EpisodeSummary, ...] = ()
    staleness: int = 0
    events: tuple[str, ...] = ()


class RayLearnerClient:
    """A learner on Ray, as the training sees it; see `hil_trainer.learner.process.LearnerClient`.

    Ray starts a learner that was killed again, which goes on from its newest checkpoint, and repeats calls that it has
    not answered. What it had learned since the checkpoint is lost.

    Args:
        cluster: where to run it.
        setup: of the learner.
        directory: of the run.
        resume: go on from the newest checkpoint in it.

    Attributes:
        actor: handle of the learner, for actors.
        max_pending: rollouts that this process may be ahead of the learner.

    Raises:
        LearnerError: it does not start.
        ConfigurationError: another run has this name.
    """

    max_pending = MAX_PENDING

    def __init__(self, cluster: Cluster, setup: LearnerSetup, directory: Path, *, resume: bool):
        self._ray, config = cluster.ray, setup.config
        directory.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {
            "name": directory.resolve().name,
            "num_cpus": 0,
            "num_gpus": 1 if config.device != "cpu" and cluster.gpus() else 0,
            "max_restarts": -1,
            "max_task_retries": -1,
            "max_concurrency": config.ray.actors + _THREADS,
            **cluster.on_this_machine(),
        }
        try:
            remote = self._ray.remote(_LearnerActor).options(**options)
            self.actor = remote.remote(setup, str(directory.resolve()), resume=resume)
        except ValueError as error:
            raise ConfigurationError(
                f"A run named {options['name']} is being trained on this Ray. Choose another folder for --out."
            ) from error
        self._session = uuid.uuid4().hex
        self._pending: deque[Any] = deque()  # replies to rollouts
        self._saves: list[Any] = []
        self._sent = self._received = 0
        self._snapshot, self._version = Snapshot(0, 0, 0, {}, {}), NO_VERSION
        self._sessions: dict[str, str] = {}
        self._reports = Reports()
        self._restarted_life = ""
        self._poll: Any = None
        self._next_poll = 0.0
        self._failed = self._closed = False
        self._update(None)

    def send(self, rollout: Rollout) -> None:
        """Send a rollout; returns at once, unless `max_pending` are waiting."""
        message = ActorMessage(TRAINER, self._session, rollout, self._snapshot.env_steps, NO_VERSION, waits=False)
        self._pending.append(self.actor.exchange.remote(message))
        self._sent += 1
        self._collect_replies(self.max_pending)

    def snapshot(self, *, rollouts: int = 0) -> Snapshot:
        """See `LearnerClient`.

        Raises:
            LearnerError: the learner has ended for good.
            DivergenceError: a loss was not finite.
        """
        if rollouts > self._received:
            self._collect_replies(self._sent - rollouts)
            self._update(None)
        self._update(0.0)
        return self._snapshot._replace(rollouts=self._received)

    def save(self, step: int, run: dict[str, Any]) -> None:
        """Ask for a checkpoint; returns at once."""
        self._saves = [save for save in self._saves if not self._ray.wait([save], timeout=0)[0]]
        self._saves.append(self.actor.save.remote(step, run))

    def reports(self, timeout: float) -> Reports:
        """What other actors did since the previous call.

        Args:
            timeout: s, at most, to wait for news.
        """
        self._update(timeout)
        reports, self._reports = self._reports, Reports()
        return reports

    def close(self) -> None:
        """End the learner, once its checkpoints are written.

        Raises:
            LearnerError: the last checkpoint was not written in time.
            GymHilError: something else went wrong.
        """
        if self._closed:
            return
        self._closed = True
        try:
            late: list[Any] = []
            if not self._failed and self._saves:
                _, late = self._ray.wait(self._saves, num_returns=len(self._saves), timeout=_STOP_TIMEOUT)
                self._update(None)
        finally:
            self._ray.kill(self.actor)
        if late:
            raise LearnerError(
                f"The learner did not end within {_STOP_TIMEOUT:.0f} s. Its last checkpoint may be missing; the "
                "previous one is kept."
            )

    def _collect_replies(self, limit: int) -> None:
        """Note the replies that have come, and wait until at most `limit` are missing."""
        while self._pending:
            timeout = None if len(self._pending) > limit else 0
            if not self._ray.wait([self._pending[0]], timeout=timeout)[0]:
                return
            self._get(self._pending.popleft())
            self._received += 1

    def _update(self, timeout: float | None) -> None:
        """Poll the learner, and take in its status if it comes in time; None waits for a new one."""
        self._collect_replies(self.max_pending)
        if timeout is None:
            self._poll = self.actor.poll.remote(self._version) if self._poll is None else self._poll
        elif self._poll is None:
            early = max(self._next_poll - time.monotonic(), 0.0)
            time.sleep(min(early, timeout))
            if early > timeout:
                return
            timeout -= early
            self._next_poll = time.monotonic() + _POLL_EVERY
            self._poll = self.actor.poll.remote(self._version)
        if not self._ray.wait([self._poll], timeout=timeout)[0]:
            return
        poll, self._poll = self._poll, None
        self._take_in(self._get(poll))

    def _get(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            self._failed = True
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise LearnerError(f"The learner on Ray ended for good: {lines[-1] if lines else error!r}") from error

    def _take_in(self, status: Status) -> None:
        if status.error is not None:
            self._failed = True
            raise status.error
        weights = self._snapshot.weights
        if status.weights:
            try:
                weights = self._ray.get(status.weights[0])
                self._version = status.version
            except self._ray.exceptions.ObjectLostError:
                pass  # with a learner that was killed since; the next one publishes its own
        self._snapshot = status.snapshot._replace(weights=weights)
        events = []
        if status.restarted_from is not None and status.version[0] != self._restarted_life:
            self._restarted_life = status.version[0]
            events.append(f"the learner was started again from {status.restarted_from}; actors go on")
        for actor, session in status.sessions.items():
            if actor != TRAINER and self._sessions.get(actor) != session:
                has = "died and was started again" if actor in self._sessions else "has joined"
                events.append(f"{actor} {has}")
                self._sessions[actor] = session
        events += [f"{actor} has left" for actor in status.left if self._sessions.pop(actor, None)]
        before = self._reports
        self._reports = Reports(
            before.steps + status.steps,
            before.operator_steps + status.operator_steps,
            (*before.episodes, *status.episodes),
            max(before.staleness, status.staleness),
            (*before.events, *events),
        )
