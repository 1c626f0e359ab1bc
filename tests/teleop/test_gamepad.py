"""A gamepad through the real SDL, with a virtual joystick in place of hardware."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_hil  # noqa: F401
from gym_hil.errors import ConfigurationError, ControllerConfigError
from gym_hil.teleop import Event, make_device
from gym_hil.teleop.controller_config import bundled_config_path
from gym_hil.teleop.gamepad import Gamepad
from tests.teleop.virtual_pad import GAME_CONTROLLER, VirtualPad
from tests.teleop.waiting import wait_for

ENTRIES = json.loads(bundled_config_path().read_text())
XBOX = ENTRIES["Xbox 360 Controller"]
LEFT_X, LEFT_Y, RIGHT_X, RIGHT_Y, LT, RT = 0, 1, 3, 4, 2, 5
A, B, X, Y, LB, RB = range(6)


def control(pad: VirtualPad, entry: dict[str, Any], word: str, down: bool) -> None:
    """Press or release what an entry calls by a word, be it a button or a trigger that is an axis."""
    if word in entry["buttons"]:
        pad.button(entry["buttons"][word], down)
    else:
        pad.axis(entry["axes"][word], 1.0 if down else -1.0)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_controller_of_the_file_does_what_its_entry_says(
    name: str, plug: Callable[..., VirtualPad], make: Callable[..., Gamepad]
) -> None:
    entry = ENTRIES[name]
    pad = plug(name)
    gamepad = make()
    assert gamepad.connected == name

    control(pad, entry, "rb", True)
    assert gamepad.poll().engaged
    control(pad, entry, "rb", False)
    axes = entry["axes"]
    for axis, push, component, expected in [
        ("left_y", -1.0, 0, 1.0),
        ("left_y", 1.0, 0, -1.0),
        ("left_x", -1.0, 1, 1.0),
        ("left_x", 1.0, 1, -1.0),
        ("right_y", -1.0, 2, 1.0),
        ("right_y", 1.0, 2, -1.0),
    ]:
        pad.axis(axes[axis], push)
        command = gamepad.poll()
        assert command.engaged
        np.testing.assert_allclose(command.motion, np.eye(6)[component] * expected, err_msg=f"{axis} {push}")
        pad.axis(axes[axis], 0.0)
    for word, gripper in (("lt", 1), ("rt", -1)):
        control(pad, entry, word, True)
        assert gamepad.poll().gripper == gripper, word
        control(pad, entry, word, False)
        assert gamepad.poll().gripper == 0, word
    for word, event in (("y", Event.SUCCESS), ("a", Event.FAILURE), ("x", Event.RERECORD)):
        control(pad, entry, word, True)
        assert gamepad.poll().events == (event,), word
        control(pad, entry, word, False)
        assert gamepad.poll().events == (), word


def test_press_and_release_between_two_polls_is_delivered_once(pad: VirtualPad, gamepad: Gamepad) -> None:
    pad.tap(Y)
    assert gamepad.poll().events == (Event.SUCCESS,)
    assert gamepad.poll().events == ()


def test_taps_in_a_row_count_each_and_keep_their_order(pad: VirtualPad, gamepad: Gamepad) -> None:
    for button in (Y, Y, X, A, Y):
        pad.tap(button)
    events = (Event.SUCCESS, Event.SUCCESS, Event.RERECORD, Event.FAILURE, Event.SUCCESS)
    assert gamepad.poll().events == events


def test_tap_of_a_trigger_acts_for_one_poll(pad: VirtualPad, gamepad: Gamepad) -> None:
    pad.tap(RB)
    pad.pull_and_let_go(LT)
    assert gamepad.poll().gripper == 1
    assert gamepad.poll().gripper == 0


def test_tap_that_ends_pressed_is_held(pad: VirtualPad, make: Callable[..., Gamepad]) -> None:
    gamepad = make(intervention="hold")
    pad.tap(RB)
    pad.button(RB, True)
    assert [gamepad.poll().engaged for _ in range(3)] == [True] * 3
    pad.button(RB, False)
    assert not gamepad.poll().engaged


def test_held_button_stays_held_without_news(pad: VirtualPad, make: Callable[..., Gamepad]) -> None:
    gamepad = make(intervention="hold")
    pad.button(RB, True)
    pad.button(Y, True)
    pad.axis(LEFT_Y, -1.0)
    assert gamepad.poll().events == (Event.SUCCESS,)
    for _ in range(3):
        time.sleep(0.3)  # longer than the silence after which other devices count as gone
        command = gamepad.poll()
        assert (command.engaged, command.motion[0], command.events) == (True, 1.0, ())


def test_presses_are_read_between_polls(pad: VirtualPad, gamepad: Gamepad) -> None:
    pad.button(Y, True)
    wait_for(lambda: gamepad.inputs.press_count > 0)
    pad.button(Y, False)
    assert gamepad.poll().events == (Event.SUCCESS,)


def test_small_deflection_is_none_unless_the_deadzone_says_otherwise(
    pad: VirtualPad, make: Callable[..., Gamepad]
) -> None:
    gamepad = make(deadzone=0.0)
    pad.axis(LEFT_Y, -0.05)
    assert gamepad.poll().motion[0] == pytest.approx(0.05, abs=1e-4)
    assert not make().poll().motion.any()  # 0.1 by default
    with pytest.raises(ConfigurationError, match="deadzone is 1"):
        make(deadzone=1)


def test_controller_that_only_sdl_knows_is_used_with_its_mapping(
    plug: Callable[..., VirtualPad], make: Callable[..., Gamepad]
) -> None:
    pad = plug(
        "A pad without an entry", kind=GAME_CONTROLLER
    )  # its kind has rb at 10, right_y at 3 and triggers at 4 and 5
    gamepad = make()
    pad.tap(10)
    pad.axis(3, -1.0)
    pad.axis(5, 1.0)
    command = gamepad.poll()
    assert command.engaged
    assert command.motion[2] == 1.0
    assert command.gripper == -1


def test_half_and_inverted_axes_of_the_database_are_understood(
    plug: Callable[..., VirtualPad], make: Callable[..., Gamepad]
) -> None:
    pad = plug("Both triggers on one axis")
    pad.add_mapping(
        "rightshoulder:b7,lefttrigger:+a2,righttrigger:-a2,y:b8,a:b9,leftx:a1,lefty:a0~,righty:a3,platform:Linux,"
    )
    gamepad = make()
    pad.tap(7)
    pad.axis(2, 1.0)
    pad.axis(0, 1.0)
    command = gamepad.poll()
    assert (command.engaged, command.gripper, command.motion[0]) == (True, 1, 1.0)
    pad.axis(2, -1.0)
    assert gamepad.poll().gripper == -1
    pad.axis(2, 0.0)
    assert gamepad.poll().gripper == 0


def test_unknown_joystick_gets_the_default(plug: Callable[..., VirtualPad], make: Callable[..., Gamepad]) -> None:
    pad = plug("A joystick without an entry")
    gamepad = make()
    pad.tap(RB)
    pad.axis(RIGHT_Y, -1.0)
    command = gamepad.poll()
    assert command.engaged
    assert command.motion[2] == 1.0


def test_without_sdls_database_such_a_controller_gets_the_default(
    plug: Callable[..., VirtualPad], make: Callable[..., Gamepad], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pygame._sdl2", None)
    pad = plug("A pad without an entry", kind=GAME_CONTROLLER)
    gamepad = make()
    pad.tap(RB)
    assert gamepad.poll().engaged


def test_small_joystick_works_as_far_as_it_goes(
    plug: Callable[..., VirtualPad], make: Callable[..., Gamepad], caplog: pytest.LogCaptureFixture
) -> None:
    pad = plug("A stick with two axes", axes=2, buttons=6)
    gamepad = make()
    pad.tap(RB)
    pad.axis(LEFT_Y, -1.0)
    assert gamepad.poll().motion[0] == 1.0
    assert "has no controls for: right_y, close the gripper, open the gripper" in caplog.text


def test_own_file_decides(plug: Callable[..., VirtualPad], make: Callable[..., Gamepad], tmp_path: Path) -> None:
    path = tmp_path / "pads.json"
    path.write_text(json.dumps({"My pad": {**XBOX, "buttons": {**XBOX["buttons"], "rb": 9, "x": 5}}}))
    pad = plug("My pad")
    gamepad = make(controller_config_path=path)
    pad.tap(9)
    pad.tap(5)
    command = gamepad.poll()
    assert command.engaged
    assert command.events == (Event.RERECORD,)


def test_wrong_file_is_refused_before_any_pad_is_there(make: Callable[..., Gamepad], tmp_path: Path) -> None:
    path = tmp_path / "pads.json"
    path.write_text(json.dumps({"My pad": {**XBOX, "buttons": {**XBOX["buttons"], "rb": "nine"}}}))
    with pytest.raises(ControllerConfigError, match=r"'My pad'.*buttons\.rb is 'nine'"):
        make(controller_config_path=path)


def test_legend_speaks_of_the_buttons_that_are_there(
    plug: Callable[..., VirtualPad], make: Callable[..., Gamepad]
) -> None:
    xbox = dict(make().legend)
    assert xbox["RB"] == "take over / hand back"
    assert xbox["LT"] == "close the gripper"
    assert xbox["Y"] == "end the episode as a success"
    plug("PS5 Controller")
    assert dict(make(intervention="hold").legend)["R1"] == "drive while held"


def test_registered_environment_is_driven(pad: VirtualPad) -> None:
    env = gym.make(
        "gym_hil/PandaPickCube-v1",
        device="gamepad",
        controller_config_path=bundled_config_path(),
        reset_delay_seconds=0,
    )
    env.reset(seed=0)
    env.step(np.array([0, 0, 0, 1], dtype=np.float32))
    pad.tap(RB)
    pad.axis(LEFT_X, -1.0)
    pad.axis(RT, 1.0)
    _, _, _, _, info = env.step(np.array([0, 0, -1, 1], dtype=np.float32))
    assert info["is_intervention"]
    np.testing.assert_allclose(info["action_intervention"], [0, 1, 0, 0])
    env.close()


def test_name_makes_it(pad: VirtualPad) -> None:
    device = make_device("gamepad", intervention="auto")
    pad.axis(LEFT_Y, -1.0)
    assert device.poll().engaged
    device.close()
    assert "gym_hil gamepads" in [thread.name for thread in threading.enumerate()]  # the fixture's
