"""What the learner stores, what it learns from, when it stops, and how its loop answers messages."""

import threading

import numpy as np
import pytest
import torch

from hil_trainer.checkpoints import CheckpointWriter, checkpoints, read_learner_state
from hil_trainer.data.observations import ObservationLayout
from hil_trainer.data.transitions import Transitions
from hil_trainer.errors import CheckpointError, DivergenceError
from hil_trainer.learner import learner as module
from hil_trainer.learner.learner import (
    MAX_DEBT,
    MIN_ONLINE,
    PUBLISH_EVERY,
    Learner,
    LearnerLoop,
    LearnerSetup,
    SaveRequest,
    StopRequest,
)
from tests.hil_trainer.made_up import ACTIONS, ASYMMETRIC, PIXELS, STATE, pack, rollout, transitions


@pytest.fixture
def learner(small):
    def make(layout=STATE, **settings):
        return Learner(LearnerSetup(small(**settings), layout, ACTIONS))

    return make


@pytest.fixture
def loop(small, tmp_path):
    def make(*, lockstep=False, layout=STATE, **options):
        return LearnerLoop(LearnerSetup(small(), layout, ACTIONS), tmp_path, lockstep=lockstep, **options)

    return make


def run(loop, *messages):
    """The snapshots that a loop publishes for some messages."""
    left, snapshots = [*messages, StopRequest()], []

    def receive(block):
        is_last = len(left) == 1
        return left.pop(0) if block or not is_last else None

    loop.run(receive, snapshots.append)
    return snapshots


def save(learner, directory, step=0):
    writer = CheckpointWriter(directory)
    segments = {name: buffer.segment(0) for name, buffer in learner.buffers.items()}
    writer.save(step, learner.state_dict(), segments, dict.fromkeys(segments, 0), {})
    writer.wait()
    return checkpoints(directory)[-1]


def test_interventions_go_to_both_buffers_and_demonstrations_to_their_own(learner):
    one = learner()
    one.add(rollout(5, demonstration=True))
    assert (len(one.online_buffer), len(one.demo_buffer)) == (0, 5)
    one.add(rollout(3))
    one.add(rollout(2, is_intervention=True))
    assert (len(one.online_buffer), len(one.demo_buffer)) == (5, 7)


def test_imitation_learns_from_the_operator_s_steps_alone(learner):
    one = learner(algorithm="bc")
    one.add(rollout(5, demonstration=True))
    one.add(rollout(3))
    one.learn(1)
    assert (len(one.online_buffer), len(one.demo_buffer), one.updates) == (0, 0, 0)
    one.add(rollout(5, demonstration=True, is_intervention=True))
    one.add(rollout(3, is_intervention=True))
    one.learn(1)
    assert (len(one.online_buffer), len(one.demo_buffer), one.updates) == (0, 8, 1)


def test_returns_are_drawn_once_critics_learn(learner):
    one = learner(algorithm="acfql", offline_steps=3, offline_critic_steps=1)
    one.add(rollout(20, demonstration=True, is_intervention=True))
    drawn = []
    for _ in range(3):
        drawn.append(one.sample(8).returns is not None)
        one.learn(1)
    assert drawn == [False, False, True]


def test_half_of_each_batch_and_of_each_update_s_share_is_from_the_demonstration_buffer(learner):
    one = learner()
    one.add(rollout(10, demonstration=True, reward=1.0))
    one.add(rollout(MIN_ONLINE - 1, reward=0.0))
    assert one.sample(64).reward.sum() == 64
    one.add(rollout(1, reward=0.0))
    assert one.sample(64).reward.sum() == 32
    together = one.sample(3 * 64)
    assert [together.minibatch(number, 3).reward.sum() for number in range(3)] == [32, 32, 32]


def test_without_demonstrations_batches_are_from_the_online_buffer(learner):
    one = learner()
    one.add(rollout(3, reward=0.0))
    assert len(one.sample(64).reward) == 64


def test_each_step_is_worth_some_updates_of_the_critics_and_one_of_the_policy(learner, monkeypatch):
    one = learner(utd_ratio=4, batch_size=8)
    one.learn(3)
    assert one.updates == 0
    one.add(rollout(8))
    done = []
    update = lambda batch, updates: done.append((len(batch.reward), updates)) or {}  # noqa: E731
    monkeypatch.setattr(one, "_update", update)
    one.learn(3)
    assert one.updates == 12
    assert done == [(32, 4)] * 3


@pytest.mark.parametrize("algorithm", ["sac", "bc", "acfql"])
@pytest.mark.parametrize("layout", [STATE, PIXELS, ASYMMETRIC], ids=["state", "pixels", "both"])
def test_a_learner_that_is_restored_learns_the_same_bit_for_bit(learner, tmp_path, layout, algorithm):
    settings = {"algorithm": algorithm, "offline_steps": 3}
    before = learner(layout, **settings)
    before.add(rollout(20, layout=layout, demonstration=True, is_intervention=True))
    before.learn(2)
    after = learner(layout, seed=7, **settings)
    after.load_state_dict(*read_learner_state(save(before, tmp_path)))
    found = []
    rng = torch.get_rng_state()
    for one in (before, after):
        torch.set_rng_state(rng)
        one.add(rollout(5, layout=layout, first=20))
        one.learn(2)
        found.append((one.updates, one.weights()))
    (updates, weights), (updates_after, weights_after) = found
    assert updates == updates_after == 4
    assert all(np.array_equal(value, weights_after[name]) for name, value in weights.items())


def test_a_loss_that_is_not_finite_is_named_and_never_saved(learner):
    one = learner()
    one.add(rollout(4, reward=float("nan")))
    one.learn(1)
    for ask in (one.metrics, one.state_dict):
        with pytest.raises(DivergenceError, match=r"After 1 updates .*critic_loss is nan.*Lower --agent.learning-rate"):
            ask()


def test_losses_are_checked_while_learning(learner):
    one = learner()
    one.add(rollout(4, reward=float("inf")))
    with pytest.raises(DivergenceError, match="After 50 updates critic_loss is nan"):
        one.learn(60)


@pytest.mark.parametrize("part", ["critic", "policy"])
def test_a_network_that_is_not_finite_is_never_saved(learner, part):
    one = learner()
    with torch.no_grad():
        next(getattr(one.algorithm, part).parameters()).view(-1)[0] = torch.nan
    with pytest.raises(DivergenceError, match=f"{part}.* is not finite"):
        one.state_dict()


def test_a_policy_that_is_not_finite_is_never_published(learner):
    one = learner()
    with torch.no_grad():
        one.algorithm.policy.arm.head.bias[0] = torch.inf
    with pytest.raises(DivergenceError, match=r"the policy's arm.head.bias is not finite"):
        one.weights()


@pytest.mark.parametrize(
    ("layout", "settings"), [(ASYMMETRIC, {}), (PIXELS, {}), (STATE, {"width": 24}), (STATE, {"gripper": "discrete"})]
)
def test_a_checkpoint_of_other_settings_is_refused(learner, tmp_path, layout, settings):
    one = learner()
    one.add(rollout(3))
    state = read_learner_state(save(one, tmp_path))
    with pytest.raises(CheckpointError, match="does not fit the settings"):
        learner(layout, **settings).load_state_dict(*state)


def test_in_lockstep_each_rollout_is_learned_from_before_the_next(loop):
    snapshots = run(loop(lockstep=True), rollout(20, demonstration=True), rollout(5), rollout(7))
    assert [(one.rollouts, one.env_steps, one.updates) for one in snapshots] == [
        (0, 0, 0), (1, 0, 0), (2, 5, 5), (3, 12, 12),
    ]  # fmt: skip


def test_otherwise_all_rollouts_are_stored_first_and_updates_of_too_many_steps_are_skipped(loop):
    one = loop()
    snapshots = run(one, *[rollout(50, first=50 * number) for number in range(4)])
    assert len(one.learner.online_buffer) == 200
    assert one.learner.updates == MAX_DEBT
    assert [snapshot.updates for snapshot in snapshots] == list(range(0, MAX_DEBT + 1, PUBLISH_EVERY))
    assert (snapshots[-1].rollouts, snapshots[-1].env_steps) == (4, 200)


def test_learning_goes_on_while_a_checkpoint_is_written(loop, monkeypatch):
    one, written, real = loop(), threading.Event(), torch.save

    def slow(*arguments):
        assert written.wait(60)
        real(*arguments)

    monkeypatch.setattr("hil_trainer.checkpoints.torch.save", slow)
    snapshots, left = [], [rollout(5), SaveRequest(0, {}), rollout(30)]

    def receive(block):
        return left.pop(0) if left else None

    def publish(snapshot):
        snapshots.append(snapshot)
        if snapshot.updates == 35:
            assert not checkpoints(one._writer._directory)
            written.set()
            raise InterruptedError

    with pytest.raises(InterruptedError):
        one.run(receive, publish)
    one._writer.wait()
    assert len(checkpoints(one._writer._directory)) == 1


def test_a_checkpoint_holds_only_what_is_new_and_is_learned_on_from(loop, tmp_path, monkeypatch):
    sizes, real = [], module.ReplayBuffer.segment
    monkeypatch.setattr(
        module.ReplayBuffer, "segment", lambda self, first: sizes.append(self.added - first) or real(self, first)
    )
    run(loop(lockstep=True), rollout(20), SaveRequest(20, {}), rollout(5, first=20), SaveRequest(25, {}))
    assert sizes == [20, 0, 5, 0]
    resumed = loop(lockstep=True, checkpoint=checkpoints(tmp_path)[-1], env_steps=25)
    assert resumed.learner.online_buffer.added == 25
    run(resumed, rollout(3, first=25), SaveRequest(28, {}))
    assert sizes[-2:] == [3, 0]


def test_a_checkpoint_that_cannot_be_written_ends_the_loop(loop, tmp_path):
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(CheckpointError, match="No checkpoint can be written"):
        run(loop(), SaveRequest(0, {}))


def test_features_of_other_environments_are_normalised_by_the_demonstrations_and_resumed(learner, tmp_path):
    foreign = ObservationLayout((("observation.state", 21),))  # as many numbers as STATE has
    one, other = learner(foreign), learner(foreign)
    one.add(rollout(50, layout=foreign, demonstration=True))
    one.learn(1)
    states = one.demo_buffer.rows[: len(one.demo_buffer), :21]
    features, near_zero = one.algorithm.policy.features(states).chunk(2, -1)
    torch.testing.assert_close(features.mean(0), torch.zeros(21), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.std(0, unbiased=False), torch.ones(21), atol=1e-3, rtol=0)
    assert torch.equal(near_zero.sign(), states.sign())
    matrix = one.algorithm.features.matrix.clone()
    one.add(rollout(100, layout=foreign))
    one.learn(1)
    other.load_state_dict(*read_learner_state(save(one, tmp_path)))
    for features in (other.algorithm.features, other.algorithm.policy.features):
        assert torch.equal(features.matrix, matrix)


def test_learning_waits_for_as_many_online_steps_as_are_asked_for(small, tmp_path):
    config = small(algorithm="acfql", online_steps_before_learning=25, chunk_size=2, n_action_steps=1)
    loop = LearnerLoop(LearnerSetup(config, STATE, ACTIONS), tmp_path, lockstep=True)
    none = Transitions(pack(transitions(1)).rows[:0])
    offline = rollout(1)._replace(transitions=none, steps=5, offline=True)
    within_an_episode = rollout(1)._replace(transitions=none, steps=5)
    demonstrated = rollout(20, demonstration=True, is_intervention=True)
    steps = [within_an_episode, rollout(20), rollout(10), rollout(10), rollout(5)]
    shots = run(loop, demonstrated, offline, *steps)
    assert [shot.updates for shot in shots] == [0, 0, 5, 5, 5, 10, 20, 25]
    assert shots[-1].env_steps == 55
