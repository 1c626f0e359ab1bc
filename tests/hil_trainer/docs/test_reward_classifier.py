"""What docs/reward_classifier.md says can be typed works in order from an empty folder, and gives what it shows."""

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import gym_hil.cli
import hil_trainer.cli
from gym_hil.datasets import EpisodeDataset
from hil_trainer.cli.train import parse

PAGE = (Path(__file__).parents[3] / "docs" / "reward_classifier.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", PAGE)
RECORDING, RULE, STAGES, USING = (text for kind, text in BLOCKS if kind == "python")
SHOWN, SHOWN_STAGES = (text for kind, text in BLOCKS if not kind)
COMMANDS = [
    shlex.split(line.removeprefix("PYTHONPATH=. "))
    for kind, text in BLOCKS
    if kind == "bash"
    for line in text.replace("\\\n", "").splitlines()
]


def run(words):
    program = {"gym-hil": gym_hil.cli, "hil-trainer": hil_trainer.cli}[words[0]]
    assert program.main(words[1:]) == 0


def run_program(program):
    names: dict = {}
    exec(compile(program, "docs/reward_classifier.md", "exec"), names)
    return names


def right(text):
    """Shares of frames that are right, or in the right stage, in a text."""
    return [float(share) for share in re.findall(r"([\d.]+)% (?:of \d+ frames right|in the right stage)", text)]


def test_the_rule_takes_a_gripper_that_holds_something_for_a_grasp():
    state = np.zeros((5, 18))
    state[1:, 7] = [0.08, 0.03, 0.04, 0.0]
    episode = {"observation.state": state, "next.success": np.array([False, False, True, False, False])}
    names = {"np": np}
    exec(RULE, names)
    assert names["stages"](episode).tolist() == [0, 1, 2, 0, 0]


def test_commands_use_the_folders_that_earlier_ones_have_written():
    record, train, evaluate, train_stages, evaluate_stages, train_policy, relabel = COMMANDS
    recorded = {record[record.index("--root") + 1], *re.findall(r'record\("(.*?)"', RECORDING)}
    inputs, (out, model) = {*train[3 : train.index("--out")], evaluate[3], relabel[3]}, (train[-1], evaluate[-3])
    assert recorded == inputs
    assert train_stages[3 : train_stages.index("--out")] == train[3 : train.index("--out")]
    assert train_stages[train_stages.index("--out") + 1] == evaluate_stages[-1]
    assert out == model == relabel[relabel.index("--model") + 1]
    arguments = parse(train_policy[2:])
    assert (arguments.settings.env.obs, arguments.settings.env.reward_classifier) == ("pixels", Path(out))


@pytest.mark.slow
def test_the_page_works_as_written_and_gives_what_it_shows(tmp_path, monkeypatch, capsys):
    """With fewer networks, unless .ci/nightly asks for all that is written."""
    shorter = [] if "GYM_HIL_AS_WRITTEN" in os.environ else ["--members", "2"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    record, train, evaluate, train_stages, evaluate_stages, _, relabel = COMMANDS

    def check(shown):
        printed = capsys.readouterr().out
        assert printed.splitlines()[0] == shown.splitlines()[0]
        # Other processors round differently.
        assert right(printed) == pytest.approx(right(shown), abs=1.5)

    run(record)
    run_program(RECORDING)
    capsys.readouterr()
    run([*train, *shorter])
    run(evaluate)
    check(SHOWN)
    Path("stages.py").write_text(STAGES)
    run(train_stages)
    run(evaluate_stages)
    check(SHOWN_STAGES)
    names = run_program(USING)
    assert names["info"]["next.success"]
    assert names["reward"] == 1.0
    run(relabel)
    assert len(EpisodeDataset("outputs/relabelled")) == 10
