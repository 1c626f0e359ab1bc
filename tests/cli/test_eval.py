"""A policy is evaluated, watched and recorded by its name, in a task and in an environment of somebody else's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gym_hil.cli import main
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.teleop import Device, Event, TeleopCommand
from gym_hil.teleop.scripted.operator import ScriptedOperator
from tests.datasets.foreign import ID

CALLS: list[str] = []


class Picks:
    """A policy that solves PickCube as the scripted operator does, and plans three steps at a time."""

    def __init__(self, env: Any):
        self.operator = ScriptedOperator.for_env(env)
        self.plan: list[Any] = []

    def __call__(self, observation: Any) -> Any:
        CALLS.append("act")
        if not self.plan:
            command = self.operator.poll()
            self.plan = [np.array([*command.motion[:3], command.gripper + 1.0], np.float32)] * 2
        return self.plan.pop()

    def reset(self) -> None:
        CALLS.append("reset")
        self.plan = []
        self.operator.reset()


def goes_home(env: Any) -> Any:
    return lambda observation: np.clip(observation["desired_goal"] - observation["achieved_goal"], -1, 1)


def fails_later(env: Any) -> Any:
    state = {"left": 7}

    def act(observation: Any) -> Any:
        state["left"] -= 1
        return [0.0, 0.0] if state["left"] else [0.0, np.nan]

    return act


class Corrects(Device):
    """Drives in steps 2 and 3 of each episode, and stops the session at step 6 of the second one."""

    human = False

    def __init__(self, env: Any = None):
        self.step = self.episodes = 0

    def reset(self) -> None:
        self.step, self.episodes = 0, self.episodes + 1

    def poll(self) -> TeleopCommand:
        self.step += 1
        events = (Event.SUCCESS,) if self.step == 6 else ()
        return TeleopCommand(np.eye(6)[2], -1, self.step in (2, 3), events)


@pytest.fixture(autouse=True)
def users(monkeypatch: pytest.MonkeyPatch) -> None:
    """This module, as one that can be imported by name."""
    monkeypatch.setitem(sys.modules, "users", sys.modules[__name__])
    CALLS.clear()


def test_successes_of_a_task_are_counted_and_filmed(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    video = tmp_path / "new" / "two.mp4"
    assert main(["eval", "--policy", "users:Picks", "--episodes", "2", "--video", str(video)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("episode 1: success after ")
    assert lines[-1] == "successes: 2/2"
    assert video.stat().st_size > 10_000


def test_an_episode_without_success_is_counted_as_that(capsys: pytest.CaptureFixture) -> None:
    assert main(["eval", "--policy", "users:Picks", "--episodes", "2", "--max-episode-steps", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["3.0 steps an episode", "successes: 0/2"]


def test_episodes_that_run_at_a_time_end_as_one_after_the_other(capsys: pytest.CaptureFixture) -> None:
    words = ["eval", "--policy", "users:Picks", "--task", "PandaPickCube-v1", "--episodes", "5"]
    ends = []
    for more in ([], ["--num-envs", "3"]):
        assert main([*words, "--max-episode-steps", "17", *more]) == 0
        ends.append(sorted(capsys.readouterr().out.splitlines()))
    assert ends[0] == ends[1]
    assert 0 < sum("no success" in line for line in ends[0]) < 5


def test_any_environment_is_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["--policy", "users:goes_home", "--env", f"tests.datasets.foreign:{ID}", "--action-map", "x=0,y=1"]
    film = ["--episodes", "3", "--env-kwargs", "render_mode=rgb_array", "--video", str(tmp_path / "reach.gif")]
    assert main(["eval", *words, *film]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "successes: 3/3"


def test_an_environment_that_cannot_be_filmed_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["--policy", "users:goes_home", "--env", f"tests.datasets.foreign:{ID}", "--action-map", "x=0,y=1"]
    film = ["--episodes", "1", "--video", str(tmp_path / "reach.gif")]
    for render, message in ((lambda env: None, "renders no images"), (lambda env: 1 / 0, "cannot render: ZeroDiv")):
        monkeypatch.setattr("tests.datasets.foreign.Reach.render", render)
        assert main(["eval", *words, *film]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--policy", "users:nobody"], "has no function nobody"),
        (["--policy", "users:goes_home"], "KeyError: 'desired_goal'"),
        (["--policy", "users:Picks", "--orientation"], "returns 4 numbers, but an action of this environment has 7"),
        (["--policy", "users:Picks", "--episodes", "0"], "--episodes is 0"),
        (["--policy", "users:Picks", "--env", f"tests.datasets.foreign:{ID}", "--images"], "--images"),
        (["--policy", "users:Picks", "--video", "film.avi"], "ends in .mp4 or .gif"),
        (["--policy", "users:Picks", "--num-envs", "0"], "--num-envs is 0"),
        (["--policy", "users:Picks", "--num-envs", "2", "--video", "film.mp4"], "films one episode after the other"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error(words: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["eval", *words]) == 1
    assert message in capsys.readouterr().err


def test_an_operator_takes_over_from_a_policy_that_is_watched(capsys: pytest.CaptureFixture) -> None:
    words = ["--policy", "users:Picks", "--device", "users:Corrects", "--no-viewer", "--episodes", "1"]
    assert main(["teleop", *words]) == 0
    out = capsys.readouterr().out
    assert "Policy: users:Picks\nDevice: Corrects\n" in out
    assert "episode 1: success (marked by you) after 6 steps, 2 of them yours" in out
    # Not asked while the operator drives; planning anew when they let go.
    assert CALLS == ["reset", "act", "reset", "act", "act", "act"]


def test_corrections_are_recorded_as_they_were(tmp_path: Path) -> None:
    words = ["--policy", "users:Picks", "--device", "users:Corrects", "--no-viewer", "--no-images", "--episodes", "2"]
    assert main(["record", *words, "--repo-id", "me/pick", "--root", str(tmp_path / "new")]) == 0
    for episode in EpisodeDataset(tmp_path / "new"):
        assert episode["complementary_info.is_intervention"].ravel().tolist() == [0, 1, 1, 0, 0, 0]
        np.testing.assert_array_equal(episode["action"][1:3], [[0, 0, 1, 0]] * 2)
        assert (episode["action"][0] != episode["action"][1]).any()


def test_episodes_before_a_policy_fails_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["--env", f"tests.datasets.foreign:{ID}", "--action-map", "x=0,y=1", "--device", "none"]
    record = ["record", *words, "--repo-id", "me/reach", "--root", str(tmp_path / "new"), "--seed", "1"]
    assert main([*record, "--policy", "users:fails_later"]) == 1
    assert "which is not finite" in capsys.readouterr().err
    assert len(EpisodeDataset(tmp_path / "new")) == 1
    assert main([*record, "--overwrite"]) == 1
    assert "--device none is for a policy that acts alone" in capsys.readouterr().err
