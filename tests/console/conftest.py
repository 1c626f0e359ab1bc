"""A console of the test's own, environments on it, and pages that watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gymnasium as gym
import pytest

pytest.importorskip("aiohttp", reason="needs the extra `web`")
pytest.importorskip("simplejpeg", reason="needs the extra `web`")

import gym_hil
from gym_hil.console import Console
from tests.console.browser import browser, module_stand, module_visitor, stand, visit, visitor  # noqa: F401
from tests.console.page import Loop, Page


@pytest.fixture
def base(console: Console) -> Iterator[gym.Env]:
    env = gym_hil.PandaPickCubeGymEnv()
    env.reset(seed=0)
    yield env
    env.close()


@pytest.fixture
def driven(console: Console) -> Iterator[gym.Env]:
    """The whole stack with the device "web"."""
    env = gym.make("gym_hil/PandaPickCubeWeb-v1", reset_delay_seconds=0)
    env.reset(seed=0)
    yield env
    env.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def open_page(loop: Loop, console: Console) -> Iterator[Callable[..., Page]]:
    """Makes pages that have the cookie; `connect` opens their WebSocket."""
    pages: list[Page] = []

    def make(name: str | None = None, **options: bool) -> Page:
        pages.append(Page(loop, console, name, **options))
        return pages[-1]

    yield make
    for page in pages:
        page.close()
