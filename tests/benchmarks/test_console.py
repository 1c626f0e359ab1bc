"""The benchmarks of the console run; how well the pace is kept is the machine's matter."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("aiohttp", reason="needs the extra `web`")
pytest.importorskip("simplejpeg", reason="needs the extra `web`")

from benchmarks import console


@pytest.mark.slow
@pytest.mark.parametrize(
    "benchmark", [console.console_publish, console.console_handled, console.console_server, console.console_input]
)
def test_benchmark_gives_a_number(benchmark) -> None:
    assert any(character.isdigit() for character in benchmark(quick=True).measured)


@pytest.mark.slow
def test_lost_page_is_timed() -> None:
    assert "target still after" in console.console_lost(quick=True).measured


@pytest.mark.skipif(sys.platform != "linux", reason="the virtual joystick is looked up in /proc")
def test_two_pages_and_a_gamepad_drive_without_an_exception() -> None:
    outcome = console.run(0.1, seed=0)
    assert outcome.errors == []
    assert outcome.pacer.steps > 0
    assert outcome.driven > 0
    assert outcome.done["inputs"] > 0
    assert outcome.done["controls taken"] > 0
