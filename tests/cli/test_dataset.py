"""`gym-hil dataset`: looking into datasets and making others of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gym_hil.cli import main
from gym_hil.datasets.reader import EpisodeDataset


def test_info_tells_what_is_in_a_dataset(recorded: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["dataset", "info", str(recorded), "--episodes", "--check"]) == 0
    output = capsys.readouterr().out
    frames = EpisodeDataset(recorded).total_frames
    for words in (
        f"3 episodes, {frames} frames, 10 fps",
        "2 of 3 end in success, the operator acted in 2 of them",
        "tasks: 'pick up the cube'",
        "recorded in gym_hil/PandaPickCube-v1",
        "observation.images.front             video [3, 32, 32]",
        "no success       seed 1  operator 0%",
        "every file is there, whole, and as meta/info.json says",
    ):
        assert words in output


def test_info_tells_what_lerobot_recorded(lerobot_pick: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["dataset", "info", str(lerobot_pick)]) == 0
    output = capsys.readouterr().out
    assert "1 of 2 end in success, interventions were not recorded" in output


def test_check_lists_every_damaged_file(own_copy: Path, capsys: pytest.CaptureFixture) -> None:
    paths = [own_copy / f"videos/observation.images.{name}/chunk-000/file-000.mp4" for name in ("front", "wrist")]
    for path in paths:
        path.write_bytes(path.read_bytes()[:200])
    assert main(["dataset", "info", str(own_copy)]) == 0
    assert main(["dataset", "info", str(own_copy), "--check"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [str(path) in line for path, line in zip(paths, lines, strict=True)] == [True, True]


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


def test_episodes_without_success_can_be_kept(recorded: Path, tmp_path: Path) -> None:
    assert main(["dataset", "filter", str(recorded), "--out", str(tmp_path / "bad"), "--no-success"]) == 0
    assert [record.seed for record in EpisodeDataset(tmp_path / "bad").episodes] == [1]


def test_a_dataset_is_replaced_only_on_request(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["dataset", "merge", str(recorded), "--out", str(tmp_path / "new"), "--repo-id", "me/new"]
    assert [main(arguments), main(arguments), main([*arguments, "--overwrite"])] == [0, 1, 0]
    message = capsys.readouterr().err
    assert "with --overwrite" in message
    assert "=True" not in message
    assert json.loads((tmp_path / "new/meta/info.json").read_text())["gym_hil"]["repo_id"] == "me/new"


def test_compact_says_how_many_files_there_are(own_copy: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["dataset", "compact", str(own_copy)]) == 0
    assert f"{own_copy}: 7 files" in capsys.readouterr().out
    assert main(["dataset", "info", str(own_copy), "--check"]) == 0


def test_numbers_with_other_names_are_merged_with_force(
    own_copy: Path, recorded: Path, capsys: pytest.CaptureFixture
) -> None:
    path = own_copy / "meta/info.json"
    info = json.loads(path.read_text())
    info["features"]["action"]["names"] = ["gripper", "delta_x", "delta_y", "delta_z"]
    path.write_text(json.dumps(info))
    arguments = ["dataset", "merge", str(recorded), str(own_copy), "--out", str(own_copy.parent / "new")]
    assert main(arguments) == 1
    assert "If they mean the same, merge with --force." in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0
