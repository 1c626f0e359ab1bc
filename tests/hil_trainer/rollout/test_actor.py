"""What is stored of an episode: who acted, which action was executed, and how it ended."""

import json

import numpy as np
import pytest

from gym_hil.teleop import Device, Event, TeleopCommand
from hil_trainer.config import NO_OPERATOR
from hil_trainer.data.transitions import NUMBER, RowFormat
from hil_trainer.reward_classifier import ClassifierShape, RewardClassifier, save_classifier
from hil_trainer.rollout.actor import Actor
from hil_trainer.rollout.env import RolloutEnv


class Still:
    """Holds still, or repeats an action; it plans for some steps."""

    def __init__(self, action=(0.0, 0.0, 0.0, 0.0), steps=1):
        self.action, self.steps = np.array(action, np.float32), steps
        self.planned = []  # for how many environments

    def __call__(self, observations):
        self.planned.append(len(observations))
        return [[self.action] * self.steps for _ in observations]


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


def batch(actor, rollout):
    """The transitions of a rollout by name."""
    return RowFormat(actor.env.layout, actor.env.actions).batch(rollout.transitions.rows, rollout.transitions.images)


def test_an_intervention_is_stored_instead_of_the_policy_s_action(actor):
    policy = Still([0.4, -0.6, 0.2, 0.0], steps=10)
    one = actor(Presses({}, drives=(3, 4)))
    rollout = one.run(policy, 6)
    found = batch(one, rollout)
    assert found.is_intervention.tolist() == [0, 0, 1, 1, 0, 0]
    assert (rollout.steps, rollout.operator_steps) == (6, 2)
    expected = np.where(found.is_intervention[:, None], [0, 0, 0.5], policy.action[:3])
    np.testing.assert_allclose(found.action[:, :3], expected, atol=1e-6)
    assert np.abs(found.action).max() <= 1
    # A plan is dropped at the beginning and whenever the operator has acted, and made anew when the operator lets go.
    assert policy.planned == [1, 1, 1]


def test_actions_are_stored_in_the_policy_s_range_whatever_the_environment_s(actor):
    one, policy = actor(), Still([1.0, -1.0, 0.5, -1.0])
    np.testing.assert_allclose(batch(one, one.run(policy, 1)).action[0], policy.action, atol=1e-6)


def test_observations_follow_each_other(actor):
    one = actor()
    found = batch(one, one.run(Still([0.5, 0.0, 0.0, 0.0]), 10))
    np.testing.assert_array_equal(found.next_observation.state[:-1], found.observation.state[1:])
    assert (found.observation.state[0] != found.next_observation.state[-1]).any()


@pytest.mark.parametrize("n_step", [1, 3])
def test_rollouts_join_across_the_ends_of_episodes(actor, n_step):
    events = {7: Event.FAILURE, 12: Event.FAILURE}
    whole = actor(Presses(events), n_step=n_step).run(Still(), 20)
    one = actor(Presses(events), n_step=n_step)
    parts = [one.run(Still(), 4) for _ in range(5)]
    np.testing.assert_array_equal(np.concatenate([part.transitions.rows for part in parts]), whole.transitions.rows)
    assert [episode for part in parts for episode in part.episodes] == whole.episodes
    assert [episode.length for episode in whole.episodes] == [7, 5]


def test_success_and_failure_end_the_value_of_what_follows_and_a_time_out_does_not(actor):
    one = actor(Presses({2: Event.SUCCESS, 5: Event.FAILURE}))
    rollout = one.run(Still(), 6)
    found = batch(one, rollout)
    assert found.discount.tolist() == pytest.approx([0.9, 0.0, 0.9, 0.9, 0.0, 0.9])
    assert found.reward.tolist() == [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert [(episode.success, episode.total) for episode in rollout.episodes] == [(True, 1.0), (False, 0.0)]
    one = actor()
    limit = one.run(Still(), 160)
    assert [episode.success for episode in limit.episodes] == [False]
    assert (batch(one, limit).discount > 0).all()


@pytest.mark.parametrize("n_step", [1, 3])
def test_an_episode_that_is_to_be_recorded_again_is_discarded(actor, n_step):
    one = actor(Presses({3: Event.FAILURE, 6: Event.RERECORD}), n_step=n_step)
    rollout = one.run(Still(), 8)
    assert [episode.length for episode in rollout.episodes] == [3]
    assert rollout.steps == 8
    # Three of the first episode, none of the second, and those of the third that are complete.
    assert len(rollout.transitions) == 3 + max(2 - n_step + 1, 0)
    assert one.episodes == 1


def test_transitions_that_were_returned_before_their_episode_is_discarded_stay_out(actor):
    one = actor(Presses({6: Event.RERECORD}))
    assert len(one.run(Still(), 4).transitions) == 4
    assert len(one.run(Still(), 4).transitions) == 2


def test_an_operator_who_wants_to_stop_stops(actor):
    one = actor(Presses({3: Event.QUIT}))
    rollout = one.run(Still(), 10)
    assert rollout.quit
    assert rollout.steps == 3
    assert (batch(one, rollout).discount > 0).tolist() == [True] * 3


def test_a_demonstration_is_a_whole_episode_of_the_operator(actor):
    one = actor(help_probability=0.0)
    rollout = one.demonstrate()
    (episode,) = rollout.episodes
    assert rollout.demonstration
    assert episode.demonstration
    assert episode.success
    assert rollout.steps == episode.length == len(rollout.transitions)
    assert rollout.operator_steps >= rollout.steps - 4
    assert batch(one, rollout).discount[-1] == 0.0
    assert one.episodes == 0
    assert not one.run(Still(), 30).operator_steps


def test_a_demonstration_begins_when_the_operator_is_ready(actor):
    one = actor(help_probability=0.0)
    steps, step = [], one.env.step
    one.env.step = lambda action: steps.append(action) or step(action)
    assert one.demonstrate(lambda: not steps).episodes
    assert steps
    nothing = one.demonstrate(lambda: False)
    assert (len(nothing.transitions), nothing.episodes, nothing.steps, nothing.quit) == (0, [], 0, True)


def test_a_demonstration_that_is_to_be_recorded_again_is_empty(actor):
    rollout = actor(Presses({4: Event.RERECORD})).demonstrate()
    assert (len(rollout.transitions), rollout.episodes, rollout.steps) == (0, [], 4)
    assert actor(Presses({4: Event.QUIT})).demonstrate().quit


def test_the_same_seed_makes_the_same_steps(actor):
    one, same, other = (actor(seed=seed, help_probability=1.0).run(Still(), 60).transitions.rows for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape or (one != other).any()


def test_an_actor_that_is_restored_goes_on_with_other_episodes(actor):
    before = actor(seed=3, help_probability=1.0)
    first = before.run(Still(), 200).transitions.rows
    assert before.episodes > 0
    state = json.loads(json.dumps(before.state_dict()))
    after = actor(seed=99, help_probability=1.0)
    after.load_state_dict(state)
    assert after.episodes == after.env.scripted_operator.episodes == before.episodes
    before.abandon_episode()
    there, here = (one.run(Still(), 40).transitions.rows for one in (before, after))
    np.testing.assert_array_equal(here[:, :NUMBER], there[:, :NUMBER])
    assert (here[:, :18] != first[:40, :18]).any()


@pytest.mark.parametrize("lifted", [False, True])
def test_a_classifier_s_mistakes_are_counted(actor, tmp_path, lifted):
    save_classifier(RewardClassifier(ClassifierShape(("front", "wrist"), 32, 18), threshold=1.0), tmp_path)
    one = actor(operator=NO_OPERATOR, demos="0", obs="pixels", image_size=16, reward_classifier=tmp_path)
    one.env.env.unwrapped.is_success = lambda: lifted
    (episode,) = one.run(Still(), 150).episodes
    assert (episode.success, episode.length) == (False, 150)
    assert (episode.simulator_success, episode.misjudged) == (lifted, 150 if lifted else 0)


def test_without_a_classifier_there_are_none(actor):
    (episode,) = actor().run(Still(), 150).episodes
    assert (episode.simulator_success, episode.misjudged) == (None, None)


def test_the_policy_asks_for_help_when_an_episode_lasts_longer_than_successful_ones(actor):
    one = actor()
    one.help_after = 4
    one.run(Still(), 4)
    assert not one.env.asks_for_help
    one.run(Still(), 1)
    assert one.env.asks_for_help
    one.abandon_episode()
    one.run(Still(), 1)
    assert not one.env.asks_for_help
