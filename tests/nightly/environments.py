"""Environments of other packages are driven, recorded, replayed, trained in and shown.

`.ci/nightly` runs this where the packages are installed: `pytest tests/nightly/environments.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest

from gym_hil.cli import main
from gym_hil.datasets import EpisodeDataset
from gym_hil.env_options import EnvOptions, parse_kwargs
from gym_hil.teleop.operator import OperatorOptions
from gym_hil.teleop.sequence import SequenceDevice
from hil_trainer.cli import main as trainer
from tests.console.page import Loop, Page

HERE = __name__
EXAMPLES = Path(__file__).parents[2] / "examples"
STEPS = 30


class Case(NamedTuple):
    """One environment.

    Attributes:
        id: of it, with the module that registers it.
        actions: length of its action.
        device: who drives.
        words: more arguments of the commands.
        train: more arguments of the training.
        kind: of what the console shows.
    """

    id: str
    actions: int
    device: str = f"{HERE}:forward"
    words: tuple[str, ...] = ()
    train: tuple[str, ...] = ("--operator", "none", "--demos", "0", "--reward", "dense")
    kind: str = "scene"


CASES = {
    "fetch": Case(
        "gymnasium_robotics:FetchPickAndPlace-v4",
        4,
        "fetch_operator:FetchOperator",
        train=("--operator", "fetch_operator:FetchOperator", "--demos", "2"),
    ),
    "pusht": Case(
        "gym_pusht:gym_pusht/PushT-v0",
        2,
        words=("--env-kwargs", "obs_type=pixels", "--action-map", "x=0*20:last,y=1*20:last"),
        train=("--operator", "none", "--demos", "0", "--reward", "dense", "--obs", "pixels", "--image-size", "16"),
        kind="image",
    ),
    "joints": Case("Reacher-v5", 2, words=("--action-map", f"{HERE}:TwoJoints")),
    "ant": Case("Ant-v5", 8, words=("--action-map", "x=0,y=1")),
    "lander": Case("LunarLanderContinuous-v3", 2, words=("--action-map", "x=1,y=0"), kind="image"),
    "racing": Case(
        "CarRacing-v3",
        3,
        words=("--action-map", "x=0,y=1,z=2"),
        train=("--operator", "none", "--demos", "0", "--reward", "dense", "--obs", "pixels", "--image-size", "16"),
        kind="image",
    ),
    "maze": Case("gymnasium_robotics:PointMaze_UMaze-v3", 2, words=("--action-map", "x=0,y=1")),
    "door": Case("gymnasium_robotics:AdroitHandDoor-v1", 28, words=("--action-map", "x=0,y=1,z=2")),
    "kitchen": Case(
        "gymnasium_robotics:FrankaKitchen-v1", 9, words=("--action-map", "x=0,y=1,z=2,gripper=7", "--fps", "12")
    ),
    "bullet": Case("panda_gym:PandaPickAndPlace-v3", 4, kind="image"),
    "parking": Case("highway_env:parking-v0", 2, words=("--action-map", "x=0,y=1"), kind="image"),
}
each = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def forward(env: Any) -> SequenceDevice:
    return SequenceDevice([[1, 0.5, 0, 0]] * STEPS)


class TwoJoints:
    """Turns the two joints of Reacher so that its tip follows the operator."""

    def __init__(self, env: gym.Env):
        self.data = env.unwrapped.data

    def __call__(self, command: Any) -> Any:
        first, second = np.cumsum(self.data.qpos[:2])  # rad, of the two links
        elbow = np.array([-np.sin(second), np.cos(second)])
        shoulder = elbow + np.array([-np.sin(first), np.cos(first)])
        return np.clip([shoulder @ command.motion[:2], elbow @ command.motion[:2]], -1, 1)


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example's operator, and this file, can be imported by name, also in child processes."""
    paths = [str(EXAMPLES), str(EXAMPLES.parent)]
    monkeypatch.setenv("PYTHONPATH", ":".join(paths))
    for path in paths:
        monkeypatch.syspath_prepend(path)


def words(case: Case) -> list[str]:
    return ["--env", case.id, "--max-episode-steps", str(STEPS), *case.words]


@each
def test_an_episode_is_recorded_and_replayed(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root = tmp_path / "data"
    driven = ["--device", case.device, "--no-viewer"]
    assert main(["record", *words(case), *driven, "--repo-id", "me/x", "--root", str(root), "--episodes", "2"]) == 0
    dataset = EpisodeDataset(root)
    assert len(dataset) == 2
    assert dataset.features["action"]["shape"] == [case.actions]
    assert all(0 < len(episode) <= STEPS for episode in dataset)
    assert main(["replay", str(root), "--check"]) == 0, capsys.readouterr().out


@each
def test_an_operator_drives(case: Case, capsys: pytest.CaptureFixture) -> None:
    assert main(["teleop", *words(case), "--device", case.device, "--no-viewer", "--episodes", "1"]) == 0
    assert "episode 1:" in capsys.readouterr().out


@each
def test_a_policy_trains_and_is_evaluated(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run = tmp_path / "run"
    few = [
        "--steps",
        "60",
        "--evaluation.every",
        "1000",
        "--evaluation.quick-episodes",
        "1",
        "--evaluation.episodes",
        "1",
    ]
    small = ["--agent.width", "16", "--agent.batch-size", "16", "--threads", "1", "--no-tensorboard"]
    assert trainer(["train", *words(case), *case.train, *few, *small, "--out", str(run)]) == 0
    policy = ["--policy", str(run), "--episodes", "1"]
    assert main(["eval", *words(case), *policy]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("/1")


@each
def test_the_console_shows_it(case: Case, console: Any) -> None:
    kwargs, action_map = parse_kwargs([word for word in case.words if word.startswith("obs_type")]), None
    if "--action-map" in case.words:
        action_map = case.words[case.words.index("--action-map") + 1]
    fps = 12 if "--fps" in case.words else None
    options = EnvOptions(case.id, kwargs, action_map, max_episode_steps=STEPS, fps=fps)
    env, loop = options.make(OperatorOptions(device="web", viewer=False)), Loop()
    page = Page(loop, console)
    try:
        env.reset(seed=0)
        page.connect().watch(env.get_wrapper_attr("channel").number)
        for _ in range(3):
            env.step(env.get_wrapper_attr("idle_action"))
        page.wait(lambda: bool(page.frames))
        shown = "scene" if page.frames[0]["poses"] else "image" if page.frames[0]["jpegs"] else "nothing"
        assert shown == case.kind
    finally:
        page.close()
        loop.close()
        env.close()
