"""What docs/recording.md says can be typed works as written."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from gym_hil.cli import main, record
from gym_hil.datasets import EpisodeDataset
from gym_hil.datasets.features import features_of
from gym_hil.envs import PandaPickCubeGymEnv

PAGE = (Path(__file__).parents[2] / "docs" / "recording.md").read_text(encoding="utf-8")
(PROGRAM,) = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE)
COMMANDS = [shlex.split(line) for line in PAGE.splitlines() if line.startswith("gym-hil record ")]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_program_records_two_episodes():
    exec(compile(PROGRAM, "docs/recording.md", "exec"), {})
    assert [episode.record.success for episode in EpisodeDataset("data/from_python")] == [True, True]


def test_the_command_records_ten_episodes():
    (command,) = COMMANDS
    assert main(command[1:]) == 0
    assert len(EpisodeDataset("data/recorded")) == 10
    assert Path("data/recorded/contact_sheet.png").exists()


def test_the_options_exist():
    parser = argparse.ArgumentParser()
    record.add_arguments(parser)
    told = re.findall(r"(?m)^\| `(--[a-z-]+)", PAGE)
    assert len(told) > 5
    assert set(told) <= set(parser.format_help().replace("[", " ").replace("]", " ").split())


def test_the_features_are_those_that_are_recorded():
    told = set(re.findall(r"`([a-z_.]+)`", PAGE.split("came of it:")[1].split("LeRobot's format")[0]))
    env = PandaPickCubeGymEnv(image_obs=True, force_torque_obs=True)
    recorded = set(features_of(env))
    env.close()
    assert recorded - {"observation.images.wrist", "observation.force_torque"} <= told
