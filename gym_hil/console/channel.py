"""One environment on the console: what it shows, who holds its control lock, and what that operator wants."""

from __future__ import annotations

import math
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.console import messages
from gym_hil.console.env_view import Captured, EnvView

EPISODES_KEPT = 500  # for the plot
JPEG_QUALITY = 80
LOCK_TIMEOUT = 10.0  # s without input, after which others can take the control lock
PAUSE_POLL = 0.02  # s
_TOOL = ("tcp_position", "tcp_target", "tcp_rotation_target", "gripper_closed")  # of the environment, where it has them


class PageDevice(Protocol):
    """What takes the input of the operator who holds the control lock: the device `web`."""

    applied: float  # ms on the page's clock, the newest input that a step has used; 0 for none
    silent: bool  # whether the operator drives and no input has come for a while

    @property
    def stopped(self) -> bool:
        """Whether its emergency stop is on."""

    @property
    def pending(self) -> str | None:
        """What was pressed and has not taken effect yet, in words."""

    def page_bindings(self, channel: int, requests: Sequence[str]) -> messages.Bindings:
        """Which key and which button does what."""

    def page_status(self) -> Mapping[str, Any]:
        """Fields of `messages.Status` that the device adds; called in the environment's thread after each step."""

    def receive(self, message: messages.Input) -> None:
        """Take in what the operator does."""

    def disconnect(self) -> None:
        """The connection of the operator is lost; it may come back."""

    def release(self) -> None:
        """The operator has given the control lock back."""


class ControlLock:
    """Which page drives a channel: one at a time, until it releases the lock or has been silent for `timeout`.

    All times are in s, of a clock that never goes back.
    """

    def __init__(self, timeout: float = LOCK_TIMEOUT):
        self._timeout = timeout
        self._holder: str | None = None
        self._seen = 0.0

    def take(self, page: str, now: float) -> bool:
        """Give a page the lock unless another one holds it. True if it has the lock then."""
        if self.holder(now) not in (None, page):
            return False
        self._holder, self._seen = page, now
        return True

    def release(self, page: str) -> bool:
        """Free the lock if a page holds it. True if it did."""
        if self._holder != page:
            return False
        self._holder = None
        return True

    def renew(self, page: str, now: float) -> bool:
        """Note input of a page. True if it has the lock, also after a silence in which no other page took it."""
        if self._holder != page:
            return False
        self._seen = now
        return True

    def holder(self, now: float) -> str | None:
        """The page that has the lock; None if any page can take it."""
        return self._holder if now - self._seen <= self._timeout else None

    def free_in(self, now: float) -> float | None:
        """How long until a silent holder loses the lock, in s; None while it sends, and if no page holds it."""
        silent = now - self._seen
        if self.holder(now) is None or silent < 1.0:
            return None
        return self._timeout - silent


class Snapshot(NamedTuple):
    """What one step published, as it was; turned into a frame only when a page wants it."""

    sequence: int
    published: float  # s since 1970
    input_time: float
    captured: Captured
    tool: tuple[Any, Any, Any, Any]  # where it is, where it is pulled and turned to, how far the gripper is closed
    silent: bool
    status: Mapping[str, Any]


class Channel:
    """What one environment shows on the console. Made by `Console.channel_for`.

    The environment's thread publishes and continues; the server's thread takes the newest when a page is ready for it.
    Nothing here takes a lock: the garbage collector may close a channel in the middle of any other call.

    `send` takes the channel and a message for the pages that watch it, or None when there is a new snapshot; `on_close`
    is called once. The unwrapped environment is held weakly.

    Attributes:
        number: by which pages name it.
        title: for humans.
        view: what is to be seen.
        requests: buttons that a training run offers.
        session: what a command does with the environment.
        farewell: what the pages show when the program ends.
        lock: who holds the controls.
        asker: the page that asks the holder for them; None for none.
        paused: whether the operator holds the environment before its next step.
    """

    def __init__(
        self,
        number: int,
        env: Any,
        title: str,
        *,
        send: Callable[[Channel, messages.ServerMessage | None], None],
        on_close: Callable[[Channel], None],
    ):
        self.number, self.title = number, title
        self.view = EnvView(env, title)
        self.lock = ControlLock()
        self.asker: str | None = None
        self.requests: tuple[str, ...] = ()
        self.session = messages.Session(number)
        self.farewell = "The program has ended."
        self.paused = self.closed = self._stopped = False
        self._env = weakref.ref(env)
        self._send, self._on_close = send, on_close
        self._device: weakref.ref[PageDevice] | None = None
        self._snapshot: Snapshot | None = None
        self._frame: tuple[int, bytes] | None = None
        self._jpegs: dict[str, tuple[NDArray[np.uint8], bytes]] = {}
        self._episodes: tuple[messages.EpisodeSummary, ...] = ()
        self._requested: deque[str] = deque()

    # For the environment's thread.

    def shows(self, env: Any) -> bool:
        """Whether this is the channel of an environment, and still open."""
        return not self.closed and self._env() is env

    def publish(
        self,
        status: Mapping[str, Any],
        images: Mapping[str, Any] | None = None,
        render: tuple[Callable[[], Any], str | None] | None = None,
    ) -> None:
        """Show the present state. The environment's thread only copies; the rest is done by the server's thread.

        Args:
            status: any fields of `messages.Status`; what the environment itself knows is filled in.
            images: name -> image of the observation; see `as_image`.
            render: the environment's `render` and its render mode, to show an environment without a MuJoCo model.
        """
        env, device = self._env(), self.device
        if env is None:
            return
        self._show(
            Snapshot(
                sequence=self.sequence + 1,
                published=time.time(),
                input_time=0.0 if device is None else device.applied,
                captured=self.view.capture(env, images or {}, render, is_first=not status.get("step")),
                tool=tuple(getattr(env, name, None) for name in _TOOL),  # type: ignore[arg-type]
                silent=device is not None and device.silent,
                status=status if device is None else {**device.page_status(), **status},
            )
        )

    def note_stop(self, on: bool) -> None:
        """Note whether an emergency stop of another device holds the robot still."""
        device = self.device
        before, self._stopped = self._stopped, on and not (device is not None and device.stopped)
        if self._stopped != before:
            self.refresh()

    def log_event(self, kind: messages.EventKind, text: str) -> None:
        """Show something that happened in the page's list of events."""
        self._send(self, messages.LogEvent(self.number, time.time(), kind, text))

    def add_episode(self, record: Mapping[str, Any]) -> None:
        """Add a finished episode to the history; `record` has the fields of `messages.EpisodeSummary`."""
        episode = messages.EpisodeSummary(**record)
        self._episodes = (*self._episodes, episode)[-EPISODES_KEPT:]
        self._send(self, messages.Episodes(self.number, False, [episode]))

    def discard_last_episode(self) -> None:
        """Mark the newest episode of the history that was not discarded as discarded: it was deleted."""
        kept = list(self._episodes)
        for index, episode in reversed(list(enumerate(kept))):
            if not episode.discarded:
                kept[index] = replace(episode, discarded=True)
                break
        self._episodes = tuple(kept)
        self._send(self, self.history())

    def publish_metrics(self, values: Mapping[str, float]) -> None:
        """Show numbers of a training run, such as losses and steps per second."""
        self._send(self, messages.Metrics(self.number, dict(values)))

    def set_session(self, **fields: Any) -> None:
        """Show what a command does, by fields of `messages.Session`; the others are as if they did not apply."""
        self.session = messages.Session(self.number, **fields)
        self._send(self, self.session)

    def set_requests(self, requests: Sequence[str]) -> None:
        """Offer buttons to the operator, such as "save" and "stop"; `take_requests` returns which were pressed."""
        self.requests = tuple(requests)
        self.send_bindings()

    def take_requests(self) -> list[str]:
        """The buttons pressed since the last call, each press once."""
        return [self._requested.popleft() for _ in range(len(self._requested))]

    def wait_while_paused(self) -> float:
        """Return when no operator holds the environment any longer, with the s that were waited."""
        start = time.monotonic()
        waited = False
        while self.paused:
            waited = True
            time.sleep(PAUSE_POLL)
            # A holder that is gone does not say so.
            if self.lock.holder(time.monotonic()) is None:
                self.pause(False)
        return time.monotonic() - start if waited else 0.0

    @property
    def device(self) -> PageDevice | None:
        """The device that takes the page's input; None where the page cannot drive."""
        return None if self._device is None else self._device()

    @device.setter
    def device(self, device: PageDevice | None) -> None:
        self._device = None if device is None else weakref.ref(device)
        self.send_bindings()

    @property
    def controllable(self) -> bool:
        """Whether an operator can do anything here: drive, or press a button of a training run."""
        return self.device is not None or bool(self.requests)

    def send_bindings(self) -> None:
        """Send the pages what is pressed for what."""
        self._send(self, self.bindings())

    def close(self) -> None:
        """Take the environment off the console. Closing twice does no harm, and neither does the garbage collector."""
        if not self.closed:
            self.closed = True
            self.paused = False
            self._on_close(self)

    # For the server's thread.

    @property
    def sequence(self) -> int:
        """The number of the newest snapshot; 0 before the first."""
        return 0 if self._snapshot is None else self._snapshot.sequence

    def frame(self) -> tuple[int, float, bytes] | None:
        """Number, time of publishing and bytes of the newest frame; packed once for all pages."""
        snapshot = self._snapshot
        if snapshot is None:
            return None
        if self._frame is None or self._frame[0] != snapshot.sequence:
            description, poses, images = snapshot.captured
            names = description.images if images else []
            packed = messages.pack_frame(
                channel=self.number,
                sequence=snapshot.sequence,
                revision=description.revision,
                published=snapshot.published,
                input_time=snapshot.input_time,
                poses=poses.tobytes(),
                status=self._status(snapshot),
                images=[self._jpeg(name, images.get(name)) for name in names],
            )
            self._frame = (snapshot.sequence, packed)
        return snapshot.sequence, snapshot.published, self._frame[1]

    def bindings(self) -> messages.Bindings:
        """What is pressed for what."""
        device = self.device
        if device is None:
            return messages.Bindings(self.number, requests=list(self.requests))
        return device.page_bindings(self.number, self.requests)

    def history(self) -> messages.Episodes:
        """All episodes that are kept."""
        return messages.Episodes(self.number, True, list(self._episodes))

    def request(self, name: str) -> bool:
        """Note a button of a training run. False if it is not offered."""
        offered = name in self.requests
        if offered:
            self._requested.append(name)
        return offered

    def pause(self, on: bool) -> None:
        """Hold the environment before its next step, or let it continue."""
        if on == self.paused or self.closed:
            return
        self.paused = on
        self.log_event("pause", "paused" if on else "resumed")
        self.refresh()

    def refresh(self) -> None:
        """Send the present status, such as a pause, although no step was made."""
        shown = self._snapshot
        if shown is not None:
            self._show(shown._replace(sequence=shown.sequence + 2, published=time.time()))

    def _status(self, snapshot: Snapshot) -> messages.Status:
        tcp, target, rotation, closed = snapshot.tool
        device = self.device
        known: dict[str, Any] = {
            "paused": self.paused,  # now: the environment's thread may have published while the operator paused
            "silent": snapshot.silent,
            "tcp": _position(tcp),
            "target": _position(target),
            "target_rotation": _quaternion(rotation),
            "gripper": _number(closed),
        }
        given = {name: _number(value) if type(value) is float else value for name, value in snapshot.status.items()}
        now = {
            "stopped": self._stopped or (device is not None and device.stopped),
            "pending": None if device is None else device.pending,
        }
        return messages.Status(**{**known, **given, **now})

    def _show(self, snapshot: Snapshot) -> None:
        # Should both threads show something at the same moment, one of the two is skipped like any frame in a hurry.
        self._snapshot = snapshot
        self._send(self, None)

    def _jpeg(self, name: str, image: NDArray[np.uint8] | None) -> bytes:
        if image is None:
            return b""
        known = self._jpegs.get(name)
        if known is None or known[0] is not image:
            import simplejpeg

            options = {"colorspace": "RGB", "colorsubsampling": "420", "fastdct": True}
            known = self._jpegs[name] = image, simplejpeg.encode_jpeg(image, quality=JPEG_QUALITY, **options)
        return known[1]


def _position(value: Any) -> list[float] | None:
    """Three numbers in m; None for anything else that an environment calls so."""
    if not isinstance(value, np.ndarray) or value.shape != (3,) or not np.isfinite(value).all():
        return None
    return [round(number, 5) for number in value.tolist()]


def _quaternion(matrix: Any) -> list[float] | None:
    """A rotation matrix (3, 3) as a quaternion, w first; None for anything else that an environment calls so."""
    if not isinstance(matrix, np.ndarray) or matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        return None
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, np.asarray(matrix, dtype=float).ravel())
    return [round(number, 6) for number in quaternion.tolist()]


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    return round(value, 4) if is_number else None
