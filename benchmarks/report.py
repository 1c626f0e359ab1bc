"""Pages of results: their lines, and the reference data that lines are compared with."""

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGES = ("mujoco", "gymnasium", "numpy", "numba")
RESULTS = Path(__file__).with_name("results")  # where the pages are
REFERENCE = Path(__file__).parents[1] / "tests" / "data"  # measured on gym-hil 0.1.14


@dataclass(frozen=True)
class Row:
    """One promise and what came out.

    Attributes:
        what: what was measured.
        bar: what was promised.
        measured: the number, with its unit, and upstream's where it was measured too.
        met: whether the promise is kept; None where it could not be measured.
    """

    what: str
    bar: str
    measured: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """In words."""
        return {True: "yes", False: "**no**", None: "not measured"}[self.met]


def reference(name: str) -> Any:
    """A file of measured data, by its name without suffix."""
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def page(group: str, rows: Sequence[Row], *, theirs: str, seconds: float) -> str:
    """The page of a group: the machine's description and the table."""
    table = "\n".join(f"| {row.what} | {row.bar} | {row.measured} | {row.verdict} |" for row in rows)
    upstream_line = f"\n- Upstream, in a virtual environment of its own, in turns: {theirs}" if theirs else ""
    return f"""# Results: {group}

Written by `make bench GROUPS={group}`. One thread a process.

- Machine: {machine()}
- Here: {", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("gym-hil", *PACKAGES))}, Python \
{platform.python_version()}{upstream_line}
- Date: {datetime.date.today().isoformat()}, {seconds / 60:.0f} minutes

| what | bar | measured | met |
|---|---|---|---|
{table}
"""


def machine() -> str:
    """Processor, cores, memory and system in a line."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, no GPU used"
    return f"{platform.processor()}, {os.cpu_count()} cores, {platform.system()}, no GPU used"
