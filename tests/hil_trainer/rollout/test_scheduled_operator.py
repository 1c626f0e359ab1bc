"""A scripted operator who helps less and less."""

import numpy as np
import pytest

from hil_trainer.config import OperatorConfig
from hil_trainer.rollout.env import RolloutEnv
from hil_trainer.rollout.scheduled_operator import ScheduledOperator

REST = np.zeros(4, np.float32)


@pytest.fixture
def env(small):
    """Makes environments with a scheduled operator, without tremor, whose help does not stop."""
    made = []

    def make(**operator):
        made.append(RolloutEnv(small(**{"motion_noise": 0.0, "min_help_fraction": 0.0, **operator})))
        return made[-1]

    yield make
    for one in made:
        one.close()


def first_help(env, seed, steps=60):
    """In which step the operator first acts while the policy holds still; None if never."""
    env.reset(seed)
    for number in range(steps):
        step = env.step(REST)
        if step.is_intervention:
            return number
        if step.terminated or step.truncated:
            break
    return None


@pytest.mark.parametrize(("episodes", "probability"), [(0, 0.8), (30, 0.4), (1000, 0.04)])
def test_help_becomes_less_probable_with_each_episode_down_to_a_minimum(episodes, probability):
    operator = ScheduledOperator(OperatorConfig(help_probability=0.8, min_help_fraction=0.05, help_decay_episodes=60))
    operator.episodes = episodes
    assert operator.help_probability == pytest.approx(probability)
    assert operator.legend[0][1] == f"helps in {probability:.0%} of the episodes"


def test_the_operator_helps_in_as_many_episodes_as_the_probability_says(env):
    operator = env(help_probability=0.5, help_decay_episodes=1_000_000).scripted_operator
    helped = 0
    for seed in range(400):
        operator.seed(seed)
        operator.reset()
        helped += operator._driver is not None
    assert 160 < helped < 240


@pytest.mark.parametrize(("delay", "patience"), [(0, 5), (3, 12)])
def test_help_comes_after_the_patience_and_the_reaction_delay(env, delay, patience):
    start = first_help(env(reaction_delay=delay, patience=patience), seed=1)
    assert start is not None
    assert patience + delay - 2 <= start <= patience + delay + 2


def test_a_demonstration_begins_at_once_whatever_the_probability(env):
    one = env(help_probability=0.0, reaction_delay=3)
    one.scripted_operator.demonstrates = True
    assert first_help(one, seed=1) == 3
    one.scripted_operator.demonstrates = False
    assert first_help(one, seed=1) is None


def test_the_same_seed_helps_the_same(env):
    def actions(seed):
        one = env(motion_noise=0.2)
        one.reset(seed)
        return np.array([one.step(REST).action for _ in range(40)])

    np.testing.assert_array_equal(actions(4), actions(4))
    assert (actions(4) != actions(5)).any()


def test_an_operator_who_is_asked_helps_then_and_only_then(env):
    one = env(ask=True, reaction_delay=3, help_probability=0.0)
    assert first_help(one, seed=1) is None
    one.reset(1)
    for _ in range(5):
        assert not one.step(REST).is_intervention
    one.ask_for_help()
    helped = [one.step(REST).is_intervention for _ in range(10)]
    assert helped == [False] * 3 + [True] * 7  # late by the reaction delay, then until the task is done
    one.reset(2)
    assert not one.asks_for_help
