"""Keys read by pynput, here from a real X server and in another process: it leaves threads and sockets behind."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from gym_hil.errors import DeviceError, MissingExtraError
from gym_hil.teleop import Button
from gym_hil.teleop.keyboard import KEYS, Keyboard
from tests.teleop.hardware import SYMBOLS
from tests.teleop.x_server import Server

needs_pynput = pytest.mark.skipif(find_spec("pynput") is None, reason="pynput is not installed")
SCRIPT = """
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
from gym_hil.teleop.keyboard import Keyboard
from tests.teleop.x_server import Fingers

def settle():
    # Return is the last of each round: when its event has come, everything before it has.
    fingers.tap("Return")
    deadline, events, last = time.monotonic() + 30, [], None
    while "success" not in events:
        assert time.monotonic() < deadline
        last = keyboard.poll()
        events += [event.value for event in last.events]
    last = keyboard.poll()
    return [last.motion.tolist()[:3], last.gripper, last.engaged, events]

fingers, keyboard = Fingers(os.environ["DISPLAY"]), Keyboard(backend="pynput", intervention="hold")
# pynput says that it is ready a moment before it is.
while not keyboard.poll().events:
    fingers.tap("r")
    time.sleep(0.01)
settle()
seen = {}
for symbol in json.loads(sys.argv[2]):
    fingers.move(symbol, True)
    seen[symbol] = settle()
    fingers.move(symbol, False)
seen["before"] = settle()
count = keyboard.inputs.press_count
fingers.move("space", True)  # until the X server repeats it: it waits 0.66 s, then repeats it 25 times a second
time.sleep(1.2)
held = keyboard.poll().engaged
fingers.move("space", False)
settle()
seen["repeating"] = [held, keyboard.poll().engaged, keyboard.inputs.press_count - count]
seen["nothing"] = settle()
print(json.dumps(seen), flush=True)
os._exit(0)
"""


@needs_pynput
@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed")
def test_keys_do_what_they_mean():
    server = Server()
    try:
        symbols = [SYMBOLS.get(key, key) for key, button in KEYS.items() if button is not Button.SUCCESS]
        root = str(Path(__file__).parents[2])
        result = subprocess.run(
            [sys.executable, "-c", SCRIPT, root, json.dumps(symbols)],
            env={**os.environ, "DISPLAY": server.display},
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        server.stop()
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout)
    still = [0, 0, 0]
    assert seen["repeating"] == [True, False, 2]  # once, and Return once
    assert seen["nothing"] == [still, 0, False, ["success"]]
    assert seen["space"] == [still, 0, True, ["success"]]
    for pair, motion in {
        ("Up", "w"): [1, 0, 0],
        ("Down", "s"): [-1, 0, 0],
        ("Left", "a"): [0, 1, 0],
        ("Right", "d"): [0, -1, 0],
        ("Shift_R", "e"): [0, 0, 1],
        ("Shift_L", "q"): [0, 0, -1],
    }.items():
        for symbol in pair:
            assert seen[symbol] == [motion, 0, False, ["success"]], symbol
    for pair, gripper in {("Control_L", "f"): 1, ("Control_R", "g"): -1}.items():
        for symbol in pair:
            assert seen[symbol] == [still, gripper, False, ["success"]], symbol
    assert seen["Escape"] == [still, 0, False, ["failure", "success"]]
    assert seen["r"] == [still, 0, False, ["rerecord", "success"]]


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
