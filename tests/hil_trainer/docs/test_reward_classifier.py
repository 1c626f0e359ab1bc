"""What docs/reward_classifier.md says can be typed works as written, but for how long is trained."""

import re
import shlex
import shutil
from pathlib import Path

import gym_hil.cli
import hil_trainer.cli
from gym_hil.datasets import EpisodeDataset
from hil_trainer.reward_classifier import load_classifier

PAGE = (Path(__file__).parents[3] / "docs" / "reward_classifier.md").read_text(encoding="utf-8")
RECORDING, REWARDING = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE)
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"(?ms)^```bash\n(.*?)^```$", PAGE)
    for line in block.replace("\\\n", "").splitlines()
]
QUICK = ["--epochs", "1", "--members", "1"]


def run_program(program: str) -> dict:
    names: dict = {}
    exec(compile(program, "docs/reward_classifier.md", "exec"), names)
    return names


def test_the_page_works_as_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    record, train, evaluate, relabel = COMMANDS
    assert record[:2] == ["gym-hil", "record"]
    assert gym_hil.cli.main(record[1:]) == 0
    assert len(EpisodeDataset("outputs/success")) == 10
    run_program(RECORDING)
    assert [episode.record.success for episode in EpisodeDataset("outputs/shaky")] == [True] * 4
    assert [episode.record.success for episode in EpisodeDataset("outputs/random")] == [False] * 2

    assert [words[:3] for words in (train, evaluate, relabel)] == [
        ["hil-trainer", "classifier", action] for action in ("train", "evaluate", "relabel")
    ]
    capsys.readouterr()
    assert hil_trainer.cli.main([*train[1:], *QUICK]) == 0
    assert "16 episodes" in capsys.readouterr().out
    shutil.copytree("outputs/shaky", "outputs/other_episodes")
    assert hil_trainer.cli.main(evaluate[1:]) == 0
    assert Path("outputs/classifier_report/report.md").exists()
    assert hil_trainer.cli.main(relabel[1:]) == 0
    assert len(EpisodeDataset("outputs/relabelled")) == 10

    shutil.rmtree("outputs/classifier")  # the program trains one itself
    names = run_program(REWARDING)
    assert names["reward"] in (0.0, 1.0)
    assert 0 <= names["info"]["reward_classifier"] <= 1
    assert load_classifier("outputs/classifier").provenance["settings"]["members"] == 1


def test_training_by_the_classifier_is_a_command_of_the_trainer(tmp_path):
    from hil_trainer.cli.train import parse

    (words,) = [shlex.split(found) for found in re.findall(r"`hil-trainer train (.*?)`", PAGE)]
    settings = parse([*words, "--out", str(tmp_path)]).settings
    assert (settings.env.obs, settings.env.reward_classifier) == ("pixels", Path("outputs/classifier"))
