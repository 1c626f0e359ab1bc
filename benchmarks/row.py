"""One line of the result table, and the reference data that lines are compared with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def reference(name: str) -> Any:
    """A file of measured data, by its name without suffix."""
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))
