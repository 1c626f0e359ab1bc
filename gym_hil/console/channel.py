"""One environment on the console: what it shows, who has its seat, and what that operator wants."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gym_hil.console.protocol import STATUS, Input, pack_frame
from gym_hil.console.scene import Scene, body_poses, pack_scene
from gym_hil.console.seat import Seat

EPISODES_KEPT = 500  # for the plot
JPEG_QUALITY = 80
_TOOL = ("tcp_position", "tcp_target", "gripper_closed")  # of the environment, where it has them


class Driver(Protocol):
    """What takes the input of the operator who has the seat: the device `web`.

    Attributes:
        applied: ms on the page's clock, the newest input that a step has used; 0 for none.
    """

    applied: float

    def controls(self) -> dict[str, Any]:
        """The `controls` message without its type and channel; see `gym_hil.console.protocol`."""

    def hear(self, news: Input) -> None:
        """Take in what the operator does."""

    def lose(self) -> None:
        """Nobody has the seat, or the operator is gone."""


class Snapshot(NamedTuple):
    """What one step published, as it lay there; turned into a frame only when a page wants it."""

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
    """What one environment shows on the console. Made by `Console.open_channel`.

    The environment's thread publishes and goes on; the server's thread takes the newest when a page is ready for it.

    Args:
        number: by which pages name it.
        env: the unwrapped environment, with `model`, `data` and `control_dt`; held weakly.
        title: for people.
        tell: takes a channel, a message for the pages that watch it, or None when there is a new snapshot.
        on_close: called once.
    """

    def __init__(
        self,
        number: int,
        env: Any,
        title: str,
        *,
        tell: Callable[[Channel, dict[str, Any] | None], None],
        on_close: Callable[[Channel], None],
    ):
        self.number, self.title = number, title
        self.scene: Scene = pack_scene(
            env.model, title=title, dt=env.control_dt, workspace=getattr(env, "cartesian_bounds", None)
        )
        self.seat = Seat()
        self.requests: tuple[str, ...] = ()  # what an operator may ask of a training run
        self._env = weakref.ref(env)
        self._positions, self._orientations = env.data.xpos, env.data.xquat
        self._cameras = [camera["name"] for camera in self.scene.description["cameras"]]
        self._tell, self._on_close = tell, on_close
        self._lock = threading.Lock()
        self._device: weakref.ref[Driver] | None = None
        self._snapshot: Snapshot | None = None
        self._frame: tuple[int, bytes] | None = None
        self._episodes: deque[dict[str, Any]] = deque(maxlen=EPISODES_KEPT)
        self._asked: list[str] = []
        self._may_run = threading.Event()
        self._may_run.set()
        self.closed = False

    # For the environment's side.

    def publish(self, status: Mapping[str, Any], images: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Show the present state. The environment's thread only copies; the rest is the server's work.

        Args:
            status: any of `protocol.STATUS`; what the environment itself can tell is filled in.
            images: camera -> (height, width, 3) uint8, which nobody changes afterwards.
        """
        env, device = self._env(), self.device
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

    def log_event(self, kind: str, text: str) -> None:
        """Tell the pages of something that happened; kinds are in `protocol.EVENT_KINDS`."""
        self._tell(self, {"type": "event", "channel": self.number, "time": time.time(), "kind": kind, "text": text})

    def add_episode(self, record: Mapping[str, Any]) -> None:
        """Add an episode to the history; see the message `episodes` in `protocol`."""
        with self._lock:
            self._episodes.append(dict(record))
        self._tell(self, {"type": "episodes", "channel": self.number, "first": False, "episodes": [dict(record)]})

    def publish_metrics(self, values: Mapping[str, float]) -> None:
        """Show numbers of a training run, such as losses and steps per second."""
        self._tell(self, {"type": "metrics", "channel": self.number, "values": dict(values)})

    def set_requests(self, requests: Sequence[str]) -> None:
        """Offer buttons to the operator, such as "save" and "stop"; `take_requests` says which were used."""
        self.requests = tuple(requests)
        self.tell_controls()

    def take_requests(self) -> list[str]:
        """What the operator asked for since the last call, each press once."""
        with self._lock:
            asked, self._asked = self._asked, []
        return asked

    @property
    def paused(self) -> bool:
        """Whether the operator wants everything to wait."""
        return not self._may_run.is_set()

    def wait_while_paused(self) -> float:
        """Come back when nobody wants a pause any longer. Returns the s that were waited."""
        if self._may_run.is_set():
            return 0.0
        start = time.monotonic()
        # The seat can fall free without anybody saying so.
        while not self._may_run.wait(0.1):
            if self.seat.holder(time.monotonic()) is None:
                self.pause(False)
        return time.monotonic() - start

    @property
    def device(self) -> Driver | None:
        """The device that takes the input; None if nobody can drive here."""
        return None if self._device is None else self._device()

    @device.setter
    def device(self, device: Driver | None) -> None:
        self._device = None if device is None else weakref.ref(device)
        self.tell_controls()

    @property
    def controllable(self) -> bool:
        """Whether an operator can do anything here: drive, or ask something of a training run."""
        return self.device is not None or bool(self.requests)

    def tell_controls(self) -> None:
        """Tell the pages what is pressed for what."""
        self._tell(self, self.controls())

    def close(self) -> None:
        """Take the environment off the console. Closing twice does no harm."""
        if not self.closed:
            self.closed = True
            self._may_run.set()
            self._on_close(self)

    # For the server's side.

    @property
    def sequence(self) -> int:
        """The number of the newest snapshot; 0 before the first."""
        return 0 if self._snapshot is None else self._snapshot.sequence

    def frame(self) -> tuple[int, float, bytes] | None:
        """Number, time of publishing and bytes of the newest frame; packed once for all who watch."""
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
                status={**dict.fromkeys(STATUS), **known, **snapshot.status},
                images=tuple(_jpeg(snapshot.images.get(name)) for name in self._cameras if snapshot.images),
            )
            self._frame = (snapshot.sequence, packed)
        return snapshot.sequence, snapshot.published, self._frame[1]

    def controls(self) -> dict[str, Any]:
        """The `controls` message."""
        device = self.device
        nothing: dict[str, Any] = {"intervention": None, "keys": {}, "pad": {}, "buttons": {}, "legend": []}
        known = nothing if device is None else device.controls()
        return {"type": "controls", "channel": self.number, **known, "requests": list(self.requests)}

    def history(self) -> dict[str, Any]:
        """The `episodes` message with all that are kept."""
        with self._lock:
            return {"type": "episodes", "channel": self.number, "first": True, "episodes": list(self._episodes)}

    def ask(self, name: str) -> bool:
        """Note a request of the operator. False if it is not offered."""
        if name not in self.requests:
            return False
        with self._lock:
            self._asked.append(name)
        return True

    def pause(self, on: bool) -> None:
        """Make the environment wait, or go on."""
        if on == self.paused or self.closed:
            return
        if on:
            self._may_run.clear()
        else:
            self._may_run.set()
        self.log_event("pause", "paused" if on else "going on")
        shown = self._snapshot
        if shown is not None:
            self._show(shown._replace(sequence=shown.sequence + 1, published=time.time(), paused=on))

    def _show(self, snapshot: Snapshot) -> None:
        # Should both threads show something at the same moment, one of the two is skipped like any frame in a hurry.
        self._snapshot = snapshot
        self._tell(self, None)


def _rounded(position: NDArray[np.float64] | None) -> list[float] | None:
    return None if position is None else [round(value, 5) for value in position.tolist()]


def _jpeg(image: NDArray[Any] | None) -> bytes:
    if image is None:
        return b""
    import simplejpeg

    return simplejpeg.encode_jpeg(image, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="420", fastdct=True)
