"""The page on Fetch says what the runs did."""

import json

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

from benchmarks import fetch
from tests.benchmarks.test_learning import run


@pytest.fixture
def done(tmp_path):
    """The files of finished runs: three that reach 95 of 100, and one that does not."""
    for seed, successes in enumerate((96, 99, 95, 80)):
        run(tmp_path, "bc", seed, (900, 100, 60.0 + seed, successes))
    return [tmp_path / "bc" / f"seed_{seed}" / fetch.DONE for seed in range(4)]


def test_the_median_of_the_runs_is_held_against_the_bar(done):
    row = fetch.imitation(done[:3])
    assert row.measured.startswith("530 steps, 125 driven, 1:00; 530 steps, 125 driven, 1:01; 530")
    assert "; median 530 steps, 125 driven, 1:01; on held-out" in row.measured
    assert row.met


def test_runs_that_never_get_there_count_as_the_longest(done):
    row = fetch.imitation([done[0], done[3], done[3]])
    assert "never; never; median never" in row.measured
    assert row.met is False


def test_the_other_learners_successes_are_reported_and_have_no_bar(tmp_path):
    file = tmp_path / fetch.DONE
    file.write_text(json.dumps({"steps": 6000, "seconds": 480.0, "successes": 3, "episodes": 100}))
    row = fetch.her([file])
    assert (row.measured, row.verdict) == ("3 of 100 after 6,000 steps, 8:00", "reported")
