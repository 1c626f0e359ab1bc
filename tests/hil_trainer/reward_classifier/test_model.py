"""A classifier takes images of any size, names missing inputs, and is the same after saving and loading."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gym_hil.errors import ConfigurationError
from hil_trainer.errors import CheckpointError
from hil_trainer.reward_classifier.model import (
    IMAGE_SIZES,
    NAME,
    ClassifierShape,
    RewardClassifier,
    load_classifier,
    prepared,
    save_classifier,
    stage_reward,
)

SHAPE = ClassifierShape(("front", "wrist"), 32, 3)
ONE_CAMERA = ClassifierShape(("front",), 32, 2)


@pytest.fixture
def classifier() -> RewardClassifier:
    torch.manual_seed(0)
    return RewardClassifier(SHAPE, members=2).eval()


def observation(size: int = 48) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    images = {camera: rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for camera in SHAPE.cameras}
    return images, rng.normal(size=3)


def test_the_logits_of_the_members_are_averaged(classifier: RewardClassifier) -> None:
    images, states = torch.rand(4, 2, 3, 32, 32), torch.rand(4, 3)
    members = [member(images, states) for member in classifier.members]
    torch.testing.assert_close(classifier(images, states), (members[0] + members[1]) / 2)


@pytest.mark.parametrize("size", IMAGE_SIZES)
def test_every_image_size_works_without_a_state(size: int) -> None:
    assert 0 < RewardClassifier(ClassifierShape(("front",), size)).probability(observation()[0]) < 1


def test_images_are_averaged_to_size() -> None:
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    image[::2] = 200
    assert (prepared(image, 32)[:, 1:-1] == 100).all()
    assert torch.equal(prepared(image, 64), torch.from_numpy(image).permute(2, 0, 1))


@pytest.mark.parametrize(
    ("images", "state", "message"),
    [
        ({"front": np.zeros((8, 8, 3), np.uint8)}, np.zeros(3), "wrist is missing"),
        ({}, None, r"expects \(3,\)"),
        ({}, np.zeros(4), r"expects \(3,\)"),
        (dict.fromkeys(SHAPE.cameras, np.zeros((8, 8), np.uint8)), np.zeros(3), r"expected \(height, width, 3\)"),
        (dict.fromkeys(SHAPE.cameras, np.zeros((8, 8, 3))), np.zeros(3), r"expected \(height, width, 3\) uint8"),
    ],
)
def test_an_observation_that_does_not_fit_is_refused(classifier: RewardClassifier, images, state, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        classifier.probability(images or observation()[0], state)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"cameras": ()}, "cameras"),
        ({"cameras": ("a", "a")}, "cameras"),
        ({"image_size": 48}, "48"),
        ({"classes": ("done",)}, "classes is .*two names or more"),
        ({"classes": ("far", "near", "done")}, r"next\.success, which has two values"),
    ],
)
def test_a_shape_that_is_not_possible_is_refused(shape: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        replace(SHAPE, **shape)


def test_an_observation_counts_as_success_from_the_threshold_on_and_else_as_the_likeliest_other_stage() -> None:
    shape = replace(SHAPE, classes=("far", "near", "done"), labels="next.stage")
    classifier = RewardClassifier(shape, threshold=0.6)
    probabilities = np.array([[0.2, 0.3, 0.5], [0.1, 0.3, 0.6], [0.5, 0.4, 0.1]])
    assert classifier.stage_of(probabilities).tolist() == [1, 2, 0]
    assert load_classifier(classifier, threshold=0.5).stage_of(probabilities).tolist() == [2, 2, 0]
    np.testing.assert_allclose(classifier.probabilities(*observation()).sum(), 1.0)


def test_stages_are_rewarded_once_and_success_in_full() -> None:
    assert [stage_reward(stage, 1, 4) for stage in range(4)] == [0.0, 0.0, pytest.approx(1 / 3), 1.0]


def quarters() -> torch.nn.Module:
    """A frozen encoder: the brightness of four parts of an image, beside two constants that it is compared with."""
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Conv2d(3, 3, 1))
    torch.nn.init.zeros_(network[1].weight)
    network[1].weight.data[0] = 1 / 3
    network[1].bias.data[:] = torch.tensor([0.0, 0.3, 0.9])
    return network


def test_a_frozen_encoder_is_no_part_of_the_file_but_has_to_have_the_same_weights(tmp_path, monkeypatch) -> None:
    classifier = RewardClassifier(replace(SHAPE, encoder=f"{__name__}:quarters")).eval()
    save_classifier(classifier, tmp_path)
    loaded = load_classifier(tmp_path)
    np.testing.assert_array_equal(loaded.probabilities(*observation()), classifier.probabilities(*observation()))
    assert not any("frozen" in name for name in loaded.state_dict())
    monkeypatch.setattr(f"{__name__}.quarters", lambda: torch.nn.Conv2d(3, 2, 1))
    with pytest.raises(CheckpointError, match="other weights than when"):
        load_classifier(tmp_path)
    monkeypatch.setattr(f"{__name__}.quarters", lambda: torch.nn.Flatten())
    with pytest.raises(ConfigurationError, match=r"expected \(channels, height, width\)"):
        RewardClassifier(replace(SHAPE, encoder=f"{__name__}:quarters"))


ROOT = Path(__file__).parents[3]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_classifier(RewardClassifier(ONE_CAMERA, members=2), tmp_path / "a" / "b")
    return tmp_path / "a" / "b"


def test_a_classifier_that_is_loaded_judges_as_the_one_that_was_saved(classifier: RewardClassifier, tmp_path) -> None:
    save_classifier(RewardClassifier(ClassifierShape(("side",), 64)), tmp_path)
    classifier.threshold, classifier.provenance = 0.7, {"datasets": ["mine"]}
    save_classifier(classifier, tmp_path)  # replaces the other one
    images, state = observation()
    for path in (tmp_path, str(tmp_path), tmp_path / NAME, tmp_path / "classifier.json"):
        loaded = load_classifier(path)
        assert loaded.probability(images, state) == classifier.probability(images, state)
        assert (loaded.shape, loaded.threshold, loaded.provenance) == (SHAPE, 0.7, {"datasets": ["mine"]})
        assert not loaded.training
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classifier.json", NAME]


def test_a_folder_that_cannot_be_written_or_has_no_classifier_is_named(classifier, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_classifier(classifier, tmp_path / "file" / "folder")
    with pytest.raises(CheckpointError, match="hil-trainer classifier train"):
        load_classifier(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "format 1, not 3. Train it again"),
        ({"shape": {**asdict(ONE_CAMERA), "image_size": 33}}, "damaged"),
        ({"shape": {**asdict(ONE_CAMERA), "cameras": ["front", "wrist"]}}, "damaged"),
        ({"shape": None}, "damaged"),
        ({"threshold": "high"}, "damaged"),
        ({"members": 0}, "damaged"),
        ({"members": 3}, "damaged"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(saved: Path, change: dict, message: str) -> None:
    description = json.loads((saved / "classifier.json").read_text())
    weights = load_classifier(saved).state_dict()
    save_file(weights, saved / NAME, metadata={"reward_classifier": json.dumps({**description, **change})})
    with pytest.raises(CheckpointError, match=message):
        load_classifier(saved)


def test_a_file_that_is_no_classifier_is_refused(saved: Path) -> None:
    save_file({"weights": torch.zeros(3)}, saved / NAME, metadata={"policy": "{}"})
    with pytest.raises(CheckpointError, match="no reward classifier of hil_trainer"):
        load_classifier(saved)
    (saved / NAME).write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load_classifier(saved)


def test_inference_loads_no_simulation_and_nothing_that_training_needs(saved: Path) -> None:
    code = f"""
import sys
for name in ("mujoco", "pyarrow", "av", "matplotlib", "sklearn", "numba", "imageio"):
    sys.modules[name] = None
import numpy as np
from hil_trainer.reward_classifier import load_classifier
classifier = load_classifier({str(saved)!r})
print(classifier.probability({{"front": np.zeros((48, 48, 3), np.uint8)}}, np.zeros(2)) >= classifier.threshold)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() in ("True", "False")
