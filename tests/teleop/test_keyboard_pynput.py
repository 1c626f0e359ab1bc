"""Keys read by pynput, here from a real X server and in another process: it leaves threads and sockets behind."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from gym_hil.errors import DeviceError, MissingExtraError
from gym_hil.teleop.keyboard import Keyboard

needs_pynput = pytest.mark.skipif(find_spec("pynput") is None, reason="pynput is not installed")

# In another process, because it leaves threads and sockets behind. An X server repeats a key after 0.66 s.
HOLD_A_KEY = """
import os, time
from gym_hil.teleop import Button
from tests.teleop.hardware import PynputHardware
from tests.teleop.waiting import wait_for
hardware = PynputHardware(auto_repeat=True)
inputs = hardware.device.inputs
before = inputs.press_count
hardware.move(Button.SUCCESS, True)
time.sleep(1.2)
assert Button.SUCCESS in inputs.held
hardware.move(Button.SUCCESS, False)
wait_for(lambda: not inputs.held)
print(inputs.press_count - before, flush=True)
os._exit(0)
"""


@needs_pynput
@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed")
def test_key_that_repeats_itself_counts_once():
    command = [sys.executable, "-c", HOLD_A_KEY]
    result = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)
    assert result.stdout == "1\n", result.stderr


def test_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gym-hil\[pynput\]'"):
        Keyboard(backend="pynput")


@needs_pynput
def test_package_that_does_not_work_here_is_told(monkeypatch):
    monkeypatch.setenv("PYNPUT_BACKEND", "none_such")
    with pytest.raises(DeviceError, match="pynput does not work here: "):
        Keyboard(backend="pynput")


def test_macos_without_permission_is_explained(monkeypatch):
    class Listener:
        """What pynput's does on macOS when it may not listen."""

        IS_TRUSTED = False
        start = wait = stop = lambda self: None
        is_alive = lambda self: True  # noqa: E731

        def __init__(self, **callbacks):
            pass

    module = SimpleNamespace(keyboard=SimpleNamespace(Listener=Listener))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: module)
    monkeypatch.setitem(sys.modules, "pynput", module)
    with pytest.raises(DeviceError, match="Input Monitoring"):
        Keyboard(backend="pynput")
