"""Which steps are in a window, and which of them an operator made."""

import numpy as np
import pytest
import torch

from hil_trainer.data.chunks import sample_chunks
from hil_trainer.data.replay_buffer import ReplayBuffer
from hil_trainer.data.transitions import NStepReturns, RowFormat, Step, Transitions
from tests.hil_trainer.made_up import ACTIONS, PIXELS, STATE, obs, pack, transition, transitions


def windows(buffer, length):
    """First component of the observation -> actions and mask of the window that begins there."""
    chunks = sample_chunks(buffer, 500, length)
    starts = chunks.observation.state[:, 0].int().tolist()
    found = zip(starts, chunks.action[..., 0].tolist(), chunks.is_intervention.tolist(), strict=True)
    return {start: (action, mask) for start, action, mask in found}


def filled(episodes, capacity=100, *, operator=lambda number: True, only_operator=False):
    """A buffer with episodes of some lengths, in which the action of a step is its number / 100."""
    buffer, returns = ReplayBuffer(STATE, ACTIONS, capacity), NStepReturns(RowFormat(STATE, ACTIONS), 0.9, 1)
    number = 0
    for length in episodes:
        for step in range(length):
            action = np.full(ACTIONS, number / 100, np.float32)
            ended = step == length - 1
            made = Step(action, 0.0, 0.0, obs(STATE, number + 1), False, ended, operator(number), False)
            returns.add(obs(STATE, number), made)
            number += 1
    transitions = returns.take()
    buffer.add(transitions.interventions() if only_operator else transitions)
    return buffer


def test_a_window_ends_with_its_episode():
    found = windows(filled([4, 3]), 3)
    assert found.keys() == set(range(7))
    np.testing.assert_allclose(found[1], ([0.01, 0.02, 0.03], [1, 1, 1]), atol=1e-6)
    np.testing.assert_allclose(found[3], ([0.03, 0, 0], [1, 0, 0]), atol=1e-6)
    np.testing.assert_allclose(found[6], ([0.06, 0, 0], [1, 0, 0]), atol=1e-6)


def test_the_policy_s_steps_in_a_window_are_masked():
    found = windows(filled([6], operator=lambda number: number in (0, 1, 4)), 3)
    np.testing.assert_allclose(found[0], ([0, 0.01, 0.02], [1, 1, 0]), atol=1e-6)
    np.testing.assert_allclose(found[2], ([0.02, 0.03, 0.04], [0, 0, 1]), atol=1e-6)


def test_a_window_ends_where_steps_are_not_stored():
    found = windows(filled([6], operator=lambda number: number in (0, 1, 4), only_operator=True), 3)
    assert found.keys() == {0, 1, 4}
    np.testing.assert_allclose(found[1], ([0.01, 0, 0], [1, 0, 0]), atol=1e-6)


def test_windows_go_on_across_the_end_of_a_full_buffer():
    found = windows(filled([10], capacity=6), 3)
    assert found.keys() == set(range(4, 10))
    np.testing.assert_allclose(found[5], ([0.05, 0.06, 0.07], [1, 1, 1]), atol=1e-6)
    np.testing.assert_allclose(found[9], ([0.09, 0, 0], [1, 0, 0]), atol=1e-6)


def test_images_are_those_before_the_first_step():
    buffer, one = ReplayBuffer(PIXELS, ACTIONS, 10), transition(PIXELS, 3)
    buffer.add(pack([one]))
    images = sample_chunks(buffer, 2, 4).observation.images
    assert torch.equal(images, torch.from_numpy(np.stack([one.obs.images] * 2)))


def returns(buffer, length):
    """First component of the observation -> reward, discount, next one's first component, steps, and if it is whole."""
    chunks = sample_chunks(buffer, 500, length, returns=True)
    starts, found = chunks.observation.state[:, 0].int().tolist(), chunks.returns
    values = (found.reward, found.discount, found.next_observation.state[:, 0], found.is_step.sum(1), found.is_whole)
    return dict(zip(starts, zip(*(value.tolist() for value in values), strict=True), strict=True))


@pytest.mark.parametrize("terminated", [True, False])
def test_returns_are_discounted_by_step_and_stop_with_the_episode(terminated):
    buffer, returns_ = ReplayBuffer(STATE, ACTIONS, 20), NStepReturns(RowFormat(STATE, ACTIONS), 0.5, 1)
    action = np.zeros(ACTIONS, np.float32)
    for number in range(5):
        ended = number == 4
        made = Step(action, 1.0, -0.5, obs(STATE, number + 1), ended and terminated, ended, False, False)
        returns_.add(obs(STATE, number), made)
    buffer.add(returns_.take())
    found = returns(buffer, 3)
    assert found[0] == (0.875, 0.125, 3.0, 3.0, 1.0)  # 0.5 + 0.25 + 0.125
    # A window may end with the episode. One that an ending cuts short is whole if nothing can follow.
    assert found[2] == (0.875, 0.0 if terminated else 0.125, 5.0, 3.0, 1.0)
    assert found[3] == (0.75, 0.0 if terminated else 0.25, 5.0, 2.0, float(terminated))


def test_a_window_of_which_a_part_is_not_stored_is_not_whole():
    found = returns(filled([6], operator=lambda number: number in (0, 1, 2, 4), only_operator=True), 3)
    assert {start: found[start][-1] for start in found} == {0: 1.0, 1: 0.0, 2: 0.0, 4: 0.0}


def test_encoded_images_after_a_window_are_those_before_the_next_step():
    buffer = ReplayBuffer(PIXELS, ACTIONS, 10, encoded=(1, 2))
    given = pack(transitions(5, PIXELS))
    buffer.add(Transitions(given.rows, np.arange(5, dtype=np.float16)[:, None, None].repeat(2, 2)))
    chunks = sample_chunks(buffer, 200, 2, returns=True)
    starts = chunks.observation.state[:, 0]
    whole = chunks.returns.is_whole > 0
    assert set(starts[whole].tolist()) == {0.0, 1.0, 2.0}  # what follows the fourth is not known
    assert torch.equal(chunks.returns.next_observation.images[whole][:, 0].float(), starts[whole] + 2)
