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


def test_the_page_has_what_was_measured_before_the_time_was_over(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"a card at {device}")
    monkeypatch.setattr(gpu, "time_updates", lambda words, device: {"cpu": 0.02, "cuda": 0.005}[device])
    times = iter([0, 0, 470, 505])  # s; the start, and before each training
    monkeypatch.setattr(gpu.time, "monotonic", lambda: next(times, 505))
    monkeypatch.setattr(gpu, "training_row", lambda training, *_: [training.what, f"{_[-1]:.0f} s", "", ""])
    assert gpu.main(["--out", str(tmp_path / "gpu.md")]) == 0
    text = (tmp_path / "gpu.md").read_text()
    assert "- GPU: a card at cuda, CUDA" in text
    assert "| PickCube, state, sac | 20.0 | 5.0 | 4.0 |" in text
    assert "| PickCube, state, sac | 60 s |" in text
    assert "| PickCube, images, sac | 40 s |" in text
    assert "frozen encoder, bc | 5 s" not in text


def test_a_training_that_does_not_begin_is_a_row(tmp_path):
    row = gpu.training_row(gpu.Training("nothing", "--no-such-flag", 60, 0.99), "cpu", tmp_path / "run", 60)
    assert row[:3] == ["nothing", "99 of 100: not reached", "-"]
    assert row[3].startswith("ended with status 2 after")


def test_what_is_installed_is_not_missing():
    assert gpu.missing_wheels() == []


def test_every_training_is_understood_and_updates_are_timed():
    assert len({parse([*words.split(), "--out", "unused"]).settings.algorithm for _, words in gpu.UPDATES}) == 3
    assert gpu.time_updates(["--agent.utd-ratio", "1"], "cpu", seconds=0.0) > 0
