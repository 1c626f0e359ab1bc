"""A gamepad through the real SDL, with a virtual joystick in place of hardware."""

import json
import sys
import time

import gymnasium as gym
import numpy as np
import pytest

import gym_hil  # noqa: F401
from gym_hil.errors import ConfigurationError
from gym_hil.teleop import Event
from gym_hil.teleop.controller_config import bundled_config_path
from tests.teleop.virtual_pad import GAME_CONTROLLER, UNKNOWN

ENTRIES = json.loads(bundled_config_path().read_text())
XBOX = ENTRIES["Xbox 360 Controller"]
LEFT_X, LEFT_Y, RIGHT_X, RIGHT_Y, LT, RT = 0, 1, 3, 4, 2, 5
A, B, X, Y, LB, RB = range(6)


def control(pad, entry, word, down):
    """Press or release what an entry calls by a word, be it a button or a trigger that is an axis."""
    if word in entry["buttons"]:
        pad.button(entry["buttons"][word], down)
    else:
        pad.axis(entry["axes"][word], 1.0 if down else -1.0)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_controller_of_the_file_does_what_its_entry_says(name, plug, make):
    entry = ENTRIES[name]
    pad = plug(name)
    gamepad = make()
    assert gamepad.connected == name

    control(pad, entry, "rb", True)
    assert gamepad.poll().engaged
    control(pad, entry, "rb", False)
    axes = entry["axes"]
    for component, axis in enumerate(("left_y", "left_x", "right_y")):
        for push in (-1.0, 1.0):
            pad.axis(axes[axis], push)
            np.testing.assert_allclose(gamepad.poll().motion, np.eye(6)[component] * -push, err_msg=f"{axis} {push}")
        pad.axis(axes[axis], 0.0)
    expected = {"lt": (1, ()), "rt": (-1, ()), "y": (0, (Event.SUCCESS,)), "a": (0, (Event.FAILURE,))}
    for word, said in {**expected, "x": (0, (Event.RERECORD,))}.items():
        control(pad, entry, word, True)
        command = gamepad.poll()
        assert (command.gripper, command.events) == said, word
        control(pad, entry, word, False)
        command = gamepad.poll()
        assert (command.gripper, command.events) == (0, ()), word


def test_taps_between_two_polls_count_each_and_keep_their_order(pad, gamepad):
    for button in (Y, Y, X, A, Y):
        pad.tap(button)
    pad.pull_and_let_go(LT)
    command = gamepad.poll()
    assert [event.value for event in command.events] == ["success", "success", "rerecord", "failure", "success"]
    assert command.gripper == 1
    command = gamepad.poll()
    assert (command.events, command.gripper) == ((), 0)


def test_button_that_ends_pressed_stays_held_without_news(pad, make):
    gamepad = make(intervention="hold")
    pad.tap(RB)
    pad.button(RB, True)
    pad.axis(LEFT_Y, -1.0)
    for _ in range(3):
        command = gamepad.poll()
        assert (command.engaged, command.motion[0]) == (True, 1.0)
        time.sleep(0.15)  # together longer than the silence after which other devices count as gone
    pad.button(RB, False)
    assert not gamepad.poll().engaged


def test_small_deflection_is_none_unless_the_deadzone_says_otherwise(pad, make):
    gamepad = make(deadzone=0.0)
    pad.axis(LEFT_Y, -0.05)
    assert gamepad.poll().motion[0] == pytest.approx(0.05, abs=1e-4)
    assert not make().poll().motion.any()  # 0.1 by default
    with pytest.raises(ConfigurationError, match="deadzone is 1"):
        make(deadzone=1)


@pytest.mark.parametrize(
    ("kind", "has_database", "rb", "right_y"),
    [(GAME_CONTROLLER, True, 10, 3), (GAME_CONTROLLER, False, RB, RIGHT_Y), (UNKNOWN, True, RB, RIGHT_Y)],
)
def test_controller_without_an_entry_gets_sdls_mapping_else_the_default(
    kind, has_database, rb, right_y, plug, make, monkeypatch
):
    if not has_database:
        monkeypatch.setitem(sys.modules, "pygame._sdl2", None)
    pad = plug("A pad without an entry", kind=kind)
    gamepad = make()
    pad.tap(rb)
    pad.axis(right_y, -1.0)
    command = gamepad.poll()
    assert (command.engaged, command.motion[2]) == (True, 1.0)


def test_half_and_inverted_axes_of_the_database_are_understood(plug, make):
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


def test_small_joystick_works_as_far_as_it_goes(plug, make, caplog):
    pad = plug("A stick with two axes", axes=2, buttons=6)
    gamepad = make()
    pad.tap(RB)
    pad.axis(LEFT_Y, -1.0)
    assert gamepad.poll().motion[0] == 1.0
    assert "has no controls for: right_y, right_x, close the gripper, open the gripper" in caplog.text


def test_own_file_decides(plug, make, tmp_path):
    path = tmp_path / "pads.json"
    path.write_text(json.dumps({"My pad": {**XBOX, "buttons": {**XBOX["buttons"], "rb": 9, "x": 5}}}))
    pad = plug("My pad")
    gamepad = make(controller_config_path=path)
    pad.tap(9)
    pad.tap(5)
    command = gamepad.poll()
    assert command.engaged
    assert command.events == (Event.RERECORD,)


def test_legend_speaks_of_the_buttons_that_are_there(plug, make):
    xbox = dict(make().legend)
    assert xbox["RB"] == "take over / hand back"
    assert xbox["LT"] == "close the gripper"
    assert xbox["Y"] == "end the episode as a success"
    plug("PS5 Controller")
    assert dict(make(intervention="hold").legend)["R1"] == "drive while held"


def test_registered_environment_is_driven(pad):
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


def test_gamepad_rumbles_when_the_policy_asks_for_help(pad, gamepad):
    gamepad.ask_for_help(False)
    assert pad.rumbles == []
    gamepad.ask_for_help(True)
    assert max(pad.rumbles[0]) > 0
