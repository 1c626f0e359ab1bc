"""What docs/acfql.md says can be typed is understood, and every setting in its tables exists."""

import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from hil_trainer.cli.train import parse
from hil_trainer.config import ACFQLConfig

PAGE = (Path(__file__).parents[3] / "docs" / "acfql.md").read_text(encoding="utf-8")
LINES = [line for block in re.findall(r"(?ms)^```bash\n(.*?)^```$", PAGE) for line in block.splitlines()]
TRAININGS = [shlex.split(line)[2:] for line in LINES if line.startswith("hil-trainer train")]


def test_every_training_is_understood():
    algorithms = {parse(words).settings.algorithm for words in TRAININGS if "--resume" not in words}
    assert algorithms == {"bc", "acfql"}
    resumed = [parse(words).settings for words in TRAININGS if "--resume" in words]
    assert [settings.offline_steps for settings in resumed] == [0]


def test_every_flag_on_the_page_exists(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    shown = capsys.readouterr().out
    flags = {*re.findall(r"`(--[a-z][a-z.-]+[a-z])", PAGE)}
    assert flags
    assert [flag for flag in sorted(flags) if flag not in shown] == []


def test_settings_that_have_the_same_name_as_in_lerobot_have_it():
    (row,) = (line for line in PAGE.splitlines() if "and the same name" in line)
    names = set(re.findall(r"`([a-z_]+)`", row))
    assert len(names) == 8
    assert names <= {field.name for field in dataclasses.fields(ACFQLConfig)}
