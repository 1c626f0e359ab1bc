"""Every message between the console and its page, as dataclasses; the page's types are generated from them.

Addresses, all but the first only with the cookie that the first one sets:

- `GET /?token=...` exchanges the token for a cookie and redirects to the page.
- `GET /` and `GET /static/...`: the page.
- `GET /channel/<number>/scene.json` and `.../meshes.bin`: `SceneDescription`, what does not move.
- `GET /connect?page=<id>`: the WebSocket. `<id>` is 16 to 64 characters of the page's own choice, by which it is
  recognised after its connection was lost; a second connection with the same id replaces the first.

A channel is one environment on the console. A page watches one channel at a time. One page at a time holds the control
lock of a channel, and only its input counts.

Messages are JSON objects: the fields of a dataclass, and `type`, its name in lower case. Frames are binary, little
endian: `FRAME_HEADER`, 7 float32 for each body of the scene (x, y, z in m, then a quaternion, w first), the `Status` as
JSON, and for each of `SceneDescription.images` its length as uint32 and a JPEG; length 0 where there is no image, and
none of these where there is none at all.
"""

from __future__ import annotations

import json
import math
import struct
import types
import typing
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Literal, TypeAlias

from gym_hil.errors import DeviceError
from gym_hil.teleop import Button
from gym_hil.teleop.hand_tracking import Hand

VERSION = 4
MESSAGE_LIMIT = 8192  # bytes from the page
PAGE_ID_LENGTH = (16, 64)
NUMBER_LIMIT = 1e15  # absolute value of a number from the page

Vec3: TypeAlias = tuple[float, float, float]
Vec4: TypeAlias = tuple[float, float, float, float]
Vec6: TypeAlias = tuple[float, float, float, float, float, float]
ButtonChange: TypeAlias = tuple[Literal["press", "release"], Button]
EventKind: TypeAlias = Literal[
    "success",
    "failure",
    "rerecord",
    "timeout",
    "quit",
    "takeover",
    "handback",
    "help",
    "control",
    "connection",
    "pause",
    "stop",
    "training",
]

# From the page.


@dataclass(frozen=True, slots=True)
class Watch:
    """Show a channel to this page."""

    channel: int
    images: bool = False  # whether the page needs images of the scene, because it cannot draw the scene itself


@dataclass(frozen=True, slots=True)
class Take:
    """Give this page the control lock of the channel it watches; if another page holds it, ask that one for it."""


@dataclass(frozen=True, slots=True)
class Release:
    """Give the control lock back, or withdraw the request for it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Hand the control lock over to the page that asks, or keep it; from the page that holds it."""

    grant: bool


@dataclass(frozen=True, slots=True)
class Input:
    """What the operator does; 60 times a second and at each change, from the page that holds the control lock."""

    time: float  # ms on the page's clock
    motion: Vec6  # of sticks, as fractions of full speed: x forward, y left, z up, then a rotation vector
    held: list[Button]  # buttons that are down
    changes: list[ButtonChange]  # presses and releases since the last message, in order
    target: Vec3 | None = None  # m, where the tool should go; None if it is not being dragged
    target_rotation: Vec4 | None = None  # how the tool should be turned, a quaternion, w first; None likewise
    hand: Hand | None = None  # of a headset or a phone; None without a WebXR session


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold the environment before its next step, or let it continue; from the page that holds the control lock."""

    on: bool


@dataclass(frozen=True, slots=True)
class Request:
    """Press one of the buttons in `Bindings.requests`; from the page that holds the control lock."""

    name: str


@dataclass(frozen=True, slots=True)
class Ack:
    """A frame was shown. Without it no more than two frames are sent."""

    channel: int
    sequence: int


# To the page.


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """A channel in a list of channels."""

    id: int
    title: str  # for humans
    drivable: bool  # whether an operator can drive or request something there


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a connection."""

    version: int
    channels: list[ChannelInfo]


@dataclass(frozen=True, slots=True)
class Channels:
    """An environment was opened or closed; these are open now."""

    channels: list[ChannelInfo]


@dataclass(frozen=True, slots=True)
class LegendPart:
    """The part of the legend for one kind of input: rows of what is touched and what it does."""

    title: str
    rows: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class StickAxis:
    """What an axis of a gamepad's stick does."""

    axis: int  # index in the standard layout of the Gamepad API, which counts right and down
    turning: bool  # whether it does this while the turn button is held, or while it is not
    component: int  # of `Input.motion`
    sign: float  # of the component, for right or down


@dataclass(frozen=True, slots=True)
class Bindings:
    """Which key and which button does what on a channel."""

    channel: int
    # When the operator drives; None where the page cannot drive.
    intervention: Literal["toggle", "stay", "hold", "auto"] | None = None
    keys: dict[str, str] = field(default_factory=dict)  # `KeyboardEvent.code` -> button
    # Index of a button in the standard layout of the Gamepad API -> button.
    pad: dict[str, str] = field(default_factory=dict)
    sticks: list[StickAxis] = field(default_factory=list)
    # Name of a controller's button in a headset -> button; empty where the device reads no hand.
    headset: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, str] = field(default_factory=dict)  # button -> what it does
    legend: list[LegendPart] = field(default_factory=list)  # the same for humans
    requests: list[str] = field(default_factory=list)  # buttons offered by a training run


@dataclass(frozen=True, slots=True)
class Session:
    """What a command does with a channel. None where a value does not apply."""

    channel: int
    activity: Literal["driving", "recording", "training", "evaluating"] | None = None
    dataset: str | None = None  # name of the dataset that is recorded
    episode: int | None = None  # number of the episode as the command counts, from 1
    episodes: int | None = None  # how many are wanted
    has_policy: bool = True  # whether a policy acts while no operator drives
    # The state of the command, see `gym_hil.teleop.session`.
    phase: Literal["waiting", "ready", "running", "outcome"] | None = None
    waiting: str | None = None  # what the command waits for
    seconds: float | None = None  # until the phase ends by itself
    outcome: str | None = None  # how the episode ended
    last: str | None = None  # the last recorded episode, which can be deleted
    choices: list[str] = field(default_factory=list)  # buttons that decide something in this phase


@dataclass(frozen=True, slots=True)
class Alive:
    """Nothing is new, and the connection works."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The program ends; there is nothing to reconnect to."""

    text: str


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds the control lock of a channel."""

    channel: int
    holder: Literal["you", "other", "none"]  # this page, another one, or none
    free_in: float | None  # s until a holder that sends nothing loses the lock; None while it sends
    pages: int  # how many pages watch the channel
    asked: Literal["you", "other", "none"]  # who asks the holder for the lock


@dataclass(frozen=True, slots=True)
class EpisodeSummary:
    """A finished episode."""

    number: int  # from 1
    steps: int  # made in it
    interventions: int  # steps of the operator among them
    success: bool  # whether it succeeded
    episode_return: float  # sum of its rewards
    discarded: bool  # whether the operator wants it recorded again


@dataclass(frozen=True, slots=True)
class Episodes:
    """Finished episodes: all that are kept if `first`, else the newest."""

    channel: int
    first: bool
    episodes: list[EpisodeSummary]


@dataclass(frozen=True, slots=True)
class LogEvent:
    """Something that happened on a channel; `time` is s since 1970."""

    channel: int
    time: float
    kind: EventKind
    text: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """Numbers of a training run."""

    channel: int
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something that the page asked for was not done."""

    text: str


@dataclass(frozen=True, slots=True)
class Status:
    """The part of a frame that is in words and numbers. None where a value does not apply."""

    episode: int | None = None  # number of the episode, from 1
    step: int | None = None  # steps made in it
    max_steps: int | None = None  # steps after which it is truncated
    seconds_left: float | None = None  # time until then
    reward: float | None = None  # of the last step
    episode_return: float | None = None  # rewards of the episode added up
    driver: Literal["policy", "operator"] | None = None  # who made the last step
    silent: bool = False  # whether the operator drives and no input arrives: the action is neutral
    success: bool | None = None  # whether the task is done
    asks_for_help: bool = False  # whether the policy asks the operator to take over
    gripper: float | None = None  # how far the fingers are closed, 0 to 1
    tcp: Vec3 | None = None  # m, the point between the finger tips
    target: Vec3 | None = None  # m, where the controller pulls it to
    target_rotation: Vec4 | None = None  # how the controller turns the tool, a quaternion, w first
    force_torque: Vec6 | None = None  # N and N m at the wrist, where they are observed
    paused: bool | None = None  # whether the environment waits for the operator
    stopped: bool = False  # whether an emergency stop holds the robot still
    pending: str | None = None  # what was pressed and has not taken effect yet
    hand_scale: float | None = None  # m that the tool moves for each m of the hand in a headset
    touches: int | None = None  # how often the gripper, or what it holds, has met something


# What does not move; for `scene.json`.


@dataclass(frozen=True, slots=True)
class Geom:
    """A shape on a body, with the numbers of `mujoco.MjModel`."""

    body: int  # index in `SceneDescription.bodies`
    type: str  # plane, sphere, capsule, ellipsoid, cylinder, box or mesh
    size: list[float]  # m, as MuJoCo has it
    pos: list[float]  # m, relative to the body
    quat: list[float]  # w first, relative to the body
    rgba: list[float]  # each 0 to 1
    mesh: str | None  # key in `SceneDescription.meshes`; None for the other types


@dataclass(frozen=True, slots=True)
class MeshInfo:
    """Where the numbers of a mesh are in `meshes.bin`."""

    vertices: int  # how many there are
    position: int  # byte of the first vertex: 4 uint16 each, a share of `extent` beyond `low`; the fourth is padding
    normal: int  # byte of the first normal: 4 int8 each; the fourth is padding
    index: int  # byte of the first index: uint16, or uint32 if `wide`
    indices: int  # how many there are, three to a triangle
    wide: bool  # whether indices have 4 bytes
    low: list[float]  # m, lower corner of the box around the mesh
    extent: list[float]  # m, size of that box


@dataclass(frozen=True, slots=True)
class SceneCamera:
    """A camera of the model, on a body; `fovy` in degrees."""

    name: str
    body: int
    pos: list[float]
    quat: list[float]
    fovy: float


@dataclass(frozen=True, slots=True)
class ViewPoint:
    """Where to look from at first; angles in degrees, as those of MuJoCo's free camera."""

    centre: list[float]  # m, what is looked at
    distance: float  # m
    azimuth: float
    elevation: float
    track: int | None  # body that the view follows; None for none


@dataclass(frozen=True, slots=True)
class SceneDescription:
    """What an environment is shown by: a model as the page draws it, or images alone."""

    title: str  # for humans
    dt: float  # s, one control step
    revision: int  # of this description; frames name the one that they belong to
    images: list[str]  # names, in the order of images in a frame
    observed: list[str]  # those of them that are in the observation
    big: str | None  # image that is shown large where the page draws no model
    note: str | None  # why there is nothing to see, and what to do
    bodies: list[str]  # names, in the order of poses in a frame; empty for an environment without a model
    geoms: list[Geom]  # visible shapes
    meshes: dict[str, MeshInfo]  # name -> where its numbers are in `meshes.bin`
    cameras: list[SceneCamera]  # of the model
    workspace: list[list[float]] | None  # m, lower and upper corner; None if it has none
    view: ViewPoint | None  # None without a model


PageMessage: TypeAlias = Watch | Take | Release | Answer | Input | Pause | Request | Ack
ServerMessage: TypeAlias = (
    Hello | Channels | Bindings | Session | Lock | Episodes | LogEvent | Metrics | Refused | Alive | Ended
)
PAGE_MESSAGES: dict[str, type[PageMessage]] = {cls.__name__.lower(): cls for cls in typing.get_args(PageMessage)}
_HINTS: dict[type[Any], dict[str, Any]] = {cls: typing.get_type_hints(cls) for cls in (*PAGE_MESSAGES.values(), Hand)}

# Kind (1), images, bytes of status, channel, bodies, sequence, revision of the scene, time of publishing (s since
# 1970), time of the newest input that was applied (ms on the clock of the page that sent it; 0 for none).
FRAME_HEADER = struct.Struct("<BBHHHIIdd")
FRAME = 1


def encode(message: ServerMessage) -> str:
    """A message as JSON."""
    return json.dumps({"type": type(message).__name__.lower(), **asdict(message)}, allow_nan=False)


def decode(text: str) -> PageMessage:
    """Read a message of the page; a DeviceError if it is none, or a field is missing or makes no sense."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DeviceError(f"The page sent a message that is not JSON: {error}.") from None
    kind = values.get("type") if isinstance(values, dict) else None
    cls = PAGE_MESSAGES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise DeviceError(f"The page sent a message of an unknown type {kind!r}.")
    return _fill(cls, values)


def pack_frame(
    *,
    channel: int,
    sequence: int,
    revision: int,
    published: float,
    input_time: float,
    poses: bytes,
    status: Status,
    images: Sequence[bytes],
) -> bytes:
    """Pack a frame; see the module."""
    text = json.dumps(asdict(status), separators=(",", ":"), allow_nan=False).encode()
    header = FRAME_HEADER.pack(
        FRAME, len(images), len(text), channel, len(poses) // 28, sequence, revision, published, input_time
    )
    return b"".join([header, poses, text, *(part for jpeg in images for part in (struct.pack("<I", len(jpeg)), jpeg))])


def _fill(cls: type[Any], values: dict[str, Any]) -> Any:
    """A dataclass from a JSON object; unknown fields are ignored."""
    known = {one.name: values[one.name] for one in fields(cls) if one.name in values}
    try:
        return cls(**{name: _read(name, value, _HINTS[cls][name]) for name, value in known.items()})
    except TypeError as error:
        raise DeviceError(f"The page sent a message without all of its fields: {error}.") from None


def _read(name: str, value: Any, hint: Any) -> Any:
    """A value from JSON as what a dataclass declares."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _read(name, value, arguments[0])
    if origin is Literal and isinstance(value, str) and value in arguments:
        return value
    if origin is list and isinstance(value, list):
        return [_read(name, entry, arguments[0]) for entry in value]
    if origin is tuple and isinstance(value, list) and len(value) == len(arguments):
        return tuple(_read(name, entry, argument) for entry, argument in zip(value, arguments, strict=True))
    if hint is Button and isinstance(value, str) and value in Button.__members__:
        return Button[value]
    if hint is float and _is_number(value):
        return float(value)
    if isinstance(hint, type) and is_dataclass(hint) and isinstance(value, dict):
        return _fill(hint, value)
    if hint in (int, bool, str) and type(value) is hint and (hint is not int or abs(value) < NUMBER_LIMIT):
        return value
    raise DeviceError(f"{name} is {value!r}; expected {_describe(hint)}.")


def _describe(hint: Any) -> str:
    """A type in words, such as `list[Button]`; of a `Literal` its choices."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, arguments))
    return hint.__name__ + (f"[{', '.join(map(_describe, arguments))}]" if arguments else "")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < NUMBER_LIMIT and math.isfinite(value)
