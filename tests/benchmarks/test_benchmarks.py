"""The benchmarks run, and what does not depend on the machine's speed holds."""

import sys

import pytest

from benchmarks import console, contact, endurance, fidelity, run, speed, startup
from benchmarks.row import Row
from benchmarks.upstream import Worker, WorkerError

REPEATABLE = [
    fidelity.demonstrations,
    fidelity.free_motion,
    fidelity.command_response,
    fidelity.posture,
    fidelity.home_pose,
    contact.floor_push,
    contact.hold,
]
OF_THE_MACHINE = [
    speed.views,
    startup.first_observation,
    startup.memory,
    console.console_publish,
    console.console_handled,
    console.console_server,
    console.console_input,
    console.console_lost,
]


@pytest.fixture(scope="module")
def worker():
    with Worker(sys.executable) as worker:
        yield worker


@pytest.mark.parametrize("benchmark", REPEATABLE, ids=lambda f: f.__name__)
def test_bar_is_met(benchmark):
    row = benchmark(quick=True)
    assert row.met, row


@pytest.mark.parametrize("benchmark", OF_THE_MACHINE, ids=lambda f: f.__name__)
def test_benchmark_gives_a_number(benchmark):
    assert any(character.isdigit() for character in benchmark(quick=True).measured)


def test_random_steps_stay_finite_and_without_warnings():
    outcome = endurance.run(400, seed=0)
    assert (outcome.steps, outcome.not_finite, outcome.warnings) == (400, 0, 0)
    assert outcome.episodes > 2


def test_speeds_are_taken_in_turns(worker):
    row = speed.state_step(upstream=worker, ours=worker, quick=True)
    assert "ms / " in row.measured


def test_worker_answers_what_it_drives(worker):
    assert worker.call("versions")["gym-hil"] == run.importlib.metadata.version("gym-hil")


def test_worker_reports_what_went_wrong_and_goes_on(worker):
    with pytest.raises(WorkerError, match="KeyError"):
        worker.call("no_such_call")
    assert len(worker.call("time_steps", count=2, seed=0, image_obs=False)) == 2


def test_worker_that_died_is_reported():
    with Worker(sys.executable, {"PYTHONHOME": "/nowhere"}) as dead, pytest.raises(WorkerError, match="died"):
        dead.call("versions")


def test_without_upstream_a_comparison_is_not_measured():
    row = run.measure(speed.state_step, {}, quick=True)
    assert row.met is None


def test_results_have_a_line_for_every_row():
    rows = [Row("what", "at least 1", "2", True), Row("that", "at least 3", "2", False)]
    text = run.results("operator", rows, theirs="", seconds=60)
    assert "| what | at least 1 | 2 | yes |\n| that | at least 3 | 2 | **no** |\n" in text
    assert run.machine() in text
