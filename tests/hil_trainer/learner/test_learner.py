"""What the learner keeps, what it learns from, and when it stops."""

import io

import numpy as np
import pytest
import torch

from hil_trainer.errors import CheckpointError, DivergenceError
from hil_trainer.learner.learner import ONLINE_LEAST, Learner, LearnerSetup, find_device, find_threads, is_mixed
from hil_trainer.rollout.actor import Rollout
from tests.hil_trainer.made_up import ACTIONS, ASYMMETRIC, PIXELS, STATE, transitions


def rollout(count, *, demonstration=False, **values):
    layout = values.pop("layout", STATE)
    made = transitions(count, layout, **values)
    return Rollout(made, [], count, 0, demonstration=demonstration)


@pytest.fixture
def learner(small):
    def make(layout=STATE, **settings):
        return Learner(LearnerSetup(small(**settings), layout, ACTIONS))

    return make


def test_what_a_operator_did_is_kept_twice_and_what_was_shown_once(learner):
    one = learner()
    one.take(rollout(5, demonstration=True))
    assert (len(one.online), len(one.shown)) == (0, 5)
    one.take(rollout(3))
    one.take(rollout(2, is_intervention=True))
    assert (len(one.online), len(one.shown)) == (5, 7)


def test_batches_are_half_a_operator_s_once_there_is_something_else(learner):
    one = learner()
    one.take(rollout(10, demonstration=True, reward=1.0))
    one.take(rollout(ONLINE_LEAST - 1, reward=0.0))
    assert one._batch(64).reward.sum() == 64
    one.take(rollout(1, reward=0.0))
    assert one._batch(64).reward.sum() == 32


def test_each_update_s_part_of_a_batch_is_half_a_operator_s(learner):
    one = learner()
    one.take(rollout(10, demonstration=True, reward=1.0))
    one.take(rollout(ONLINE_LEAST, reward=0.0))
    together = one._batch(3 * 64)
    assert [together.every(3, number).reward.sum() for number in range(3)] == [32, 32, 32]


def test_without_a_operator_batches_are_what_happened(learner):
    one = learner()
    one.take(rollout(3, reward=0.0))
    assert len(one._batch(64).reward) == 64


def test_each_step_is_worth_some_updates_of_the_critics_and_one_of_the_policy(learner, monkeypatch):
    one = learner(utd_ratio=4, batch_size=8)
    one.learn(3)
    assert one.updates == 0
    one.take(rollout(8))
    done = []
    monkeypatch.setattr(one, "_update", lambda batch, updates: done.append((len(batch.reward), updates)) or {})
    one.learn(3)
    assert one.updates == 12
    assert done == [(32, 4)] * 3


@pytest.mark.parametrize("layout", [STATE, PIXELS, ASYMMETRIC], ids=["state", "pixels", "both"])
def test_a_learner_that_is_read_back_learns_the_same(learner, layout):
    before = learner(layout)
    before.take(rollout(20, layout=layout, demonstration=True))
    before.learn(2)
    file = io.BytesIO()
    torch.save(before.state_dict(), file)
    file.seek(0)
    found = []
    for one in (before, None):
        if one is None:
            one = learner(layout, seed=7)
            one.load_state_dict(torch.load(file, weights_only=True))
        one.take(rollout(5, layout=layout, first=20))
        one.learn(2)
        found.append((one.updates, one.weights()))
    (updates, weights), (updates_after, weights_after) = found
    assert updates == updates_after == 4
    assert all(np.array_equal(value, weights_after[name]) for name, value in weights.items())


def test_a_loss_that_is_not_finite_is_named_and_never_saved(learner):
    one = learner()
    one.take(rollout(4, reward=float("nan")))
    one.learn(1)
    for ask in (one.numbers, one.state_dict):
        with pytest.raises(DivergenceError, match=r"After 1 updates .*critic_loss is nan.*Lower --sac.learning-rate"):
            ask()


def test_losses_are_looked_at_while_learning(learner):
    one = learner()
    one.take(rollout(4, reward=float("inf")))
    with pytest.raises(DivergenceError, match="After 50 updates critic_loss is nan"):
        one.learn(60)


@pytest.mark.parametrize("part", ["critic", "policy"])
def test_a_network_that_is_not_finite_is_never_saved(learner, part):
    one = learner()
    one.take(rollout(4))
    one.learn(1)
    with torch.no_grad():
        next(getattr(one.sac, part).parameters()).view(-1)[0] = torch.nan
    with pytest.raises(DivergenceError, match=f"{part}.* is not finite"):
        one.state_dict()


def test_a_policy_that_is_not_finite_is_never_handed_out(learner):
    one = learner()
    with torch.no_grad():
        one.sac.policy.arm.head.bias[0] = torch.inf
    with pytest.raises(DivergenceError, match=r"the policy's arm.head.bias is not finite"):
        one.weights()


@pytest.mark.parametrize(
    ("layout", "settings"), [(ASYMMETRIC, {}), (PIXELS, {}), (STATE, {"width": 24}), (STATE, {"gripper": "discrete"})]
)
def test_a_checkpoint_of_another_kind_is_refused(learner, layout, settings):
    state = learner().state_dict()
    with pytest.raises(CheckpointError, match="does not fit the settings"):
        learner(layout, **settings).load_state_dict(state)


@pytest.mark.parametrize(
    ("cores", "settings", "threads"),
    [
        (1, {}, 1),
        (2, {}, 1),
        (4, {}, 2),
        (64, {}, 4),
        (6, {"ray": "local", "actors": 3}, 2),
        (6, {"ray": "auto", "actors": 3}, 4),
        (2, {"threads": 7}, 7),
    ],
)
def test_the_learner_leaves_cores_to_those_who_act_and_evaluate(small, monkeypatch, cores, settings, threads):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)), raising=False)
    assert find_threads(small(**{"threads": None, **settings})) == threads


def test_devices_and_precision_are_chosen_by_name():
    assert find_device("cpu").type == "cpu"
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert is_mixed("on", torch.device("cpu"))
    assert not is_mixed("off", torch.device("cpu"))


@pytest.mark.parametrize(("flags", "mixed"), [("flags : fpu avx512_bf16", True), ("flags : fpu avx2", False)])
def test_a_processor_that_is_made_for_it_computes_in_mixed_precision(monkeypatch, flags, mixed):
    monkeypatch.setattr("hil_trainer.learner.learner._processor_flags", lambda: flags)
    assert is_mixed("auto", torch.device("cpu")) == mixed
