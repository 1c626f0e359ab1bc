"""The page turns the tool by keys, gamepad, the rings of the handle, and two fingers: to the tool in the simulation."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.teleop.test_rotation import KEYS, TURNS

ENV = {"orientation": True}
PAD_STICKS = {  # axis of a standard gamepad, which counts right and down, and its value
    "tilt right": (0, 1),
    "tilt left": (0, -1),
    "tilt forward": (1, -1),
    "tilt back": (1, 1),
    "turn left": (2, -1),
    "turn right": (2, 1),
}


class Tool:
    """How the tool has turned since a test began."""

    def __init__(self, stand: Any):
        self._base = stand.env.unwrapped
        self._start = self._base.tcp_rotation

    def vector(self) -> NDArray[np.float64]:
        """Rotation vector (3,) rad, base frame."""
        quaternion, vector = np.empty(4), np.empty(3)
        mujoco.mju_mat2Quat(quaternion, (self._base.tcp_rotation @ self._start.T).ravel())
        mujoco.mju_quat2Vel(vector, quaternion, 1.0)
        return vector

    def has_turned(self, axis: Any, angle: float = 0.3) -> bool:
        """Whether it has turned at least so far about an axis (3,), and hardly about the others."""
        vector = self.vector()
        along = vector @ axis
        return along > angle and np.linalg.norm(vector - along * np.array(axis)) < 0.3 * along


@pytest.fixture
def tool(stand: Any) -> Tool:
    return Tool(stand)


@pytest.mark.parametrize("turn", TURNS)
def test_keys_turn_the_tool(turn, visitor, stand, tool):
    visitor.page.keyboard.press("Space")
    visitor.wait(lambda: stand.operator)
    visitor.page.keyboard.down(KEYS[turn])
    visitor.wait(lambda: tool.has_turned(TURNS[turn]))


@pytest.mark.parametrize("turn", TURNS)
def test_sticks_turn_the_tool_while_the_turn_button_is_held(turn, visitor, stand, tool):
    axis, value = PAD_STICKS[turn]
    visitor.plug_in()
    visitor.page.keyboard.press("Space")
    visitor.wait(lambda: stand.operator)
    visitor.page.evaluate(f"pad.buttons[4].value = 1; pad.axes[{axis}] = {value}")
    visitor.wait(lambda: tool.has_turned(TURNS[turn]))
    assert stand.motion()[:3] == [0, 0, 0]


def test_legend_says_what_turns(visitor):
    legend = visitor.text("part-controls")
    assert "LB + left stick" in legend
    assert "turn the hand left (yaw)" in legend
