import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_trainer.logging.milestones import Milestone, clock_time, first_reaching


def evaluation(step, successes, episodes=100):
    return {
        "kind": "evaluation", "step": step, "seconds": step / 10, "operator_steps": step // 4,
        "successes": successes, "episodes": episodes,
    }  # fmt: skip


def test_the_first_evaluation_that_reaches_the_rate_counts():
    rows = [{"kind": "event", "step": 0}, evaluation(100, 94), evaluation(200, 95), evaluation(300, 99)]
    assert first_reaching(rows, 0.95) == Milestone(step=200, operator_steps=50, seconds=20.0)
    assert first_reaching(rows, 0.99) == Milestone(step=300, operator_steps=75, seconds=30.0)


def test_a_rate_that_was_not_reached_has_no_milestone():
    assert first_reaching([evaluation(100, 98)], 0.99) is None
    assert first_reaching([], 0.5) is None


def test_short_evaluations_do_not_count():
    rows = [evaluation(100, 20, 20), evaluation(200, 99)]
    assert first_reaching(rows, 0.99).step == 200
    assert first_reaching(rows, 0.99, episodes=20).step == 100


@given(successes=st.integers(0, 1000), episodes=st.integers(100, 1000))
def test_a_rate_is_reached_by_exactly_as_many_successes(successes, episodes):
    successes = min(successes, episodes)
    assert first_reaching([evaluation(1, successes, episodes)], successes / episodes) is not None
    assert first_reaching([evaluation(1, successes, episodes)], (successes + 1) / episodes) is None


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.9, "1:05"), (3599, "59:59"), (7265, "2:01:05")])
def test_durations_read_as_on_a_clock(seconds, text):
    assert clock_time(seconds) == text


def test_a_milestone_tells_itself():
    assert str(Milestone(2310, 812, 65.0)) == "2,310 steps, 812 of them the operator's, in 1:05 min"
    assert str(Milestone(23100, 0, 3665.0)) == "23,100 steps, none of them the operator's, in 1:01:05 h"
