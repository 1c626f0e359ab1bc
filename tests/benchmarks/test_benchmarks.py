"""The benchmarks run, and what does not depend on the machine's speed holds."""

import importlib.metadata
import shutil
import sys

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

from benchmarks import console, environment, headset, inputs, operator_in_the_loop, recording, report, run, vector
from benchmarks.report import Row
from benchmarks.upstream import NoUpstreamError, Worker, WorkerError

needs_browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="the virtual joystick is looked up in /proc")
REPEATABLE = [
    environment.command_response,
    environment.floor_push,
    headset.headset_tasks,
    headset.headset_accuracy,
    headset.headset_radio,
    environment.recorded_motion,
    recording.images_kept,
    recording.killed_recorders,
    vector.vector_equality,
    pytest.param(inputs.input_presses, marks=needs_proc),
    pytest.param(inputs.input_replug, marks=needs_proc),
]
OF_THE_MACHINE = [
    environment.views,
    environment.python_share,
    environment.wrappers,
    environment.first_observation,
    environment.memory,
    console.console_publish,
    console.console_handled,
    console.console_server,
    console.console_input,
    console.console_lost,
    recording.overhead_in_real_time,
    vector.vector_memory,
    vector.vector_python_share,
    vector.vector_threads,
    pytest.param(inputs.input_reaction, marks=needs_proc),
    pytest.param(operator_in_the_loop.from_state, marks=needs_browser),
]


@pytest.fixture
def _one_device(monkeypatch):
    monkeypatch.setattr(inputs, "DEVICES", ("gamepad",))  # tests/teleop/test_every_press.py tries them all


@pytest.fixture(scope="module")
def worker():
    worker = Worker(sys.executable)
    yield worker
    worker.close()


@pytest.fixture
def _both_sides_are_ours(worker, monkeypatch):
    for name in ("ours", "upstream"):
        monkeypatch.setattr(f"benchmarks.upstream.{name}", lambda: worker)


@pytest.mark.slow
@pytest.mark.usefixtures("_one_device")
@pytest.mark.parametrize("benchmark", REPEATABLE, ids=lambda f: getattr(f, "__name__", None))
def test_bar_is_met(benchmark):
    row = benchmark(quick=True)
    assert row.met, row


@pytest.mark.slow
@pytest.mark.usefixtures("_one_device")
@pytest.mark.parametrize("benchmark", OF_THE_MACHINE, ids=lambda f: getattr(f, "__name__", None))
def test_benchmark_gives_a_number(benchmark):
    assert any(character.isdigit() for character in benchmark(quick=True).measured)


def test_random_steps_stay_finite_and_without_warnings():
    outcome = environment.step_randomly(400, seed=0)
    assert (outcome.steps, outcome.not_finite, outcome.warnings) == (400, 0, 0)
    assert outcome.episodes > 2


def test_speeds_are_taken_in_turns():
    calls = []
    sides = [lambda number, side=side: calls.append((number, side)) or 10 * number + side for side in (1, 2)]
    assert report.take_turns(sides, 2).tolist() == [[1, 2], [11, 12]]
    assert calls == [(0, 1), (0, 2), (1, 1), (1, 2)]


@pytest.mark.usefixtures("_both_sides_are_ours")
def test_steps_of_both_sides_are_compared():
    assert "ms / " in environment.state_step(quick=True).measured


@pytest.mark.slow
@pytest.mark.usefixtures("_both_sides_are_ours")
def test_vectors_of_both_sides_are_compared():
    for benchmark in (vector.vector_state, vector.vector_upstream_state):
        assert "steps/s" in benchmark(quick=True).measured


def test_worker_answers_what_it_drives(worker):
    assert worker.call("versions")["gym-hil"] == importlib.metadata.version("gym-hil")


def test_worker_reports_what_went_wrong_and_goes_on(worker):
    with pytest.raises(WorkerError, match="KeyError"):
        worker.call("no_such_call")
    assert len(worker.call("time_steps", count=2, seed=0, image_obs=False)) == 2


def test_worker_that_died_is_reported():
    dead = Worker(sys.executable, {"PYTHONHOME": "/nowhere"})
    with pytest.raises(WorkerError, match="died"):
        dead.call("versions")
    dead.close()


def test_without_upstream_a_comparison_is_not_measured(monkeypatch):
    def upstream():
        raise NoUpstreamError("no network")

    monkeypatch.setattr("benchmarks.upstream.upstream", upstream)
    row = run.run(environment.state_step, quick=True)
    assert (row.measured, row.verdict) == ("no network", "not measured")


def test_device_that_cannot_be_tried_is_told(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(inputs, "DEVICES", ())
    assert "keyboard pynput not tried (no pynput)" in inputs.input_presses(quick=True).measured


def test_results_have_a_line_for_every_row():
    rows = [Row("what", "at least 1", "2", True), Row("that", "at least 3", "2", False)]
    text = report.page("operator", rows, command="make bench", facts=["60 minutes"])
    assert "\n- 60 minutes\n" in text
    assert "| what | at least 1 | 2 | yes |\n| that | at least 3 | 2 | **no** |\n" in text
    assert report.machine() in text


def test_a_group_that_does_not_exist_is_refused_with_the_groups_there_are(capsys):
    with pytest.raises(SystemExit):
        run.main(["enviroment"])
    assert "environment, operator, datasets, trainer" in capsys.readouterr().err
