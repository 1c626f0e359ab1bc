"""Evaluations are of the policy alone, from fixed seeds, and can be stopped."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from hil_trainer.errors import LearnerError
from hil_trainer.learner.learner import Learner, LearnerSetup
from hil_trainer.rollout.evaluation import Evaluator, evaluate, evaluation_envs, greedy

EPISODES = 10**6  # more than there is time for


class Reaching:
    """Goes down to the cube, closes the gripper, and lifts."""

    def __call__(self, observations):
        return [[self.act(obs)] for obs in observations]

    def act(self, obs):
        tcp, cube, gripper = obs.state[15:18], obs.state[18:21], obs.state[14]
        away = cube - tcp
        near = np.linalg.norm(away) < 0.015
        motion = np.array([0, 0, 1]) if near and gripper > 200 else np.clip(away * 40, -1, 1)
        return np.array([*motion, 1.0 if near else -1.0], np.float32)


@pytest.fixture
def env(small):
    made = evaluation_envs(small(operator="scripted", help_probability=1.0, patience=1, reaction_delay=0), 1)
    yield made[0]
    made.close()


def test_no_operator_helps_and_the_same_seeds_give_the_same(env):
    def still(observations):
        starts.extend(obs.state for obs in observations)
        return [[np.zeros(4, np.float32)] for _ in observations]

    starts = []
    first = evaluate(env, still, episodes=2, seed=5, filmed=1)
    half = len(starts)
    again = evaluate(env, still, episodes=2, seed=5)
    np.testing.assert_array_equal(starts[:half], starts[half:])
    assert (first.successes, first.episodes, first.seed, first.rate) == (0, 2, 5, 0.0)
    assert first.outcomes == again.outcomes == [False, False]
    assert first.lengths == again.lengths
    assert first.mean_length == np.mean(first.lengths)
    assert [len(frames) for frames in first.frames] == [first.lengths[0] + 1]
    assert again.frames == []


def test_seeds_count_on(env):
    alone = [evaluate(env, Reaching(), episodes=1, seed=seed) for seed in (7, 8, 9)]
    together = evaluate(env, Reaching(), episodes=3, seed=7)
    assert together.lengths == [one.lengths[0] for one in alone]
    assert together.outcomes == [one.outcomes[0] for one in alone]


@pytest.mark.skipif(os.name == "nt", reason="processes are killed otherwise on Windows")
def test_a_process_of_its_own_evaluates_alike_and_reports_its_end_and_can_be_stopped(small, env):
    config = small(help_probability=0.0)
    setup = LearnerSetup(config, env.layout, env.actions)
    learner = Learner(setup)
    evaluator = Evaluator(config, learner.algorithm.policy.shape)
    there = evaluator.result(evaluator.start(learner.weights(), episodes=2, seed=3))
    here = evaluate(env, greedy(learner.algorithm.policy.eval()), episodes=2, seed=3)
    assert (there.lengths, there.outcomes) == (here.lengths, here.outcomes)

    endless = evaluator.start(learner.weights(), episodes=EPISODES, seed=0)
    (process,) = evaluator._pool._processes.values()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(LearnerError, match="The process that evaluates has ended"):
        evaluator.result(endless)
    with pytest.raises(LearnerError, match="The process that evaluates has ended"):
        evaluator.start(learner.weights(), episodes=1, seed=0)
    evaluator.close()

    evaluator = Evaluator(config, learner.algorithm.policy.shape)
    evaluator.start(learner.weights(), episodes=1, seed=0).result()
    endless = evaluator.start(learner.weights(), episodes=EPISODES, seed=0)
    for _ in range(3):  # as some are given to the process before it asks for them
        waiting = evaluator.start(learner.weights(), episodes=EPISODES, seed=0)
    while not endless.running():
        time.sleep(0.01)
    evaluator.close()
    assert endless.done()
    assert waiting.cancelled()
    assert not multiprocessing.active_children()
