"""`gym-hil dataset`: looking into datasets and making others of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gym_hil.cli import main
from gym_hil.cli.dataset import find_function
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.errors import ConfigurationError


def test_info_tells_what_is_in_a_dataset(recorded: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["dataset", "info", str(recorded), "--episodes", "--check"]) == 0
    told = capsys.readouterr().out
    frames = EpisodeDataset(recorded).total_frames
    for words in (
        f"3 episodes, {frames} frames, 10 fps",
        "2 of 3 end in success, an operator acted in 2 of them",
        "tasks: 'pick up the cube'",
        "recorded in gym_hil/PandaPickCube-v1",
        "observation.images.front             video [3, 32, 32]",
        "no success       seed 1  operator 0%",
        "every file is there and whole",
    ):
        assert words in told


def test_info_tells_what_lerobot_recorded(lerobot_pick: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["dataset", "info", str(lerobot_pick)]) == 0
    told = capsys.readouterr().out
    assert "1 of 2 end in success, interventions were not recorded" in told


def test_info_finds_a_damaged_file(own_copy: Path, capsys: pytest.CaptureFixture) -> None:
    path = own_copy / "videos/observation.images.wrist/chunk-000/file-001.mp4"
    path.write_bytes(path.read_bytes()[:200])
    assert main(["dataset", "info", str(own_copy)]) == 0
    assert main(["dataset", "info", str(own_copy), "--check"]) == 1
    assert str(path) in capsys.readouterr().err


def test_merge_filter_and_relabel(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rewards_of_this_test.py").write_text("def minus_one(episode):\n    return [-1.0] * len(episode)\n")
    assert main(["dataset", "merge", str(recorded), str(recorded), "--out", "both"]) == 0
    assert "both: 6 episodes" in capsys.readouterr().out
    assert main(["dataset", "filter", "both", "--out", "good", "--success", "--interventions", "--drop", "0"]) == 0
    assert "good: 3 episodes" in capsys.readouterr().out
    assert main(["dataset", "relabel", "good", "--out", "new", "--reward", "rewards_of_this_test:minus_one"]) == 0
    assert all((episode["next.reward"] == -1).all() for episode in EpisodeDataset("new"))
    # What was recorded in one environment can still be replayed in it.
    assert main(["replay", "new", "--check"]) == 0
    assert "3 of 3 end as recorded, 3 in success; largest TCP deviation 0 m" in capsys.readouterr().out


def test_no_success_is_a_wish_too(recorded: Path, tmp_path: Path) -> None:
    assert main(["dataset", "filter", str(recorded), "--out", str(tmp_path / "bad"), "--no-success"]) == 0
    assert [record.seed for record in EpisodeDataset(tmp_path / "bad").episodes] == [1]


def test_nothing_is_overwritten_unless_that_is_said(recorded: Path, tmp_path: Path) -> None:
    arguments = ["dataset", "merge", str(recorded), "--out", str(tmp_path / "new"), "--repo-id", "me/new"]
    assert [main(arguments), main(arguments), main([*arguments, "--overwrite"])] == [0, 1, 0]
    assert json.loads((tmp_path / "new/meta/info.json").read_text())["gym_hil"]["repo_id"] == "me/new"


@pytest.mark.parametrize("name", ["os", ":path", "os:", "no_such_module:f", "os:no_such_function", "os:sep"])
def test_a_function_that_is_not_there_is_said(name: str) -> None:
    with pytest.raises(ConfigurationError, match="--reward"):
        find_function(name)
