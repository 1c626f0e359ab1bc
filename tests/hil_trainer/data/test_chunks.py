"""Which steps are in a window, and which of them an operator made."""

import numpy as np
import torch

from hil_trainer.data.chunks import sample_chunks
from hil_trainer.data.replay_buffer import ReplayBuffer
from hil_trainer.data.transitions import NStepReturns, RowFormat, Step
from tests.hil_trainer.made_up import ACTIONS, PIXELS, STATE, obs, pack, transition


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
