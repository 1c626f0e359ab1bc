"""Driving by the handle in the scene."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def drag(visitor: Any, dx: float, dy: float) -> None:
    """Take the handle and move it, in px, without releasing it."""
    x, y = visitor.handle()
    visitor.page.mouse.move(x, y)
    visitor.page.mouse.down()
    for share in (0.25, 0.5, 0.75, 1.0):
        visitor.page.mouse.move(x + share * dx, y + share * dy)


def camera(visitor: Any) -> list[float]:
    return visitor.js("page.view.camera.position.toArray()")


@pytest.fixture
def view(visitor: Any) -> Any:
    """A page that looks from where it did at first, at a robot of which the handle is known."""
    visitor.page.select_option("#presets", "Side")
    visitor.until("page.cameras.preset === 'Side' && Math.abs(page.view.camera.position.x - 0.4) < 1e-6")
    visitor.until("page.drag.position !== null")
    yield visitor
    visitor.page.keyboard.up("Shift")
    visitor.page.mouse.up()


def test_dragging_the_handle_takes_over_once_and_moves_the_tool_there_and_not_the_view(view, stand):
    start, seen_from = stand.env.unwrapped.tcp_position.copy(), camera(view)
    drag(view, 40, 50)
    view.wait(lambda: stand.operator and stand.received[-1].target is not None)
    env = stand.env.unwrapped
    view.wait(lambda: np.linalg.norm(env.tcp_target - stand.received[-1].target) < 0.002)
    assert env.tcp_target[0] > start[0] + 0.02
    assert env.tcp_target[2] < start[2] - 0.02
    view.page.mouse.up()
    view.wait(lambda: stand.received[-1].target is None)
    drag(view, 10, 10)
    view.wait(lambda: stand.received[-1].target is not None)
    view.page.mouse.up()
    view.page.wait_for_timeout(300)
    assert stand.changes() == [("press", "INTERVENE"), ("release", "INTERVENE")]
    assert stand.operator
    assert camera(view) == seen_from


def test_dragging_elsewhere_turns_the_view_and_drives_nothing(view, stand):
    before = camera(view)
    box = view.page.locator("#view").bounding_box()
    view.page.mouse.move(box["x"] + 40, box["y"] + 200)
    view.page.mouse.down()
    view.page.mouse.move(box["x"] + 140, box["y"] + 200)
    view.wait(lambda: camera(view) != before)
    assert view.js("page.cameras.preset") == "Free"
    assert all(message.target is None for message in stand.received)
    assert stand.changes() == []


def test_with_shift_the_handle_moves_upright_and_shift_itself_does_nothing(view, stand):
    view.page.select_option("#presets", "Free")
    view.page.wait_for_timeout(600)
    view.page.keyboard.down("Shift")
    drag(view, 0, -40)
    view.wait(lambda: stand.received[-1].target is not None)
    first = np.array(stand.received[-1].target)
    x, y = view.handle()
    view.page.mouse.move(x, y - 40)
    view.wait(lambda: stand.received[-1].target[2] > first[2] + 0.02)
    moved = np.array(stand.received[-1].target) - first
    assert abs(moved[:2]).max() < 0.1 * abs(moved[2])
    assert stand.held() == set()


def test_the_target_stays_in_the_workspace(view, stand):
    drag(view, 0, 250)
    view.wait(lambda: stand.received[-1].target is not None and stand.received[-1].target[2] < 0.2)
    low, high = stand.env.unwrapped.cartesian_bounds
    assert (stand.received[-1].target >= low - 1e-9).all()
    assert (stand.received[-1].target <= high + 1e-9).all()


def test_in_hold_mode_the_drag_holds_the_intervention_and_in_auto_mode_it_presses_nothing(view, stand):
    for mode, held in (("hold", {"INTERVENE"}), ("auto", set())):
        stand.device.set_intervention(mode)
        view.until(f"page.bindings.intervention === '{mode}'")
        stand.received.clear()
        drag(view, 60, 60)
        view.wait(lambda: stand.operator and stand.held() == held)  # noqa: B023
        view.page.mouse.up()
        view.wait(lambda: not stand.operator and stand.held() == set())
        assert bool(stand.changes()) == bool(held)


def test_losing_the_focus_ends_the_drag(view, stand):
    drag(view, 20, 20)
    view.wait(lambda: stand.received and stand.received[-1].target is not None)
    view.page.evaluate("dispatchEvent(new Event('blur'))")
    view.wait(lambda: stand.received[-1].target is None)


def test_without_a_rotation_in_the_action_the_handle_has_no_rings(view):
    assert view.js("page.drag.ringAt(0, 0) && page.parts === undefined")
    assert not view.page.evaluate("import('/static/main.js').then(({page}) => page.bindings.buttons.TURN_Z_PLUS)")
    assert view.page.locator("#forces").is_hidden()
