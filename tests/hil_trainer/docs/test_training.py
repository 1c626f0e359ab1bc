"""What docs/training.md says can be typed works as written; trainings are parsed, not run."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import hil_trainer.cli
from hil_trainer.agents.frozen_encoder import load_encoder
from hil_trainer.agents.policy import Policy, PolicyShape
from hil_trainer.agents.policy_file import save_policy
from hil_trainer.cli.train import parse
from hil_trainer.config import NO_OPERATOR, TrainConfig
from hil_trainer.rollout.env import RolloutEnv

PAGE = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE)
LINES = [line for block in re.findall(r"(?ms)^```bash\n(.*?)^```$", PAGE) for line in block.splitlines()]
COMMANDS = [shlex.split(line.removeprefix("PYTHONPATH=. ")) for line in LINES if "hil-trainer" in line]
TRAININGS = [words[2:] for words in COMMANDS if words[1] == "train"]


def test_every_training_is_understood_and_has_a_folder_of_its_own():
    folders = [parse(words).out for words in TRAININGS if "--resume" not in words]
    assert len(folders) == 9
    assert len({*folders}) == len(folders)
    (resumed,) = (parse(words).out for words in TRAININGS if "--resume" in words)
    assert resumed in folders


def test_every_flag_on_the_page_exists(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    shown = capsys.readouterr().out
    flags = {*re.findall(r"`(--[a-z][a-z.-]+)", PAGE)}
    assert flags
    assert [flag for flag in sorted(flags) if flag not in shown] == []


def test_the_example_encoder_is_one_that_the_trainer_takes(tmp_path, monkeypatch):
    (program,) = (program for program in PROGRAMS if "def encoder" in program)
    (tmp_path / "vision.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    (source,) = (
        config.encoder for config in (parse(words).settings.env for words in TRAININGS) if ":" in (config.encoder or "")
    )
    try:
        encoder = load_encoder(source, 128)
    finally:
        sys.modules.pop("vision", None)
    assert encoder.encode(np.zeros((2, 128, 128, 3), np.uint8)).shape == (2, 512)


def test_a_policy_is_used_and_evaluated_as_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    env = RolloutEnv(TrainConfig(demos="0"), operator=NO_OPERATOR)
    save_policy(
        Path("outputs/pick/policy.safetensors"),
        Policy(PolicyShape(env.layout, env.actions, 16)),
        action_scale=env.action_scale,
        provenance={"task": "PandaPickCube-v1", "obs": "state"},
    )
    env.close()
    (evaluate,) = (words[1:] for words in COMMANDS if words[1] == "eval")
    assert hil_trainer.cli.main([*evaluate, "--episodes", "1"]) == 0
    assert "successes: 0/1" in capsys.readouterr().out
    assert Path("outputs/pick.mp4").stat().st_size > 1000
    (program,) = (program for program in PROGRAMS if "load_policy" in program)
    names: dict = {}
    exec(compile(program, "docs/training.md", "exec"), names)
    assert names["observation"]["agent_pos"].shape == (18,)
