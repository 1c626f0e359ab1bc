"""What README.md and docs/ say can be typed works as written, in order, from an empty folder, without a display.

Every block of Python is a program of its own; blocks of shell commands may build on what earlier ones left in the
folder. Only what takes long or waits for a human is shortened.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "docs/console.md",
    "docs/datasets.md",
    "docs/devices.md",
    "docs/headset.md",
    "docs/lerobot.md",
    "docs/operating.md",
    "docs/policies.md",
    "docs/recording.md",
    "docs/randomization.md",
    "docs/rendering.md",
    "docs/reproducing.md",
    "docs/scaling.md",
    "docs/your_environment.md",
]
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"\s+# .*$", re.MULTILINE)
# What installs, belongs to other packages, or waits until regions are drawn.
ELSEWHERE = re.compile(r"^(pip|make|sudo|adb|python -m lerobot|gym-hil crop \S+ --out \S+$)")
SHORTER = [
    (re.compile(r"--seconds \d+"), "--seconds 1"),
    (re.compile(r"(?m)gym-hil teleop.*$"), r"\g<0> --episodes 1 --max-episode-steps 2 --port 0"),
    (re.compile(r"(?m)(hil-trainer train.*) --demos \d+"), r"\1"),
    (re.compile(r"(?m)hil-trainer train(?!.*--operator none).*$"), r"\g<0> --offline-steps 50"),
    (
        re.compile(r"(?m)hil-trainer train.*$"),
        r"\g<0> --demos 1 --steps 50 --max-episode-steps 40 --evaluation.episodes 1 --evaluation.quick-episodes 1",
    ),
]
# A command, in which no human is waited for.
RUN = """
import sys
from gym_hil.teleop.session import Choice, OperatorSession
from {module}.cli import main
OperatorSession.wait_until_ready = lambda self: Choice.GO
if __name__ == '__main__':
    sys.exit(main())
"""
HIDDEN = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL")


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each block."""
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def prepare(commands: str) -> str:
    """Shell commands without those for elsewhere, and shorter where they have to be."""
    lines = [line for line in COMMENT.sub("", commands).splitlines() if not ELSEWHERE.match(line)]
    text = "\n".join(lines)
    for pattern, replacement in SHORTER:
        text = pattern.sub(replacement, text)
    return text


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables without a display, and with both commands of this source tree on the path."""
    commands = tmp_path_factory.mktemp("bin")
    for name, module in (("gym-hil", "gym_hil"), ("hil-trainer", "hil_trainer")):
        command = commands / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{RUN.format(module=module)}" "$@"\n')
        command.chmod(0o755)
    variables = {key: value for key, value in os.environ.items() if key not in HIDDEN}
    variables["HOME"] = str(tmp_path_factory.mktemp("home"))  # for the console's certificate
    variables["JUPYTERHUB_SERVICE_PREFIX"] = "/user/me/"
    variables["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    variables["PATH"] = os.pathsep.join([str(commands), os.environ["PATH"]])
    return variables


@pytest.mark.skipif(shutil.which("bash") is None, reason="Windows has no bash")
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_page_works_as_written(page: str, tmp_path: Path, environment: dict[str, str]) -> None:
    for language, text in blocks(page):
        # Without OpenGL: importing it fails, as where no library is installed.
        python = [sys.executable, "-c", f"import sys; sys.modules['OpenGL'] = None\n{text}"]
        command = python if language == "python" else ["bash", "-euo", "pipefail", "-c", prepare(text)]
        result = subprocess.run(
            command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8"
        )
        assert not result.returncode, f"{text}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"


def test_no_two_pages_write_into_the_same_folder() -> None:
    """A reader who tries one page after another must not find that a dataset or a run exists already."""
    written: dict[str, set[str]] = {}
    for page in ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]:
        for _, text in blocks(page):
            for folder in re.findall(r"--(?:root|out)[ =](\S+)", text):
                written.setdefault(folder, set()).add(page)
    assert not {folder: pages for folder, pages in written.items() if len(pages) > 1}
