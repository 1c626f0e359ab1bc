"""The newest transitions are stored, and only these are drawn."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_trainer.data.replay_buffer import ReplayBuffer
from hil_trainer.data.transitions import concatenate
from tests.hil_trainer.made_up import ACTIONS, ASYMMETRIC, PIXELS, STATE, pack, transition, transitions


def buffer(capacity=8, layout=STATE, seed=0):
    return ReplayBuffer(layout, ACTIONS, capacity, seed=seed)


def add(buffer, count, layout=STATE, first=0):
    if count:
        buffer.add(pack(transitions(count, layout, first)))


def rewards(buffer, draws=400):
    """Which transitions are drawn; each reward is the transition's number."""
    return set(buffer.sample(draws).reward.int().tolist())


def tensors(batch):
    return [*batch.observation, *batch.next_observation, *(value for value in batch if isinstance(value, torch.Tensor))]


@settings(max_examples=30)
@given(st.integers(1, 12), st.lists(st.integers(0, 15), min_size=1, max_size=6))
def test_the_newest_are_stored_however_they_come(capacity, portions):
    stored = buffer(capacity)
    added = 0
    for portion in portions:
        add(stored, portion, first=added)
        added += portion
    assert len(stored) == min(added, capacity)
    if added:
        assert rewards(stored) == set(range(max(added - capacity, 0), added))


def test_every_part_of_a_transition_comes_back():
    stored = buffer(layout=ASYMMETRIC)
    one = transition(ASYMMETRIC, 3, discount=0.25, penalty=-0.5, is_intervention=True)
    stored.add(pack([one]))
    batch = stored.sample(2)
    for row in range(2):
        for name in ("state", "privileged", "images"):
            np.testing.assert_array_equal(getattr(batch.observation, name)[row], getattr(one.obs, name))
            np.testing.assert_array_equal(getattr(batch.next_observation, name)[row], getattr(one.next_obs, name))
        np.testing.assert_array_equal(batch.action[row], one.action)
    rest = (batch.reward, batch.discount, batch.gripper_penalty, batch.is_intervention)
    assert [value.tolist() for value in rest] == [[3.0, 3.0], [0.25, 0.25], [-0.5, -0.5], [1.0, 1.0]]


def test_all_are_drawn_alike():
    stored = buffer(10)
    add(stored, 10)
    counts = np.bincount(stored.sample(10_000).reward.int(), minlength=10)
    assert counts.min() > 850
    assert counts.max() < 1150


def restored(before, after, segments):
    """`after` with the content of `before`, through a file."""
    file = io.BytesIO()
    torch.save((before.state_dict(), segments), file)
    file.seek(0)
    state, segments = torch.load(file, weights_only=True)
    after.load_state_dict(state, segments)
    return after


@pytest.mark.parametrize("portions", [[0], [3], [5, 3], [5, 3, 5], [3, 30]])
@pytest.mark.parametrize("layout", [STATE, PIXELS], ids=["state", "pixels"])
def test_a_buffer_that_is_restored_from_segments_draws_what_it_would_have_drawn(portions, layout):
    before, segments, added = buffer(layout=layout, seed=5), [], 0
    for portion in portions:
        add(before, portion, layout, first=added)
        segments.append(before.segment(added))
        added += portion
    if added:
        before.sample(3)
    after = restored(before, buffer(layout=layout, seed=99), segments)
    for stored in (before, after):
        add(stored, 2, layout, first=added)
    assert len(after) == len(before)
    for one, other in zip(tensors(before.sample(64)), tensors(after.sample(64)), strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


@pytest.mark.parametrize("added", [3, 8, 13])
@pytest.mark.parametrize("capacity", [2, 5, 20])
def test_a_buffer_of_another_capacity_takes_the_newest_and_can_be_saved_again(added, capacity):
    before = buffer(8)
    add(before, added)
    after = restored(before, buffer(capacity), [before.segment(0)])
    kept = min(added, 8, capacity)
    assert len(after) == kept
    assert rewards(after) == set(range(added - kept, added))
    again = restored(after, buffer(capacity), [after.segment(0)])
    for stored in (after, again):
        add(stored, 1, first=added)
        assert rewards(stored) == set(range(added + 1 - min(kept + 1, capacity), added + 1))


def test_two_batches_become_one():
    stored = buffer(layout=PIXELS)
    add(stored, 4, PIXELS)
    one, other = stored.sample(2), stored.sample(3)
    both = concatenate(one, other)
    assert both.reward.tolist() == [*one.reward.tolist(), *other.reward.tolist()]
    assert both.observation.images.shape[0] == 5
    state = buffer()
    add(state, 1)
    assert concatenate(state.sample(1), state.sample(1)).observation.images is None
