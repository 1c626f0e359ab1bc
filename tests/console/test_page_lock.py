"""Who may drive: several pages at once, reloads, and connections that are lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from gym_hil.console import Console, messages, server
from tests.console.browser import DESK, Stand, Visitor

DRAWN = False


def test_second_page_watches_and_sends_no_input(visitor, visit, stand):
    other = visit()
    other.wait(lambda: other.lock() == "other")
    for key in ("Space", "w"):
        other.page.keyboard.press(key)
    assert other.page.locator(".intervene").is_disabled()
    other.page.wait_for_timeout(200)
    assert other.sent("input") == []
    assert stand.changes() == []
    assert not stand.operator


def test_page_that_drives_is_asked_for_the_controls_and_keeps_or_hands_them_over(visitor, visit, stand):
    other = visit()
    other.wait(lambda: other.lock() == "other")
    assert not visitor.page.locator("#ask").is_visible()
    for answer in ("#deny", "#grant"):
        assert other.text("lock-button") == "Ask for the controls"
        other.page.click("#lock-button")
        other.wait(lambda: other.text("lock-text").startswith("Asked for the controls"))
        visitor.wait(lambda: visitor.page.locator("#ask").is_visible())
        assert (visitor.lock(), other.lock()) == ("you", "other")  # nothing is taken without the answer
        visitor.page.click(answer)
        if answer == "#deny":
            other.wait(lambda: "keeps them" in other.text("toast") and other.text("lock-button").startswith("Ask for"))
            assert visitor.lock() == "you"
    other.wait(lambda: other.lock() == "you")
    visitor.wait(lambda: visitor.lock() == "other" and not visitor.page.locator("#ask").is_visible())


def test_question_is_withdrawn_and_ends_when_the_page_that_drives_releases(visitor, visit, stand):
    other = visit()
    other.wait(lambda: other.lock() == "other")
    other.page.click("#lock-button")
    visitor.wait(lambda: visitor.page.locator("#ask").is_visible())
    other.page.click("#lock-button")
    visitor.wait(lambda: not visitor.page.locator("#ask").is_visible())
    assert visitor.lock() == "you"
    other.page.click("#lock-button")
    visitor.wait(lambda: visitor.page.locator("#ask").is_visible())
    visitor.page.click("#lock-button")
    other.wait(lambda: other.lock() == "you")


def test_released_controls_are_given(visitor, visit, stand):
    other = visit()
    other.wait(lambda: other.lock() == "other")
    visitor.page.click("#lock-button")
    other.wait(lambda: other.lock() == "none")
    other.page.click("#lock-button")
    other.wait(lambda: other.lock() == "you")
    visitor.wait(lambda: visitor.lock() == "other")
    other.page.keyboard.press("Space")
    other.wait(lambda: visitor.driver() == "other" and other.driver() == "you")
    assert visitor.page.inner_text("#driver-name").lower() == "another operator"
    other.page.click("#lock-button")
    visitor.wait(lambda: visitor.lock() == "none" and visitor.driver() == "policy")


def test_controls_are_taken_once_without_a_click(visitor, stand):
    visitor.page.click("#lock-button")
    visitor.wait(lambda: visitor.lock() == "none")
    visitor.page.wait_for_timeout(300)
    assert visitor.lock() == "none"


def test_banner_names_the_driver(visitor, stand):
    visitor.wait(lambda: visitor.driver() == "policy")
    assert visitor.page.inner_text(".driver").lower().split()[:3] == ["policy", "is", "driving"]
    visitor.page.keyboard.press("Space")
    visitor.wait(lambda: visitor.driver() == "you")
    assert visitor.page.inner_text(".driver").lower().split()[:3] == ["you", "are", "driving"]
    assert visitor.page.inner_text(".dock [data-button=INTERVENE] span") == "Hand back"


def test_reload_keeps_the_controls(visitor, stand):
    visitor.page.reload()
    visitor.ready()
    visitor.wait(lambda: visitor.lock() == "you")
    assert visitor.page.evaluate("sessionStorage.getItem('gym-hil-page')") == visitor.name


def test_duplicated_tab_is_another_page(visitor, stand):
    with visitor.context.expect_page() as opened:
        visitor.page.evaluate("window.open(location.href); 0")
    copy = opened.value
    visitor.wait(lambda: copy.evaluate("document.body.dataset.lock") == "other")
    name = copy.evaluate("sessionStorage.getItem('gym-hil-page')")
    copy.close()
    assert name != visitor.name
    assert visitor.lock() == "you"


def test_closing_the_page_ends_the_intervention(visitor, visit, stand, monkeypatch):
    monkeypatch.setattr("gym_hil.teleop.input_state.RESUME_WITHIN", 0.3)
    visitor.page.click("#lock-button")
    visitor.wait(lambda: visitor.lock() == "none")
    other = visit()
    other.wait(lambda: other.lock() == "you")
    other.page.keyboard.press("Space")
    other.page.keyboard.down("w")
    other.wait(lambda: stand.operator and stand.held() == {"FORWARD"})
    other.page.goto("about:blank")
    visitor.wait(lambda: not stand.operator and visitor.lock() == "none")


@pytest.fixture
def alone(browser: Any) -> Iterator[tuple[Stand, Visitor, Callable[..., Console]]]:
    """An environment and a page of the test's own, and what starts the console again after it was closed."""
    stand = Stand(images=DRAWN)
    visitor = Visitor(browser.new_context(**DESK), stand.console, drawn=DRAWN, patient=False)
    visitor.wait(lambda: visitor.lock() == "you")
    consoles: list[Console] = []

    def start_again(token: str) -> Console:
        consoles.append(Console(port=stand.console.port, token=token))
        return consoles[-1]

    yield stand, visitor, start_again
    visitor.context.close()
    for console in consoles:
        console.close()
    stand.close()


def test_lost_connection_is_shown_and_comes_back(alone):
    stand, visitor, start_again = alone
    visitor.page.keyboard.down("w")
    visitor.wait(lambda: stand.held() == {"FORWARD"})
    stand.vanish()
    visitor.wait(lambda: visitor.page.locator("#notice").is_visible())
    assert visitor.text("notice-title") == "Connection lost"
    assert visitor.text("connection-text") == "Connection lost"
    assert visitor.driver() == "none"
    assert visitor.page.locator(".intervene").is_disabled()
    visitor.page.keyboard.press("Space")  # lost with the connection, not sent late

    again = start_again(stand.console.token)
    visitor.wait(lambda: visitor.page.evaluate("document.body.dataset.connection") == "open")
    assert visitor.text("notice-title") == "No environment is open"
    channel = again.channel_for(stand.env.unwrapped)
    channel.device = stand.device
    channel.publish({})
    visitor.ready()
    stand.received.clear()
    visitor.page.click("#lock-button")
    visitor.wait(lambda: stand.received)
    visitor.page.wait_for_timeout(100)
    assert stand.held() == set()
    assert stand.changes() == []


def test_link_that_is_no_longer_valid_is_reported(alone):
    stand, visitor, start_again = alone
    stand.vanish()
    start_again("another token, long enough")
    visitor.wait(lambda: visitor.page.evaluate("document.body.dataset.connection") == "refused")
    assert visitor.text("notice-title") == "This link is no longer valid"


def test_program_of_another_version_is_reported_and_not_driven(visit, stand, monkeypatch):
    page = visit()
    page.page.keyboard.press("Space")
    page.wait(lambda: page.driver() == "you")
    monkeypatch.setattr(messages, "VERSION", 0)
    stand.cut(page)
    page.wait(lambda: page.text("notice-title") == "The program is of another version than this page")
    assert page.text("notice-text") == "Reload the page to use it."
    count = len(stand.received)
    page.page.keyboard.press("w", delay=300)
    assert len(stand.received) == count
    assert page.page.evaluate("document.body.dataset.connection") == "outdated"
    monkeypatch.undo()
    page.page.reload()
    page.ready()
    page.wait(lambda: page.lock() == "you")


def test_silent_line_is_reported_and_given_up_and_the_programs_end_is_no_lost_connection(alone):
    stand, visitor, _ = alone
    visitor.page.keyboard.press("Space")
    visitor.wait(lambda: visitor.driver() == "you")
    stand.console.loop.call_soon_threadsafe(time.sleep, 2.0)  # nothing comes, and nothing is closed
    visitor.wait(lambda: visitor.text("badge").startswith("No image for"))
    assert visitor.page.evaluate("document.body.dataset.connection") == "quiet"
    assert visitor.text("connection-text") == "No signal"
    assert visitor.driver() == "none"
    assert visitor.page.locator("[data-button=CLOSE]").is_disabled()
    visitor.wait(lambda: visitor.driver() == "you" and not visitor.page.locator("#badge").is_visible())
    before = stand.console._connections[visitor.name]
    stand.console.loop.call_soon_threadsafe(time.sleep, 5.0)
    visitor.wait(lambda: stand.console._connections.get(visitor.name) not in (None, before))
    visitor.wait(lambda: visitor.lock() == "you")

    stand.channel.farewell = "Recording finished, 4 episodes"
    stand.console.close()
    visitor.wait(lambda: visitor.text("notice-title") == "Recording finished, 4 episodes")
    visitor.page.wait_for_timeout(600)
    assert visitor.page.evaluate("document.body.dataset.connection") == "ended"
    assert not visitor.page.locator("#retry").is_visible()


def test_operator_drives_on_after_a_short_loss_of_the_connection(visitor, stand, monkeypatch):
    visitor.page.keyboard.press("Space")
    visitor.page.keyboard.down("w")
    visitor.wait(lambda: visitor.driver() == "you" and stand.held() == {"FORWARD"})
    monkeypatch.setattr(server, "MAX_PAGES", 0)  # it cannot come back yet
    stand.cut(visitor)
    visitor.wait(lambda: visitor.page.locator("#notice").is_visible())
    assert "holds still" in visitor.text("notice-text")
    visitor.wait(lambda: stand.env.get_wrapper_attr("device").silent)  # noticed, or nothing would come back
    target = stand.env.unwrapped.tcp_target
    assert stand.operator
    monkeypatch.undo()
    visitor.js("page.connection.retry()")
    visitor.wait(lambda: visitor.lock() == "you" and visitor.driver() == "you")
    visitor.page.keyboard.up("w")
    visitor.page.keyboard.press("s", delay=200)
    visitor.wait(lambda: not np.array_equal(stand.env.unwrapped.tcp_target, target))
    visitor.wait(lambda: "drives on" in visitor.text("toast"))
    assert stand.operator
    visitor.problems.clear()  # the browser reports the attempt that was refused


def test_page_whose_connection_is_never_opened_names_the_option_for_proxies(browser, stand, monkeypatch):
    monkeypatch.setattr(server, "MAX_PAGES", 0)
    context = browser.new_context(**DESK)
    page = context.new_page()
    page.goto(stand.console.url)
    page.wait_for_selector("#notice:not([hidden])")
    assert f"--public-url http://127.0.0.1:{stand.console.port}/ " in page.inner_text("#notice-text")
    context.close()


def test_link_on_another_sites_page_opens(browser, stand):
    """A browser keeps a SameSite=Strict cookie back after a redirect that began at another site."""
    context = browser.new_context(**DESK)
    page = context.new_page()
    page.route(
        "http://wiki.example/",
        lambda route: route.fulfill(body=f'<a href="{stand.console.url}">robot</a>', content_type="text/html"),
    )
    page.goto("http://wiki.example/")
    page.click("a")
    page.wait_for_selector("#view")
    page.wait_for_selector("[data-connection=open]")
    assert page.url == f"http://127.0.0.1:{stand.console.port}/"
    context.close()
