"""Driving from an emulated headset: WebXR sessions on the page, in a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gym_hil.console import messages
from gym_hil.console.web_server import SECONDS_IDLE
from gym_hil.teleop import Button
from tests.console.browser import Stand, Visitor

EMULATOR = Path(__file__).parents[2] / "web" / "node_modules" / "iwer" / "build" / "iwer.min.js"
SMALL = {"viewport": {"width": 400, "height": 300}}
HEADSET_ID = "gym_hil/PandaPickCubeMetaQuest-v1"
# A Quest 3 with both controllers in sight; what the emulator calls a guess is measured. Draws as often as it can.
WEAR = """
window.requestAnimationFrame = draw;
delete window.RTCPeerConnection; // not every headset's browser has WebRTC
window.device = new IWER.XRDevice(IWER.metaQuest3);
device.installRuntime({ forceInstall: true });
device.position.set(0, 1.5, 0);
window.guessed = false;
Object.defineProperty(XRPose.prototype, "emulatedPosition", { get: () => window.guessed });
// The finger of the left hand that touches the thumb.
window.meets = "";
const measure = XRFrame.prototype.getJointPose;
XRFrame.prototype.getJointPose = function (joint, space) {
  const hand = device.hands.left.inputSource.hand;
  return measure.call(this, hand.get(meets) === joint ? hand.get("thumb-tip") : joint, space);
};
window.ticks = [];
const motor = device.controllers.right.inputSource.gamepad.hapticActuators[0];
Object.getPrototypeOf(motor).pulse = async (...tick) => ticks.push(tick);
window.move = (x, y, z, side = "right") => device.controllers[side].position.set(x, y, z);
window.push = (name, value, side = "right") => device.controllers[side].updateButtonValue(name, value);
"""


@pytest.fixture(scope="session")
def emulator() -> str:
    """The script that emulates a headset."""
    if not EMULATOR.exists():
        must = os.environ.get("CI", "").lower() == "true"
        (pytest.fail if must else pytest.skip)("needs the npm package iwer: make page")
    return EMULATOR.read_text(encoding="utf-8") + WEAR


@pytest.fixture(scope="module")
def module_stand() -> Iterator[Stand]:
    made = Stand(HEADSET_ID)
    yield made
    made.close()


@pytest.fixture(scope="module")
def module_visitor(browser: Any, module_stand: Stand, emulator: str) -> Iterator[Visitor]:
    made = Visitor(browser.new_context(**SMALL), module_stand.console, script=emulator)
    yield made
    made.leave(module_stand)


@pytest.fixture
def headset(visitor: Visitor) -> Iterator[Visitor]:
    """A page in VR, whose operator holds the right hand still."""
    visitor.page.evaluate("device.quaternion.set(0, 0, 0, 1); move(0.1, 1.3, -0.4); guessed = false; ticks.length = 0")
    enter(visitor)
    yield visitor
    visitor.page.evaluate(
        "for (const side of ['left', 'right']) { push('squeeze', 0, side); push('trigger', 0, side) }"
    )
    visitor.js("page.xr.session?.end()")
    visitor.until("page.xr.session === null")


def enter(visitor: Visitor) -> None:
    visitor.js("page.xr.toggle('immersive-vr')")
    visitor.until("page.xr.session !== null")
    before = visitor.js("page.xr.drawn")
    visitor.until(f"page.xr.drawn > {before + 2}")


def squeeze(headset: Visitor, stand: Stand) -> None:
    headset.page.evaluate("push('squeeze', 1)")
    headset.wait(lambda: stand.device.tracking.clutch > 0 and stand.operator)


def test_scene_and_panel_are_drawn_in_the_session(visitor: Visitor, stand: Stand) -> None:
    visitor.draw()
    enter(visitor)
    assert visitor.js("page.view.renderer.info.render.triangles") > 5000
    visitor.until("page.xr.panel.text.includes('Policy is driving')")
    visitor.js("page.xr.session.end()")
    visitor.until("page.xr.session === null")
    drawn = visitor.js("page.view.drawn")
    visitor.until(f"page.view.drawn > {drawn}")


def test_hand_moves_the_tool_and_letting_go_holds_it(headset: Visitor, stand: Stand) -> None:
    squeeze(headset, stand)
    env = stand.env.unwrapped
    start = env.tcp_target
    for step in range(1, 13):
        headset.page.evaluate(f"move(0.1, 1.3, {-0.4 - 0.01 * step})")
        headset.page.wait_for_timeout(30)
    yaw = stand.received[-1].hand.yaw
    wanted = 0.12 * np.array([np.cos(yaw), -np.sin(yaw), 0])
    headset.wait(lambda: np.linalg.norm(env.tcp_target - start - wanted) < 0.001)
    headset.page.evaluate("push('squeeze', 0)")
    headset.wait(lambda: stand.device.tracking.clutch == 0)
    headset.page.evaluate("move(0.1, 1.3, -0.4)")
    headset.page.wait_for_timeout(200)
    assert np.linalg.norm(env.tcp_target - start - wanted) < 0.001
    assert stand.operator


def test_buttons_of_either_hand_are_pressed_once(headset: Visitor, stand: Stand) -> None:
    for side, name in (("right", "b-button"), ("left", "x-button"), ("left", "thumbstick")):
        headset.page.evaluate(f"push('{name}', 1, '{side}')")
        headset.page.wait_for_timeout(100)
        headset.page.evaluate(f"dispatchEvent(new Event('blur')); push('{name}', 0, '{side}')")
        headset.wait(lambda: stand.held() == set() and stand.changes())
    headset.wait(lambda: len(stand.changes()) == 6)
    presses = [button for change, button in stand.changes() if change == "press"]
    assert presses == ["SUCCESS", "FAILURE", "RERECORD"]
    headset.page.evaluate("device.controllers.right.updateAxes('thumbstick', 1, 0)")
    headset.wait(lambda: stand.changes()[-1] == ("press", "INTERVENE"))
    headset.page.evaluate("device.controllers.right.updateAxes('thumbstick', 0, 0)")


def press(headset: Visitor, name: str, side: str) -> None:
    for value in (1, 0):
        headset.page.evaluate(f"push('{name}', {value}, '{side}')")
        headset.page.wait_for_timeout(100)


def test_buttons_delete_and_quit_while_stopped_and_the_panel_says_how(headset: Visitor, stand: Stand) -> None:
    outcome = {"phase": "outcome", "outcome": "episode 1 of 2: success after 9 steps", "seconds": 3.0}
    choices = ["SUCCESS", "RERECORD", "DELETE_LAST", "QUIT"]
    stand.channel.set_session(**outcome, choices=choices, activity="recording", episode=1, episodes=2)
    says = ["9 steps, kept in", "Keep: B or Y", "Again: press the stick", "Delete last: stop, then A or X, twice"]
    headset.until(" && ".join(f"page.xr.panel.text.includes('{text}')" for text in says))
    headset.page.evaluate("for (const side of ['left', 'right']) push('squeeze', 1, side)")
    headset.until("page.frame.status.stopped")
    headset.until("page.xr.panel.text.includes('Emergency stop: squeeze both hands to go on')")
    headset.page.evaluate("for (const side of ['left', 'right']) push('squeeze', 0, side)")
    press(headset, "x-button", "left")
    headset.until("page.xr.panel.text.includes('Press again to delete')")
    press(headset, "b-button", "right")
    headset.wait(lambda: ("release", "QUIT") in stand.changes())
    assert [button for change, button in stand.changes() if change == "press"] == ["STOP", "DELETE_LAST", "QUIT"]
    stand.channel.set_session()
    stand.device.inputs.tap(Button.STOP)
    stand.restart()


def test_hand_out_of_sight_holds_still_and_the_panel_says_so(headset: Visitor, stand: Stand) -> None:
    squeeze(headset, stand)
    headset.page.evaluate("guessed = true; move(0.3, 1.3, -0.4)")
    headset.wait(lambda: stand.received[-1].hand and stand.received[-1].hand.position is None)
    before = stand.env.unwrapped.tcp_target
    headset.until("page.xr.panel.text.includes('out of sight')")
    headset.page.wait_for_timeout(150)
    assert stand.operator
    np.testing.assert_array_equal(stand.env.unwrapped.tcp_target, before)
    headset.page.evaluate("guessed = false")
    headset.wait(lambda: stand.received[-1].hand.position is not None)
    np.testing.assert_array_equal(stand.env.unwrapped.tcp_target, before)


def test_session_without_controllers_moves_nothing_and_says_so(headset: Visitor, stand: Stand) -> None:
    headset.page.evaluate("for (const side of ['left', 'right']) device.controllers[side].connected = false")
    headset.until("page.xr.panel.text.includes('No controller')")
    headset.page.evaluate("for (const side of ['left', 'right']) device.controllers[side].connected = true")
    headset.wait(lambda: stand.received[-1].hand.position is not None)
    assert not stand.operator


def test_operator_who_turned_away_finds_the_scene_before_them(headset: Visitor, stand: Stand) -> None:
    half = np.pi / 4
    headset.page.evaluate(f"device.quaternion.set(0, {np.sin(half)}, 0, {np.cos(half)})")  # to the left
    before = stand.received[-1].hand.yaw
    squeeze(headset, stand)
    assert stand.received[-1].hand.yaw - before == pytest.approx(np.pi / 2, abs=0.01)


def test_session_that_ended_can_be_entered_again_and_drives_on(headset: Visitor, stand: Stand) -> None:
    squeeze(headset, stand)
    headset.js("page.xr.session.end()")
    headset.until("page.xr.session === null")
    headset.wait(lambda: stand.received[-1].hand is None)
    enter(headset)
    headset.wait(lambda: stand.received[-1].hand is not None)
    assert headset.page.evaluate("document.getElementById('immersive-vr').textContent") == "Exit VR"
    headset.js("Promise.all([page.xr.toggle('immersive-vr'), 1])")
    headset.until("page.xr.session === null")
    headset.js("(page.xr.toggle('immersive-vr'), page.xr.toggle('immersive-vr'))")  # a double click
    headset.until("page.xr.session !== null")


def test_lost_connection_is_back_without_leaving_vr(headset: Visitor, stand: Stand) -> None:
    squeeze(headset, stand)
    count = len(stand.received)
    headset.js("(window.before = page.xr.session, 0)")
    connection = stand.console._connections[headset.name]
    stand.console.loop.call_soon_threadsafe(connection._socket._req.transport.abort)
    headset.wait(lambda: stand.console._connections.get(headset.name) not in (None, connection))
    headset.wait(lambda: len(stand.received) > count + 3)
    assert headset.js("page.xr.session === window.before")
    headset.wait(lambda: stand.received[-1].hand is not None)


def test_page_that_counts_as_hidden_behind_the_session_drives_on(headset: Visitor, stand: Stand) -> None:
    squeeze(headset, stand)
    hide = "Object.defineProperty(document, 'hidden', { configurable: true, value: true })"
    headset.page.evaluate(f"{hide}; for (const name of ['visibilitychange', 'blur']) dispatchEvent(new Event(name)); 0")
    before = stand.env.unwrapped.tcp_target
    headset.page.evaluate("move(0.1, 1.33, -0.4)")  # at once: a slow browser may draw no frame between
    headset.wait(lambda: abs(stand.env.unwrapped.tcp_target[2] - before[2] - 0.03) < 0.001)
    assert stand.operator
    headset.page.evaluate("delete document.hidden")


@pytest.mark.slow
def test_connection_lasts_as_long_as_the_session(headset: Visitor, stand: Stand) -> None:
    squeeze(headset, stand)
    connection = stand.console._connections[headset.name]
    headset.page.wait_for_timeout(1500 * SECONDS_IDLE)
    assert stand.console._connections[headset.name] is connection
    assert stand.operator


def test_controller_that_goes_while_it_drives_holds_still_and_comes_back(headset: Visitor, stand: Stand) -> None:
    squeeze(headset, stand)
    headset.page.evaluate("device.controllers.right.connected = false")
    headset.wait(lambda: stand.received[-1].hand.side == "left")  # what is still there is the hand, and holds nothing
    before = stand.env.unwrapped.tcp_target
    headset.page.evaluate("device.controllers.right.connected = true; move(0.3, 1.5, -0.4)")
    headset.wait(lambda: stand.received[-1].hand.side == "right" and stand.device.tracking.clutch > 0)
    headset.page.wait_for_timeout(150)
    np.testing.assert_array_equal(stand.env.unwrapped.tcp_target, before)
    assert stand.operator
    headset.page.evaluate("move(0.3, 1.53, -0.4)")
    headset.wait(lambda: abs(stand.env.unwrapped.tcp_target[2] - before[2] - 0.03) < 0.001)


def test_poses_that_are_no_numbers_move_nothing_and_the_panel_says_so(headset: Visitor, stand: Stand) -> None:
    squeeze(headset, stand)
    headset.page.evaluate("move(NaN, 1.3, -0.4)")
    headset.until("page.xr.panel.text.includes('out of sight')")
    before = stand.env.unwrapped.tcp_target
    headset.page.wait_for_timeout(300)
    headset.page.evaluate("device.quaternion.set(NaN, 0, 0, 1); move(0.1, 1.5, -0.4)")  # the head's
    headset.page.wait_for_timeout(300)
    np.testing.assert_array_equal(stand.env.unwrapped.tcp_target, before)
    headset.page.evaluate("device.quaternion.set(0, 0, 0, 1)")
    headset.wait(lambda: stand.received[-1].hand and stand.received[-1].hand.position is not None)
    assert stand.operator
    assert headset.page.evaluate("document.body.dataset.connection") == "open"


def test_program_of_another_version_is_reported_in_vr_and_reloaded_the_page_drives(
    headset: Visitor, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeeze(headset, stand)
    monkeypatch.setattr(messages, "VERSION", 0)
    stand.cut(headset)
    headset.until("page.xr.panel.text.includes('of another version than this page')")
    monkeypatch.undo()
    headset.page.reload()
    headset.ready()
    headset.wait(lambda: headset.lock() == "you")
    headset.page.evaluate("move(0.1, 1.3, -0.4)")
    enter(headset)
    squeeze(headset, stand)


def test_edge_of_the_workspace_is_felt(headset: Visitor, stand: Stand) -> None:
    squeeze(headset, stand)
    for step in range(1, 60):
        headset.page.evaluate(f"move(0.1, {1.3 + 0.01 * step}, -0.4)")
        headset.page.wait_for_timeout(20)
    headset.wait(lambda: headset.page.evaluate("ticks.length"))
    assert stand.env.unwrapped.tcp_target[2] == pytest.approx(stand.env.unwrapped.cartesian_bounds[1][2], abs=1e-6)
    assert headset.page.evaluate("ticks") == [[0.3, 20]]


def test_contact_is_felt(headset: Visitor, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand.device._touches, "count", lambda base: len(base.gripper_contacts))
    headset.until("page.frame.status.touches === 0")
    env = stand.env.unwrapped
    monkeypatch.setattr(type(env), "gripper_contacts", {(0, 1)})
    headset.wait(lambda: headset.page.evaluate("ticks.length"))
    assert headset.page.evaluate("ticks") == [[0.6, 40]]


def test_policy_that_asks_for_help_is_felt_once_and_for_long(headset: Visitor, stand: Stand) -> None:
    ask = stand.env.get_wrapper_attr("ask_for_help")
    ask(True)
    headset.wait(lambda: headset.page.evaluate("ticks.length"))
    headset.until("page.frame.status.asks_for_help")
    ask(False)
    headset.until("!page.frame.status.asks_for_help")
    assert headset.page.evaluate("ticks") == [[1, 400]]
    squeeze(headset, stand)
    ask(True)
    headset.until("page.frame.status.asks_for_help")
    assert len(headset.page.evaluate("ticks")) == 1  # the operator drives already
    ask(False)


def test_bare_hands_pinch_to_move_and_to_grip(headset: Visitor, stand: Stand) -> None:
    headset.page.evaluate("device.primaryInputMode = 'hand'")
    headset.page.evaluate("device.hands.right.updatePinchValue(1)")
    headset.wait(lambda: stand.operator and stand.received[-1].hand.squeeze == 1)
    assert stand.received[-1].hand.trigger < 0.5
    headset.until("page.xr.panel.text.includes('Pinch to')")
    headset.page.evaluate("device.hands.left.updatePinchValue(1)")
    headset.wait(lambda: stand.device.tracking.gripper == 1)
    assert stand.received[-1].hand.side == "right"
    assert not stand.changes()
    headset.page.evaluate("for (const side of ['left', 'right']) device.hands[side].updatePinchValue(0)")
    headset.wait(lambda: stand.device.tracking.clutch == 0)
    for finger, button in (("pinky", "STOP"), ("ring", "DELETE_LAST"), ("pinky", "STOP")):
        headset.page.evaluate(f"meets = '{finger}-finger-tip'")
        headset.wait(lambda button=button: stand.held() == {button})
        headset.page.evaluate("meets = ''")
        headset.wait(lambda: stand.held() == set())
        headset.until(f"page.frame.status.stopped === {str(stand.device.stopped).lower()}")
    headset.page.evaluate("device.primaryInputMode = 'controller'")
    headset.wait(lambda: stand.received[-1].hand.position is not None)


def test_phone_is_the_hand_and_its_touch_areas_are_the_buttons(visitor: Visitor, stand: Stand) -> None:
    overlay = "Object.defineProperty(XRSession.prototype, 'domOverlayState', { configurable: true, get: () => ({}) })"
    visitor.page.evaluate(f"{overlay}; document.getElementById('phone').style.zIndex = 1000; 0")
    visitor.js("page.xr.toggle('immersive-ar')")
    areas = "[...document.querySelectorAll('#phone button:not([hidden])')].map((area) => area.getBoundingClientRect())"
    visitor.wait(lambda: visitor.page.locator("#phone [data-button=STOP]").is_visible())
    assert visitor.page.evaluate(f"{areas}.every(({{ left, right }}) => left >= 0 && right <= innerWidth)")
    visitor.page.locator("#phone .squeeze").hover()
    visitor.page.mouse.down()
    visitor.wait(lambda: stand.operator)
    before = stand.env.unwrapped.tcp_target
    for step in range(1, 9):
        visitor.page.evaluate(f"device.position.set(0, {1.5 + 0.01 * step}, 0)")
        visitor.page.wait_for_timeout(40)
    visitor.wait(lambda: abs(stand.env.unwrapped.tcp_target[2] - before[2] - 0.08) < 0.001)
    visitor.page.mouse.up()
    visitor.wait(lambda: stand.device.tracking.clutch == 0)
    visitor.page.locator("#phone [data-button=FAILURE]").click()
    visitor.wait(lambda: ("press", "FAILURE") in stand.changes())
    visitor.page.locator("#phone .leave").click()
    visitor.until("page.xr.session === null")
    visitor.page.evaluate("delete XRSession.prototype.domOverlayState; device.position.set(0, 1.5, 0)")


def test_browser_without_webxr_says_what_to_do(visit: Any, stand: Stand) -> None:
    plain = visit()
    plain.page.evaluate("Object.defineProperty(navigator, 'xr', { value: undefined })")
    plain.page.click("#immersive-vr", force=True)
    plain.wait(lambda: "no WebXR" in plain.text("toast"))
    plain.page.evaluate("Object.defineProperty(window, 'isSecureContext', { value: false })")
    plain.page.click("#immersive-vr", force=True)
    plain.wait(lambda: f"adb reverse tcp:{stand.console.port}" in plain.text("toast"))
