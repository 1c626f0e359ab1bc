"""Whether every press counts, how soon it acts, and a gamepad that comes and goes; a process for each device."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import Row
from gym_hil.pacing import TOLERANCE

SEQUENCES, QUICK_SEQUENCES = 1_000, 20
TRIALS, QUICK_TRIALS = 50, 3
REPLUGS, QUICK_REPLUGS = 50, 3
SECONDS = 600  # for one device
DEVICES = (
    "gamepad",
    "gamepad_hid",
    "spacemouse",
    "keyboard pynput",
    "keyboard terminal",
)
ROOT = Path(__file__).parents[1]


def input_presses(quick: bool = False) -> Row:
    """Random presses and releases, several within one control step, through every device."""
    sequences = QUICK_SEQUENCES if quick else SEQUENCES
    what = f"presses and releases inside one control step, {sequences:,} random sequences per device"
    parts, met = [], True
    for name in _here():
        tally = _ask("presses", name, sequences)
        exact = tally["sequences"] - len(tally["wrong"])
        parts.append(f"{name} {exact:,} of {tally['sequences']:,} exact ({tally['presses']:,} presses)")
        met &= exact == sequences
    return Row(what, "every event delivered exactly once", "; ".join(parts + _absent()), met)


def input_reaction(quick: bool = False) -> Row:
    """From a key or stick to the action that carries it, at random moments of a loop of 10 steps a second."""
    trials = QUICK_TRIALS if quick else TRIALS
    parts, met = [], True
    for name in _here():
        delays, steps = np.array(_ask("reaction", name, trials)).T
        # A step that begins late, because the computer is busy, is not the device's doing.
        in_time = (steps == 1) | (delays <= 1 + TOLERANCE)
        parts.append(
            f"{name} p95 {np.percentile(delays, 95):.2f} steps, {(steps == 1).sum()} of {len(steps)} in the next step, "
            f"{(~in_time).sum()} too late"
        )
        met &= bool(in_time.all())
    return Row(
        "key or stick to the action that carries it, at random moments",
        f"at most one control step: the next to begin, or one within {1 + TOLERANCE:g} of a step's time",
        "; ".join(parts + _absent()),
        met,
    )


def input_replug(quick: bool = False) -> Row:
    """A gamepad pulled out and put back in while the loop runs."""
    times = QUICK_REPLUGS if quick else REPLUGS
    wrong = _ask("replug", "gamepad", times)
    measured = f"{times} times, {len(wrong)} steps that did not do what they should" + "".join(f"; {w}" for w in wrong)
    return Row("unplug and replug the pad while running", "no exception, works after each", measured, not wrong)


def _here() -> list[str]:
    return [name for name in DEVICES if name not in _lacking()]


def _absent() -> list[str]:
    return [f"{name} not tried ({reason})" for name, reason in _lacking().items()]


def _lacking() -> dict[str, str]:
    """Devices that cannot be tried here, and why."""
    if importlib.util.find_spec("pynput") is None:
        return {"keyboard pynput": "no pynput"}
    return {"keyboard pynput": "no Xvfb"} if shutil.which("Xvfb") is None else {}


def _ask(what: str, name: str, number: int) -> Any:
    command = [sys.executable, "-m", "tests.teleop.exercise", what, name, str(number)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr}")
    return json.loads(result.stdout.splitlines()[-1])
