"""A classifier on the disk is the same, whole, and needs nothing but torch, safetensors and numpy."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hil_trainer.errors import CheckpointError
from hil_trainer.reward_classifier.model import ClassifierShape, RewardClassifier
from hil_trainer.reward_classifier.storage import DESCRIPTION, WEIGHTS, load_classifier, save_classifier

ROOT = Path(__file__).parents[3]


@pytest.fixture
def classifier() -> RewardClassifier:
    torch.manual_seed(1)
    shape = ClassifierShape(("front",), 32, 2)
    return RewardClassifier(shape, members=2, threshold=0.7, provenance={"datasets": ["mine"]}).eval()


@pytest.fixture
def saved(classifier: RewardClassifier, tmp_path: Path) -> Path:
    save_classifier(classifier, tmp_path / "a" / "b")
    return tmp_path / "a" / "b"


def test_what_is_loaded_judges_as_what_was_saved(classifier: RewardClassifier, saved: Path) -> None:
    images, states = {"front": np.full((1, 32, 32, 3), 99, np.uint8)}, np.ones((1, 2))
    for path in (saved, str(saved), saved / WEIGHTS, saved / DESCRIPTION):
        loaded = load_classifier(path)
        assert loaded.probabilities(images, states) == classifier.probabilities(images, states)
        assert (loaded.shape, loaded.threshold, loaded.provenance) == (
            classifier.shape,
            classifier.threshold,
            classifier.provenance,
        )
        assert not loaded.training
    assert sorted(path.name for path in saved.iterdir()) == [DESCRIPTION, WEIGHTS]


def test_another_one_replaces_it(saved: Path) -> None:
    save_classifier(RewardClassifier(ClassifierShape(("wrist",), 64)), saved)
    assert load_classifier(saved).shape.cameras == ("wrist",)


def test_a_folder_that_cannot_be_written_is_told(classifier: RewardClassifier, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_classifier(classifier, tmp_path / "file" / "folder")


def test_a_missing_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="hil-trainer classifier train"):
        load_classifier(tmp_path)


def test_files_that_do_not_belong_together_are_told(saved: Path, tmp_path: Path) -> None:
    save_classifier(RewardClassifier(ClassifierShape(("front",), 32, 2), members=2), tmp_path / "other")
    shutil.copy(tmp_path / "other" / WEIGHTS, saved)
    with pytest.raises(CheckpointError, match="do not belong together"):
        load_classifier(saved)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 2}, "version 2"),
        ({"kind": "policy"}, "'policy'"),
        ({"image_size": 33}, "damaged"),
        ({"cameras": ["front", "wrist"]}, "damaged"),
        ({"cameras": None}, "damaged"),
        ({"threshold": "high"}, "damaged"),
    ],
)
def test_a_description_that_does_not_fit_is_told(saved: Path, change: dict, told: str) -> None:
    description = json.loads((saved / DESCRIPTION).read_text())
    (saved / DESCRIPTION).write_text(json.dumps({**description, **change}))
    with pytest.raises(CheckpointError, match=told):
        load_classifier(saved)


def test_a_description_that_is_cut_off_is_told(saved: Path) -> None:
    (saved / DESCRIPTION).write_text((saved / DESCRIPTION).read_text()[:50])
    with pytest.raises(CheckpointError, match="damaged"):
        load_classifier(saved)


def test_judging_needs_torch_safetensors_and_numpy_alone(saved: Path) -> None:
    code = f"""
import sys
for name in ("gym_hil", "gymnasium", "mujoco", "pyarrow", "av", "matplotlib", "PIL", "numba"):
    sys.modules[name] = None
import numpy as np
from hil_trainer.reward_classifier import load_classifier
classifier = load_classifier({str(saved)!r})
print(classifier.probability({{"front": np.zeros((48, 48, 3), np.uint8)}}, np.zeros(2)) >= classifier.threshold)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() in ("True", "False")
