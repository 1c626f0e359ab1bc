"""What the page shows of a command and of the operator's decisions, and what is printed on the keys."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.console.browser import DESK, Visitor
from tests.console.test_page_input import press

DRAWN = False


def test_phases_are_shown_and_the_buttons_decide_about_the_last_episode(visitor, stand):
    recording = {"activity": "recording", "dataset": "me/pick", "episode": 2, "episodes": 4, "has_policy": False}
    stand.channel.set_session(**recording, phase="ready", waiting="take over and move to start", choices=["QUIT"])
    visitor.wait(lambda: visitor.text("badge") == "Ready: take over and move to start")
    stand.channel.set_session(**recording, phase="ready", seconds=3.0, choices=["DELETE_LAST", "QUIT"])
    visitor.wait(lambda: visitor.text("badge") in ("Ready: starts in 3 s", "Ready: starts in 2 s"))
    assert visitor.page.locator(".dock [data-button=DELETE_LAST]").is_visible()
    assert visitor.page.locator(".dock [data-button=FAILURE]").is_hidden()
    outcome = "episode 2 of 4: success after 31 steps"
    choices = ["SUCCESS", "RERECORD", "DELETE_LAST", "QUIT"]
    stand.channel.set_session(**recording, phase="outcome", seconds=9.0, outcome=outcome, choices=choices)
    visitor.wait(lambda: visitor.text("badge").startswith(f"{outcome.capitalize()}, kept in "))
    labels = [visitor.page.inner_text(f".dock [data-button={name}] span") for name in ("SUCCESS", "RERECORD")]
    assert labels == ["Keep", "Again"]
    stand.channel.set_session(**recording, phase="running")
    visitor.wait(lambda: visitor.page.inner_text(".dock [data-button=SUCCESS] span") == "Success")
    assert visitor.page.locator(".dock [data-button=DELETE_LAST]").is_hidden()
    assert visitor.page.locator(".dock [data-button=FAILURE]").is_visible()
    stand.channel.set_session()


def test_emergency_stop_holds_still_and_is_shown_until_it_is_released(visitor, stand):
    visitor.page.keyboard.press("Space")
    visitor.page.keyboard.down("w")
    visitor.wait(lambda: stand.env.unwrapped.tcp_target[0] > 0.5)
    visitor.page.keyboard.press("Backspace")
    visitor.wait(lambda: visitor.driver() == "stopped")
    visitor.wait(lambda: visitor.text("driver-hint") == "Release with Backspace")
    target = stand.env.unwrapped.tcp_target.copy()
    visitor.page.wait_for_timeout(200)
    np.testing.assert_array_equal(stand.env.unwrapped.tcp_target, target)
    assert stand.operator
    stand.restart()  # it outlasts the episode
    visitor.wait(lambda: stand.operator)
    assert visitor.page.inner_text(".dock [data-button=STOP] span") == "Release stop"
    visitor.page.keyboard.up("w")
    visitor.page.click(".dock [data-button=STOP]")
    visitor.wait(lambda: not stand.operator and visitor.driver() == "policy")
    assert visitor.page.inner_text(".dock [data-button=STOP] span") == "Stop"
    assert "emergency stop released" in (visitor.page.locator("#part-events").text_content() or "").lower()


def test_what_is_pending_while_paused_is_shown_and_the_last_decision_wins(visitor, stand):
    visitor.page.click("#pause")
    visitor.wait(lambda: stand.channel.paused)
    visitor.page.keyboard.press("r")
    visitor.wait(lambda: visitor.text("pending").lower() == "is discarded at the next step")
    visitor.page.keyboard.press("Enter")
    visitor.wait(lambda: visitor.text("pending").lower() == "ends as a success at the next step")
    visitor.page.click("#pause")
    visitor.wait(lambda: not visitor.page.locator("#pending").is_visible())
    rows = visitor.page.locator("#part-events li span")
    visitor.wait(lambda: any(": success after" in text for text in rows.all_text_contents()))


def test_quit_is_asked_about_and_counts_when_pressed_twice(visitor, stand):
    infos: list[dict[str, Any]] = []
    step = stand.env.step
    stand.env.step = lambda action: (result := step(action), infos.append(result[4]))[0]
    visitor.page.click("[data-button=QUIT]")
    visitor.wait(lambda: visitor.text("pending").lower() == "press again to quit")
    assert not any(info["quit"] for info in infos)
    visitor.page.click("[data-button=QUIT]")
    visitor.wait(lambda: any(info["quit"] for info in infos))
    del stand.env.step
    visitor.wait(lambda: not visitor.page.locator("#pending").is_visible())


def test_input_that_stalls_holds_still_says_so_and_hands_back_in_the_end(visitor, stand, monkeypatch):
    monkeypatch.setattr("gym_hil.teleop.input_state.RESUME_WITHIN", 1.0)  # s of the device's slower clock
    visitor.page.keyboard.press("Space")
    visitor.page.keyboard.down("w")
    visitor.wait(lambda: visitor.driver() == "you" and stand.held() == {"FORWARD"})
    visitor.js("Object.defineProperty(page.connection, 'congested', {get: () => true, configurable: true})")
    visitor.wait(lambda: visitor.text("driver-hint") == "No input arrives: holding still")
    target = stand.env.unwrapped.tcp_target.copy()
    assert (stand.operator, visitor.driver()) == (True, "you")
    visitor.wait(lambda: "handed back" in visitor.text("toast") and not stand.operator)
    np.testing.assert_array_equal(stand.env.unwrapped.tcp_target, target)
    visitor.js("delete page.connection.congested")
    visitor.page.keyboard.up("w")
    visitor.wait(lambda: visitor.driver() == "policy")


def test_labels_are_those_of_the_keyboards_own_layout(browser, stand):
    context = browser.new_context(**DESK)
    context.add_init_script(
        "Object.defineProperty(navigator, 'keyboard', {value: {getLayoutMap: async () => new Map("
        "[['KeyW', 'z'], ['KeyQ', 'a'], ['KeyA', 'q']])}})"
    )
    french = Visitor(context, stand.console, drawn=False)
    french.wait(lambda: "↑ or Z" in french.text("part-controls"))
    assert french.page.inner_text(".dock [data-button=DOWN] kbd") == "A"
    french.leave(stand)


def test_labels_are_learned_from_what_is_pressed_and_places_drive(visitor, stand):
    press(visitor, "KeyX", options="key: 'y'")  # where a German keyboard had X, if it were there
    press(visitor, "KeyX", "keyup", options="key: 'y'")
    press(visitor, "KeyW", options="key: 'z'")
    visitor.wait(lambda: stand.held() == {"FORWARD"})
    assert "↑ or Z" in visitor.text("part-controls")
    press(visitor, "KeyW", "keyup", options="key: 'z'")
    visitor.wait(lambda: stand.held() == set())
    for code in ("KeyX", "KeyW"):
        press(visitor, code, options=f"key: '{code[3:].lower()}'")
        press(visitor, code, "keyup")
    assert "↑ or W" in visitor.text("part-controls")


def test_sounds_are_off_until_they_are_wanted_and_that_is_remembered(visitor, stand):
    visitor.page.evaluate(
        "window.tones = 0; const make = AudioContext.prototype.createOscillator;"
        "AudioContext.prototype.createOscillator = function () { window.tones += 1; return make.call(this); };"
        "null"
    )

    def phases() -> None:
        for phase in ("ready", "running", "outcome"):
            stand.channel.set_session(activity="recording", phase=phase, episode=1)
            visitor.wait(lambda: visitor.js("page.session.phase") == phase)  # noqa: B023

    phases()
    assert visitor.page.evaluate("tones") == 0
    visitor.page.click("#sounds")
    before = visitor.page.evaluate("tones")
    phases()
    assert visitor.page.evaluate("tones") > before
    visitor.page.reload()
    visitor.ready()
    assert visitor.page.get_attribute("#sounds", "aria-pressed") == "true"
    visitor.page.click("#sounds")
    stand.channel.set_session()


def test_page_shows_that_the_policy_asks_for_help_until_the_operator_drives(visitor, stand):
    visitor.wait(lambda: visitor.text("driver-does") == "is driving")
    stand.env.get_wrapper_attr("ask_for_help")(True)
    visitor.wait(lambda: visitor.text("driver-does") == "asks for help")
    visitor.page.keyboard.press("Space")
    visitor.wait(lambda: visitor.driver() == "you" and visitor.text("driver-does") == "are driving")
    stand.env.get_wrapper_attr("ask_for_help")(False)


def test_gamepad_rumbles_once_each_time_the_policy_asks_for_help(visitor, stand):
    visitor.plug_in()
    visitor.page.evaluate(
        "window.rumbles = []; pad.vibrationActuator = {playEffect: async (...effect) => rumbles.push(effect)}; 0"
    )
    ask = stand.env.get_wrapper_attr("ask_for_help")
    for count in (1, 2):
        ask(True)
        visitor.until("page.frame.status.asks_for_help")
        ask(False)
        visitor.until("!page.frame.status.asks_for_help")
        assert len(visitor.page.evaluate("rumbles")) == count
    effect, options = visitor.page.evaluate("rumbles[0]")
    assert effect == "dual-rumble"
    assert options["duration"] >= 200
    assert min(options["strongMagnitude"], options["weakMagnitude"]) > 0.5
    visitor.page.keyboard.press("Space")
    visitor.wait(lambda: stand.operator)
    ask(True)
    visitor.until("page.frame.status.asks_for_help")
    assert len(visitor.page.evaluate("rumbles")) == 2  # the operator drives already
    ask(False)
