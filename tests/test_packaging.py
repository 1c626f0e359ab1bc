"""What `pip` and the commands of the repository rely on."""

import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from hil_trainer.pretrained import FOLDER, pretrained_policies

ROOT = Path(__file__).parents[1]
IGNORED = {".venv", ".cache", "dist", "build", ".git"}


@pytest.fixture(scope="module")
def metadata():
    return importlib.metadata.metadata("gym-hil")


def test_lerobots_requirement_is_fulfilled(metadata):
    # LeRobot asks for >=0.1.14,<0.2; numbers below 20 are upstream's.
    assert Requirement("gym-hil>=0.1.20,<0.2").specifier.contains(metadata["Version"])


def test_changelog_tells_of_this_version(metadata):
    heading = rf"^## {re.escape(metadata['Version'])} \(\d{{4}}-\d\d-\d\d\)$"
    assert re.search(heading, (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_promised_extras_exist(metadata):
    promised = {"web", "data", "train", "imagenet", "ray", "wandb", "pynput", "test", "dev", "all"}
    assert promised <= set(metadata.get_all("Provides-Extra"))


def test_core_needs_neither_torch_nor_a_keyboard_grabber(metadata):
    core = {
        requirement.name
        for requirement in map(Requirement, metadata.get_all("Requires-Dist"))
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }
    assert core <= {"gymnasium", "mujoco", "numpy", "numba", "imageio", "rich", "hidapi", "pygame", "pygame-ce"}


def test_oldest_versions_that_are_tested_are_the_oldest_that_are_allowed(metadata):
    floors = {}
    for requirement in map(Requirement, metadata.get_all("Requires-Dist")):
        extra = re.search(r'extra == "(\w+)"', str(requirement.marker))
        if extra is None or extra[1] in ("web", "data"):
            floors[requirement.name] = next(s.version for s in requirement.specifier if s.operator == ">=")
    pins = [Requirement(line) for line in (ROOT / ".ci" / "oldest.txt").read_text().splitlines() if line[:1] != "#"]
    assert {pin.name for pin in pins} == set(floors) - {"pygame-ce"}
    for pin in pins:
        (exact,) = pin.specifier
        assert Version(exact.version) == Version(floors[pin.name])


def test_controller_configuration_exists_once():
    found = [path for path in ROOT.rglob("controller_config.json") if not IGNORED & set(path.relative_to(ROOT).parts)]
    assert found == [ROOT / "controller_config.json"]


def test_trained_policies_are_listed_and_small():
    sizes = {path.name: path.stat().st_size for path in FOLDER.glob("*.safetensors")}
    assert set(sizes) == {policy.file.name for policy in pretrained_policies().values()}
    assert max(sizes.values()) < 3e6
    assert sum(sizes.values()) < 10e6


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", ".ci/run", ".github/workflows/ci.yml", ".github/pull_request_template.md"]
)
def test_every_make_target_that_is_named_exists(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|run: |`|\bwithout_gl )make ([a-z]+)", text, re.MULTILINE))
    assert named
    assert named <= targets
