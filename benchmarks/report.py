"""Pages of results, the reference data that rows are compared with, and how two sides are timed."""

import contextlib
import datetime
import importlib.metadata
import inspect
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"  # where the pages are
REFERENCE = ROOT / "tests" / "data"  # measured on gym-hil 0.1.14
PACKAGES = ("gym-hil", "mujoco", "gymnasium", "numpy", "numba")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


@dataclass(frozen=True)
class Row:
    """One promise and what came out."""

    what: str  # what was measured
    bar: str  # what was promised, or "reported"
    measured: str  # the number, with its unit, and upstream's where it was measured too
    met: bool | None  # whether the promise is kept; None where it could not be measured, or there is none

    @property
    def verdict(self) -> str:
        """In words."""
        return {True: "yes", False: "**no**", None: "reported" if self.bar == "reported" else "not measured"}[self.met]


def reference(name: str) -> Any:
    """A file of measured data, by its name without suffix."""
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def page(group: str, rows: Sequence[Row], *, command: str, facts: Sequence[str] = (), text: str = "") -> str:
    """The page of a group: a text, the machine, other facts, and the table."""
    table = [(row.what, row.bar, row.measured, row.verdict) for row in rows]
    lines = "".join(f"- {fact}\n" for fact in (*facts, f"Date: {datetime.date.today().isoformat()}"))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return f"""# Results: {group}

{text}Written by `{command}`. One thread a process.

- Machine: {machine()}
- Here: {versions}, Python {platform.python_version()}
{lines}
{markdown(("what", "bar", "measured", "met"), table)}"""


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


def machine() -> str:
    """Processor, cores, memory and system in a line."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, no GPU used"
    return f"{platform.processor()}, {os.cpu_count()} cores, {platform.system()}, no GPU used"


def take_turns(sides: Sequence[Callable[[int], float]], rounds: int) -> np.ndarray:
    """(rounds, sides) what each side measures in each round, so that a slow moment of the machine hits all alike."""
    return np.array([[side(number) for side in sides] for number in range(rounds)])


def middle(values: Any) -> tuple[float, float, float]:
    """The median, and between what 8 of 10 values are."""
    low, median, high = np.percentile(values, [10, 50, 90])
    return float(median), float(low), float(high)


def seconds(function: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def outside_mujoco(envs: Sequence[Any], runs: Iterable[Callable[[], object]]) -> np.ndarray:
    """(runs, 2) s that each run takes in all, and outside of the physics of these environments."""
    inside: list[float] = []
    for env in envs:
        env._advance = lambda advance=env._advance: inside.append(seconds(advance))
    found = []
    for run in runs:
        inside.clear()
        total = seconds(run)
        found.append((total, total - sum(inside)))
    return np.array(found)


def megabytes() -> float:
    """Resident memory of this process; on Linux."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def run_alone(program: str, *, python: Path | str = sys.executable, **environment: str) -> Any:
    """Run a program, which may call `megabytes`, in a process of its own. Returns its last line, which is JSON."""
    program = f"import json, os\n{inspect.getsource(megabytes)}\n{program}"
    # Not from the checkout: `-c` would import the package that lies there instead of the installed one.
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [str(python), "-c", program], capture_output=True, text=True, check=True, cwd=folder,
            env={**os.environ, **ONE_THREAD, **environment},
        )  # fmt: skip
    return json.loads(result.stdout.splitlines()[-1])
