"""A recording that is driven from a page, from the first link to the farewell."""

from __future__ import annotations

import threading

import pytest

from gym_hil.cli import main
from gym_hil.console import server
from gym_hil.teleop.session import PAGE_WAITS
from tests.console.browser import DESK, Visitor
from tests.console.page import wait_until
from tests.datasets import reading


@pytest.fixture
def recording(tmp_path, monkeypatch):
    """`gym-hil record --device web` in a thread; its exit codes."""
    monkeypatch.setattr("gym_hil.wrappers.intervention.TIME_TO_GET_READY", 0.0)
    monkeypatch.setattr("gym_hil.teleop.session.DECISION_SECONDS", 60.0)
    codes: list[int] = []
    words = ["record", "--repo-id", "me/pick", "--root", str(tmp_path), "--device", "web", "--port", "0"]
    words += ["--episodes", "2", "--no-images", "--max-episode-steps", "-1", "--overwrite"]
    thread = threading.Thread(target=lambda: codes.append(main(words)), daemon=True)
    thread.start()
    wait_until(lambda: server._shared is not None and bool(server._shared.channels))
    yield codes
    server._shared.close()
    thread.join()


@pytest.mark.slow
def test_operator_is_waited_for_records_again_deletes_and_quits(recording, browser, tmp_path):
    console = server._shared
    channel = console.channels[0]
    wait_until(lambda: channel.session.waiting == PAGE_WAITS)
    assert channel.session.phase == "waiting"
    visitor = Visitor(browser.new_context(**DESK), console, drawn=False)

    def record_one(text: str) -> None:
        """Take over, move, and succeed."""
        visitor.wait(lambda: visitor.text("badge") == "Ready: take over and move to start")
        assert visitor.js("page.frame.status.step") == 0  # the clock stands still
        visitor.page.keyboard.press("Space")
        visitor.wait(lambda: visitor.text("badge") == "Ready: move to start")
        visitor.page.keyboard.down("w")
        visitor.wait(lambda: visitor.js("page.frame.status.step > 0"))
        assert visitor.page.inner_text("#session") == f"REC me/pick · {text}"
        visitor.page.keyboard.up("w")
        visitor.page.keyboard.press("Enter")
        visitor.wait(lambda: visitor.text("badge").startswith(f"{text.capitalize()}: success after"))

    record_one("episode 1 of 2")
    assert len(reading.rows(tmp_path)) == 1  # safe, whatever comes
    visitor.page.click(".dock [data-button=RERECORD]")  # again
    record_one("episode 1 of 2")
    assert len(reading.rows(tmp_path)) == 1
    visitor.page.keyboard.press("Enter")  # keep
    visitor.wait(lambda: visitor.page.inner_text("#session") == "REC me/pick · episode 2 of 2")
    visitor.page.click(".dock [data-button=DELETE_LAST]")
    visitor.wait(lambda: visitor.text("pending").lower() == "press again to delete the last episode")
    assert len(reading.rows(tmp_path)) == 1
    visitor.page.click(".dock [data-button=DELETE_LAST]")
    visitor.wait(lambda: visitor.page.inner_text("#session") == "REC me/pick · episode 1 of 2")
    assert reading.rows(tmp_path) == []
    record_one("episode 1 of 2")
    for _ in range(2):
        visitor.page.click("[data-button=QUIT]")
    visitor.wait(lambda: visitor.text("notice-title") == "Recording finished, 1 episode")
    wait_until(lambda: recording == [0])
    (row,) = reading.rows(tmp_path)
    assert reading.frames(tmp_path, row)["complementary_info.is_intervention"].all()
    assert visitor.problems == []
    visitor.context.close()
