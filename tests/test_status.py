"""The status line, on terminals of all kinds and on none."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from gym_hil.status import StatusLine
from tests.terminal import Terminal


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "30")
    return Terminal()


def run(line: StatusLine, clock: Clock, seconds: float, *more: str) -> None:
    """Ten updates a second."""
    for _ in range(round(seconds * 10)):
        clock.now += 0.1001
        line.update(lambda: [f"second {clock.now:.0f}", *more])


def test_a_terminal_shows_one_line_and_messages_above_it(terminal: Terminal, clock: Clock) -> None:
    with StatusLine(terminal, clock=clock) as line:
        run(line, clock, 3)
        line.print("episode 1: success")
        run(line, clock, 1)
        assert terminal.shown() == ["episode 1: success", "second 4"]
    assert terminal.shown() == ["episode 1: success"]


def test_a_cleared_status_does_not_come_back_with_a_message(terminal: Terminal, clock: Clock) -> None:
    with StatusLine(terminal, clock=clock) as line:
        run(line, clock, 3)
        line.clear()
        line.print("episode 1: success")
        assert terminal.shown() == ["episode 1: success"]
        run(line, clock, 1)
        assert terminal.shown() == ["episode 1: success", "second 4"]


def test_the_last_status_can_be_kept(terminal: Terminal, clock: Clock) -> None:
    line = StatusLine(terminal, clock=clock)
    run(line, clock, 1)
    line.close(keep=True)
    assert terminal.shown() == ["second 1"]


def test_what_others_print_stands_above_the_line(
    terminal: Terminal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", terminal)
    with StatusLine(clock=clock) as line:
        run(line, clock, 1)
        print("gamepad connected")
        assert terminal.shown() == ["gamepad connected", "second 1"]
    assert sys.stdout is terminal


def test_long_messages_are_wrapped_by_the_terminal_alone(terminal: Terminal, clock: Clock) -> None:
    with StatusLine(terminal, clock=clock) as line:
        run(line, clock, 1)
        line.print("w" * 70)
    assert "w" * 70 in terminal.getvalue()


def test_parts_that_do_not_fit_are_left_out_whole(terminal: Terminal, clock: Clock) -> None:
    with StatusLine(terminal, clock=clock) as line:
        run(line, clock, 1, "operator drives", "36 steps/s")
        assert terminal.shown() == ["second 1  operator drives"]


def test_a_first_part_wider_than_the_terminal_is_cut(
    terminal: Terminal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "8")
    with StatusLine(terminal, clock=clock) as line:
        run(line, clock, 1)
        assert terminal.shown() == ["second…"]


def test_brackets_and_colons_are_shown_as_they_are(terminal: Terminal, clock: Clock) -> None:
    with StatusLine(terminal, clock=clock) as line:
        line.print("[bold] :smile: /a/path")
        run(line, clock, 1, "[red]")
        assert terminal.shown() == ["[bold] :smile: /a/path", "second 1  [red]"]


def test_most_updates_draw_nothing(terminal: Terminal, clock: Clock) -> None:
    drawn = 0

    def parts() -> list[str]:
        nonlocal drawn
        drawn += 1
        return ["step"]

    with StatusLine(terminal, clock=clock) as line:
        for _ in range(1000):
            clock.now += 0.001
            line.update(parts)
    assert 5 <= drawn <= 10


@pytest.mark.parametrize("kind", ["pipe", "dumb terminal"])
def test_elsewhere_plain_lines_follow_every_interval(
    kind: str, terminal: Terminal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = io.StringIO() if kind == "pipe" else terminal
    line = StatusLine(out, interval=10, clock=clock)
    run(line, clock, 25)
    line.print("episode 1: success")
    line.close(keep=True)
    assert out.getvalue().splitlines() == ["second 10", "second 20", "episode 1: success", "second 25"]


def test_without_an_interval_elsewhere_sees_messages_only(clock: Clock) -> None:
    out = io.StringIO()
    with StatusLine(out, clock=clock) as line:
        run(line, clock, 25)
        line.print("episode 1: success")
    assert out.getvalue() == "episode 1: success\n"


def test_a_pipe_gets_no_control_characters_whatever_the_environment_says() -> None:
    code = (
        "from gym_hil.status import StatusLine\n"
        "line = StatusLine(interval=0)\n"
        "line.update(lambda: ['step 1']); line.print('done'); line.close()"
    )
    environment = {**os.environ, "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout == "step 1\ndone\n"
