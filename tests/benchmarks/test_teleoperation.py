"""Pages and a gamepad drive at once; how well the pace is kept is the machine's matter."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("aiohttp", reason="needs the extra `web`")
pytest.importorskip("simplejpeg", reason="needs the extra `web`")

from benchmarks import teleoperation


@pytest.mark.skipif(sys.platform != "linux", reason="the virtual joystick is looked up in /proc")
def test_all_drive_without_an_exception() -> None:
    outcome = teleoperation.run(0.1, seed=0)
    assert outcome.errors == []
    assert outcome.pacer.steps > 0
    assert outcome.driven > 0
    assert outcome.done["inputs"] > 0
    assert outcome.done["controls taken"] > 0
