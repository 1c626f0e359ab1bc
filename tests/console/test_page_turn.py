"""The page turns the tool by keys, gamepad, the rings of the handle, and two fingers: to the tool in the simulation."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.teleop.test_rotation import KEYS, TURNS

ENV = {"orientation": True, "force_torque_obs": True}
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


def test_keys_turn_the_tool(visitor, stand):
    for turn, axis in TURNS.items():
        stand.restart()
        tool = Tool(stand)
        visitor.page.keyboard.press("Space")
        visitor.wait(lambda: stand.operator)
        visitor.page.keyboard.down(KEYS[turn])
        visitor.wait(lambda: tool.has_turned(axis))  # noqa: B023
        visitor.page.keyboard.up(KEYS[turn])


def test_sticks_turn_the_tool_while_the_turn_button_is_held(visitor, stand):
    visitor.plug_in()
    for turn, (stick, value) in PAD_STICKS.items():
        stand.restart()
        tool = Tool(stand)
        visitor.page.keyboard.press("Space")
        visitor.wait(lambda: stand.operator)
        visitor.page.evaluate(f"pad.buttons[4].value = 1; pad.axes = [0, 0, 0, 0]; pad.axes[{stick}] = {value}")
        visitor.wait(lambda: tool.has_turned(TURNS[turn]))  # noqa: B023
        assert stand.motion()[:3] == [0, 0, 0]
        visitor.page.evaluate(f"pad.axes[{stick}] = 0")


def test_legend_says_what_turns(visitor):
    legend = visitor.text("part-controls")
    assert "LB + left stick" in legend
    assert "turn the hand left (yaw)" in legend
    assert "drag a ring of the target" in legend


@pytest.fixture
def view(visitor: Any) -> Any:
    """A page that looks from above and aside, with a handle that rests."""
    visitor.page.select_option("#presets", "Free")
    visitor.until("page.drag.position !== null && page.frame.status.target_rotation !== null")
    visitor.handle()
    yield visitor
    visitor.page.mouse.up()


def ring(view: Any, axis: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A point of a ring that is far from the others, in px on the page, and the px it moves for each rad."""
    angles = np.arange(0, 2 * np.pi, 0.1)
    rings = [
        view.js(f"{angles.tolist()}.map((angle) => page.drag.ringAt({k}, angle)).map(({{x, y}}) => [x, y])")
        for k in range(3)
    ]
    own, others = np.array(rings[axis]), np.concatenate([rings[k] for k in range(3) if k != axis])
    along = (np.roll(own, -1, 0) - np.roll(own, 1, 0)) / 0.2
    room = np.linalg.norm(own[:, None] - others, axis=-1).min(1)
    best = int(np.argmax(np.minimum(room, 15) + 0.2 * np.linalg.norm(along, axis=1)))
    box = view.page.locator("#view").bounding_box()
    return own[best] + [box["x"], box["y"]], along[best]


@pytest.mark.parametrize("turn", ["tilt right", "tilt back", "turn left"])
def test_ring_of_the_handle_turns_the_tool(turn, view, stand, tool):
    axis = int(np.argmax(np.abs(TURNS[turn])))
    start, along = ring(view, axis)
    view.page.mouse.move(*start)
    view.page.mouse.down()
    end = start + 0.6 * TURNS[turn][axis] * along
    for share in (0.3, 0.6, 1.0):
        view.page.mouse.move(*(start + share * (end - start)))
    view.wait(lambda: stand.operator and tool.has_turned(TURNS[turn], 0.4))
    view.wait(lambda: abs(tool.vector() @ TURNS[turn] - 0.6) < 0.15)
    view.page.mouse.up()
    view.wait(lambda: stand.received[-1].target_rotation is None)
    assert all(message.target is None for message in stand.received)


TOUCH = """
([kind, ...fingers]) => fingers.forEach(([id, x, y]) => document.getElementById("view").dispatchEvent(
  new PointerEvent(kind, {pointerId: id, pointerType: "touch", clientX: x, clientY: y, bubbles: true, button: 0})))
"""


@pytest.mark.parametrize(("way", "turn"), [(1, "turn right"), (-1, "turn left")])
def test_second_finger_turns_the_tool_as_it_goes_around_the_first(way, turn, view, stand, tool):
    # Fingers are events of the page's own here, which the browser does not let capture.
    view.page.evaluate("HTMLCanvasElement.prototype.setPointerCapture = () => {}")
    x, y = view.handle()
    view.page.evaluate(TOUCH, ["pointerdown", [11, x, y]])
    view.page.evaluate(TOUCH, ["pointerdown", [12, x + 90, y]])
    for angle in np.linspace(0, 0.6, 6):  # clockwise as it is seen, because the page counts down
        spot = [12, x + 90 * np.cos(angle), y + way * 90 * np.sin(angle)]
        view.page.evaluate(TOUCH, ["pointermove", spot])
    view.wait(lambda: tool.has_turned(TURNS[turn], 0.4))
    view.page.evaluate(TOUCH, ["pointerup", spot])
    view.wait(lambda: stand.received[-1].target_rotation is None and stand.received[-1].target is not None)
    view.page.evaluate(TOUCH, ["pointerup", [11, x, y]])
    view.wait(lambda: stand.received[-1].target is None)


def test_force_and_torque_are_plotted(view, stand):
    view.until("document.getElementById('force').querySelectorAll('polyline').length === 3")
    assert not view.page.locator("#forces").is_hidden()
    shown = view.page.locator("#force").get_attribute("aria-label")
    measured = np.linalg.norm(stand.env.unwrapped.observation()["force_torque"][:3])
    assert float(shown.split()[1]) == pytest.approx(measured, abs=1.0)
    assert "N m" in view.page.locator("#torque").get_attribute("aria-label")
