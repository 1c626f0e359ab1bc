"""The learner that actors on Ray share, without Ray: whom it lets act, what it reports, and why it stops."""

import subprocess
import sys
import tempfile
import threading
import time

import pytest

from gym_hil.errors import MissingExtraError
from hil_trainer.checkpoints import checkpoints, read_learner_state
from hil_trainer.data.transitions import EpisodeSummary
from hil_trainer.errors import DivergenceError, LearnerError
from hil_trainer.learner import ray as module
from hil_trainer.learner.learner import MAX_DEBT, PUBLISH_EVERY, LearnerSetup
from hil_trainer.learner.ray import NO_VERSION, TRAINER, ActorMessage, RayLearner, load_ray, short_temporary_folder
from tests.hil_trainer.made_up import ACTIONS, STATE, rollout

EPISODE = EpisodeSummary(True, 10, 4, 1.0, False)


def message(content=None, *, actor="one", session="first", policy_steps=0, version=NO_VERSION, waits=False):
    if content is not None:
        content = content._replace(episodes=[EPISODE], operator_steps=4)
    return ActorMessage(actor, session, content, policy_steps, version, waits)


def poll(learner):
    return learner.poll(NO_VERSION)


def until(holds):
    while not holds():
        time.sleep(0.01)


@pytest.fixture
def start(small, tmp_path):
    started = []

    def make(*, directory=tmp_path, resume=False, restarted=False, put=lambda weights: weights, **settings):
        setup = LearnerSetup(small(rollout_steps=5, actors=2, **settings), STATE, ACTIONS)
        started.append(RayLearner(setup, str(directory), resume=resume, restarted=restarted, put=put))
        return started[-1]

    yield make
    for learner in started:
        learner.close()


def test_actors_act_from_the_start_until_all_steps_are_made(start):
    learner = start(steps=10)
    assert not learner.exchange(message()).act
    learner.start()
    assert learner.exchange(message()).act
    assert learner.exchange(message(rollout(5), waits=True)).act
    assert not learner.exchange(message(rollout(5), waits=True)).act
    learner.stop()
    assert learner.exchange(message()).stop


def test_steps_of_actors_are_reported_once_and_the_training_s_own_are_not(start):
    learner = start()
    learner.exchange(message(rollout(5)))
    learner.exchange(message(rollout(3), actor=TRAINER))
    status = poll(learner)
    assert (status.steps, status.operator_steps, status.episodes) == (5, 4, [EPISODE])
    assert status.sessions == {"one": "first", TRAINER: "first"}
    assert (poll(learner).steps, poll(learner).episodes) == (0, [])
    assert learner.exchange(message(session="second")).episodes == 2
    learner.leave("one")
    assert poll(learner).left == ["one"]


def test_weights_are_sent_to_actors_that_do_not_have_them(start):
    learner = start()
    reply = learner.exchange(message())
    assert reply.weights
    until(lambda: poll(learner).version[1] == 2)  # published at the start, and by the thread
    reply = learner.exchange(message())
    assert not learner.exchange(message(version=reply.version)).weights
    learner.exchange(message(rollout(5)))
    until(lambda: poll(learner).snapshot.env_steps == 5)
    newer = learner.exchange(message(version=reply.version))
    assert newer.weights
    assert newer.policy_steps == 5


def test_actors_are_answered_while_weights_are_stored(start):
    storing, stored, calls = threading.Event(), threading.Event(), []

    def put(weights):
        calls.append(weights)
        if len(calls) > 2:
            storing.set()
            assert stored.wait(60)

    learner = start(put=put)
    learner.exchange(message(rollout(5)))
    assert storing.wait(60)
    answered = threading.Thread(target=lambda: learner.exchange(message(rollout(5))))
    answered.start()
    answered.join(30)
    is_blocked = answered.is_alive()
    stored.set()
    assert not is_blocked


def test_actors_that_wait_act_with_weights_of_bounded_staleness(start):
    learner = start(utd_ratio=2)
    learner.start()

    def act(name):
        policy_steps = 0
        for _ in range(30):
            reply = learner.exchange(message(rollout(5), actor=name, waits=True, policy_steps=policy_steps))
            while not reply.act:
                reply = learner.exchange(message(actor=name, waits=True))
            policy_steps = reply.policy_steps

    threads = [threading.Thread(target=act, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = poll(learner)
    assert status.staleness <= 3 * 2 * 5 + PUBLISH_EVERY
    assert poll(learner).staleness == 0
    until(lambda: poll(learner).snapshot.env_steps == 300)
    assert poll(learner).snapshot.updates == 600


def test_a_learner_that_no_actor_waits_for_skips_updates(start):
    learner = start(utd_ratio=4, wait=False)
    learner.start()
    for _ in range(20):
        assert learner.exchange(message(rollout(50), waits=True)).act
    until(lambda: poll(learner).snapshot.env_steps == 1000)
    assert MAX_DEBT <= poll(learner).snapshot.updates / 4 < 1000


def test_a_learner_that_is_started_again_goes_on_from_its_checkpoint(start, tmp_path):
    learner = start()
    assert poll(learner).restarted_from is None
    learner.exchange(message(rollout(5)))
    learner.save(5, {"actor": {"episodes": 7}})
    (checkpoint,) = checkpoints(tmp_path)
    assert read_learner_state(checkpoint)[0]["updates"] <= 5
    again = start(restarted=True)
    status = poll(again)
    assert status.restarted_from == checkpoint.name
    assert status.snapshot.env_steps == 5
    assert status.version[0] != poll(learner).version[0]
    reply = again.exchange(message())
    assert (reply.act, reply.episodes) == (True, 7)


def test_an_error_ends_the_training_of_all(start, tmp_path):
    learner = start()
    learner.start()
    learner.exchange(message(rollout(5, reward=float("nan")), waits=True))
    until(lambda: poll(learner).error is not None)
    assert isinstance(poll(learner).error, DivergenceError)
    assert learner.exchange(message()).stop
    learner.save(0, {})
    assert checkpoints(tmp_path) == []


def test_a_checkpoint_that_cannot_be_written_is_noticed(start, tmp_path):
    learner = start()
    (tmp_path / "checkpoints").write_text("in the way")
    learner.save(0, {})
    assert "No checkpoint can be written" in str(poll(learner).error)


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


def test_without_ray_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gym-hil\[ray\]'"):
        load_ray()


def test_training_without_ray_does_not_load_it():
    code = "import sys, hil_trainer.train, hil_trainer.cli.train; print('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
