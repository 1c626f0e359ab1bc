"""A learner in a process of its own learns as one in this process, and says why when it cannot go on."""

import multiprocessing
import os
import signal

import numpy as np
import pytest

from hil_trainer.checkpoints import checkpoints, read_learner_state, read_run_state
from hil_trainer.errors import CheckpointError, DivergenceError, LearnerError
from hil_trainer.learner.learner import Learner, LearnerSetup
from hil_trainer.learner.process import ProcessLearner
from tests.hil_trainer.made_up import ACTIONS, STATE, rollout
from tests.hil_trainer.test_checkpoints import save


@pytest.fixture
def start(small, tmp_path):
    """Starts learners, and checks that none is left."""
    started = []

    def make(**options):
        setup = LearnerSetup(small(), STATE, ACTIONS)
        started.append(ProcessLearner(setup, tmp_path, **{"lockstep": True, **options}))
        return started[-1]

    yield make
    for one in started:
        one.close()
    assert not [child for child in multiprocessing.active_children() if child.name == "hil-learner"]


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(value, other[name]) for name, value in one.items())


def test_in_lockstep_it_learns_as_one_here_and_returns_the_snapshot_that_is_asked_for(small, start, tmp_path):
    here, there = Learner(LearnerSetup(small(), STATE, ACTIONS)), start()
    assert same(there.snapshot().weights, here.weights())
    rollouts = [rollout(20, demonstration=True), *(rollout(5, first=first) for first in (20, 25, 30))]
    for one in rollouts:
        there.send(one)
    there.save(15, {"note": "all"})
    for number, one in enumerate(rollouts):
        here.add(one)
        if not one.demonstration:
            here.learn(one.steps)
        snapshot = there.snapshot(rollouts=number + 1)
        assert (snapshot.rollouts, snapshot.env_steps) == (number + 1, 5 * number)
        assert snapshot.updates == here.updates
        assert snapshot.metrics == here.metrics()
        assert same(snapshot.weights, here.weights())
        # A newer one is not returned before it is asked for, so that the clock changes nothing.
        assert there.snapshot() is snapshot
    there.close()
    (checkpoint,) = checkpoints(tmp_path)
    assert read_run_state(checkpoint) == {"step": 15, "note": "all"}
    assert read_learner_state(checkpoint)[0]["updates"] == 15


def test_in_real_time_nothing_waits_and_a_checkpoint_survives_ctrl_c(start, tmp_path):
    learner = start(lockstep=False, env_steps=7)
    for number in range(30):
        learner.send(rollout(2, first=2 * number, demonstration=True))
    assert learner.snapshot(rollouts=30).env_steps == 7
    learner.send(rollout(4, first=60))
    snapshot = learner.snapshot(rollouts=31)
    assert snapshot.env_steps == 11
    assert snapshot.updates > 0
    os.kill(learner._process.pid, signal.SIGINT)
    learner.save(11, {})
    learner.close()
    learner.close()
    assert len(checkpoints(tmp_path)) == 1
    assert learner._process.exitcode == 0


def test_a_loss_that_is_not_finite_arrives_and_nothing_is_saved(start, tmp_path):
    learner = start()
    learner.send(rollout(4, reward=float("nan")))
    learner.save(4, {})
    with pytest.raises(DivergenceError, match="critic_loss is nan"):
        learner.snapshot(rollouts=1)
    with pytest.raises(LearnerError, match="ended with exit code"):
        learner.snapshot(rollouts=1)
    learner.close()
    assert checkpoints(tmp_path) == []


def test_an_error_at_the_very_end_is_raised_on_close(start, tmp_path):
    learner = start()
    (tmp_path / "checkpoints").write_text("in the way")
    learner.save(0, {})
    with pytest.raises(CheckpointError, match="No checkpoint can be written"):
        learner.close()


def test_a_learner_that_is_killed_is_noticed(start):
    learner = start()
    learner.send(rollout(20, demonstration=True))
    learner.snapshot(rollouts=1)
    os.kill(learner._process.pid, signal.SIGKILL)
    learner.send(rollout(5))
    with pytest.raises(LearnerError, match=r"exit code -9.*--agent.buffer-capacity.*--resume"):
        learner.snapshot(rollouts=2)


def test_a_checkpoint_that_does_not_fit_is_refused_at_once(start, tmp_path):
    with pytest.raises(CheckpointError, match="does not fit the settings"):
        start(checkpoint=save(tmp_path, 3))
