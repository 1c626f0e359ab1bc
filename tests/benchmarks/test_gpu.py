"""The benchmark of GPUs says what it lacks, and times what it should."""

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from benchmarks import gpu
from hil_trainer.cli.train import parse


def test_without_a_gpu_it_says_so_and_writes_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(["--out", str(tmp_path / "gpu.md")]) == 2
    assert "No GPU: torch" in capsys.readouterr().err
    monkeypatch.setattr(gpu, "missing_wheels", lambda: ["mujoco>=3"])
    assert gpu.main(["--out", str(tmp_path / "gpu.md")]) == 2
    assert "Missing beside torch: mujoco>=3." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_is_installed_is_not_missing():
    assert gpu.missing_wheels() == []


def test_every_training_is_understood_and_updates_are_timed():
    assert len({parse([*words.split(), "--out", "unused"]).settings.algorithm for _, words in gpu.UPDATES}) == 3
    assert gpu.time_updates(["--agent.utd-ratio", "1"], "cpu", seconds=0.0) > 0
