"""Keys between MuJoCo's window and who listens, where no window can be asked; real ones are in tests/teleop."""

from __future__ import annotations

import glfw
import pytest

from gym_hil.rendering.key_stream import KeyStream, KeyTap


def test_key_of_a_window_that_cannot_be_found_is_up_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glfw, "get_current_context", lambda: None)
    heard: list[tuple[str, bool]] = []
    tap = KeyTap(lambda key, down: heard.append((key, down)) or True)  # type: ignore[func-returns-value]
    tap.on_first_key(glfw.KEY_LEFT_SHIFT)
    tap.on_first_key(glfw.KEY_UP)
    assert heard == [("left_shift", True), ("left_shift", False), ("up", True), ("up", False)]


def test_every_listener_is_told_and_one_that_wants_the_key_is_enough() -> None:
    stream = KeyStream(lambda: None)
    told: list[str] = []
    stream.listen(lambda key, down: told.append(f"first {key}") is None)
    stream.listen(lambda key, down: told.append(f"second {key}") is not None)
    assert stream.tell("up", True)
    assert told == ["first up", "second up"]


def test_nobody_wants_a_key_that_nobody_listens_to() -> None:
    stream = KeyStream(lambda: None)
    listener = lambda key, down: True  # noqa: E731
    stream.listen(listener)
    stream.forget(listener)
    assert not stream.tell("up", True)


def test_stream_is_open_while_its_window_is() -> None:
    stream, windows = KeyStream(lambda: "There is no display."), ["one"]
    assert not stream.is_open
    stream.attach(lambda: bool(windows))
    assert stream.is_open
    windows.clear()
    assert not stream.is_open
    assert stream.problem == "There is no display."
