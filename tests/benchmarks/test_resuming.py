"""What is reported about trainings that are killed."""

import json

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

from benchmarks import resuming
from benchmarks.resuming import Kill


def row(kind, step, seconds, **values):
    return {"kind": kind, "step": step, "seconds": seconds, "time": 1000.0 + seconds, **values}


def episode(number, step, seconds):
    values = {"episode": number, "success": True, "length": 20, "operator_steps": 0, "return": 1.0}
    return row("episode", step, seconds, **values, demonstration=not step)


def resumed(step, seconds):
    return row("event", step, seconds, text=f"resumed from checkpoints/step_{step:08d}")


def write(directory, *rows, discarded=()):
    for name, lines in (("metrics.jsonl", rows), ("metrics.discarded.jsonl", discarded)):
        (directory / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def kill(seconds, checkpoint):
    return Kill(1000.0 + seconds, checkpoint)


@pytest.mark.slow
def test_trainings_that_are_killed_go_on():
    row = resuming.resumed_runs(quick=True)
    assert row.met, row


def test_curves_that_do_not_join_are_found():
    joined = [episode(1, 0, 1), episode(2, 30, 2), resumed(30, 3), episode(3, 60, 4)]
    assert resuming.joins(joined) == []
    assert resuming.joins([*joined, episode(3, 70, 5)]) == ["episodes are not counted on"]
    assert resuming.joins([*joined, episode(4, 50, 5)]) == ["steps of rows of kind episode go back"]
    assert resuming.joins([*joined, episode(4, 70, 3)]) == ["seconds go back"]


def test_a_training_that_goes_on_with_another_checkpoint_does_not_count(tmp_path):
    write(tmp_path, episode(1, 0, 1), resumed(30, 10), discarded=[episode(2, 50, 2)])
    assert resuming.resumed_after(tmp_path, [kill(5, "step_00000030")]) == 1
    assert resuming.resumed_after(tmp_path, [kill(5, "step_00000040")]) == 0
    assert resuming.resumed_after(tmp_path, [kill(15, "step_00000030")]) == 0
    # Killed again before it wrote anything.
    assert resuming.resumed_after(tmp_path, [kill(5, "step_00000030"), kill(8, "step_00000030")]) == 2


def test_without_a_checkpoint_it_begins_anew(tmp_path):
    write(tmp_path, episode(1, 0, 10), discarded=[episode(1, 0, 1)])
    assert resuming.resumed_after(tmp_path, [kill(5, None)]) == 1
    assert resuming.resumed_after(tmp_path, [kill(5, "step_00000000")]) == 0
