"""Fixtures that every part uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def facts() -> dict[str, Any]:
    """Poses, camera frames and responses measured on gym-hil 0.1.14."""
    return json.loads((DATA / "facts.json").read_text())


@pytest.fixture(scope="session")
def demos() -> list[dict[str, Any]]:
    """Demonstrations recorded on gym-hil 0.1.14: the cube's place and the wrapped actions."""
    return json.loads((DATA / "demos.json").read_text())


@pytest.fixture(scope="session")
def free_motion() -> dict[str, Any]:
    """Wrapped actions far from the cube, and where gym-hil 0.1.14 put the TCP after each."""
    return json.loads((DATA / "free_motion.json").read_text())


@pytest.fixture(scope="session")
def arrange_boxes() -> dict[str, Any]:
    """The scene of ArrangeBoxes as measured on gym-hil 0.1.14."""
    return json.loads((DATA / "arrange_boxes.json").read_text())
