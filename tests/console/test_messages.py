"""What a page may send is read exactly, what makes no sense is refused, and the page's types are up to date."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gym_hil.console
from gym_hil.console.messages import Ack, Input, Status, Take, Watch, decode, pack_frame
from gym_hil.errors import DeviceError
from gym_hil.teleop import Button
from tests.console.page import unpack

GOOD = {
    "type": "input",
    "time": 1.5,
    "motion": [0, 0.5, -1, 0, 0, 0],
    "held": ["OPEN"],
    "changes": [["press", "OPEN"]],
    "target": None,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_input_is_read() -> None:
    changes = [["press", "SUCCESS"], ["release", "SUCCESS"]]
    assert decode(json.dumps({**GOOD, "changes": changes, "target": [0.4, 0, 0.1]})) == Input(
        time=1.5,
        motion=(0, 0.5, -1, 0, 0, 0),
        held=[Button.OPEN],
        changes=[("press", Button.SUCCESS), ("release", Button.SUCCESS)],
        target=(0.4, 0, 0.1),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type": "take"}', Take()),
        ('{"type": "watch", "channel": 3}', Watch(3)),
        ('{"type": "watch", "channel": 3, "images": true, "news": 1}', Watch(3, images=True)),
        ('{"type": "ack", "channel": 3, "sequence": 7}', Ack(3, 7)),
    ],
)
def test_fields_may_have_defaults_and_unknown_ones_are_ignored(text: str, message: object) -> None:
    assert decode(text) == message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("time", None),
        ("time", math.nan),
        ("time", "now"),
        ("motion", [0] * 5),
        ("motion", [0] * 5 + [math.inf]),
        ("motion", [True] * 6),
        ("held", ["FLY"]),
        ("held", [["OPEN"]]),
        ("held", "OPEN"),
        ("changes", None),
        ("changes", [["push", "OPEN"]]),
        ("changes", [["press"]]),
        ("changes", ["press"]),
        ("target", [0.4, 0]),
        ("target", [1e300, 0, 0]),
    ],
)
def test_input_that_makes_no_sense_is_refused(key: str, value: object) -> None:
    with pytest.raises(DeviceError, match=key):
        decode(json.dumps({**GOOD, key: value}))


@given(JSON, st.sampled_from(sorted(GOOD)))
def test_any_value_in_any_field_is_read_or_refused(value: object, key: str) -> None:
    try:
        message = decode(json.dumps({**GOOD, key: value}))
    except DeviceError:
        return
    if isinstance(message, Input):
        assert all(math.isfinite(number) for number in (message.time, *message.motion, *(message.target or ())))
        assert all(isinstance(button, Button) for button in message.held)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"kind": 1}', '{"type": 1}', '{"type": "fly"}', '{"type": "ack"}', "null", "[" * 5000, "NaN"],
)
def test_other_messages_are_refused(text: str) -> None:
    with pytest.raises(DeviceError):
        decode(text)


def test_frame_holds_what_was_packed() -> None:
    packed = pack_frame(
        channel=3,
        sequence=70000,
        revision=7,
        published=1.7e9,
        input_time=12.5,
        poses=bytes(28 * 2),
        status=Status(driver="operator", tcp=(0.1, 0.2, 0.3)),
        images=(b"first", b""),
    )
    frame = unpack(packed)
    assert (frame["channel"], frame["sequence"], frame["published"], frame["input_time"]) == (3, 70000, 1.7e9, 12.5)
    assert frame["poses"] == (0.0,) * 14
    assert (frame["status"]["driver"], frame["status"]["tcp"]) == ("operator", [0.1, 0.2, 0.3])
    assert frame["jpegs"] == [b"first", b""]


def test_types_of_the_page_are_generated_from_the_dataclasses() -> None:
    tool = Path(gym_hil.console.__file__).parents[2] / "web" / "make_types.py"
    subprocess.run([sys.executable, tool, "--check"], check=True)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("changes", [["push", "OPEN"]], "'press' or 'release'"),
        ("held", "OPEN", "list[Button]"),
        ("target", [0.4, 0], "tuple[float, float, float]"),
        ("held", ["FLY"], "Button"),
    ],
)
def test_refusal_says_what_was_expected(key: str, value: object, expected: str) -> None:
    with pytest.raises(DeviceError, match=rf"expected {re.escape(expected)}\.$"):
        decode(json.dumps({**GOOD, key: value}))
