"""The parts of the package know of each other in one direction only, and importing it is cheap."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gym_hil"

# Part -> the parts it may import. Every part may import `errors`.
ARROWS = {
    "errors": set(),
    "display": set(),
    "files": set(),
    "pacing": set(),
    "status": set(),
    "robot": set(),
    "scene": {"robot"},
    "rendering": {"display"},
    "teleop": {"display", "console", "cli"},
    "console": {"teleop", "files"},
    "envs": {"scene", "robot", "rendering", "console", "display"},
    "wrappers": {"envs", "teleop", "rendering", "console", "display"},
    "registration": {"wrappers", "envs"},
    "datasets": {"registration", "wrappers", "envs", "files"},
    # What follows stands above the rest: the commands, and the package's own names.
    "cli": {
        "registration",
        "envs",
        "wrappers",
        "teleop",
        "rendering",
        "scene",
        "datasets",
        "console",
        "pacing",
        "display",
        "files",
        "status",
    },
    "__init__": {"registration", "wrappers", "envs"},
}
HEAVY = ["torch", "aiohttp", "pygame", "hid", "pynput", "OpenGL", "matplotlib", "numba", "imageio", "PIL", "rich"]


def part_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path):
    """Modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            if node.module == "gym_hil":
                yield from (f"gym_hil.{alias.name}" for alias in node.names)
            else:
                yield node.module


def imported_parts(path):
    """Parts of the package that a file imports."""
    return {name.split(".")[1] for name in imported(path) if name.startswith("gym_hil.")}


def test_every_part_has_its_place():
    assert {part_of(path) for path in PACKAGE.rglob("*.py")} <= set(ARROWS)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path):
    part = part_of(path)
    foreign = imported_parts(path) - {part, "errors"}
    assert foreign <= ARROWS.get(part, set())


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_environments_know_nothing_of_the_trainer(path):
    assert not [name for name in imported(path) if name.partition(".")[0] == "hil_trainer"]


def test_arrows_make_no_circle():
    remaining = {part: set(uses) for part, uses in ARROWS.items()}
    while remaining:
        free = {part for part, uses in remaining.items() if not uses & set(remaining)}
        assert free, f"circle among {sorted(remaining)}"
        remaining = {part: uses for part, uses in remaining.items() if part not in free}


@pytest.mark.parametrize("also", ["", "gymnasium.make('gym_hil/PandaPickCube-v0').reset(seed=0)"])
def test_importing_and_stepping_without_images_loads_nothing_heavy(also):
    code = f"import sys, gymnasium, gym_hil; {also}\nprint([name for name in {HEAVY} if name in sys.modules])"
    # With MUJOCO_GL set, `import mujoco` itself loads OpenGL.
    environment = {key: value for key, value in os.environ.items() if key != "MUJOCO_GL"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.strip() == "[]"
