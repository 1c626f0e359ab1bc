"""A learner that many share takes each delivery once, lets nobody run away, and says why it stops."""

import threading
import time

import pytest

from hil_trainer.checkpoints import checkpoints, read_learner_state
from hil_trainer.errors import DivergenceError, LearnerError
from hil_trainer.learner.learner import LearnerSetup
from hil_trainer.learner.process import DEBT, TELL_EVERY
from hil_trainer.learner.server import NONE_YET, Delivery, LearnerServer
from hil_trainer.rollout.actor import EpisodeSummary, Rollout
from tests.hil_trainer.made_up import ACTIONS, STATE, transitions

EPISODE = EpisodeSummary(True, 10, 4, 1.0, False)


def rollout(count, **values):
    return Rollout(transitions(count, **values), [EPISODE], count, 4)


def delivery(number, content=None, *, actor="one", link=None, waits=False, knows=NONE_YET, acted_with=0):
    return Delivery(actor, link or actor, number, content, acted_with, knows, waits)


def look(server, obs=0):
    return server.account("trainer", NONE_YET, obs)


def until(holds):
    while not holds():
        time.sleep(0.01)


@pytest.fixture
def start(small, tmp_path):
    started = []

    def make(*, resume=False, directory=tmp_path, **settings):
        config = small(rollout_steps=5, actors=2, **settings)
        started.append(LearnerServer(LearnerSetup(config, STATE, ACTIONS), str(directory), resume=resume))
        return started[-1]

    yield make
    for server in started:
        server.close()


def test_nobody_acts_before_it_is_time_and_after_all_steps_are_made(start):
    server = start(steps=10)
    assert not server.exchange(delivery(-1)).go
    server.begin()
    assert server.exchange(delivery(-1)).go
    assert server.exchange(delivery(0, rollout(5), waits=True)).go
    assert not server.exchange(delivery(1, rollout(5), waits=True)).go


def test_what_comes_twice_is_taken_once(start):
    server = start()
    for number in (0, 0, 1, 1, 0):
        server.exchange(delivery(number, rollout(5)))
    server.exchange(delivery(0, rollout(5), actor="two"))
    assert [report.steps for _, report in look(server).reports] == [5, 5, 5]


def test_who_takes_the_place_of_another_is_heard_from_the_first_delivery_on(start):
    server = start()
    for link in ("first", "second"):
        for number in range(3):
            server.exchange(delivery(number, rollout(5), link=link))
    assert len(look(server).reports) == 6


def test_reports_are_told_until_they_have_arrived(start):
    server = start()
    server.exchange(delivery(0, rollout(5)))
    server.exchange(delivery(1, rollout(3)))
    account = look(server)
    assert [report.steps for _, report in account.reports] == [5, 3]
    last = account.reports[-1][0]
    assert [report.steps for _, report in look(server, last).reports] == [5, 3]  # to one who knows another learner
    assert server.account("trainer", account.version, last).reports == []
    report = account.reports[0][1]
    assert (report.actor, report.operator_steps, report.episodes) == ("one", 4, [EPISODE])
    server.leave("one")
    ((_, report),) = server.account("trainer", account.version, last).reports
    assert report.leaves


def test_weights_are_sent_to_who_does_not_have_them(start):
    server = start()
    order = server.exchange(delivery(-1))
    assert order.weights
    assert server.exchange(delivery(-1, knows=order.version)).weights is None
    assert server.exchange(delivery(-1, knows=None)).weights is None
    server.exchange(delivery(0, rollout(5)))
    until(lambda: look(server).steps == 5)
    order = server.exchange(delivery(-1, knows=order.version))
    assert order.weights
    assert (order.learned, order.episodes) == (5, 1)


def test_actors_that_wait_act_with_weights_of_bounded_staleness(start):
    server = start(utd_ratio=2)
    server.begin()

    def act(name):
        learned = 0
        for number in range(30):
            order = server.exchange(delivery(number, rollout(5), actor=name, waits=True, acted_with=learned))
            while not order.go:
                order = server.exchange(delivery(number, actor=name, waits=True))
            learned = order.learned

    threads = [threading.Thread(target=act, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert look(server).staleness <= 3 * 2 * 5 + TELL_EVERY
    until(lambda: look(server).steps == 300)
    assert look(server).updates == 600


def test_staleness_is_told_as_the_steps_that_weights_had_not_learned_from(start):
    server = start()
    server.begin()
    for number in range(4):
        server.exchange(delivery(number, rollout(5), acted_with=0))
    assert look(server).staleness == 15
    assert look(server).staleness == 0


def test_a_learner_that_nobody_waits_for_leaves_out_what_it_owes(start):
    server = start(utd_ratio=4, wait=False)
    server.begin()
    for number in range(20):
        assert server.exchange(delivery(number, rollout(50), waits=True)).go
    until(lambda: look(server).steps == 1000)
    assert DEBT <= look(server).updates / 4 < 1000


def test_a_checkpoint_has_what_came_before_and_is_gone_on_from(start, tmp_path):
    server = start()
    server.begin()
    server.exchange(delivery(0, rollout(5)))
    server.save(3, 5, {"actor": {"episodes": 7}})
    until(lambda: look(server).saved == 3)
    (checkpoint,) = checkpoints(tmp_path)
    assert read_learner_state(checkpoint)["updates"] <= 5
    again = start(resume=True)
    account = look(again)
    assert account.checkpoint == checkpoint.name
    assert account.steps == 5
    assert account.version[0] != look(server).version[0]
    assert again.exchange(delivery(-1)).episodes == 7


def test_a_loss_that_is_not_finite_sends_all_home_and_is_told(start):
    server = start()
    server.begin()
    server.exchange(delivery(0, rollout(5, reward=float("nan")), waits=True))
    until(lambda: look(server).error is not None)
    assert isinstance(look(server).error, DivergenceError)
    assert server.exchange(delivery(1)).over


def test_when_all_are_sent_home_what_came_in_is_learned_and_saved(start, tmp_path):
    server = start()
    server.begin()
    server.exchange(delivery(0, rollout(3 * TELL_EVERY)))
    server.dismiss()
    assert server.exchange(delivery(-1)).over
    until(lambda: look(server).steps == 3 * TELL_EVERY)
    server.save(0, 30, {})
    until(lambda: look(server).saved == 0)
    assert checkpoints(tmp_path)


def test_a_learner_where_the_folder_is_not_says_so(start, tmp_path):
    with pytest.raises(LearnerError, match=r"is not.*--out"):
        start(directory=tmp_path / "elsewhere")
