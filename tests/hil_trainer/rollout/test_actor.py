"""What is kept of an episode: who acted, what was executed, and how it ended."""

import itertools
import json

import numpy as np
import pytest

from gym_hil.teleop import Device, Event, TeleopCommand
from hil_trainer.config import NO_OPERATOR
from hil_trainer.reward_classifier import ClassifierShape, RewardClassifier, save_classifier
from hil_trainer.rollout.actor import Actor
from hil_trainer.rollout.env import RolloutEnv


class Still:
    """Rests, or does always the same."""

    def __init__(self, action=(0.0, 0.0, 0.0, 0.0)):
        self.action = np.array(action, np.float32)

    def act(self, obs):
        return self.action


class Presses(Device):
    """Presses buttons at steps of all that are made, and drives upwards in others."""

    human = False

    def __init__(self, events, drives=()):
        self.events, self.drives, self.polls = events, drives, 0

    def poll(self):
        self.polls += 1
        events = [self.events[self.polls]] if self.polls in self.events else []
        engaged = self.polls in self.drives
        return TeleopCommand(motion=np.array([0, 0, 0.5, 0, 0, 0]), engaged=engaged, events=events)


@pytest.fixture
def actor(small, monkeypatch):
    """Makes actors; `device` is the operator of the environment."""
    made = []

    def make(device=None, *, n_step=1, seed=0, **settings):
        if device is not None:
            monkeypatch.setattr("hil_trainer.rollout.env.ScheduledOperator", lambda config: device)
            monkeypatch.setattr(device, "attach", lambda env: None, raising=False)
        env = RolloutEnv(small(**settings), operator=None if settings or device is not None else NO_OPERATOR)
        made.append(env)
        return Actor(env, discount=0.9, n_step=n_step, seed=seed)

    yield make
    for env in made:
        env.close()


def test_what_a_operator_does_is_kept_instead_of_what_the_policy_wanted(actor):
    policy = Still([0.4, -0.6, 0.2, 0.0])
    rollout = actor(Presses({}, drives=(3, 4))).run(policy, 6)
    assert [one.is_intervention for one in rollout.transitions] == [False, False, True, True, False, False]
    assert (rollout.steps, rollout.operator_steps) == (6, 2)
    for one in rollout.transitions:
        if one.is_intervention:
            np.testing.assert_allclose(one.action[:3], [0, 0, 0.5], atol=1e-6)
        else:
            np.testing.assert_allclose(one.action[:3], policy.action[:3], atol=1e-6)
        assert np.abs(one.action).max() <= 1


def test_actions_are_kept_as_the_policy_means_them_whatever_the_space(actor):
    one = actor()
    policy = Still([1.0, -1.0, 0.5, -1.0])
    (kept,) = one.run(policy, 1).transitions
    np.testing.assert_allclose(kept.action, policy.action, atol=1e-6)


def test_observations_follow_each_other(actor):
    transitions = actor().run(Still([0.5, 0.0, 0.0, 0.0]), 10).transitions
    for one, after in itertools.pairwise(transitions):
        np.testing.assert_array_equal(one.following.numbers, after.obs.numbers)
    assert (transitions[0].obs.numbers != transitions[-1].following.numbers).any()


def test_portions_join_over_the_ends_of_episodes(actor):
    events = {7: Event.FAILURE, 12: Event.FAILURE}
    whole = actor(Presses(events)).run(Still(), 20)
    one = actor(Presses(events))
    parts = [one.run(Still(), 4) for _ in range(5)]
    joined = [transition for part in parts for transition in part.transitions]
    assert len(joined) == len(whole.transitions) == 20
    for here, there in zip(joined, whole.transitions, strict=True):
        np.testing.assert_array_equal(here.obs.numbers, there.obs.numbers)
    assert [episode for part in parts for episode in part.episodes] == whole.episodes
    assert [episode.length for episode in whole.episodes] == [7, 5]


def test_a_success_and_a_failure_end_what_counts_and_a_time_out_does_not(actor):
    events = {2: Event.SUCCESS, 5: Event.FAILURE}
    rollout = actor(Presses(events)).run(Still(), 6)
    assert [one.discount for one in rollout.transitions] == [0.9, 0.0, 0.9, 0.9, 0.0, 0.9]
    assert [one.reward for one in rollout.transitions] == [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert [(episode.success, episode.total) for episode in rollout.episodes] == [(True, 1.0), (False, 0.0)]
    limit = actor().run(Still(), 400)
    assert limit.episodes
    assert not any(episode.success for episode in limit.episodes)
    assert all(one.discount > 0 for one in limit.transitions)


@pytest.mark.parametrize("n_step", [1, 3])
def test_an_episode_that_is_to_be_recorded_again_is_forgotten(actor, n_step):
    one = actor(Presses({3: Event.FAILURE, 6: Event.RERECORD}), n_step=n_step)
    rollout = one.run(Still(), 8)
    assert [episode.length for episode in rollout.episodes] == [3]
    assert rollout.steps == 8
    # Three of the first episode, none of the second, and those of the third that are complete.
    assert len(rollout.transitions) == 3 + max(2 - n_step + 1, 0)
    assert one.episodes == 1


def test_what_was_handed_out_before_an_episode_is_forgotten_stays_out(actor):
    one = actor(Presses({6: Event.RERECORD}))
    assert len(one.run(Still(), 4).transitions) == 4
    assert len(one.run(Still(), 4).transitions) == 2


def test_an_operator_who_wants_to_stop_stops(actor):
    rollout = actor(Presses({3: Event.QUIT})).run(Still(), 10)
    assert rollout.quit
    assert rollout.steps == 3
    assert [one.discount > 0 for one in rollout.transitions] == [True] * 3


def test_a_demonstration_is_a_whole_episode_by_the_operator(actor):
    one = actor(help_probability=0.0)
    rollout = one.demonstrate(Still())
    (episode,) = rollout.episodes
    assert rollout.demonstration
    assert episode.demonstration
    assert episode.success
    assert rollout.steps == episode.length == len(rollout.transitions)
    assert rollout.operator_steps >= rollout.steps - 4
    assert rollout.transitions[-1].discount == 0.0
    assert one.episodes == 0
    assert not one.run(Still(), 30).operator_steps


def test_a_demonstration_that_is_to_be_recorded_again_has_nothing(actor):
    rollout = actor(Presses({4: Event.RERECORD})).demonstrate(Still())
    assert (rollout.transitions, rollout.episodes, rollout.steps) == ([], [], 4)
    assert actor(Presses({4: Event.QUIT})).demonstrate(Still()).quit


def flat(rollout):
    return np.array([[*one.obs.numbers, *one.action, one.reward, one.is_intervention] for one in rollout.transitions])


def test_the_same_seed_makes_the_same_steps(actor):
    one, same, other = (flat(actor(seed=seed, help_probability=1.0).run(Still(), 60)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape or (one != other).any()


def test_an_actor_that_is_read_back_goes_on_with_other_episodes(actor):
    before = actor(seed=3, help_probability=1.0)
    first = flat(before.run(Still(), 200))
    assert before.episodes > 0
    state = json.loads(json.dumps(before.state_dict()))
    after = actor(seed=99, help_probability=1.0)
    after.load_state_dict(state)
    assert after.episodes == after.env.scripted_operator.episodes == before.episodes
    before._end()
    there, here = flat(before.run(Still(), 40)), flat(after.run(Still(), 40))
    np.testing.assert_array_equal(here, there)
    assert (here[:, :18] != first[:40, :18]).any()


@pytest.mark.parametrize("lifted", [False, True])
def test_it_is_kept_how_often_a_classifier_errs(actor, tmp_path, lifted):
    save_classifier(RewardClassifier(ClassifierShape(("front", "wrist"), 32, 18), threshold=1.0), tmp_path)
    one = actor(operator=NO_OPERATOR, demos="0", obs="pixels", image_size=16, reward_classifier=tmp_path)
    one.env.env.unwrapped.is_success = lambda: lifted
    (episode,) = one.run(Still(), 150).episodes
    assert (episode.success, episode.length) == (False, 150)
    assert (episode.simulator_success, episode.misjudged) == (lifted, 150 if lifted else 0)


def test_without_a_classifier_nothing_is_told_of_one(actor):
    (episode,) = actor().run(Still(), 150).episodes
    assert (episode.simulator_success, episode.misjudged) == (None, None)
