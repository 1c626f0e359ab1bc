"""Steps become transitions over n steps, in arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_trainer.data.transitions import NStepReturns, RowFormat, Step
from tests.hil_trainer.made_up import ACTIONS, ASYMMETRIC, STATE, obs, transition

REWARDS = st.lists(st.floats(-10, 10), min_size=1, max_size=12)


def make(steps, discount, layout=STATE):
    return NStepReturns(RowFormat(layout, ACTIONS), discount, steps)


def run(returns, rewards, *, terminated=False, truncated=False, penalties=None, layout=STATE):
    """The transitions of one episode, in which observation k comes before reward k."""
    for number, reward in enumerate(rewards):
        is_last = number == len(rewards) - 1
        step = Step(
            action=transition(number=number).action,
            reward=reward,
            gripper_penalty=0.0 if penalties is None else penalties[number],
            obs=obs(layout, number + 1),
            terminated=is_last and terminated,
            truncated=is_last and truncated,
            is_intervention=number % 2 == 1,
            success=False,
        )
        returns.add(obs(layout, number), step)
    packed = returns.take()
    return returns.format.batch(packed.rows, packed.images)


@given(REWARDS, st.integers(1, 6), st.floats(0.01, 1.0), st.booleans(), st.booleans())
def test_each_step_becomes_the_transition_of_the_textbook(rewards, steps, discount, terminated, truncated):
    found = run(make(steps, discount), rewards, terminated=terminated, truncated=truncated)
    length = len(rewards)
    assert len(found.reward) == (length if terminated or truncated else max(length - steps + 1, 0))
    for start in range(len(found.reward)):
        stop = min(start + steps, length)
        expected = sum(discount ** (step - start) * rewards[step] for step in range(start, stop))
        is_terminal = stop == length and terminated
        assert found.reward[start] == pytest.approx(expected, rel=1e-5, abs=1e-5)
        assert found.discount[start] == pytest.approx(0.0 if is_terminal else discount ** (stop - start))
        assert found.observation.state[start, 0] == start
        assert found.next_observation.state[start, 0] == stop
        assert found.is_intervention[start] == (start % 2 == 1)
        assert (found.action[start] == transition(number=start).action).all()


def test_penalties_are_summed_as_rewards_are():
    found = run(make(2, 0.5), [0.0, 0.0, 0.0], truncated=True, penalties=[-1.0, -0.5, 0.0])
    assert found.gripper_penalty.tolist() == [-1.25, -0.5, 0.0]


def test_a_discarded_episode_leaves_nothing_behind():
    returns = make(3, 0.9)
    assert len(run(returns, [1.0, 1.0]).reward) == 0
    returns.discard_episode()
    assert run(returns, [0.0, 5.0], terminated=True).reward.tolist() == pytest.approx([4.5, 5.0])


def test_all_parts_of_observations_are_in_the_arrays():
    found = run(make(1, 0.9, ASYMMETRIC), [1.0, 2.0], terminated=True, layout=ASYMMETRIC)
    for number in range(2):
        for batch, expected in (
            (found.observation, obs(ASYMMETRIC, number)),
            (found.next_observation, obs(ASYMMETRIC, number + 1)),
        ):
            for part, value in zip(batch, expected, strict=True):
                np.testing.assert_array_equal(part[number], value)
