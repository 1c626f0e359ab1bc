"""One environment on the console: what it shows, who holds its control lock, and what that operator wants."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.console.messages import (
    Bindings,
    Episodes,
    EpisodeSummary,
    EventKind,
    Input,
    LogEvent,
    Metrics,
    ServerMessage,
    Status,
    pack_frame,
)
from gym_hil.console.scene_stream import PackedScene, body_poses, pack_scene
from gym_hil.rendering import Renderer, make_renderer

EPISODES_KEPT = 500  # for the plot
JPEG_QUALITY = 80
LOCK_TIMEOUT = 10.0  # s without input, after which others can take the control lock
PAUSE_POLL = 0.02  # s
DRAWN_SIZE = (360, 480)  # pixels, height and width of the images for pages that cannot draw the scene
_TOOL = ("tcp_position", "tcp_target", "gripper_closed")  # of the environment, where it has them


class PageDevice(Protocol):
    """What takes the input of the operator who holds the control lock: the device `web`.

    Attributes:
        applied: ms on the page's clock, the newest input that a step has used; 0 for none.
    """

    applied: float

    def page_bindings(self, channel: int, requests: Sequence[str]) -> Bindings:
        """Which key and which button does what."""

    def receive(self, message: Input) -> None:
        """Take in what the operator does."""

    def disconnect(self) -> None:
        """The connection of the operator is lost; it may come back."""

    def release(self) -> None:
        """The operator has given the control lock back."""


class ControlLock:
    """Which page drives a channel: one at a time, until it releases the lock or has been silent for long.

    All times are in s, of a clock that never goes back.

    Args:
        timeout: s without input from the holder, after which others can take the lock.
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
    positions: NDArray[np.float64]
    orientations: NDArray[np.float64]
    tool: tuple[Any, Any, Any]  # where it is, where it is pulled to, how far the gripper is closed
    paused: bool
    status: Mapping[str, Any]
    images: Mapping[str, NDArray[Any]]


class Channel:
    """What one environment shows on the console. Made by `Console.channel_for`.

    The environment's thread publishes and continues; the server's thread takes the newest when a page is ready for it.
    Nothing here takes a lock: the garbage collector may close a channel in the middle of any other call.

    Args:
        number: by which pages name it.
        env: the unwrapped environment, with `model`, `data` and `control_dt`; held weakly.
        title: for humans.
        send: takes the channel and a message for the pages that watch it, or None when there is a new snapshot.
        on_close: called once.

    Attributes:
        requests: buttons that a training run offers.
        paused: whether the operator holds the environment before its next step.
        needs_images: whether a page asks for images of the scene, because it cannot draw the scene.
    """

    def __init__(
        self,
        number: int,
        env: Any,
        title: str,
        *,
        send: Callable[[Channel, ServerMessage | None], None],
        on_close: Callable[[Channel], None],
    ):
        self.number, self.title = number, title
        self.scene: PackedScene = pack_scene(
            env.model, title=title, dt=env.control_dt, workspace=getattr(env, "cartesian_bounds", None)
        )
        self.lock = ControlLock()
        self.requests: tuple[str, ...] = ()
        self.paused = self.closed = self.needs_images = False
        self._env = weakref.ref(env)
        self._positions, self._orientations = env.data.xpos, env.data.xquat
        self._cameras = [camera.name for camera in self.scene.description.cameras]
        self._send, self._on_close = send, on_close
        self._device: weakref.ref[PageDevice] | None = None
        self._renderer: Renderer | None = None
        self._preparing = False
        self._snapshot: Snapshot | None = None
        self._frame: tuple[int, bytes] | None = None
        self._episodes: tuple[EpisodeSummary, ...] = ()
        self._requested: deque[str] = deque()

    # For the environment's thread.

    def shows(self, env: Any) -> bool:
        """Whether this is the channel of an environment, and still open."""
        return not self.closed and self._env() is env

    def publish(self, status: Mapping[str, Any], images: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Show the present state. The environment's thread only copies; the rest is done by the server's thread.

        Args:
            status: any fields of `messages.Status`; what the environment itself knows is filled in.
            images: camera -> (height, width, 3) uint8, which must not change afterwards.
        """
        env, device = self._env(), self.device
        if self.needs_images and self._cameras and not images and env is not None:
            if self._renderer is not None:
                images = dict(zip(self._cameras, self._renderer.render(env.data, self._cameras), strict=True))
            elif not self._preparing:
                self._preparing = True
                threading.Thread(target=self._prepare_renderer, args=[env.model], daemon=True).start()
        self._show(
            Snapshot(
                sequence=self.sequence + 1,
                published=time.time(),
                input_time=0.0 if device is None else device.applied,
                positions=self._positions.copy(),
                orientations=self._orientations.copy(),
                tool=tuple(getattr(env, name, None) for name in _TOOL),  # type: ignore[arg-type]
                paused=self.paused,
                status=status,
                images=images or {},
            )
        )

    def log_event(self, kind: EventKind, text: str) -> None:
        """Show something that happened in the page's list of events."""
        self._send(self, LogEvent(self.number, time.time(), kind, text))

    def add_episode(self, record: Mapping[str, Any]) -> None:
        """Add a finished episode to the history.

        Args:
            record: the fields of `messages.EpisodeSummary`.
        """
        episode = EpisodeSummary(**record)
        self._episodes = (*self._episodes, episode)[-EPISODES_KEPT:]
        self._send(self, Episodes(self.number, False, [episode]))

    def publish_metrics(self, values: Mapping[str, float]) -> None:
        """Show numbers of a training run, such as losses and steps per second."""
        self._send(self, Metrics(self.number, dict(values)))

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
            tcp, target, closed = snapshot.tool
            known = {"tcp": _rounded(tcp), "target": _rounded(target), "paused": snapshot.paused}
            known["gripper"] = None if closed is None else round(closed, 3)
            packed = pack_frame(
                channel=self.number,
                sequence=snapshot.sequence,
                published=snapshot.published,
                input_time=snapshot.input_time,
                poses=body_poses(snapshot.positions, snapshot.orientations),
                status=Status(**{**known, **snapshot.status}),
                images=[_jpeg(snapshot.images.get(name)) for name in self._cameras if snapshot.images],
            )
            self._frame = (snapshot.sequence, packed)
        return snapshot.sequence, snapshot.published, self._frame[1]

    def bindings(self) -> Bindings:
        """What is pressed for what."""
        device = self.device
        if device is None:
            return Bindings(self.number, requests=list(self.requests))
        return device.page_bindings(self.number, self.requests)

    def history(self) -> Episodes:
        """All episodes that are kept."""
        return Episodes(self.number, True, list(self._episodes))

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
        shown = self._snapshot
        if shown is not None:
            self._show(shown._replace(sequence=shown.sequence + 1, published=time.time(), paused=on))

    def _show(self, snapshot: Snapshot) -> None:
        # Should both threads show something at the same moment, one of the two is skipped like any frame in a hurry.
        self._snapshot = snapshot
        self._send(self, None)

    def _prepare_renderer(self, model: mujoco.MjModel) -> None:
        """Make the renderer and have it compiled, beside the environment, which would stand still meanwhile."""
        renderer = make_renderer("raster", model, *DRAWN_SIZE)
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        renderer.render(data, self._cameras[:1])
        self._renderer = renderer


def _rounded(position: NDArray[np.float64] | None) -> list[float] | None:
    return None if position is None else [round(value, 5) for value in position.tolist()]


def _jpeg(image: NDArray[Any] | None) -> bytes:
    if image is None:
        return b""
    import simplejpeg

    return simplejpeg.encode_jpeg(image, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="420", fastdct=True)
