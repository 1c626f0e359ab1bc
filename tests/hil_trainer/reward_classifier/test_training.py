"""Training learns what is easy to see, leaves a report, and gives the same result again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gym_hil.errors import ConfigurationError
from hil_trainer.errors import DemonstrationsError, DivergenceError
from hil_trainer.reward_classifier import TrainingSettings, load_classifier, train_classifier
from hil_trainer.reward_classifier.evaluation import calibrate
from hil_trainer.reward_classifier.examples import just_before_success, open_datasets, read_examples
from hil_trainer.reward_classifier.model import ClassifierShape, StageNetwork, judge
from hil_trainer.reward_classifier.training import augmented, validation_loss
from tests.hil_trainer.fake_gpu import DEVICE
from tests.hil_trainer.reward_classifier.conftest import QUICK
from tests.hil_trainer.reward_classifier.recordings import write_recording


def test_what_is_easy_to_see_is_learned_and_the_report_and_the_provenance_are_there(
    recording: Path, trained: Path, tmp_path: Path
) -> None:
    classifier = load_classifier(trained)
    unseen = read_examples(open_datasets([write_recording(tmp_path / "unseen", [3, 9, None])]), classifier.shape)
    predicted = judge(classifier, unseen.images, unseen.states)[:, 1] >= classifier.threshold
    np.testing.assert_array_equal(predicted, unseen.success)
    names = {path.name for path in trained.iterdir()}
    assert names == {"classifier.json", "classifier.safetensors", "report.md", "roc.png", "hardest_frames.png"}
    provenance = json.loads((trained / "classifier.json").read_text())["provenance"]
    assert provenance["datasets"][0]["repo_id"] == "me/bright"
    assert provenance["settings"]["epochs"] == QUICK.epochs
    assert sorted(sum(provenance["folds"], provenance["held_out"]["episodes"])) == list(range(6))
    assert provenance["held_out"]["accuracy"] >= 0.9
    assert provenance["versions"]["torch"].startswith(torch.__version__.partition("+")[0])


def test_the_same_seed_gives_the_same_and_leaves_other_random_numbers_alone(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil_trainer.reward_classifier.training.write_report", lambda *_: None)
    settings = dataclasses.replace(QUICK, epochs=1, members=1)
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


def test_stages_and_a_frozen_encoder_are_learned_and_the_report_has_a_table_of_them(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "data", [7, 4, 8, 6, None], labels="next.stage")
    settings = dataclasses.replace(
        QUICK, epochs=20, members=1, encoder="tests.hil_trainer.reward_classifier.test_model:quarters", image_size=32,
        classes=("dark", "near", "bright"), labels="next.stage", amp=True,
    )  # fmt: skip
    outcome = train_classifier([path], tmp_path / "out", settings)
    assert outcome.scores.accuracy == 1.0
    assert outcome.scores.stage_accuracy > 0.8
    assert "in the right stage" in str(outcome.scores)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| frames that show | as dark | as near | as bright |" in text
    assert load_classifier(tmp_path / "out").shape.classes == settings.classes
    with pytest.raises(DemonstrationsError, match="No frame shows far"):
        train_classifier(
            [path], tmp_path / "out", dataclasses.replace(settings, classes=("dark", "near", "bright", "far", "done"))
        )


@pytest.mark.parametrize("encoder", [None, "tests.hil_trainer.reward_classifier.test_model:quarters"])
def test_a_gpu_trains_what_the_cpu_trains(on_fake_gpu, recording: Path, tmp_path: Path, encoder: str | None) -> None:
    for device in ("cpu", DEVICE):
        settings = dataclasses.replace(QUICK, epochs=1, members=1, encoder=encoder, image_size=32, device=device)
        on_fake_gpu(train_and_forget, recording, tmp_path / device, settings)
    one, other = (load_classifier(tmp_path / device).state_dict() for device in ("cpu", DEVICE))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-5)


def train_and_forget(recording: Path, out: Path, settings: TrainingSettings) -> None:
    train_classifier([recording], out, settings)


def test_training_stops_when_the_validation_loss_stops_falling(recording: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    few = {"cameras": ("front",), "state": False}
    settings = dataclasses.replace(QUICK, epochs=1000, patience=1, learning_rate=1e-2, **few)
    outcome = train_classifier([recording], tmp_path / "out", settings, log=lines.append)
    assert (outcome.classifier.shape.cameras, outcome.classifier.shape.state_size) == (("front",), 0)
    assert max(outcome.epochs) < 100
    assert len(lines) == 1 + len(outcome.epochs) == 3


def test_the_threshold_is_calibrated_on_the_whole_ensemble_and_episodes_that_no_member_was_trained_on(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrated, seen = [], []
    monkeypatch.setattr(
        "hil_trainer.reward_classifier.training.calibrate",
        lambda probabilities, success, precision: (
            calibrated.append(probabilities) or calibrate(probabilities, success, precision)
        ),
    )

    def fit(network, training, validation, settings):
        seen.append({*training.episodes, *validation.episodes})
        return 1, 0.0

    monkeypatch.setattr("hil_trainer.reward_classifier.training.fit", fit)
    outcome = train_classifier([recording], tmp_path / "out", QUICK)
    held_out = outcome.classifier.provenance["held_out"]["episodes"]
    assert len(outcome.classifier.members) == len(seen) == 2
    assert not set(held_out) & set.union(*seen)
    examples = read_examples(open_datasets([recording]), outcome.classifier.shape).of_episodes(held_out)
    counted = ~just_before_success(examples)
    expected = judge(outcome.classifier, examples.images, examples.states)
    np.testing.assert_allclose(calibrated[0], expected[counted, 1])
    assert outcome.scores.frames == len(examples)


def test_both_kinds_of_frames_have_the_same_weight(recording: Path) -> None:
    network = StageNetwork(ClassifierShape(("front",), 32))
    examples = read_examples(open_datasets([recording]), ClassifierShape(("front",), 32))
    probabilities = judge(network, examples.images, examples.states)[:, 1]
    means = [
        -np.log(np.abs(probabilities - kind)[examples.success != kind].clip(1e-7)).mean() for kind in (False, True)
    ]
    assert validation_loss(network, examples) == pytest.approx(np.mean(means), rel=1e-3)


def test_a_loss_that_is_not_finite_is_an_error(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match="learning rate"):
        train_classifier([recording], tmp_path / "out", dataclasses.replace(QUICK, learning_rate=1e30, epochs=3))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_does_not_exist_is_refused(recording: Path, tmp_path: Path, device: str) -> None:
    with pytest.raises(ConfigurationError, match=f"device is '{device}', which cannot be used here"):
        train_classifier([recording], tmp_path / "out", dataclasses.replace(QUICK, device=device))


@pytest.mark.parametrize(
    "setting",
    [
        {"epochs": 0}, {"brightness": 1.0}, {"validation_share": 0.6}, {"precision": 1.5}, {"members": 0},
        {"learning_rate": 0.0}, {"seed": -1},
    ],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused(setting: dict) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        TrainingSettings(**setting)


@pytest.fixture
def images() -> torch.Tensor:
    """The value of each pixel is its position: red its row, green its column."""
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(20), indexing="ij")
    return (torch.stack([rows, columns, rows * 0]) + 100).to(torch.uint8).expand(30, 2, 3, 16, 20).contiguous()


def test_each_image_is_shifted_by_itself_and_the_border_repeats(
    images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil_trainer.reward_classifier.training.SHIFT", 3 / 20)
    made = (augmented(images, brightness=0.0, generator=torch.Generator().manual_seed(0)) * 255).round() - 100
    down, right = made[:, :, 0, 8, 0] - 8, made[:, :, 1, 0, 10] - 10
    assert set(down.flatten().tolist()) == set(right.flatten().tolist()) == {-3, -2, -1, 0, 1, 2, 3}
    assert (down[:, 0] != down[:, 1]).any()
    assert (down != right).any()
    rows = (torch.arange(16) + down[..., None]).clamp(0, 15)
    torch.testing.assert_close(made[:, :, 0], rows[..., None].expand(-1, -1, -1, 20))
    monkeypatch.setattr("hil_trainer.reward_classifier.training.SHIFT", 0.0)
    lit = augmented(images[:, :, 2:], brightness=0.2, generator=torch.Generator().manual_seed(0))
    assert lit[:, :, 0, 0, 0].unique().numel() == 60
    assert 0 < (lit - images[:, :, 2:] / 255).abs().max() <= 0.2 * 135 / 255 + 0.1
