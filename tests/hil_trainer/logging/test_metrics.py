import json
import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_hil.errors import MissingExtraError
from hil_trainer.errors import CheckpointError
from hil_trainer.logging.metrics import (
    DISCARDED,
    FILE,
    MetricsLog,
    Milestone,
    ResumePoint,
    clock_time,
    final_evaluation,
    first_reaching,
    read_metrics,
)

EPISODE = {"success": True, "length": 20, "operator_steps": 5, "return": 1.0, "demonstration": False}


def log(directory, **options):
    return closing(MetricsLog(directory, tensorboard=False, **options))


def write_steps(metrics, steps):
    """A row for each step, with the row's number in it."""
    for number, step in enumerate(steps):
        metrics.write("learning", step, step / 10, updates=number)


def numbers(rows):
    return [row["updates"] for row in rows]


def test_a_row_tells_what_was_written_and_when(tmp_path):
    with log(tmp_path) as metrics:
        before = time.time()
        metrics.write("episode", 20, 1.5, episode=1, **EPISODE)
        (row,) = read_metrics(tmp_path)
    written = row.pop("time")
    assert before <= written <= time.time()
    assert row == {"kind": "episode", "step": 20, "seconds": 1.5, "episode": 1, **EPISODE}


def test_scalars_become_plain_numbers_and_what_is_not_finite_is_null(tmp_path):
    wrong = {"nan": float("nan"), "inf": -float("inf"), "numpy": np.float32("nan"), "none": None}
    with log(tmp_path) as metrics:
        metrics.write("learning", np.int64(7), np.float64(0.5), updates=np.array([3]), q=torch.tensor(0.25), **wrong)
    row = json.loads((tmp_path / FILE).read_text(), parse_constant=pytest.fail)
    assert (row["step"], row["seconds"], row["updates"], row["q"]) == (7, 0.5, 3, 0.25)
    assert [row[name] for name in wrong] == [None] * 4


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(0, 6), cut=st.floats(0, 1))
def test_a_file_torn_at_any_byte_loses_only_the_row_that_is_torn(rows, cut):
    with tempfile.TemporaryDirectory() as folder:
        with log(folder) as metrics:
            write_steps(metrics, range(rows))
        path = Path(folder, FILE)
        content = path.read_bytes()
        left = content[: round(cut * len(content))]
        path.write_bytes(left)
        # A row that lacks its line's end only is whole.
        whole = max(left.count(b"\n"), (left + b"\n").count(b"}\n"))
        assert numbers(read_metrics(folder)) == list(range(whole))
        with log(folder) as metrics:
            metrics.write("learning", 99, 9.9, updates=99)
        assert numbers(read_metrics(folder)) == [*range(whole), 99]


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.integers(0, 9), max_size=8).map(sorted), resume=st.integers(0, 9), cut=st.floats(0, 1))
def test_a_resume_keeps_the_rows_up_to_its_step_and_puts_the_others_aside(steps, resume, cut):
    with tempfile.TemporaryDirectory() as folder:
        with log(folder) as metrics:
            write_steps(metrics, steps)
        path = Path(folder, FILE)
        content = path.read_bytes()
        path.write_bytes(content[: round(cut * len(content))])
        before = read_metrics(folder)
        with log(folder, resume=ResumePoint(resume, 0)) as metrics:
            assert read_metrics(folder) == [row for row in before if row["step"] <= resume]
            metrics.write("learning", resume + 1, 1.0, updates=99)
        kept = read_metrics(folder)
        assert [row["step"] for row in kept] == sorted(row["step"] for row in kept)
        aside = Path(folder, DISCARDED)
        later = [row for row in before if row["step"] > resume]
        assert [json.loads(line) for line in aside.read_bytes().splitlines()] == later if later else not aside.exists()


def test_a_resume_amid_demonstrations_puts_aside_those_that_it_does_not_have(tmp_path):
    with log(tmp_path) as metrics:
        for number in range(1, 5):
            metrics.write("episode", 0, number / 10, episode=number, **EPISODE)
    with log(tmp_path, resume=ResumePoint(0, 3)):
        pass
    assert [row["episode"] for row in read_metrics(tmp_path)] == [1, 2, 3]
    assert json.loads((tmp_path / DISCARDED).read_text())["episode"] == 4


def test_a_resume_that_is_killed_has_lost_nothing(tmp_path, monkeypatch):
    with log(tmp_path) as metrics:
        write_steps(metrics, range(5))

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            log(tmp_path, resume=ResumePoint(2, 0))
    assert numbers(read_metrics(tmp_path)) == [0, 1, 2, 3, 4]
    with log(tmp_path, resume=ResumePoint(2, 0)):
        pass
    assert numbers(read_metrics(tmp_path)) == [0, 1, 2]


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    with log(tmp_path) as metrics:
        write_steps(metrics, range(3))
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(lines[0] + b"\0\0\0\n" + lines[2])
    with pytest.raises(CheckpointError, match="line 2 is not a row"):
        read_metrics(tmp_path)
    with pytest.raises(CheckpointError, match="line 2 is not a row"):
        log(tmp_path)


def test_a_row_that_finds_no_room_is_told_with_what_to_do(tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with log(tmp_path) as metrics:
        metrics.write("event", 0, 0.0, text="started")
        resource.setrlimit(resource.RLIMIT_FSIZE, (metrics.path.stat().st_size + 5, limits[1]))
        try:
            with pytest.raises(CheckpointError, match=r"cannot be written.*--resume"):
                metrics.write("event", 1, 0.1, text="no room")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_metrics(tmp_path)[0]["text"] == "started"


@pytest.mark.parametrize(
    ("module", "options", "extra"),
    [("torch.utils.tensorboard", {"tensorboard": True}, "train"), ("wandb", {"wandb": "cubes"}, "wandb")],
)
def test_a_package_that_is_missing_is_named_before_anything_is_touched(tmp_path, monkeypatch, module, options, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'gym-hil\[{extra}\]'"):
        MetricsLog(tmp_path / "run", **{"tensorboard": False, **options})
    assert not (tmp_path / "run").exists()
    MetricsLog(tmp_path / "run", tensorboard=False).close()


def evaluation(step, successes, episodes=100, purpose="full"):
    return {
        "kind": "evaluation", "step": step, "seconds": step / 10, "operator_steps": step // 4,
        "successes": successes, "episodes": episodes, "purpose": purpose,
    }  # fmt: skip


def test_a_milestone_is_the_first_evaluation_of_enough_episodes_with_that_rate():
    rows = [{"kind": "event", "step": 0}, evaluation(50, 20, 20), evaluation(100, 94), evaluation(200, 95)]
    assert first_reaching(rows, 0.95) == Milestone(step=200, operator_steps=50, seconds=20.0)
    assert first_reaching(rows, 0.99) is None
    assert first_reaching(rows, 0.99, episodes=20).step == 50


def test_a_final_evaluation_is_no_milestone_and_the_last_one_counts():
    rows = [evaluation(100, 94), evaluation(100, 97, purpose="final"), evaluation(300, 99)]
    assert first_reaching(rows, 0.95).step == 300
    assert final_evaluation(rows)["successes"] == 97
    assert final_evaluation([*rows, evaluation(300, 96, purpose="final")])["successes"] == 96
    assert final_evaluation(rows[:1]) is None


@given(successes=st.integers(0, 1000), episodes=st.integers(100, 1000))
def test_a_rate_is_reached_by_exactly_that_number_of_successes(successes, episodes):
    successes = min(successes, episodes)
    assert first_reaching([evaluation(1, successes, episodes)], successes / episodes) is not None
    assert first_reaching([evaluation(1, successes, episodes)], (successes + 1) / episodes) is None


def test_a_milestone_as_text():
    assert clock_time(3599) == "59:59"
    assert str(Milestone(2310, 812, 65.9)) == "2,310 steps, 812 of them the operator's, in 1:05 min"
    assert str(Milestone(23100, 0, 3665.0)) == "23,100 steps, none of them the operator's, in 1:01:05 h"
