"""What the console's server and its page say to each other. The page's side is in `static/link.js`.

Addresses, all but the first only with the cookie that the first one sets:

- `GET /?token=...` exchanges the token for a cookie and leads on to `/`.
- `GET /` and `GET /static/...`: the page.
- `GET /channel/<id>/scene.json` and `GET /channel/<id>/meshes.bin`: what does not move; see `scene.pack_scene`.
- `GET /link?page=<id>`: the WebSocket. `<id>` is 16 to 64 characters of the page's own choice, by which it is known
  again after its connection was lost; whoever comes with the same one takes the place of the earlier connection.

A channel is one environment that is shown. A page watches one channel at a time. One page at a time has the seat of a
channel, which means that its input counts. It frees the seat by `release`; otherwise the seat is free for others after
10 s without a word from it.

From the page, as JSON text of at most 8 KB:

- `{"type": "watch", "channel": 1}`
- `{"type": "take"}` and `{"type": "release"}`: the seat of the channel that is watched.
- `{"type": "input", "time": 1.5, "motion": [6 numbers], "held": ["OPEN"], "changes": [["press", "OPEN"]], "target":
  null}` from the holder of the seat, 60 times a second and at each change. `time` is ms on the page's clock. `motion`
  is from sticks, as fractions of full speed, x forward, y left, z up, then a rotation vector. `held` are all buttons
  that are down, by the names of `gym_hil.teleop.Button`; `changes` is what was pressed and released since the last
  message, in order, so that nothing is lost between two messages. `target` is where the tool should go, (3,) m, or
  null.
- `{"type": "pause", "on": true}` from the holder of the seat.
- `{"type": "ask", "name": "save"}` from the holder of the seat: one of the channel's `requests`.
- `{"type": "ack", "sequence": 7}` for every frame. Without it no more than two frames are sent.

To the page, as JSON text:

- `{"type": "hello", "version": 1, "channels": [{"id": 1, "title": "PandaPickCube-v1", "drivable": true}]}`; `channels`
  alone comes again as `{"type": "channels", ...}` when one opens or closes. `drivable`: an operator can do something
  there, drive or ask for something.
- `{"type": "controls", "channel": 1, "intervention": "toggle", "keys": {"Space": "INTERVENE"}, "pad": {"5":
  "INTERVENE"}, "buttons": {"INTERVENE": "take over / hand back"}, "legend": [{"title": "Keyboard",
  "rows": [["Space", "..."]]}], "requests": ["save"]}`: which key (`KeyboardEvent.code`) and which button of a standard
  gamepad is what. Null for `intervention` on a channel that nobody can drive.
- `{"type": "seat", "channel": 1, "holder": "you" | "other" | "nobody", "free_in": 8.5, "pages": 2}`: `free_in` is s
  until a holder that has gone silent loses the seat, null while it is heard.
- `{"type": "episodes", "channel": 1, "first": true, "episodes": [{"number": 1, "steps": 34, "interventions": 20,
  "success": true, "return": 1.0, "discarded": false}]}`: all that are kept if `first`, else the newest.
- `{"type": "event", "channel": 1, "time": 1.7e9, "kind": "success", "text": "..."}`; the kinds are in `EVENT_KINDS`.
- `{"type": "metrics", "channel": 1, "values": {"loss": 0.1}}`: numbers of a training run.
- `{"type": "refused", "text": "..."}`: why something that the page asked for was not done.

To the page, as binary, little endian: a frame, see `FRAME_HEADER`. Behind the header come 7 float32 for each body of
the scene: x, y, z in m and a quaternion, w first; then the status as JSON; then for each image its length as uint32
and a JPEG, in the order of the scene's cameras; length 0 where a camera has none, and no images at all where none
has.
`STATUS` lists the status.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gym_hil.errors import DeviceError
from gym_hil.teleop import Button

VERSION = 1
MESSAGE_LIMIT = 8192  # bytes from the page
FRAMES_IN_FLIGHT = 2
RATE_LIMIT, RATE_BURST = 240.0, 240  # messages per s, and at once; the page sends 60 inputs and as many acks
SEAT_SILENCE = 10.0  # s without a word, after which others may take the seat
PAGE_ID_LENGTH = (16, 64)

# Kind (1), images, bytes of status, channel, bodies, sequence, unused, time of publishing (s since 1970), time of the
# newest input that was applied (ms on the clock of the page that sent it; 0 for none).
FRAME_HEADER = struct.Struct("<BBHHHIIdd")
FRAME = 1
# Key of the status -> what it means.
STATUS = {
    "episode": "number of the episode, from 1",
    "step": "steps made in it",
    "max_steps": "steps after which it is truncated, or null",
    "seconds_left": "the same as time that is left, s, or null",
    "reward": "of the last step",
    "return": "rewards of the episode added up",
    "driver": "policy or operator: who made the last step",
    "success": "whether the task is done",
    "gripper": "how far the fingers are closed, 0 to 1, or null",
    "tcp": "(3,) m, the point between the finger tips, or null",
    "target": "(3,) m, where the controller pulls it to, or null",
    "paused": "whether steps wait for the operator",
}
EVENT_KINDS = ("success", "failure", "rerecord", "timeout", "quit", "takeover", "handback", "seat", "pause", "training")


@dataclass(frozen=True, slots=True)
class Input:
    """What the operator at the page does.

    Attributes:
        time: ms on the page's clock.
        motion: 6 fractions of full speed, from sticks.
        held: buttons that are down.
        changes: presses (True) and releases (False) since the last message, in order.
        target: 3 numbers, m, where the tool should go; None if nobody drags it.
    """

    time: float
    motion: tuple[float, ...]
    held: tuple[Button, ...]
    changes: tuple[tuple[bool, Button], ...]
    target: tuple[float, ...] | None


def parse_message(text: str) -> dict[str, Any]:
    """Read a message of the page.

    Raises:
        DeviceError: it is not a JSON object with a type.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DeviceError(f"The page sent what is not JSON: {error}.") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise DeviceError("The page sent a message without a type.")
    return message


def parse_input(message: Mapping[str, Any]) -> Input:
    """Read an `input` message; see the module.

    Raises:
        DeviceError: a field is missing or has a value that makes no sense.
    """
    target = message.get("target")
    changes = message.get("changes")
    if not isinstance(changes, list):
        raise DeviceError(f"changes is {changes!r}; expected a list.")
    return Input(
        time=_numbers("time", [message.get("time")], 1)[0],
        motion=_numbers("motion", message.get("motion"), 6),
        held=_buttons("held", message.get("held")),
        changes=tuple(map(_change, changes)),
        target=None if target is None else _numbers("target", target, 3),
    )


def pack_frame(
    *,
    channel: int,
    sequence: int,
    published: float,
    input_time: float,
    poses: bytes,
    status: Mapping[str, Any],
    images: tuple[bytes, ...],
) -> bytes:
    """Pack a frame; see the module."""
    words = json.dumps(status, separators=(",", ":"), allow_nan=False).encode()
    header = FRAME_HEADER.pack(
        FRAME, len(images), len(words), channel, len(poses) // 28, sequence, 0, published, input_time
    )
    return b"".join([header, poses, words, *(part for jpeg in images for part in (struct.pack("<I", len(jpeg)), jpeg))])


def _numbers(name: str, values: Any, count: int) -> tuple[float, ...]:
    numbers = isinstance(values, list) and len(values) == count and all(map(_is_number, values))
    if not numbers:
        raise DeviceError(f"{name} is {values!r}; expected {count} finite numbers.")
    return tuple(float(value) for value in values)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15 and math.isfinite(value)
    )


def _buttons(name: str, values: Any) -> tuple[Button, ...]:
    if not isinstance(values, list):
        raise DeviceError(f"{name} is {values!r}; expected a list of buttons.")
    return tuple(map(_button, values))


def _button(name: Any) -> Button:
    if not isinstance(name, str) or name not in Button.__members__:
        raise DeviceError(f"There is no button {name!r}.")
    return Button[name]


def _change(change: Any) -> tuple[bool, Button]:
    if not isinstance(change, list) or len(change) != 2 or change[0] not in ("press", "release"):
        raise DeviceError(f"A change is {change!r}; expected ['press' or 'release', button].")
    return change[0] == "press", _button(change[1])
