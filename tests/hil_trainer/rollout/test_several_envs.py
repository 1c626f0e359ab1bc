"""One policy acts in several environments of a process, with the same episodes as in one."""

import numpy as np
import pytest

from gym_hil.errors import ConfigurationError
from gym_hil.teleop import Device, Event, TeleopCommand
from hil_trainer.agents.agent import Plans
from hil_trainer.agents.policy import FlowPolicyShape, PolicyShape
from hil_trainer.config import NO_OPERATOR
from hil_trainer.data.transitions import NUMBER, RowFormat
from hil_trainer.rollout.actor import Actor
from hil_trainer.rollout.env import make_envs
from hil_trainer.rollout.evaluation import evaluate, evaluation_envs, greedy
from tests.hil_trainer.rollout.test_actor import Presses, Still
from tests.hil_trainer.rollout.test_evaluation import Reaching


@pytest.fixture
def opened():
    """Closes what is added to it."""
    made = []
    yield made
    for one in made:
        one.close()


@pytest.mark.parametrize("count", [2, 5])
def test_evaluation_counts_the_same_episodes_however_many_run_at_a_time(small, opened, count):
    config = small(max_episode_steps=25)
    one, several = evaluation_envs(config, 1), evaluation_envs(config, count)
    opened += [one, several]
    alone = evaluate(one, Reaching(), episodes=4, seed=7, filmed=2)
    together = evaluate(several, Reaching(), episodes=4, seed=7, filmed=2)
    assert together._replace(frames=[]) == alone._replace(frames=[])
    assert len(set(alone.lengths)) > 1  # so that environments get free at different steps
    for film, other in zip(together.frames, alone.frames, strict=True):
        np.testing.assert_array_equal(film, other)


def test_steps_are_made_in_all_and_transitions_are_those_of_each(small, opened):
    envs = make_envs(small(max_episode_steps=5), 3, operator=NO_OPERATOR)
    opened.append(envs)
    rollout = Actor(envs, discount=0.9, n_step=1, seed=0).run(Still((0.5, 0, 0, 0)), 20)
    assert rollout.steps == 21
    assert [episode.length for episode in rollout.episodes] == [5] * 3
    found = RowFormat(envs[0].layout, envs[0].actions).batch(rollout.transitions.rows, None)
    following = np.diff(rollout.transitions.rows[:, NUMBER]) == 1
    same = (found.next_observation.state[:-1] == found.observation.state[1:]).all(axis=1)
    np.testing.assert_array_equal(following, same)
    assert following.sum() == 3 * (4 + 1)
    starts = found.observation.state[np.flatnonzero(~following) + 1][:, 18:21]
    assert len(np.unique(starts, axis=0)) == len(starts) == 5  # the cubes are in other places


def test_whole_episodes_stay_together_over_all_rollouts(small, opened):
    envs = make_envs(small(max_episode_steps=5), 2, operator=NO_OPERATOR)
    opened.append(envs)
    actor = Actor(envs, discount=0.9, n_step=1, seed=0, whole_episodes=True)
    counts = [len(actor.run(Still(), 6).transitions) for _ in range(4)]
    assert counts == [0, 10, 0, 10]
    numbers = np.concatenate([actor.run(Still(), 10).transitions.rows[:, NUMBER] for _ in range(3)])
    assert (np.diff(numbers) == 1).sum() == 3 * 2 * 4
    assert len(set(numbers)) == len(numbers)


def test_an_intervention_drops_the_plan_of_its_environment_alone(small, opened, monkeypatch):
    devices = iter([Presses({}), Presses({2: Event.QUIT}, drives=(1, 2))])
    monkeypatch.setattr("hil_trainer.rollout.env.ScheduledOperator", lambda config: next(devices))
    monkeypatch.setattr(Presses, "attach", lambda self, env: None, raising=False)
    envs = make_envs(small(), 2)
    opened.append(envs)
    policy = Still(steps=3)
    rollout = Actor(envs, discount=0.9, n_step=1, seed=0).run(policy, 100)
    assert policy.planned == [2, 1]
    assert (rollout.steps, rollout.operator_steps, rollout.quit) == (4, 2, True)


@pytest.mark.parametrize("shape", [PolicyShape, FlowPolicyShape])
def test_policy_chooses_for_several_as_for_one(small, opened, shape):
    envs = evaluation_envs(small(), 3)
    opened.append(envs)
    policy = greedy(shape(envs[0].layout, envs[0].actions, width=16).make_policy().eval())
    observations = {index: env.reset(index) for index, env in enumerate(envs)}
    plans = Plans(3)
    alone = [policy([obs])[0] for obs in observations.values()]
    for step in range(3):
        together = plans.act(policy, observations)
        for index in observations:
            expected = alone[index][step % len(alone[index])]
            np.testing.assert_allclose(together[index], expected, atol=1e-6)


class Human(Device):
    """Does nothing."""

    human = True

    def poll(self):
        return TeleopCommand()


@pytest.mark.parametrize("settings", [{"real_time": True}, {"operator": f"{__name__}:Human"}])
def test_one_human_or_one_real_time_for_several_is_one_clear_error(small, settings):
    with pytest.raises(ConfigurationError, match=r"num_envs is 2.*evaluation.num-envs"):
        make_envs(small(num_envs=2, **settings), 2)


@pytest.mark.parametrize("group", ["", "evaluation_"])
def test_no_environment_is_one_clear_error(small, group):
    with pytest.raises(ConfigurationError, match="num_envs is 0; expected more than 0"):
        small(**{f"{group}num_envs": 0})
