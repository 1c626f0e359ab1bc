"""Game controllers from their bytes to commands and events."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gym_hil  # noqa: F401
from gym_hil.teleop import Button, Event
from gym_hil.teleop.gamepad import BINDINGS
from gym_hil.teleop.gamepad_hid import CONTROLLERS, GamepadHid
from gym_hil.teleop.hid_device import UNKNOWN_REPORTS
from gym_hil.teleop.hid_reports import read_controls
from gym_hil.teleop.input_state import RESUME_WITHIN

DS4, DS5, XBOX, XBOX_OLD = (0x054C, 0x09CC), (0x054C, 0x0CE6), (0x045E, 0x0B13), (0x045E, 0x02E0)
SWITCH, F310 = (0x057E, 0x2009), (0x046D, 0xC216)


class Pad:
    """Reports of one controller, from what is pressed and pushed.

    Args:
        model: vendor and product.
        rest: the report of an untouched controller.
        sticks: where `left_x`, `left_y` and `right_y` are, and the bytes for as far right or up as it goes.
        buttons: for each word, where it is and what it adds to the byte; a trigger's bytes replace those at rest.
    """

    def __init__(self, model, rest, sticks, buttons):
        self.model, self.rest, self.sticks, self.buttons = model, bytes.fromhex(rest), sticks, buttons

    def report(self, *down, **pushed):
        data = bytearray(self.rest)
        for stick in pushed:
            byte, far = self.sticks[stick]
            data[byte : byte + len(far)] = far
        for word in down:
            byte, value = self.buttons[word]
            if isinstance(value, bytes):
                data[byte : byte + len(value)] = value
            else:
                data[byte] |= value
        return bytes(data)


def sony(model, first, rest, buttons, triggers):
    return Pad(
        model,
        rest,
        {"left_x": (first, b"\xff"), "left_y": (first + 1, b"\x00"), "right_y": (first + 3, b"\x00")},
        {
            "x": (buttons, 0x10),
            "a": (buttons, 0x20),
            "b": (buttons, 0x40),
            "y": (buttons, 0x80),
            "rb": (buttons + 1, 0x02),
            "back": (buttons + 1, 0x10),
            "start": (buttons + 1, 0x20),
            "lt": (triggers, b"\xff"),
            "rt": (triggers + 1, b"\xff"),
        },
    )


def xbox(model, length, x, y, rb, back, start):
    return Pad(
        model,
        "01 0080 0080 0080 0080 0000 0000 00".replace(" ", "") + "00" * (length - 14),
        {"left_x": (1, b"\xff\xff"), "left_y": (3, b"\x00\x00"), "right_y": (7, b"\x00\x00")},
        {
            **{"a": (14, 1), "b": (14, 2), "x": (14, x), "y": (14, y), "rb": (14, rb), "back": back, "start": start},
            **{"lt": (9, b"\xff\x03"), "rt": (11, b"\xff\x03")},
        },
    )


PADS = {
    "DualShock 4, USB": sony(DS4, 1, "01 80 7f 80 80 08 00 10 00 00" + "00" * 54, 5, 8),
    "DualShock 4, Bluetooth": sony(DS4, 3, "11 c0 00 80 7f 80 80 08 00 10 00 00" + "00" * 66, 7, 10),
    "DualShock 4, Bluetooth, short": sony(DS4, 1, "01 80 7f 80 80 08 00 10 00 00", 5, 8),
    "DualSense, USB": sony(DS5, 1, "01 80 7f 80 80 00 00 5a 08 00" + "00" * 54, 8, 5),
    "DualSense, Bluetooth": sony(DS5, 2, "31 41 80 7f 80 80 00 00 5a 08 00" + "00" * 67, 9, 6),
    "DualSense, Bluetooth, short": sony(DS5, 1, "01 80 7f 80 80 08 00 10 00 00", 5, 8),
    "Xbox Series X": xbox(XBOX, 17, 0x08, 0x10, 0x80, (15, 0x04), (15, 0x08)),
    "Xbox One S, old firmware": xbox(XBOX_OLD, 16, 0x04, 0x08, 0x20, (14, 0x40), (14, 0x80)),
    "Switch Pro, full": Pad(
        SWITCH,
        "30 07 91 00 80 00 d0 07 7d d0 07 7d" + "00" * 37,
        # 12 bits each: x 3500 with y 2000, x 2000 with y 3500
        {"left_x": (6, b"\xac\x0d\x7d"), "left_y": (6, b"\xd0\xc7\xda"), "right_y": (9, b"\xd0\xc7\xda")},
        {
            **{"x": (3, 0x02), "y": (3, 0x01), "a": (3, 0x08), "b": (3, 0x04), "rb": (3, 0x40), "rt": (3, 0x80)},
            **{"lt": (5, 0x80), "back": (4, 0x01), "start": (4, 0x02)},
        },
    ),
    "Switch Pro, simple": Pad(
        SWITCH,
        "3f 00 00 08 00 80 00 80 00 80 00 80",
        {"left_x": (4, b"\x00\xf0"), "left_y": (6, b"\x00\x10"), "right_y": (10, b"\x00\x10")},
        {
            **{"x": (1, 0x08), "y": (1, 0x04), "a": (1, 0x02), "b": (1, 0x01), "rb": (1, 0x20), "rt": (1, 0x80)},
            **{"lt": (1, 0x40), "back": (2, 0x01), "start": (2, 0x02)},
        },
    ),
    "Logitech F310": Pad(
        F310,
        "80 7f 80 7f 08 00 00 ff",  # as published for an untouched one
        {"left_x": (0, b"\xff"), "left_y": (1, b"\x00"), "right_y": (3, b"\x00")},
        {
            **{"x": (4, 0x10), "a": (4, 0x20), "b": (4, 0x40), "y": (4, 0x80), "rb": (5, 0x02), "lt": (5, 0x04)},
            **{"rt": (5, 0x08), "back": (5, 0x10), "start": (5, 0x20)},
        },
    ),
}


@pytest.fixture(params=PADS)
def pad(request):
    return PADS[request.param]


@pytest.fixture
def unit(bus, pad):
    return bus.plug(*pad.model, "Test Controller")


@pytest.fixture
def gamepad(unit, pad, clock):
    gamepad = GamepadHid(clock=clock)
    unit.send(pad.report())
    yield gamepad
    gamepad.close()


def test_each_control_does_what_it_is_for(gamepad, unit, pad):
    command = gamepad.poll()
    assert (command.motion.any(), command.gripper, command.engaged, command.events) == (False, 0, False, ())
    for stick, axis, sign in (("left_y", 0, 1), ("left_x", 1, -1), ("right_y", 2, 1)):
        unit.send(pad.report(**{stick: True}))
        np.testing.assert_allclose(gamepad.poll().motion, sign * np.eye(6)[axis], atol=0.01)
    for word, event in (("y", Event.SUCCESS), ("a", Event.FAILURE), ("x", Event.RERECORD)):
        unit.send(pad.report(word))
        assert gamepad.poll().events == (event,)
        unit.send(pad.report(word))
        assert gamepad.poll().events == ()
    for word, event in (("back", Event.DELETE_LAST), ("start", Event.QUIT)):
        unit.send(pad.report(word), pad.report(), pad.report(word), pad.report())
        assert gamepad.poll().events == (event,)
    for stopped in (True, False):
        unit.send(pad.report("b"), pad.report())
        assert gamepad.poll().stopped == stopped
    for words, gripper in ((["lt"], 1), (["rt"], -1), ([], 0)):
        unit.send(pad.report(*words))
        assert gamepad.poll().gripper == gripper


def test_button_down_while_it_is_plugged_in_is_no_press(bus, clock, pad):
    unit = bus.plug(*pad.model)
    gamepad = GamepadHid(clock=clock)
    unit.send(pad.report("y"), pad.report("y"))
    assert gamepad.poll().events == ()
    unit.send(pad.report(), pad.report("y"))
    assert gamepad.poll().events == (Event.SUCCESS,)
    gamepad.close()


def test_silence_of_a_controller_that_reports_all_the_time_lets_go(gamepad, unit, pad, clock):
    unit.send(pad.report("rb", left_y=True))
    assert gamepad.poll().engaged
    clock.now += 0.3
    streams = read_controls(CONTROLLERS[pad.model], pad.rest).streams
    assert gamepad.poll().motion.any() == (not streams)
    clock.now += RESUME_WITHIN + 0.1
    assert gamepad.poll().engaged == (not streams)


@pytest.mark.parametrize("pad", [PADS["DualShock 4, USB"]])
def test_trigger_counts_from_its_middle_on_without_flutter(gamepad, unit, pad):
    assert ("triangle", Button.SUCCESS.value) in gamepad.legend
    down = []
    for pull in (0, 100, 130, 150, 130, 120, 110, 130):
        data = bytearray(pad.rest)
        data[8] = pull
        unit.send(data)
        down.append(gamepad.poll().gripper == 1)
    assert down == [False, False, False, True, True, True, False, False]


def test_controller_that_speaks_unknown_reports_is_told_once(bus, clock, caplog):
    unit = bus.plug(*F310, "Logitech Dual Action")
    gamepad = GamepadHid(clock=clock)
    unit.send(*["01 80 7f 80 7f 08 00 00 ff"] * 3 * UNKNOWN_REPORTS)
    assert not gamepad.poll().motion.any()
    assert [record.message.split(".")[0] for record in caplog.records] == [
        "The Logitech Dual Action sends reports that are not known (number 0x1, 9 bytes)"
    ]
    gamepad.close()


@settings(deadline=None)
@given(
    st.sampled_from(list(CONTROLLERS.values())), st.binary(max_size=90), st.sampled_from(["", "01", "11", "30", "31"])
)
def test_no_bytes_break_the_reading(layouts, data, number):
    for layout in layouts:  # also at the shortest length of each kind
        for report in (bytes.fromhex(number) + data, (bytes.fromhex(number) + data * 90)[: layout.lengths[0]]):
            controls = read_controls(layouts, report)
            if controls is not None:
                assert max(map(abs, controls.axes.values())) <= 1
                assert controls.down <= set(BINDINGS)
