"""Datasets to work on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from gym_hil import GymRenderingSpec
from gym_hil.datasets import RecordEpisodes
from gym_hil.teleop import Event, TeleopCommand
from gym_hil.teleop.sequence import SequenceDevice

SIZE = 32  # pixels


@pytest.fixture
def lerobot_pick() -> Path:
    """A dataset that LeRobot made, see `tests/data/make_lerobot_pick.py`."""
    return Path(__file__).parents[1] / "data" / "lerobot_pick"


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes: the scripted operator lifts the cube, gives up after 5 steps at random, and lifts it again."""
    root = tmp_path_factory.mktemp("recorded") / "pick"
    gives_up = SequenceDevice([*[TeleopCommand()] * 4, TeleopCommand(events=(Event.FAILURE,))])
    for seed, device in enumerate(["scripted", gives_up, "scripted"]):
        record_episode(root, device=device, seed=seed)
    return root


@pytest.fixture
def own_copy(recorded: Path, tmp_path: Path) -> Path:
    """A copy of `recorded` to break."""
    return Path(shutil.copytree(recorded, tmp_path / "copy"))


def record_episode(root: Path, *, env_id: str = "gym_hil/PandaPickCube-v1", seed: int, **kwargs: Any) -> None:
    """Record one episode more, with a policy that acts at random."""
    env = gym.make(env_id, image_obs=True, render_spec=GymRenderingSpec(SIZE, SIZE), **kwargs)
    env = RecordEpisodes(env, root, "me/pick", task="pick up the cube", resume=True)
    env.action_space.seed(seed)
    env.reset(seed=seed)
    done = False
    while not done:
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        done = terminated or truncated
    env.close()
