"""The learner that actors on Ray share, without Ray: whom it lets act, what it reports, and why it stops."""

import sys
import tempfile
import threading
import time

import pytest

from gym_hil.errors import ConfigurationError, MissingExtraError
from hil_trainer.checkpoints import checkpoints, read_learner_state
from hil_trainer.data.transitions import EpisodeSummary
from hil_trainer.errors import DivergenceError, LearnerError
from hil_trainer.learner import ray as module
from hil_trainer.learner.learner import MAX_DEBT, PUBLISH_EVERY, Learner, LearnerSetup, StopRequest
from hil_trainer.learner.ray import NO_VERSION, RayLearner, Report, connected, short_temporary_folder
from tests.hil_trainer.made_up import ACTIONS, STATE, rollout

EPISODE = EpisodeSummary(True, 10, 4, 1.0, False)


def exchange(learner, steps=0, *, policy_steps=0, version=NO_VERSION, waits=False, **values):
    content = rollout(steps, **values)._replace(episodes=[EPISODE], operator_steps=4) if steps else None
    return learner.exchange(content, policy_steps, version, waits=waits)


def snapshot(learner):
    return learner.report(NO_VERSION)[-1]


def until(holds):
    while not holds():
        time.sleep(0.01)


@pytest.fixture
def start(small, tmp_path):
    started = []

    def make(*, directory=tmp_path, restarted=False, **settings):
        setup = LearnerSetup(small(rollout_steps=5, actors=2, **settings), STATE, ACTIONS)
        started.append(RayLearner(setup, str(directory), resume=False, restarted=restarted))
        return started[-1]

    yield make
    for learner in started:
        learner._inbox.append(StopRequest())


def test_actors_act_from_the_start_until_all_steps_are_made(start):
    learner = start(steps=10)
    assert not exchange(learner).act
    learner.start()
    assert exchange(learner).act
    assert exchange(learner, 5, waits=True).act
    assert not exchange(learner, 5, waits=True).act
    learner.stop()
    assert exchange(learner).stop


def test_steps_of_actors_are_reported_once_and_the_training_s_own_are_not(start):
    learner = start()
    learner.log("one has joined")
    exchange(learner, 5)
    learner.add(rollout(3)._replace(episodes=[EPISODE]), 0)
    report = learner.report(NO_VERSION)[0]
    assert report == Report(5, 4, (EPISODE,), staleness=5, events=("one has joined",))
    assert learner.report(NO_VERSION)[0] == Report()
    assert exchange(learner).episodes == 2


def test_weights_are_sent_to_those_that_do_not_have_them(start):
    learner = start()
    exchange(learner, 5)
    until(lambda: snapshot(learner).env_steps == 5)
    reply = exchange(learner)
    assert reply.snapshot.weights
    assert reply.snapshot.env_steps == 5
    assert exchange(learner, version=reply.version).snapshot is None
    *_, version, without = learner.report(reply.version)
    assert (version, without.weights) == (reply.version, {})


def test_actors_are_answered_while_weights_are_copied(start, monkeypatch):
    learner = start()
    copying, copied, weights = threading.Event(), threading.Event(), Learner.weights

    def slow(self):
        copying.set()
        assert copied.wait(60)
        return weights(self)

    monkeypatch.setattr(Learner, "weights", slow)
    exchange(learner, 5)
    assert copying.wait(60)
    answered = threading.Thread(target=exchange, args=(learner, 5))
    answered.start()
    answered.join(30)
    is_blocked = answered.is_alive()
    copied.set()
    assert not is_blocked


def test_actors_that_wait_act_with_weights_of_bounded_staleness(start):
    learner = start(utd_ratio=2)
    learner.start()

    def act():
        policy_steps = 0
        for _ in range(10):
            reply = exchange(learner, 5, waits=True, policy_steps=policy_steps)
            while not reply.act:
                reply = exchange(learner, waits=True)
            policy_steps = reply.snapshot.env_steps

    threads = [threading.Thread(target=act) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert learner.report(NO_VERSION)[0].staleness <= 3 * 2 * 5 + PUBLISH_EVERY
    until(lambda: snapshot(learner).env_steps == 100)
    assert snapshot(learner).updates == 200


def test_a_learner_that_no_actor_waits_for_skips_updates(start):
    learner = start(utd_ratio=4, wait=False)
    learner.start()
    for _ in range(20):
        assert exchange(learner, 50, waits=True).act
    until(lambda: snapshot(learner).env_steps == 1000)
    assert MAX_DEBT <= snapshot(learner).updates / 4 < 1000


def test_a_learner_that_is_started_again_goes_on_from_its_checkpoint(start, tmp_path):
    learner = start()
    exchange(learner, 5)
    learner.save(5, {"actor": {"episodes": 7}})
    (checkpoint,) = checkpoints(tmp_path)
    assert read_learner_state(checkpoint)[0]["updates"] <= 5
    again = start(restarted=True)
    report, _, _, now = again.report(NO_VERSION)
    assert report.events == (f"the learner was started again from {checkpoint.name}; actors go on",)
    assert now.env_steps == 5
    reply = exchange(again)
    assert (reply.act, reply.episodes) == (True, 7)
    assert reply.version != exchange(learner).version


def test_an_error_ends_the_training_of_all(start, tmp_path):
    learner = start()
    learner.start()
    exchange(learner, 5, reward=float("nan"), waits=True)
    until(lambda: learner.report(NO_VERSION)[1] is not None)
    assert isinstance(learner.report(NO_VERSION)[1], DivergenceError)
    assert exchange(learner).stop
    learner.save(0, {})
    assert checkpoints(tmp_path) == []


def test_a_checkpoint_that_cannot_be_written_is_noticed(start, tmp_path):
    learner = start()
    (tmp_path / "checkpoints").write_text("in the way")
    learner.save(0, {})
    assert "No checkpoint can be written" in str(learner.report(NO_VERSION)[1])


def test_a_learner_on_a_machine_without_the_folder_is_refused(start, tmp_path):
    with pytest.raises(LearnerError, match=r"does not exist.*--out"):
        start(directory=tmp_path / "elsewhere")


@pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")
def test_a_temporary_folder_whose_path_is_too_long_is_replaced_or_refused_with_advice(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert short_temporary_folder() is None
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("x" * 60)))
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr(module, "_SHORT_FOLDERS", (str(tmp_path / "missing"), short))
        assert str(short_temporary_folder()).startswith(short)
    with pytest.raises(LearnerError, match=r"Set RAY_TMPDIR to a folder whose path has at most \d+ characters"):
        short_temporary_folder()


def test_what_cannot_be_connected_to_is_named(monkeypatch):
    with pytest.raises(ConfigurationError, match="expected host:port"), connected("ray://host:10001"):
        pass
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gym-hil\[ray\]'"), connected("local"):
        pass
