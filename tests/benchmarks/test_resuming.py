"""What is said about trainings that are killed."""

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
    (directory / "config.json").write_text(json.dumps({"evaluate_every": 100, "target": 0.99}))
    for name, lines in (("metrics.jsonl", rows), ("metrics.discarded.jsonl", discarded)):
        (directory / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def kill(seconds, checkpoint):
    return Kill(1000.0 + seconds, "acting and learning", checkpoint, 0, 0.0, (0, 0), True, [])


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
    assert resuming.gone_on(tmp_path, [kill(5, "step_00000030")]) == 1
    assert resuming.gone_on(tmp_path, [kill(5, "step_00000040")]) == 0
    assert resuming.gone_on(tmp_path, [kill(15, "step_00000030")]) == 0
    # Killed again before it could say anything.
    assert resuming.gone_on(tmp_path, [kill(5, "step_00000030"), kill(8, "step_00000030")]) == 2


def test_without_a_checkpoint_it_begins_anew(tmp_path):
    write(tmp_path, episode(1, 0, 10), discarded=[episode(1, 0, 1)])
    assert resuming.gone_on(tmp_path, [kill(5, None)]) == 1
    assert resuming.gone_on(tmp_path, [kill(5, "step_00000000")]) == 0


def test_what_is_lost_is_what_was_done_since_the_checkpoint_or_the_resume():
    state = {"step": 30, "seconds": 3.0}
    assert resuming._lost([episode(1, 20, 2), episode(2, 50, 5)], 1006.0, state) == (20, 3.0)
    assert resuming._lost([resumed(30, 7), episode(2, 50, 8)], 1010.0, state) == (20, 3.0)
    assert resuming._lost([], 1010.0, state) == (0, 0.0)


def test_it_is_told_what_was_interrupted(tmp_path):
    shown, acted = episode(1, 0, 1), episode(2, 60, 5)
    write(tmp_path)
    found = [
        resuming._during(tmp_path, written, 1000.0)
        for written in ([], [shown], [shown, acted], [shown, acted, resumed(30, 9)], [shown, episode(2, 110, 9)])
    ]
    assert found == ["starting", "shown demonstrations", "acting and learning", "starting", "evaluating"]
    assert resuming._during(tmp_path, [shown, acted], 1006.0) == "starting"
    (tmp_path / "checkpoints" / ".unfinished-60").mkdir(parents=True)
    assert resuming._during(tmp_path, [shown, acted], 1000.0) == "writing a checkpoint"
