"""What follows an action: rewards added up, and how much of the value after them counts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_trainer.data.n_step import NStepReturns
from tests.hil_trainer.made_up import obs, transition

REWARDS = st.lists(st.floats(-10, 10), min_size=1, max_size=12)


def run(rewards, *, steps, discount, end, penalties=None, returns=None):
    """The transitions of one episode, in which observation k comes before reward k."""
    returns = NStepReturns(discount, steps) if returns is None else returns
    found = []
    for number, reward in enumerate(rewards):
        is_last = number == len(rewards) - 1
        found += returns.add(
            obs(number=number),
            transition(number=number).action,
            reward,
            obs(number=number + 1),
            penalty=0.0 if penalties is None else penalties[number],
            terminated=is_last and end == "terminated",
            truncated=is_last and end == "truncated",
            is_intervention=number % 2 == 1,
        )
    return found


def number_of(observation):
    return int(observation.numbers[0])


@given(
    REWARDS,
    st.integers(1, 6),
    st.floats(0.01, 1.0),
    st.sampled_from(["terminated", "truncated", "goes on"]),
)
def test_each_step_becomes_what_the_textbook_says(rewards, steps, discount, end):
    found = run(rewards, steps=steps, discount=discount, end=end)
    length = len(rewards)
    assert len(found) == (length if end != "goes on" else max(length - steps + 1, 0))
    for start, one in enumerate(found):
        stop = min(start + steps, length)
        expected = 0.0
        for step in range(start, stop):
            expected += discount ** (step - start) * rewards[step]
        reaches_end = stop == length and end == "terminated"
        assert one.reward == pytest.approx(expected)
        assert one.discount == pytest.approx(0.0 if reaches_end else discount ** (stop - start))
        assert number_of(one.obs) == start
        assert number_of(one.following) == stop
        assert one.is_intervention == (start % 2 == 1)
        assert (one.action == transition(number=start).action).all()


@settings(max_examples=40)
@given(REWARDS, st.integers(1, 6))
def test_a_time_out_never_takes_the_value_of_what_follows(rewards, steps):
    assert all(one.discount > 0 for one in run(rewards, steps=steps, discount=0.97, end="truncated"))


@settings(max_examples=40)
@given(REWARDS, st.integers(1, 6))
def test_a_termination_that_comes_with_a_time_out_is_a_termination(rewards, steps):
    returns = NStepReturns(0.97, steps)
    last = []
    for number, reward in enumerate(rewards):
        end = number == len(rewards) - 1
        last = returns.add(
            obs(), transition().action, reward, obs(), penalty=0.0, terminated=end, truncated=end, is_intervention=False
        )
    assert {one.discount for one in last} == {0.0}


def test_penalties_are_added_up_as_rewards_are():
    (first, *_) = run([0.0, 0.0, 0.0], steps=2, discount=0.5, end="truncated", penalties=[-1.0, -0.5, 0.0])
    assert first.penalty == -1.25


def test_an_episode_that_is_forgotten_leaves_nothing_to_the_next():
    returns = NStepReturns(0.9, 3)
    assert run([1.0, 1.0], steps=3, discount=0.9, end="goes on", returns=returns) == []
    returns.clear()
    found = run([0.0, 5.0], steps=3, discount=0.9, end="terminated", returns=returns)
    assert [one.reward for one in found] == [pytest.approx(4.5), 5.0]
