"""Every device turns the tool about every axis, the right way round: from the hardware to the simulated tool."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

import gym_hil  # noqa: F401
from gym_hil.teleop import Button, make_device
from tests.teleop.hardware import (
    GamepadHardware,
    GamepadHidHardware,
    Hardware,
    PynputHardware,
    SpaceMouseHardware,
    TerminalHardware,
)
from tests.teleop.waiting import wait_for

# What the hand is asked for -> the axis of the base frame, x forward, y left, z up, that the tool turns about.
TURNS = {
    "tilt right": (1, 0, 0),
    "tilt left": (-1, 0, 0),
    "tilt forward": (0, 1, 0),
    "tilt back": (0, -1, 0),
    "turn left": (0, 0, 1),
    "turn right": (0, 0, -1),
}
KEYS = dict(zip(TURNS, "ouikjl", strict=True))
STICKS = {  # axis of SDL, which counts right and down, and its value
    "tilt right": ("left_x", 1.0),
    "tilt left": ("left_x", -1.0),
    "tilt forward": ("left_y", -1.0),
    "tilt back": ("left_y", 1.0),
    "turn left": ("right_x", -1.0),
    "turn right": ("right_x", 1.0),
}
F310_BYTES = {"left_x": 0, "left_y": 1, "right_x": 2}
SPACEMOUSE = {  # report of the cap's rotation, which counts about right, back and down
    "tilt right": "02 0000 a2fe 0000",
    "tilt left": "02 0000 5e01 0000",
    "tilt forward": "02 a2fe 0000 0000",
    "tilt back": "02 5e01 0000 0000",
    "turn left": "02 0000 0000 a2fe",
    "turn right": "02 0000 0000 5e01",
}
STEPS = 6


def ask_gamepad(hardware: GamepadHardware, turn: str) -> None:
    axis, value = STICKS[turn]
    hardware.move(Button.TURN, True)
    hardware.pad.axis(hardware._entry["axes"][axis], value)
    hardware.pad.flush()


def ask_gamepad_hid(hardware: GamepadHidHardware, turn: str) -> None:
    axis, value = STICKS[turn]
    hardware._report[F310_BYTES[axis]] = 0xFF if value > 0 else 0
    hardware.move(Button.TURN, True)


def ask_spacemouse(hardware: SpaceMouseHardware, turn: str) -> None:
    hardware.unit.send(SPACEMOUSE[turn])


def ask_keyboard(hardware: Any, turn: str) -> None:
    hardware.type(KEYS[turn])


ASK: dict[type[Hardware], Callable[[Any, str], None]] = {
    GamepadHardware: ask_gamepad,
    GamepadHidHardware: ask_gamepad_hid,
    SpaceMouseHardware: ask_spacemouse,
    TerminalHardware: ask_keyboard,
    PynputHardware: ask_keyboard,
}


def turned(kind: type[Hardware], turn: str, *, orientation: bool = True) -> NDArray[np.float64]:
    """Rotation vector (3,) rad, base frame, by which a hand that asks for a turn has turned the tool."""
    with contextlib.closing(kind()) as hardware:
        env = gym.make(
            "gym_hil/PandaPickCube-v0", device=hardware.device, orientation=orientation, reset_delay_seconds=0
        )
        base: Any = env.unwrapped
        env.reset(seed=0)
        start = base.tcp_rotation
        stay = np.zeros(env.action_space.shape, np.float32)
        stay[-1] = 1
        env.step(stay)
        if kind is not SpaceMouseHardware:
            hardware.move(Button.INTERVENE, True)
            hardware.move(Button.INTERVENE, False)
        else:
            hardware.device.set_intervention("auto")
        ASK[kind](hardware, turn)
        if orientation:
            wait_for(lambda: bool(np.any(hardware.device.poll().motion)))
        for _ in range(STEPS):
            if kind is TerminalHardware:  # which has to repeat a held key
                ASK[kind](hardware, turn)
                wait_for(lambda: bool(hardware.device.inputs.held))
            info = env.step(stay)[4]
        if not orientation:
            np.testing.assert_array_equal(info["action_intervention"][2:], [0, 1])
        env.close()
        quaternion, vector = np.empty(4), np.empty(3)
        mujoco.mju_mat2Quat(quaternion, (base.tcp_rotation @ start.T).ravel())
        mujoco.mju_quat2Vel(vector, quaternion, 1.0)
        return vector


def assert_turns(kind: type[Hardware], turn: str) -> None:
    vector = turned(kind, turn)
    np.testing.assert_allclose(vector, 0.1 * STEPS * np.array(TURNS[turn]), atol=0.2)
    assert vector @ TURNS[turn] > 0.3


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("kind", [GamepadHardware, GamepadHidHardware, SpaceMouseHardware, TerminalHardware])
def test_device_turns_the_tool_the_right_way_round(kind: type[Hardware], turn: str) -> None:
    if kind in (GamepadHardware, TerminalHardware) and sys.platform != "linux":
        pytest.skip("the virtual joystick and the pseudo-terminal are Linux's")
    assert_turns(kind, turn)


PYNPUT = """
import os
from tests.teleop.hardware import PynputHardware
from tests.teleop.test_rotation import TURNS, assert_turns
for turn in TURNS:
    assert_turns(PynputHardware, turn)
print("all", flush=True)
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("pynput") is None or shutil.which("Xvfb") is None, reason="needs pynput and Xvfb")
def test_keys_of_a_display_turn_the_tool_the_right_way_round() -> None:
    command = [sys.executable, "-W", "ignore", "-c", PYNPUT]  # pynput leaves threads and sockets behind
    result = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    assert result.stdout == "all\n", result.stderr


@pytest.mark.parametrize("kind", [GamepadHardware, GamepadHidHardware, SpaceMouseHardware])
def test_without_a_rotation_in_the_action_nothing_turns_and_the_legend_leaves_it_out(kind: type[Hardware]) -> None:
    assert np.abs(turned(kind, "turn left", orientation=False)).max() < 0.01
    with contextlib.closing(kind()) as hardware:
        full = hardware.device.describe()
        env = gym.make("gym_hil/PandaPickCube-v0", device=hardware.device)
        assert "turn" in full
        assert "turn" not in hardware.device.describe()
        assert "close the gripper" in hardware.device.describe()
        env.close()


def test_turning_the_cap_does_not_take_over_where_nothing_can_turn() -> None:
    with contextlib.closing(SpaceMouseHardware()) as hardware:
        hardware.device.set_intervention("auto")
        env = gym.make("gym_hil/PandaPickCube-v0", device=hardware.device, reset_delay_seconds=0)
        env.reset(seed=0)
        hardware.unit.send(SPACEMOUSE["turn left"])
        wait_for(lambda: not hardware.unit.queue)
        assert not env.step(np.array([0, 0, 0, 1], np.float32))[4]["is_intervention"]
        env.close()


def test_turn_button_leaves_the_sticks_as_they_are_where_nothing_can_turn() -> None:
    with contextlib.closing(GamepadHidHardware()) as hardware:
        hardware.device.set_controls({0, 1, 2}, has_gripper=True)
        hardware.push(True)
        hardware.move(Button.TURN, True)
        wait_for(lambda: hardware.device.poll().motion[0] == 1)
        hardware.device.set_controls(range(6), has_gripper=True)
        hardware.push(True)
        wait_for(lambda: hardware.device.poll().motion[4] == 1)


def test_group_leaves_turning_out_of_every_legend() -> None:
    with contextlib.closing(make_device(["keyboard", "spacemouse"])) as group:
        assert "yaw" in group.describe()
        group.set_controls({0, 1}, has_gripper=False)
        assert not [word for word in ("yaw", "turn", "tilt", "move up", "gripper") if word in group.describe()]
