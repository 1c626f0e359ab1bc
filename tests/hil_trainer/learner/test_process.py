"""A learner in a process of its own learns what one here would, and says why when it cannot go on."""

import multiprocessing
import os
import signal

import numpy as np
import pytest

from hil_trainer.checkpoints import checkpoints, read_learner_state, read_run_state, save_checkpoint
from hil_trainer.errors import CheckpointError, DivergenceError, LearnerError
from hil_trainer.learner.learner import Learner, LearnerSetup
from hil_trainer.learner.process import LearnerProcess
from hil_trainer.rollout.actor import Rollout
from tests.hil_trainer.made_up import ACTIONS, STATE, transitions


def rollout(count, first=0, *, demonstration=False, **values):
    return Rollout(transitions(count, first=first, **values), [], count, 0, demonstration=demonstration)


@pytest.fixture
def start(small):
    """Starts learners, and sees that none is left."""
    started = []

    def make(**options):
        setup = LearnerSetup(small(), STATE, ACTIONS)
        started.append(LearnerProcess(setup, **{"keep_pace": False, **options}))
        return started[-1]

    yield make
    for one in started:
        one.close()
    assert not [child for child in multiprocessing.active_children() if child.name == "hil-learner"]


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(value, other[name]) for name, value in one.items())


def test_in_lockstep_it_learns_as_here_and_tells_what_was_asked_for(small, start, tmp_path):
    here, there = Learner(LearnerSetup(small(), STATE, ACTIONS)), start()
    assert same(there.newest().weights, here.weights())
    rollouts = [rollout(20, demonstration=True), *(rollout(5, first) for first in (20, 25, 30))]
    for one in rollouts:
        there.deliver(one)
    there.save(tmp_path, 15, {"note": "all"})
    for number, one in enumerate(rollouts):
        here.take(one)
        if not one.demonstration:
            here.learn(one.steps)
        learned = there.newest(deliveries=number + 1)
        assert learned.deliveries == number + 1
        assert learned.steps == 5 * number
        assert learned.updates == here.updates
        assert learned.numbers == here.numbers()
        assert same(learned.weights, here.weights())
        # What is newer is not told before it is asked for, so that the clock changes nothing.
        assert there.newest() is learned
    there.close()
    (checkpoint,) = checkpoints(tmp_path)
    assert read_run_state(checkpoint) == {"step": 15, "note": "all"}
    assert read_learner_state(checkpoint)["updates"] == 15


def test_in_real_time_it_never_makes_anybody_wait_and_saves_whoever_presses_ctrl_c(start, tmp_path):
    learner = start(keep_pace=True, steps=7)
    for number in range(30):
        learner.deliver(rollout(2, 2 * number, demonstration=True))
    assert learner.newest(deliveries=30).steps == 7
    learner.deliver(rollout(4, 60))
    learned = learner.newest(deliveries=31)
    assert learned.steps == 11
    assert learned.updates > 0
    os.kill(learner._process.pid, signal.SIGINT)
    learner.save(tmp_path, 11, {})
    learner.close()
    learner.close()
    assert len(checkpoints(tmp_path)) == 1
    assert learner._process.exitcode == 0


def test_a_loss_that_is_not_finite_arrives_as_what_it_is_and_nothing_is_saved(start, tmp_path):
    learner = start()
    learner.deliver(rollout(4, reward=float("nan")))
    learner.save(tmp_path, 4, {})
    with pytest.raises(DivergenceError, match="critic_loss is nan"):
        learner.newest(deliveries=1)
    with pytest.raises(LearnerError, match="ended with exit code"):
        learner.newest(deliveries=1)
    learner.close()
    assert checkpoints(tmp_path) == []


def test_what_goes_wrong_at_the_very_end_is_told_when_it_is_closed(start, tmp_path):
    learner = start()
    (tmp_path / "checkpoints").write_text("in the way")
    learner.save(tmp_path, 0, {})
    with pytest.raises(CheckpointError, match="No checkpoint can be written"):
        learner.close()


def test_a_learner_that_is_killed_is_missed(start):
    learner = start()
    learner.deliver(rollout(20, demonstration=True))
    learner.newest(deliveries=1)
    os.kill(learner._process.pid, signal.SIGKILL)
    learner.deliver(rollout(5))
    with pytest.raises(LearnerError, match=r"exit code -9.*--capacity.*--resume"):
        learner.newest(deliveries=2)


def test_a_checkpoint_that_does_not_fit_is_refused_at_once(start, tmp_path):
    checkpoint = save_checkpoint(tmp_path, 3, {"sac": {}}, {})
    with pytest.raises(CheckpointError, match="does not fit the settings"):
        start(checkpoint=checkpoint)
