"""Python in the README and in docs/ runs as written, from an empty folder, without a display."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/reproducing.md", "docs/operating.md", "docs/console.md", "docs/datasets.md"]


def scripts() -> list:
    """Each page's examples; a page's blocks build on each other, except in the README."""
    found = []
    for page in PAGES:
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
        pieces = blocks if page == "README.md" else ["\n".join(blocks)]
        found += [pytest.param(piece, id=f"{page}-{number}") for number, piece in enumerate(pieces) if piece]
    return found


@pytest.mark.parametrize("script", scripts())
def test_example_runs_as_written(script: str, tmp_path: Path) -> None:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL")
    env = {key: value for key, value in os.environ.items() if key not in hidden}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), env.get("PYTHONPATH", "")])
    # Without OpenGL: importing it fails, as where no library is installed.
    blocked = "import sys; sys.modules['OpenGL'] = None\n"
    result = subprocess.run(
        [sys.executable, "-c", blocked + script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
