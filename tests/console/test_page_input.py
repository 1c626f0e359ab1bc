"""What the page sends of keys, buttons, gamepads and joysticks."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.console.browser import DESK, PHONE, Stand, Visitor

DRAWN = False


def press(visitor: Any, code: str, how: str = "keydown", options: str = "") -> None:
    visitor.page.evaluate(f"dispatchEvent(new KeyboardEvent('{how}', {{code: '{code}', cancelable: true, {options}}}))")


def test_a_held_key_is_held_until_it_is_released(visitor, stand):
    visitor.page.keyboard.down("w")
    visitor.wait(lambda: stand.held() == {"FORWARD"})
    visitor.page.keyboard.up("w")
    visitor.wait(lambda: stand.held() == set())
    assert stand.changes() == [("press", "FORWARD"), ("release", "FORWARD")]


def test_a_key_that_repeats_itself_is_one_press(visitor, stand):
    press(visitor, "KeyW")
    press(visitor, "KeyW", options="repeat: true")
    press(visitor, "KeyW", "keyup")
    visitor.wait(lambda: len(stand.changes()) >= 2)
    assert stand.changes() == [("press", "FORWARD"), ("release", "FORWARD")]


def test_presses_while_the_line_is_busy_are_sent_later_in_order(visitor, stand):
    visitor.js("Object.defineProperty(page.connection, 'congested', {get: () => true, configurable: true})")
    for code in ("KeyG", "KeyF", "KeyG"):
        press(visitor, code)
        press(visitor, code, "keyup")
    assert stand.changes() == []
    visitor.js("delete page.connection.congested")
    visitor.wait(lambda: len(stand.changes()) == 6)
    pressed = [button for how, button in stand.changes() if how == "press"]
    assert pressed == ["OPEN", "CLOSE", "OPEN"]


def test_press_and_release_within_one_turn_of_the_page_reach_the_environment(visitor, stand):
    visitor.page.evaluate(
        "['keydown', 'keyup'].forEach((how) => dispatchEvent(new KeyboardEvent(how, {code: 'Space'})))"
    )
    visitor.wait(lambda: stand.operator)
    assert stand.changes() == [("press", "INTERVENE"), ("release", "INTERVENE")]


def test_a_button_stays_down_while_one_of_its_two_keys_is(visitor, stand):
    for code in ("KeyW", "ArrowUp"):
        press(visitor, code)
    press(visitor, "KeyW", "keyup")
    visitor.wait(lambda: stand.held() == {"FORWARD"})
    press(visitor, "ArrowUp", "keyup")
    visitor.wait(lambda: stand.held() == set())
    assert stand.changes() == [("press", "FORWARD"), ("release", "FORWARD")]


def test_a_key_whose_meaning_changes_while_it_is_down_releases_what_it_pressed(visitor, stand):
    visitor.page.keyboard.down("w")
    visitor.js("page.keyboard.keys = { ...page.keyboard.keys, KeyW: 'BACK' }")
    visitor.page.keyboard.up("w")
    visitor.wait(lambda: stand.changes() == [("press", "FORWARD"), ("release", "FORWARD")])


def test_letters_with_ctrl_do_not_drive_and_arrows_do(visitor, stand):
    visitor.page.keyboard.down("ControlLeft")
    visitor.wait(lambda: stand.held() == {"CLOSE"})
    press(visitor, "KeyD", options="ctrlKey: true")
    press(visitor, "ArrowUp", options="ctrlKey: true")
    visitor.wait(lambda: stand.held() == {"CLOSE", "FORWARD"})
    visitor.page.keyboard.up("ControlLeft")
    assert "Ctrl+W" in visitor.text("part-controls")


def test_a_modifier_whose_release_was_hidden_is_let_go(visitor, stand):
    for code in ("ShiftLeft", "ShiftRight"):
        press(visitor, code, options="shiftKey: true")
    visitor.wait(lambda: stand.held() == {"DOWN", "UP"})
    press(visitor, "ShiftRight", "keyup")
    visitor.wait(lambda: stand.held() == set())


def test_losing_the_focus_releases_everything(visitor, stand):
    visitor.plug_in()
    press(visitor, "KeyW")
    visitor.page.evaluate("pad.buttons[7].value = 1; pad.axes[1] = -1")
    visitor.wait(lambda: stand.held() == {"FORWARD", "OPEN"} and stand.motion()[0] > 0)
    visitor.page.evaluate("dispatchEvent(new Event('blur'))")
    visitor.wait(lambda: stand.held() == set() and stand.motion() == [0] * 6)
    # What was held then counts again only after it was released.
    visitor.page.evaluate("pad.buttons[7].value = 0; pad.axes[1] = 0")
    visitor.page.wait_for_timeout(100)
    assert stand.held() == set()
    visitor.page.evaluate("pad.buttons[7].value = 1")
    visitor.wait(lambda: stand.held() == {"OPEN"})


def test_a_hidden_page_releases_everything_and_sends_nothing(visitor, stand, monkeypatch):
    monkeypatch.setattr("gym_hil.teleop.input_state.RESUME_WITHIN", 0.3)
    visitor.page.keyboard.press("Space")
    visitor.wait(lambda: stand.operator)
    visitor.page.keyboard.down("w")
    visitor.wait(lambda: stand.held() == {"FORWARD"})
    visitor.page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    visitor.wait(lambda: not stand.operator)
    assert stand.held() == set()
    count = len(visitor.sent("input"))
    visitor.page.wait_for_timeout(200)
    assert len(visitor.sent("input")) == count
    visitor.page.keyboard.up("w")
    visitor.page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    visitor.wait(lambda: len(visitor.sent("input")) > count)


def test_sticks_move_with_a_deadzone(visitor, stand):
    visitor.plug_in()
    for axes, motion in (
        ([0, -1, 0, 0], [1, 0, 0]),
        ([-1, 0, 0, 0], [0, 1, 0]),
        ([0, 0, 0, -1], [0, 0, 1]),
        ([0.09, -0.09, 1, 0.09], [0, 0, 0]),
        ([0, 0.55, 0, 0], [-0.5, 0, 0]),
    ):
        visitor.page.evaluate(f"pad.axes = {axes}")
        visitor.wait(lambda: stand.motion() == pytest.approx([*motion, 0, 0, 0]))  # noqa: B023


def test_buttons_and_triggers_of_a_gamepad(visitor, stand):
    visitor.plug_in()
    visitor.page.evaluate("pad.buttons[6].value = 0.4")
    visitor.page.evaluate("pad.buttons[5] = {pressed: true, value: 1}")
    visitor.wait(lambda: stand.operator)
    assert stand.held() == {"INTERVENE"}
    visitor.page.evaluate("pad.buttons[6].value = 0.6")
    visitor.wait(lambda: stand.held() == {"INTERVENE", "CLOSE"})
    assert "A pad" in visitor.text("part-controls")


def test_an_unplugged_gamepad_releases_everything(visitor, stand):
    visitor.plug_in()
    visitor.page.evaluate("pad.buttons[7].value = 1; pad.axes[0] = 1")
    visitor.wait(lambda: stand.held() == {"OPEN"})
    visitor.page.evaluate("window.pad = null")
    visitor.wait(lambda: stand.held() == set() and stand.motion() == [0] * 6)


def test_a_gamepad_of_an_unknown_kind_is_named_and_not_used(visitor, stand):
    visitor.plug_in(mapping="")
    visitor.page.evaluate("pad.buttons[7].value = 1")
    visitor.wait(lambda: "not a standard gamepad" in visitor.text("part-controls"))
    assert stand.changes() == []


def test_buttons_of_the_page_are_held_as_long_as_the_mouse_is(visitor, stand):
    visitor.page.hover("[data-button=CLOSE]")
    visitor.page.mouse.down()
    visitor.wait(lambda: stand.held() == {"CLOSE"})
    visitor.page.mouse.move(10, 10)
    visitor.page.wait_for_timeout(50)
    assert stand.held() == {"CLOSE"}
    visitor.page.mouse.up()
    visitor.wait(lambda: stand.held() == set())


def test_after_a_click_keys_drive_and_after_tab_they_press(visitor, stand):
    visitor.page.click("[data-button=OPEN]")
    visitor.page.keyboard.press("Space")
    visitor.wait(lambda: stand.operator)
    stand.received.clear()
    visitor.page.focus("[data-button=CLOSE]")
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("Shift+Tab")
    visitor.page.keyboard.press("Space")
    visitor.wait(lambda: ("press", "CLOSE") in stand.changes())
    assert ("press", "INTERVENE") not in stand.changes()
    assert stand.operator


def test_a_summary_that_was_clicked_leaves_the_keys_to_the_robot(visitor, stand):
    visitor.page.click("#events summary")
    visitor.page.keyboard.press("Space")
    visitor.wait(lambda: stand.changes() == [("press", "INTERVENE"), ("release", "INTERVENE")])
    assert visitor.page.get_attribute("#events", "open") is not None
    visitor.page.keyboard.press("Tab")
    visitor.page.focus("#events summary")
    visitor.page.keyboard.press("Enter")
    assert visitor.page.get_attribute("#events", "open") is None
    assert len(stand.changes()) == 2


def test_page_hears_the_keys_where_there_is_neither_display_nor_terminal(browser, monkeypatch, caplog):
    monkeypatch.delenv("DISPLAY", raising=False)
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        stand = Stand("gym_hil/PandaPickCubeKeyboard-v0")
    why, instead = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert why.startswith("No keyboard can be read here: there is no X server")
    assert instead == "The page that shows the environment reads the keys in its place."
    page = Visitor(browser.new_context(**DESK), stand.console, drawn=False)
    page.wait(lambda: page.lock() == "you")
    page.page.keyboard.press("Space")
    page.page.keyboard.down("w")
    page.wait(lambda: stand.operator and stand.env.unwrapped.tcp_target[0] > 0.52)
    page.leave(stand)
    stand.close()


def test_success_ends_the_episode(visitor, stand):
    visitor.page.keyboard.press("Enter")
    rows = visitor.page.locator("#part-events")
    visitor.wait(lambda: "success" in (rows.text_content() or ""))


def test_leaving_during_an_intervention_is_asked_about(visitor, stand):
    visitor.page.keyboard.press("Space")
    visitor.wait(lambda: visitor.driver() == "you")
    asked: list[str] = []
    visitor.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    visitor.page.reload()
    assert asked == ["beforeunload"]
    visitor.ready()


def test_joysticks_on_a_phone(visitor, visit, stand):
    visitor.page.click("#lock-button")  # release
    visitor.wait(lambda: visitor.lock() == "none")
    phone = visit(**PHONE)
    phone.wait(lambda: phone.lock() == "you")
    touch = phone.context.new_cdp_session(phone.page)
    phone.page.tap(".intervene")
    phone.wait(lambda: stand.operator)

    def send(kind: str, *at: tuple[float, float, int]) -> None:
        points = [{"x": x, "y": y, "id": number} for x, y, number in at]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    plane, height = (phone.page.locator(f"#joystick-{name}").bounding_box() for name in ("plane", "height"))
    x, y = plane["x"] + plane["width"] / 2, plane["y"] + plane["height"] / 2
    u, v = height["x"] + height["width"] / 2, height["y"] + height["height"] / 2
    send("touchStart", (x, y, 0))
    send("touchStart", (x, y, 0), (u, v, 1))
    send("touchMove", (x - 20, y - 50, 0), (u, v + 56, 1))
    phone.wait(lambda: stand.motion()[0] > 0.7 and 0.2 < stand.motion()[1] < 0.6 and stand.motion()[2] < -0.8)
    send("touchEnd")
    phone.wait(lambda: stand.motion() == [0] * 6)
    button = phone.page.locator("[data-button=CLOSE]").bounding_box()
    send("touchStart", (button["x"] + 20, button["y"] + 20, 0))
    phone.wait(lambda: stand.held() == {"CLOSE"})
    send("touchEnd")
    phone.wait(lambda: stand.held() == set())
    assert phone.page.evaluate("[scrollX, scrollY, visualViewport.scale]") == [0, 0, 1]
    phone.page.tap("#lock-button")
    phone.wait(lambda: phone.lock() == "none")
