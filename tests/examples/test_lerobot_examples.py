"""The files in examples/lerobot are what the command writes."""

from pathlib import Path

import pytest

from gym_hil.cli import main

FOLDER = Path(__file__).parents[2] / "examples" / "lerobot"


@pytest.mark.parametrize(
    ("mode", "name"), [("record", "env_record.json"), ("replay", "env_replay.json"), ("train", "train.json")]
)
def test_example_is_what_the_command_writes(mode, name, tmp_path):
    path = tmp_path / name
    assert main(["lerobot-config", "--task", "PandaPickCubeWeb-v0", "--mode", mode, "--out", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == (FOLDER / name).read_text(encoding="utf-8")
