"""The table of finished runs."""

import json

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

from benchmarks import learning
from hil_trainer.cli import train


def run(folder, condition, seed, *evaluations, finished=True):
    """A run with evaluations of 100 episodes: (step, the operator's steps, seconds, successes).

    One episode was demonstrated, and the first 400 steps were offline.
    """
    directory = folder / condition / f"seed_{seed}"
    directory.mkdir(parents=True)
    rows = [
        {
            **{"kind": "evaluation", "step": step, "seconds": seconds, "time": 1000.0 + seconds, "episodes": 100},
            **{"successes": successes, "length": 20.0, "seed": 0, "operator_steps": by_operator, "purpose": "decide"},
        }
        for step, by_operator, seconds, successes in evaluations
    ]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    demonstration = {"kind": "episode", "step": 0, "demonstration": True, "length": 30, "operator_steps": 25}
    with (directory / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({**demonstration, "seconds": 1.0, "time": 1.0}) + "\n")
    (directory / "config.json").write_text(json.dumps({"offline_steps": 400}))
    if finished:
        (directory / "done.json").write_text("{}\n")


def lines(folder):
    return [line for line in learning.table(folder).splitlines() if line.startswith("| state |")]


def test_the_first_evaluation_with_so_many_successes_counts(tmp_path):
    run(tmp_path, "state", 0, (500, 100, 10.0, 98), (1000, 200, 20.0, 99), (1500, 250, 30.0, 97))
    run(tmp_path, "state", 1, (2000, 300, 61.0, 100))
    run(tmp_path, "state", 2, (1750, 500, 40.0, 100))
    (line,) = lines(tmp_path)
    assert "| 3 of 3 | 1,380 (630 to 1,630) | 325 (225 to 525) | 0:40 (0:20 to 1:01) | - | - |" in line


def test_a_run_that_never_gets_there_counts_as_the_longest(tmp_path):
    run(tmp_path, "state", 0, (1000, 200, 20.0, 99))
    run(tmp_path, "state", 1, (3000, 300, 60.0, 50))
    run(tmp_path, "state", 2, (2000, 300, 60.0, 99))
    assert "| 2 of 3 | 1,630 (630 to 1,630) |" in lines(tmp_path)[0]
    run(tmp_path, "state", 3, (3000, 300, 60.0, 50))
    run(tmp_path, "state", 4, (3000, 300, 60.0, 50))
    assert "| 2 of 5 | never (630 to 1,630) |" in lines(tmp_path)[0]


def test_runs_that_are_not_finished_do_not_count(tmp_path):
    run(tmp_path, "state", 0, (1000, 200, 20.0, 99), finished=False)
    assert lines(tmp_path) == []


def test_only_kinds_with_runs_have_images(tmp_path):
    assert "![" not in learning.table(tmp_path)
    run(tmp_path, "pixels_real", 0, (1000, 200, 20.0, 99))
    (image,) = [line for line in learning.table(tmp_path).splitlines() if line.startswith("![")]
    assert "learning_pixels.png" in image


@pytest.mark.parametrize("condition", learning.CONDITIONS, ids=lambda condition: condition.name)
def test_the_trainer_takes_the_arguments_of_every_condition(condition, tmp_path):
    demos = [] if condition.demos is None else ["--demos", "a dataset"]
    assert train.parse(["--out", str(tmp_path / "run"), "--seed", "1", *condition.arguments, *demos]).settings
