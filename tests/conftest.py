"""Fixtures that every part uses."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from hypothesis import settings

import gym_hil.registration

DATA = Path(__file__).parent / "data"

# No test asserts a time. What a change has to pass tries the same examples each time; elsewhere they are new ones.
settings.register_profile("here", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# What a shell puts in the background ignores Ctrl-C, and the programs that are tested would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def no_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra `web` is not installed, as far as `render_mode="human"` knows."""
    monkeypatch.setattr("gym_hil.display.CONSOLE_PACKAGES", ("a_module_that_does_not_exist",))


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A console at a free port, which is also the one that all share."""
    for package in ("aiohttp", "simplejpeg"):
        pytest.importorskip(package, reason="needs the extra `web`")
    from gym_hil.console import Console
    from gym_hil.console import server as module

    made = Console(port=0)
    monkeypatch.setattr(module, "_shared", made)
    yield made
    made.close()


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder of modules; what they register is forgotten afterwards."""
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    monkeypatch.setattr("gym_hil.registration.TASKS", dict(gym_hil.registration.TASKS))
    monkeypatch.setattr("gym_hil.registration._loaded", set())
    monkeypatch.setattr("gym_hil.registration._modules", {})
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [path.stem for path in tmp_path.glob("*.py")]:
        sys.modules.pop(name, None)


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
