"""Training learns what is easy to see, leaves a report, and brings the same again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gym_hil.datasets import EpisodeDataset
from gym_hil.errors import ConfigurationError
from hil_trainer.errors import DivergenceError
from hil_trainer.reward_classifier import TrainingSettings, load_classifier, train_classifier
from hil_trainer.reward_classifier.examples import open_datasets, read_examples
from hil_trainer.reward_classifier.model import ClassifierShape, SuccessNetwork, judge
from hil_trainer.reward_classifier.training import validation_loss
from tests.hil_trainer.reward_classifier.conftest import QUICK
from tests.hil_trainer.reward_classifier.recordings import write_recording


def test_what_is_easy_to_see_is_learned(recording: Path, trained: Path, tmp_path: Path) -> None:
    classifier = load_classifier(trained)
    unseen = read_examples(open_datasets([write_recording(tmp_path / "unseen", [3, 9, None])]), classifier.shape)
    told = classifier.judge(unseen.images, unseen.states) >= classifier.threshold
    np.testing.assert_array_equal(told, unseen.success)


def test_the_report_and_the_provenance_are_there(recording: Path, trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert names == {"classifier.json", "classifier.safetensors", "report.md", "roc.png", "hardest_frames.png"}
    provenance = json.loads((trained / "classifier.json").read_text())["provenance"]
    assert provenance["datasets"][0]["repo_id"] == "me/bright"
    assert provenance["settings"]["epochs"] == QUICK.epochs
    assert sorted(episode for fold in provenance["validation"]["folds"] for episode in fold) == list(range(6))
    assert provenance["validation"]["accuracy"] >= 0.9
    assert provenance["versions"]["torch"].startswith(torch.__version__.partition("+")[0])
    assert "| accuracy |" in (trained / "report.md").read_text()


def test_the_same_seed_brings_the_same_and_leaves_other_chance_alone(recording: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(QUICK, epochs=2, members=1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(5)
        train_classifier([recording], tmp_path / "one", settings)
        drawn = torch.rand(1)
        torch.manual_seed(6)
        train_classifier([recording], tmp_path / "same", settings)
        train_classifier([recording], tmp_path / "other", dataclasses.replace(settings, seed=1))
    finally:
        torch.set_num_threads(threads)
    one, same, other = ((tmp_path / name / "classifier.safetensors").read_bytes() for name in ("one", "same", "other"))
    assert one == same != other
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))


def test_cameras_and_the_state_can_be_left_out(recording: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(QUICK, epochs=1, members=1, cameras=("front",), state=False)
    shape = train_classifier([recording], tmp_path / "out", settings).classifier.shape
    assert (shape.cameras, shape.state_size) == (("front",), 0)


def test_training_stops_when_it_gets_no_better(recording: Path, tmp_path: Path) -> None:
    told: list[str] = []
    settings = dataclasses.replace(QUICK, epochs=1000, patience=1, learning_rate=1e-2)
    outcome = train_classifier([recording], tmp_path / "out", settings, tell=told.append)
    assert max(outcome.epochs) < 100
    assert len(told) == 1 + len(outcome.epochs) == 3
    assert outcome.scores.frames == EpisodeDataset(recording).total_frames - 6


def test_both_kinds_of_frames_weigh_the_same(recording: Path) -> None:
    network = SuccessNetwork(ClassifierShape(("front",), 32))
    examples = read_examples(open_datasets([recording]), ClassifierShape(("front",), 32))
    probabilities = judge(network, examples.images, examples.states)
    means = [
        -np.log(np.abs(probabilities - kind)[examples.success != kind].clip(1e-7)).mean() for kind in (False, True)
    ]
    assert validation_loss(network, examples) == pytest.approx(np.mean(means), rel=1e-3)


def test_a_loss_that_is_not_finite_is_told(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match="learning rate"):
        train_classifier([recording], tmp_path / "out", dataclasses.replace(QUICK, learning_rate=1e30, epochs=3))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_told(recording: Path, tmp_path: Path, device: str) -> None:
    with pytest.raises(ConfigurationError, match=f"device is '{device}', which cannot be used here"):
        train_classifier([recording], tmp_path / "out", dataclasses.replace(QUICK, device=device))


@pytest.mark.parametrize(
    "setting",
    [
        {"epochs": 0},
        {"patience": 0},
        {"batch_size": 0},
        {"brightness": 1.0},
        {"state_dropout": -0.1},
        {"validation_share": 0.6},
        {"precision": 1.5},
        {"members": 0},
        {"learning_rate": 0.0},
        {"seed": -1},
    ],
)
def test_a_setting_out_of_range_is_told(setting: dict) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        TrainingSettings(**setting)
