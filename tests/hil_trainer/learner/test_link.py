"""What an actor did arrives in order and once, whatever befalls the way; and it never runs away from the learner."""

import threading

import numpy as np
import pytest

from hil_trainer.learner.link import GoneError, Link, UnreachableError, act
from hil_trainer.learner.server import Order
from hil_trainer.rollout.actor import Rollout

ORDER = Order(("life", 0), {"bias": np.zeros(2)}, learned=0, episodes=0, go=True, over=False)


def rollout(number):
    return Rollout([], [], number, 0)


class Learner:
    """Answers as it is told, and notes what it hears."""

    def __init__(self):
        self.heard = []
        self.order = ORDER
        self.raises = []
        self.open = threading.Event()
        self.open.set()

    def exchange(self, delivery):
        self.open.wait()
        if self.raises:
            raise self.raises.pop(0)
        if delivery.rollout is not None:
            self.heard.append(delivery.rollout.steps)
        weights = self.order.weights if delivery.knows not in (None, self.order.version) else None
        return self.order._replace(weights=weights)


@pytest.fixture
def learner():
    return Learner()


@pytest.fixture
def connect(learner, monkeypatch):
    monkeypatch.setattr("hil_trainer.learner.link._RETRY_AFTER", 0.01)
    links = []

    def make(**options):
        links.append(Link("one", learner.exchange, **{"waits": True, **options}))
        return links[-1]

    yield make
    learner.open.set()
    for link in links:
        link.close()


def test_deliveries_survive_a_learner_that_does_not_answer_for_a_while(learner, connect):
    link = connect()
    assert link.ready()
    learner.raises = [UnreachableError()] * 3
    for number in range(5):
        link.deliver(rollout(number))
    link.close()
    assert learner.heard == [0, 1, 2, 3, 4]
    assert link.sent == 4
    assert not link.is_lost


def test_who_waits_is_never_more_than_one_delivery_ahead(learner, connect):
    link = connect()
    assert link.ready()
    learner.open.clear()
    link.deliver(rollout(0))
    assert link.ready()
    link.deliver(rollout(1))
    acting = threading.Thread(target=link.ready)
    acting.start()
    acting.join(0.2)
    assert acting.is_alive()
    learner.open.set()
    acting.join()


def test_a_operator_goes_on_while_the_learner_does_not_answer(learner, connect):
    link = connect(waits=False)
    assert link.ready()
    learner.open.clear()
    for number in range(60):
        assert link.ready()
        link.deliver(rollout(number))
    learner.open.set()
    link.close()
    assert learner.heard == list(range(60))


def test_nobody_acts_while_told_to_wait(learner, connect):
    learner.order = ORDER._replace(go=False)
    link = connect()
    acting = threading.Thread(target=link.ready)
    acting.start()
    acting.join(0.2)
    assert acting.is_alive()
    learner.order = ORDER
    acting.join()


def test_the_end_of_training_is_no_loss_but_that_of_the_learner_is(learner, connect):
    link = connect()
    assert link.ready()
    learner.order = ORDER._replace(over=True)
    link.deliver(rollout(0))
    while link.ready():
        link.deliver(rollout(1))
    assert not link.is_lost
    learner.order, learner.raises = ORDER, [GoneError()]
    other = connect()
    assert not other.ready()
    assert other.is_lost


def test_what_should_not_happen_is_told_to_who_acts(learner, connect):
    learner.raises = [KeyError("surprise")]
    with pytest.raises(KeyError, match="surprise"):
        connect().ready()


def test_weights_stay_until_newer_ones_come(learner, connect):
    link = connect()
    assert link.ready()
    first = link.orders()[1]
    link.deliver(rollout(0))
    link.deliver(rollout(1))
    assert link.ready()
    assert link.orders()[1] is first
    learner.order = ORDER._replace(version=("life", 1), weights={"bias": np.ones(2)}, learned=9)
    while link.orders()[0].version != ("life", 1):
        link.deliver(rollout(2))
        assert link.ready()
    assert link.orders()[1]["bias"].sum() == 2


class OneWhoStops:
    """An actor that wants to stop after three rollouts."""

    def __init__(self):
        self.made, self.episodes = 0, None

    def set_episodes(self, number):
        self.episodes = number

    def run(self, policy, steps):
        self.made += 1
        return Rollout([], [], steps, 0, quit=self.made == 3)


def test_acting_ends_when_the_operator_wants_to_stop(learner, connect, monkeypatch):
    monkeypatch.setattr("hil_trainer.learner.link.load_weights", lambda policy, weights: None)
    learner.order = ORDER._replace(episodes=12)
    link, actor = connect(), OneWhoStops()
    assert act(actor, None, link, 5) == 15
    link.close()
    assert learner.heard == [5, 5, 5]
    assert actor.episodes == 12
