"""docs/architecture.md names files that exist, and its figure shows the imports as they are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_every_question_has_a_file_that_exists() -> None:
    files = re.findall(r"^\| .+\? \| `(\S+)` \|$", PAGE, re.MULTILINE)
    assert len(files) >= 30
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_every_file_that_the_page_names_exists() -> None:
    """A name without a folder is in the folder of the file named before it."""
    missing = []
    folder = ROOT
    for name in re.findall(r"`([\w./]+\.(?:py|js|json|svg))`", PAGE):
        path = ROOT / name if "/" in name or (ROOT / name).is_file() else folder / name
        folder = path.parent
        if not path.is_file():
            missing.append(name)
    assert missing == []


def test_the_figure_is_the_one_that_its_script_draws() -> None:
    script = ROOT / "docs" / "make_architecture_figure.py"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0
