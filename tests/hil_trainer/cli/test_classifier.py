"""`hil-trainer classifier`: train, evaluate, relabel."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

from gym_hil.datasets import EpisodeDataset
from hil_trainer.cli import main
from hil_trainer.reward_classifier import load_classifier
from tests.hil_trainer.reward_classifier.recordings import write_recording

QUICK = ["--epochs", "6", "--batch-size", "8", "--image-size", "32", "--learning-rate", "0.003"]
QUICK += ["--validation-share", "0.5", "--no-state", "--members", "1"]


@pytest.mark.slow
def test_train_evaluate_and_relabel(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    seen = write_recording(tmp_path / "seen", [5, 7, 4, None])
    failures = write_recording(tmp_path / "failures", [None])
    unseen = write_recording(tmp_path / "unseen", [6, None])
    model = tmp_path / "model"
    words = ["classifier", "train", str(seen), str(failures), "--out", str(model), *QUICK, "--cameras", "front"]
    assert main([*words, "--seed", "3", "--precision", "0.9"]) == 0
    printed = capsys.readouterr().out
    assert "5 episodes, 55 frames, 20 of them success; cameras: front" in printed
    assert "network 1 of 1: validation loss" in printed
    assert f"classifier and report.md in {model}" in printed
    settings = load_classifier(model).provenance["settings"]
    assert (settings["seed"], settings["precision"], settings["image_size"], settings["state"]) == (3, 0.9, 32, False)

    assert main(["classifier", "evaluate", str(unseen), "--model", str(model), "--out", str(tmp_path / "report")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1].startswith("100.00% of 22 frames right, precision 1.0000, recall 1.0000")
    assert (tmp_path / "report" / "roc.png").exists()

    words = ["classifier", "relabel", str(unseen), "--model", str(model), "--out", str(tmp_path / "new")]
    assert main([*words, "--threshold", "0.5"]) == 0
    assert "2 episodes, 24 frames, 7 of them rewarded" in capsys.readouterr().out
    assert EpisodeDataset(tmp_path / "new")[0]["next.reward"].tolist() == [0] * 5 + [1] * 7
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_a_precision_that_is_not_reached_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = write_recording(tmp_path / "seen", [5, 7, 6])
    monkeypatch.setattr("hil_trainer.reward_classifier.training.calibrate", lambda *_: (0.75, False))
    assert main(["classifier", "train", str(seen), "--out", str(tmp_path / "model"), *QUICK, "--epochs", "1"]) == 0
    assert "no threshold reaches a precision of 0.99" in capsys.readouterr().out
    assert "**not reached**" in (tmp_path / "model" / "report.md").read_text()


def test_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    never = write_recording(tmp_path / "never", [None, None])
    assert main(["classifier", "train", str(never), "--out", str(tmp_path / "model")]) == 1
    assert capsys.readouterr().err.startswith("hil-trainer classifier: No frame shows success.")
    assert main(["classifier", "evaluate", str(never), "--model", str(tmp_path / "model")]) == 1
    assert "Train one with hil-trainer classifier train" in capsys.readouterr().err
