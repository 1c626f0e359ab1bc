"""The parts of both packages know of each other in one direction only, and importing them is cheap."""

from __future__ import annotations

import ast
import functools
import graphlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Part of gym_hil -> the parts it may import. Every part may import `errors`.
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "display": set(),
    "files": set(),
    "imports": set(),
    "pacing": set(),
    "status": set(),
    "command_line": set(),
    "robot": set(),
    "rotations": set(),
    "scene": {"robot", "rotations"},
    "rendering": {"display"},
    "teleop": {"display", "files", "imports", "rotations", "status"},
    "console": {"teleop", "files", "display", "rendering", "rotations", "pacing"},
    "envs": {"scene", "robot", "rotations", "rendering", "console", "display"},
    "wrappers": {"envs", "teleop", "rendering", "console", "display", "imports", "pacing"},
    "registration": {"envs", "imports", "teleop"},  # it names the wrappers' factory, and Gymnasium imports that
    "env_options": {"registration", "wrappers", "teleop", "display", "imports"},
    "datasets": {"registration", "envs", "files"},
    "policies": {"datasets", "files", "imports", "teleop"},
    # What follows stands above the rest: the commands, and the package's own names.
    "cli": {
        "env_options",
        "registration",
        "envs",
        "teleop",
        "datasets",
        "console",
        "pacing",
        "policies",
        "rendering",
        "display",
        "files",
        "imports",
        "status",
        "command_line",
    },
    "__main__": {"cli"},
    "__init__": {"registration", "wrappers", "envs", "datasets", "pacing", "policies", "teleop"},
}
# Part of hil_trainer -> the parts of hil_trainer it may import. Every part may import `errors`.
TRAINER_ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "child_process": set(),
    "config": set(),
    "logging": set(),
    "checkpoints": set(),
    "data": set(),
    "pretrained": set(),
    "agents": {"config", "data", "pretrained"},
    "reward_classifier": {"agents", "logging"},
    "learner": {"agents", "checkpoints", "child_process", "config", "data"},
    "rollout": {"agents", "child_process", "config", "data", "learner", "logging", "reward_classifier"},
    "train": {"agents", "checkpoints", "config", "data", "learner", "logging", "rollout"},
    "cli": {"agents", "config", "learner", "logging", "pretrained", "reward_classifier", "rollout", "train"},
    "__main__": {"cli"},
    "__init__": {"agents"},
}
HEAVY = ["torch", "aiohttp", "pygame", "hid", "pynput", "OpenGL", "matplotlib", "numba", "imageio", "PIL", "rich"]

FILES = {
    path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("gym_hil", "hil_trainer")
    for path in sorted((ROOT / package).rglob("*.py"))
}
PACKAGES = {"gym_hil": ARROWS, "hil_trainer": TRAINER_ARROWS}


def part_of(module: str) -> str:
    """The part of its package that a module belongs to: a folder, or a module beside the folders."""
    return [*module.split("."), "__init__"][1]


@functools.cache
def imported(path: Path) -> set[str]:
    """Modules that a file imports, anywhere in it."""
    known, found = set(FILES.values()), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in known else str(node.module) for name in names}
    return found


def imported_parts(path: Path, package: str) -> set[str]:
    """Parts of a package that a file imports."""
    return {part_of(name) for name in imported(path) if name.partition(".")[0] == package and name != package}


@pytest.mark.parametrize(("package", "arrows"), PACKAGES.items())
def test_every_part_has_its_place(package: str, arrows: dict[str, set[str]]) -> None:
    assert {part_of(module) for module in FILES.values() if module.partition(".")[0] == package} == set(arrows)


@pytest.mark.parametrize(("package", "arrows"), PACKAGES.items())
def test_imports_follow_the_arrows_in_no_circle(package: str, arrows: dict[str, set[str]]) -> None:
    used: dict[str, set[str]] = {part: set() for part in arrows}
    for path, module in FILES.items():
        if module.partition(".")[0] == package:
            parts = imported_parts(path, package) - {part_of(module), "errors"}
            assert parts <= arrows[part_of(module)], path
            used[part_of(module)] |= parts
    graphlib.TopologicalSorter(used).prepare()


def test_environments_know_nothing_of_the_trainer_and_the_trainer_nothing_of_the_command_line() -> None:
    for path, module in FILES.items():
        if module.startswith("gym_hil"):
            assert not imported_parts(path, "hil_trainer"), path
        else:
            assert "cli" not in imported_parts(path, "gym_hil"), path


def test_files_import_each_other_in_no_circle() -> None:
    known = set(FILES.values()) - {"gym_hil"}  # it names what it offers, and imports that when it is used
    graph = {
        module: {name for name in imported(path) if name in known and name != module}
        for path, module in FILES.items()
        if module in known
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the files


def test_the_trainer_is_shallow() -> None:
    files = {path: module for path, module in FILES.items() if module.startswith("hil_trainer")}
    assert sum(module.count(".") == 1 and path.name != "__init__.py" for path, module in files.items()) <= 10
    graph = {module: {name for name in imported(path) if name in files.values()} for path, module in files.items()}
    chains: dict[str, int] = {}  # module -> files in the longest chain of imports that begins with it
    for module in graphlib.TopologicalSorter(graph).static_order():
        chains[module] = 1 + max((chains[name] for name in graph[module]), default=0)
    assert max(chains.values()) <= 10


def test_nothing_heavy_is_loaded_before_the_first_image() -> None:
    code = (
        "import sys, gymnasium, gym_hil; gymnasium.make('gym_hil/PandaPickCube-v0').reset(seed=0);"
        "gymnasium.make('gym_hil/PandaPickCube-v0', image_obs=True);"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    # With MUJOCO_GL set, `import mujoco` itself loads OpenGL.
    environment = {key: value for key, value in os.environ.items() if key != "MUJOCO_GL"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.strip() == "[]"
