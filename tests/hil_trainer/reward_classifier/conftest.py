"""Recordings and a classifier that several tests use."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

from hil_trainer.reward_classifier import TrainingSettings, train_classifier
from tests.hil_trainer.reward_classifier.recordings import write_recording

QUICK = TrainingSettings(epochs=6, batch_size=8, image_size=32, validation_share=0.5, learning_rate=3e-3)


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four episodes with success and two without."""
    return write_recording(tmp_path_factory.mktemp("recording") / "bright", [6, 4, 8, 7, None, None])


@pytest.fixture(scope="session")
def trained(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a classifier that was trained on `recording`."""
    folder = tmp_path_factory.mktemp("trained") / "classifier"
    train_classifier([recording], folder, QUICK)
    return folder
