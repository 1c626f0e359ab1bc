"""What a page may say is read exactly, and what makes no sense is refused."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_hil.console.protocol import pack_frame, parse_input, parse_message
from gym_hil.errors import DeviceError
from gym_hil.teleop import Button
from tests.console.page import unpack

GOOD = {"time": 1.5, "motion": [0, 0.5, -1, 0, 0, 0], "held": ["OPEN"], "changes": [["press", "OPEN"]], "target": None}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_input_is_read() -> None:
    news = parse_input({**GOOD, "changes": [["press", "SUCCESS"], ["release", "SUCCESS"]], "target": [0.4, 0, 0.1]})
    assert news.time == 1.5
    assert news.motion == (0, 0.5, -1, 0, 0, 0)
    assert news.held == (Button.OPEN,)
    assert news.changes == ((True, Button.SUCCESS), (False, Button.SUCCESS))
    assert news.target == (0.4, 0, 0.1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("time", None),
        ("time", math.nan),
        ("time", "now"),
        ("motion", [0] * 5),
        ("motion", [0] * 5 + [math.inf]),
        ("motion", [True] * 6),
        ("motion", {"x": 1}),
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
    with pytest.raises(DeviceError):
        parse_input({**GOOD, key: value})


@given(JSON, st.sampled_from(sorted(GOOD)))
def test_whatever_stands_in_a_field_is_read_or_refused(value: object, key: str) -> None:
    try:
        news = parse_input({**GOOD, key: value})
    except DeviceError:
        return
    assert all(math.isfinite(number) for number in (news.time, *news.motion, *(news.target or ())))
    assert all(isinstance(button, Button) for button in news.held)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"kind": 1}', '{"type": 1}', "null", "[" * 5000, "NaN"])
def test_message_without_a_type_is_refused(text: str) -> None:
    with pytest.raises(DeviceError):
        parse_message(text)


def test_frame_holds_what_was_packed() -> None:
    status = {"driver": "operator", "tcp": [0.1, 0.2, 0.3]}
    packed = pack_frame(
        channel=3,
        sequence=70000,
        published=1.7e9,
        input_time=12.5,
        poses=bytes(28 * 2),
        status=status,
        images=(b"first", b""),
    )
    frame = unpack(packed)
    assert (frame["channel"], frame["sequence"], frame["published"], frame["input_time"]) == (3, 70000, 1.7e9, 12.5)
    assert frame["poses"] == (0.0,) * 14
    assert json.dumps(frame["status"]) == json.dumps(status)
    assert frame["jpegs"] == [b"first", b""]
