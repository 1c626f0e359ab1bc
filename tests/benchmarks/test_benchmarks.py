"""The benchmarks run, and what does not depend on the machine's speed holds."""

import sys

import pytest

from benchmarks import environment, report, run
from benchmarks.report import Row
from benchmarks.upstream import Worker, WorkerError

REPEATABLE = [
    environment.demonstrations,
    environment.free_motion,
    environment.command_response,
    environment.posture,
    environment.home_pose,
    environment.floor_push,
    environment.hold,
]
OF_THE_MACHINE = [environment.views, environment.first_observation, environment.memory]


@pytest.fixture(scope="module")
def worker():
    with Worker(sys.executable) as worker:
        yield worker


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", REPEATABLE, ids=lambda f: f.__name__)
def test_bar_is_met(benchmark):
    row = benchmark(quick=True)
    assert row.met, row


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", OF_THE_MACHINE, ids=lambda f: f.__name__)
def test_benchmark_gives_a_number(benchmark):
    assert any(character.isdigit() for character in benchmark(quick=True).measured)


def test_random_steps_stay_finite_and_without_warnings():
    outcome = environment.step_randomly(400, seed=0)
    assert (outcome.steps, outcome.not_finite, outcome.warnings) == (400, 0, 0)
    assert outcome.episodes > 2


def test_speeds_are_taken_in_turns(worker):
    row = environment.state_step(upstream=worker, ours=worker, quick=True)
    assert "ms / " in row.measured


def test_worker_answers_what_it_drives(worker):
    assert worker.call("versions")["gym-hil"] == report.importlib.metadata.version("gym-hil")


def test_worker_reports_what_went_wrong_and_goes_on(worker):
    with pytest.raises(WorkerError, match="KeyError"):
        worker.call("no_such_call")
    assert len(worker.call("time_steps", count=2, seed=0, image_obs=False)) == 2


def test_worker_that_died_is_reported():
    with Worker(sys.executable, {"PYTHONHOME": "/nowhere"}) as dead, pytest.raises(WorkerError, match="died"):
        dead.call("versions")


def test_without_upstream_a_comparison_is_not_measured():
    row = run.measure(environment.state_step, {}, quick=True)
    assert row.met is None


def test_results_have_a_line_for_every_row():
    rows = [Row("what", "at least 1", "2", True), Row("that", "at least 3", "2", False)]
    text = report.page("operator", rows, theirs="", seconds=60)
    assert "| what | at least 1 | 2 | yes |\n| that | at least 3 | 2 | **no** |\n" in text
    assert report.machine() in text


def test_a_group_that_does_not_exist_is_refused_with_the_groups_there_are(capsys):
    with pytest.raises(SystemExit):
        run.main(["enviroment"])
    assert "environment, operator, datasets, trainer" in capsys.readouterr().err
