"""What was added is kept until newer things need its room, and only that is drawn."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_trainer.data.replay_buffer import ReplayBuffer, joined
from tests.hil_trainer.made_up import ACTIONS, ASYMMETRIC, PIXELS, STATE, transition, transitions


def buffer(capacity=8, layout=STATE, seed=0):
    return ReplayBuffer(layout, ACTIONS, capacity, seed=seed)


def rewards(buffer, draws=400):
    """Which transitions are drawn; each reward names one."""
    return set(buffer.sample(draws).reward.int().tolist())


@settings(max_examples=30)
@given(st.integers(1, 12), st.lists(st.integers(0, 15), min_size=1, max_size=6))
def test_the_newest_are_kept_however_they_come(capacity, portions):
    kept = buffer(capacity)
    added = 0
    for portion in portions:
        kept.add(transitions(portion, first=added))
        added += portion
    assert len(kept) == min(added, capacity)
    if added:
        assert rewards(kept) == set(range(max(added - capacity, 0), added))


def test_every_part_of_a_transition_comes_back():
    kept = buffer(layout=ASYMMETRIC)
    one = transition(ASYMMETRIC, 3, discount=0.25, penalty=-0.5, is_intervention=True)
    kept.add([one])
    batch = kept.sample(2)
    for row in range(2):
        np.testing.assert_array_equal(batch.numbers[row], one.obs.numbers)
        np.testing.assert_array_equal(batch.privileged[row], one.obs.privileged)
        np.testing.assert_array_equal(batch.images[row], one.obs.images)
        np.testing.assert_array_equal(batch.next_numbers[row], one.following.numbers)
        np.testing.assert_array_equal(batch.next_privileged[row], one.following.privileged)
        np.testing.assert_array_equal(batch.next_images[row], one.following.images)
        np.testing.assert_array_equal(batch.action[row], one.action)
    rest = (batch.reward, batch.discount, batch.penalty, batch.is_intervention)
    assert [value.tolist() for value in rest] == [[3.0, 3.0], [0.25, 0.25], [-0.5, -0.5], [1.0, 1.0]]


def test_all_are_drawn_alike():
    kept = buffer(10)
    kept.add(transitions(10))
    counts = np.bincount(kept.sample(10_000).reward.int(), minlength=10)
    assert counts.min() > 850
    assert counts.max() < 1150


def saved(buffer):
    """Its state as a checkpoint has it."""
    file = io.BytesIO()
    torch.save(buffer.state_dict(), file)
    return file.getvalue()


def loaded(content):
    return torch.load(io.BytesIO(content), weights_only=True)


@pytest.mark.parametrize("added", [0, 3, 8, 13])
@pytest.mark.parametrize("layout", [STATE, PIXELS], ids=["state", "pixels"])
def test_a_buffer_that_is_read_back_draws_what_it_would_have_drawn(added, layout):
    before = buffer(layout=layout, seed=5)
    before.add(transitions(added, layout))
    if added:
        before.sample(3)
    content = saved(before)
    after = buffer(layout=layout, seed=99)
    after.load_state_dict(loaded(content))
    for kept in (before, after):
        kept.add(transitions(2, layout, first=added))
    assert len(after) == len(before)
    for one, other in zip(before.sample(64), after.sample(64), strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


@pytest.mark.parametrize("added", [3, 8, 13])
@pytest.mark.parametrize("capacity", [2, 5, 20])
def test_a_buffer_of_another_size_takes_the_newest(added, capacity):
    before = buffer(8)
    before.add(transitions(added))
    after = buffer(capacity)
    after.load_state_dict(loaded(saved(before)))
    kept = min(added, 8, capacity)
    assert len(after) == kept
    assert rewards(after) == set(range(added - kept, added))
    after.add(transitions(1, first=added))
    assert rewards(after) == set(range(added + 1 - min(kept + 1, capacity), added + 1))


def test_only_what_is_there_is_written():
    kept = buffer(10_000, PIXELS)
    kept.add(transitions(2, PIXELS))
    assert len(saved(kept)) < 20_000


def test_two_batches_become_one():
    kept = buffer(layout=PIXELS)
    kept.add(transitions(4, PIXELS))
    one, other = kept.sample(2), kept.sample(3)
    both = joined(one, other)
    assert both.reward.tolist() == [*one.reward.tolist(), *other.reward.tolist()]
    assert both.images.shape[0] == 5
    state = buffer()
    state.add(transitions(1))
    assert joined(state.sample(1), state.sample(1)).images is None
