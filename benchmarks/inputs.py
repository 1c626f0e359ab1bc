"""Whether every press counts, how soon it acts, and a gamepad that comes and goes; a process for each device."""

import importlib.util
import json
import shutil
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks.report import ROOT, Row
from gym_hil.pacing import TOLERANCE

SEQUENCES, QUICK_SEQUENCES = 1_000, 20
TRIALS, QUICK_TRIALS = 50, 3
REPLUGS, QUICK_REPLUGS = 50, 3
SECONDS = 600  # for one device
DEVICES = ("gamepad", "gamepad_hid", "spacemouse", "keyboard pynput", "keyboard terminal")


def input_presses(quick: bool = False) -> Row:
    """Random presses and releases, several within one control step, through every device."""
    sequences = QUICK_SEQUENCES if quick else SEQUENCES
    what = f"presses and releases inside one control step, {sequences:,} random sequences per device"
    (devices, absent), parts, met = _here(), [], True
    for name in devices:
        tally = _ask("presses", name, sequences)
        exact = tally["sequences"] - len(tally["wrong"])
        parts.append(f"{name} {exact:,} of {tally['sequences']:,} exact ({tally['presses']:,} presses)")
        met &= exact == sequences
    return Row(what, "every event delivered exactly once", "; ".join(parts + absent), met)


def input_reaction(quick: bool = False) -> Row:
    """From a key or stick to the action that carries it, at random moments of a loop of 10 steps a second."""
    trials = QUICK_TRIALS if quick else TRIALS
    (devices, absent), parts, met = _here(), [], True
    for name in devices:
        delays, steps = np.array(_ask("reaction", name, trials)).T
        # A step that begins late, because the computer is busy, is not the device's doing.
        in_time = (steps == 1) | (delays <= 1 + TOLERANCE)
        parts.append(
            f"{name} p95 {np.percentile(delays, 95):.2f} steps, {(steps == 1).sum()} of {len(steps)} in the next step, "
            f"{(~in_time).sum()} too late"
        )
        met &= bool(in_time.all())
    what = "key or stick to the action that carries it, at random moments"
    bar = f"at most one control step: the next to begin, or one within {1 + TOLERANCE:g} of a step's time"
    return Row(what, bar, "; ".join(parts + absent), met)


def input_replug(quick: bool = False) -> Row:
    """A gamepad pulled out and put back in while the loop runs."""
    times = QUICK_REPLUGS if quick else REPLUGS
    wrong = _ask("replug", "gamepad", times)
    measured = f"{times} times, {len(wrong)} steps that did not do what they should" + "".join(f"; {w}" for w in wrong)
    return Row("unplug and replug the pad while running", "no exception, works after each", measured, not wrong)


def _here() -> tuple[list[str], list[str]]:
    """The devices that can be tried here; and of the others why not."""
    lacking = {"keyboard pynput": "no Xvfb"} if shutil.which("Xvfb") is None else {}
    if importlib.util.find_spec("pynput") is None:
        lacking = {"keyboard pynput": "no pynput"}
    here = [name for name in DEVICES if name not in lacking]
    return here, [f"{name} not tried ({reason})" for name, reason in lacking.items()]


def _ask(what: str, name: str, number: int) -> Any:
    command = [sys.executable, "-m", "tests.teleop.exercise", what, name, str(number)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr}")
    return json.loads(result.stdout.splitlines()[-1])
