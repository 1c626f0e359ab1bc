"""The benchmarks of inputs run, here with one device; tests/teleop/test_every_press.py tries them all."""

import sys

import pytest

from benchmarks import inputs


@pytest.mark.skipif(sys.platform != "linux", reason="the virtual joystick is looked up in /proc")
@pytest.mark.parametrize("benchmark", [inputs.input_presses, inputs.input_replug], ids=lambda f: f.__name__)
def test_bar_is_met(benchmark, monkeypatch):
    monkeypatch.setattr(inputs, "DEVICES", ("gamepad",))
    row = benchmark(quick=True)
    assert row.met, row


@pytest.mark.skipif(sys.platform != "linux", reason="the virtual joystick is looked up in /proc")
def test_reaction_is_a_number_of_steps(monkeypatch):
    monkeypatch.setattr(inputs, "DEVICES", ("gamepad",))
    assert "gamepad p95 " in inputs.input_reaction(quick=True).measured


def test_device_that_cannot_be_tried_is_told(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(inputs, "DEVICES", ())
    row = inputs.input_presses(quick=True)
    assert "keyboard pynput not tried (no pynput)" in row.measured
