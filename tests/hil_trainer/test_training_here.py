"""What a run decides, with a learner and an evaluator that are here instead of in processes of their own."""

import dataclasses
import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gym_hil.cli import main as gym_hil_main
from gym_hil.datasets import EpisodeDataset
from gym_hil.errors import ConfigurationError
from gym_hil.teleop import Device, Event, TeleopCommand
from hil_trainer.agents.policy import ResidualPolicyShape
from hil_trainer.agents.policy_file import load_policy
from hil_trainer.checkpoints import checkpoints, read_learner_state, read_run_state
from hil_trainer.config import to_dict
from hil_trainer.errors import CheckpointError
from hil_trainer.learner.learner import LearnerLoop, SaveRequest, StopRequest
from hil_trainer.logging.metrics import DISCARDED, FILE, read_metrics
from hil_trainer.train import Training
from tests.hil_trainer.evaluator_here import EvaluatorHere


class LearnerHere:
    """Learns at once."""

    def __init__(self, setup, directory, *, lockstep, checkpoint=None, env_steps=0):
        self.loop = LearnerLoop(setup, directory, lockstep=True, checkpoint=checkpoint, env_steps=env_steps)
        self.demo_buffer, self.online_buffer = self.loop.learner.demo_buffer, self.loop.learner.online_buffer

    def _handle(self, message):
        messages = [message, StopRequest()]
        self.loop.run(lambda block: messages.pop(0), lambda snapshot: None)

    def send(self, rollout):
        self._handle(rollout)

    def snapshot(self, *, rollouts=0):
        return self.loop.snapshot()

    def save(self, step, run):
        self._handle(SaveRequest(step, run))

    def close(self):
        pass


class Stops(Device):
    """Wants to stop at some step of all that are made."""

    human = False
    demonstrates, episodes = False, 0

    def __init__(self, step):
        self.left = step

    def attach(self, env):
        pass

    def poll(self):
        self.left -= 1
        return TeleopCommand(events=[Event.QUIT] if self.left == 0 else [])


class Late(Device):
    """A human who comes late, watches one demonstration, and drives in the others."""

    human = True
    demonstrates, episodes = False, 0

    def __init__(self):
        self.polls, self.resets = 0, 0

    def attach(self, env):
        pass

    def reset(self):
        self.resets += 1

    @property
    def present(self):
        return self.polls > 3

    def poll(self):
        self.polls += 1
        drives = self.resets != 1 or self.polls == 5  # the motion that starts the first one
        events = [Event.SUCCESS] if self.polls % 7 == 0 and self.present else []
        return TeleopCommand(motion=np.array([0, 0, 0.1 * drives, 0, 0, 0]), engaged=drives, events=events)


@pytest.fixture
def start(monkeypatch):
    """Starts runs; `rates` are what evaluations find, `stops` is the step at which the operator wants to stop."""
    started = []

    def make(config, directory, *, resume=False, rates=(), stops=None):
        monkeypatch.setattr("hil_trainer.train.ProcessLearner", LearnerHere)
        monkeypatch.setattr("hil_trainer.rollout.run_evaluations.Evaluator", lambda config, shape: EvaluatorHere(rates))
        monkeypatch.setattr("hil_trainer.train.RunEvaluations.final", lambda self: None)
        with monkeypatch.context() as patched:
            if stops is not None:
                patched.setattr("hil_trainer.rollout.env.ScheduledOperator", lambda config: Stops(stops))
            started.append(Training(config, directory, resume=resume))
        return started[-1]

    yield make
    for run in started:
        run.close()


def rows(directory, kind):
    return [row for row in read_metrics(directory) if row["kind"] == kind]


def test_a_run_ends_once_many_episodes_reach_the_target(small, start, tmp_path):
    config = small(steps=500, every=20, quick_episodes=20, episodes=100, evaluation_seed=7)
    outcome = start(config, tmp_path, rates=[0.5, 1.0, 0.97, 1.0, 0.99]).run()
    found = [(row["purpose"], row["step"], row["successes"]) for row in rows(tmp_path, "evaluation")]
    assert [(purpose, successes) for purpose, _, successes in found] == [
        ("quick", 10), ("quick", 20), ("full", 97), ("quick", 20), ("full", 99),
    ]  # fmt: skip
    # A full evaluation is of the policy that the quick one was of.
    assert found[1][1] == found[2][1]
    assert found[3][1] == found[4][1] == outcome.reached.step
    assert outcome.steps < 500


def test_a_policy_that_was_exported_after_the_last_checkpoint_is_kept(small, start, tmp_path):
    config = small(steps=30, every=10, quick_episodes=10, episodes=20)
    killed = start(config, tmp_path, rates=[0.8])
    save = killed._save
    killed._save = lambda: None if killed._step else save()
    killed.run()
    exported = (tmp_path / "policy.safetensors").read_bytes()
    resumed = start(config, tmp_path, resume=True, rates=[0.5])
    assert resumed.run().steps == 30
    assert "resumed from checkpoints/step_00000000" in [row["text"] for row in rows(tmp_path, "event")]
    assert (tmp_path / "policy.safetensors").read_bytes() == exported


def test_a_kill_amid_demonstrations_costs_only_those_since_the_checkpoint(small, start, tmp_path):
    config = small(steps=20, demos="4")
    killed = start(config, tmp_path)

    def kill():
        raise RuntimeError("killed")

    moments = iter([killed._save, killed._save, kill])
    killed._save_if_due = lambda: next(moments)()
    with pytest.raises(RuntimeError, match="killed"):
        killed.run()
    kept = len(killed.learner.demo_buffer) - rows(tmp_path, "episode")[-1]["length"]
    resumed = start(config, tmp_path, resume=True)
    assert [row["episode"] for row in rows(tmp_path, "episode")] == [1, 2]
    assert len(resumed.learner.demo_buffer) == kept
    resumed.run()
    assert [row["episode"] for row in rows(tmp_path, "episode") if row["demonstration"]] == [1, 2, 3, 4]


def test_a_resumed_run_draws_on_where_it_was_saved(small, start, tmp_path):
    start(small(steps=20), tmp_path).run()
    resumed = start(small(steps=40), tmp_path, resume=True)
    saved = read_run_state(checkpoints(tmp_path)[-1])
    assert torch.get_rng_state().tolist() == saved["torch"]
    assert resumed.actor.state_dict() == saved["actor"]


def test_weights_and_biases_gets_the_settings_of_a_new_run(small, start, tmp_path, monkeypatch):
    started = []

    class Wandb:
        Error = RuntimeError

        def init(**options):
            started.append(options)
            return SimpleNamespace(define_metric=lambda *_, **__: None, log=lambda row: None, finish=lambda: None)

    monkeypatch.setitem(sys.modules, "wandb", Wandb)
    config = small(wandb="pick")
    start(config, tmp_path)
    assert started[0]["config"] == to_dict(config)


def test_demonstrations_go_on_where_the_operator_stopped(small, start, tmp_path):
    config = small(steps=20, demos="3", help_probability=0.0)
    run = start(config, tmp_path)
    # As if the third had been the last straw.
    demonstrate, shown = run.actor.demonstrate, []

    def tired(wait):
        shown.append(demonstrate(wait))
        return shown[-1]._replace(quit=len(shown) == 2)

    run.actor.demonstrate = tired
    outcome = run.run()
    assert outcome.stopped
    assert outcome.steps == 0
    assert read_run_state(checkpoints(tmp_path)[-1])["demonstrations"] == 2
    start(config, tmp_path, resume=True).run()
    assert [row["episode"] for row in rows(tmp_path, "episode") if row["demonstration"]] == [1, 2, 3]
    assert len({row["length"] for row in rows(tmp_path, "episode")} | {0}) > 1


def test_a_human_is_waited_for_and_what_was_not_driven_is_no_demonstration(small, start, tmp_path, monkeypatch):
    human = Late()
    monkeypatch.setattr("hil_trainer.rollout.env.ScheduledOperator", lambda config: human)
    run = start(small(steps=1, demos="2", real_time=False), tmp_path)
    demonstrate, shown = run.actor.demonstrate, []

    def watched(wait):
        shown.append(demonstrate(wait))
        return shown[-1]

    run.actor.demonstrate = watched
    run.run()
    assert [rollout.operator_steps > 0 for rollout in shown] == [False, True, True]
    found = [row for row in rows(tmp_path, "episode") if row["demonstration"]]
    assert [row["episode"] for row in found] == [1, 2]
    assert all(row["operator_steps"] for row in found)


def test_recorded_demonstrations_are_each_taken_once(small, start, tmp_path, monkeypatch):
    record = ["record", "--repo-id", "me/demo", "--root", str(tmp_path / "data"), "--device", "scripted", "--no-images"]
    assert gym_hil_main([*record, "--task", "PandaPickCube-v1", "--episodes", "3", "--seed", "0"]) == 0
    config = small(steps=10, demos=str(tmp_path / "data"), help_probability=0.0)
    run = start(config, tmp_path / "run")
    send, sent = run._send, []

    def interrupted(rollout):
        if len(sent) == 2:
            raise KeyboardInterrupt
        sent.append(rollout)
        send(rollout)

    monkeypatch.setattr(run, "_send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    resumed = start(config, tmp_path / "run", resume=True)
    resumed.run()
    frames = sum(len(episode) for episode in EpisodeDataset(tmp_path / "data"))
    assert len(resumed.learner.demo_buffer) == frames
    again = start(config, tmp_path / "run", resume=True)
    again.run()
    assert len(again.learner.demo_buffer) == frames


def test_an_operator_can_stop_and_go_on(small, start, tmp_path):
    config = small(steps=40, demos="0")
    outcome = start(config, tmp_path, stops=25).run()
    assert (outcome.stopped, outcome.steps) == (True, 25)
    assert checkpoints(tmp_path)[-1].name == "step_00000025"
    provenance = load_policy(tmp_path).description["provenance"]
    assert (provenance["step"], provenance["task"], provenance["obs"]) == (25, "PandaPickCube-v1", "state")
    assert not provenance["critics_saw_simulation_state"]
    assert start(config, tmp_path, resume=True).run().steps == 40


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(small, start, tmp_path):
    config = small(steps=20)
    (tmp_path / "config.json").write_text(json.dumps(to_dict(config)))
    old = {"kind": "event", "step": 0, "seconds": 500.0, "time": 1.0, "text": "from before"}
    (tmp_path / FILE).write_text(json.dumps(old) + "\n")
    start(config, tmp_path, resume=True).run()
    assert "from before" not in [row["text"] for row in rows(tmp_path, "event")]
    assert "from before" in (tmp_path / DISCARDED).read_text()
    seconds = [row["seconds"] for row in read_metrics(tmp_path)]
    assert seconds == sorted(seconds)
    assert seconds[-1] < 500
    assert len([row for row in rows(tmp_path, "episode") if row["demonstration"]]) == 2


def test_seconds_go_on_after_an_evaluation_that_ended_late(small, start, tmp_path):
    config = small(steps=20)
    start(config, tmp_path).run()
    with (tmp_path / FILE).open("a") as file:
        late = {**rows(tmp_path, "evaluation")[-1], "seconds": 1000.0}
        file.write(json.dumps(late) + "\n")
    start(small(steps=30), tmp_path, resume=True).run()
    seconds = [row["seconds"] for row in read_metrics(tmp_path)]
    assert seconds == sorted(seconds)
    assert seconds[-1] > 1000


def test_a_damaged_checkpoint_can_be_removed_to_use_the_one_before(small, start, tmp_path):
    config = small(steps=20)
    start(config, tmp_path).run()
    newest = checkpoints(tmp_path)[-1]
    (newest / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"step_00000020 cannot be read.*Remove it to use the previous one"):
        start(config, tmp_path, resume=True)
    shutil.rmtree(newest)
    assert start(config, tmp_path, resume=True).run().steps == 20


def test_a_poor_evaluation_at_the_end_is_followed_by_the_last_one_only(small, start, tmp_path):
    run = start(small(steps=30, every=30, quick_episodes=10, episodes=50), tmp_path, rates=[0.5, 0.6])
    assert run.run().reached is None
    found = [(row["purpose"], row["step"], row["successes"]) for row in rows(tmp_path, "evaluation")]
    assert found == [("quick", 30, 5), ("full", 30, 30)]


@pytest.mark.parametrize("privileged", [True, False])
def test_a_policy_that_learned_from_images_needs_images_and_its_robot_only(small, start, tmp_path, privileged):
    config = small(steps=20, obs="pixels", image_size=16, privileged=privileged, demos="1", gripper="discrete")
    run = start(config, tmp_path, rates=[0.5])
    run.run()
    loaded = load_policy(tmp_path)
    assert loaded.description["provenance"]["critics_saw_simulation_state"] == privileged
    observation, _ = run.env.env.reset(seed=0)
    assert observation.keys() == {"agent_pos", "pixels"}
    run.env.env.step(loaded.act(observation))
    again = start(config, tmp_path, resume=True)
    assert len(again.learner.online_buffer) == 20


def test_a_resume_with_settings_that_do_not_fit_changes_nothing(small, start, tmp_path):
    start(small(steps=20), tmp_path).run()
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(CheckpointError, match="does not fit the settings"):
        start(small(steps=30, width=24), tmp_path, resume=True)
    assert (tmp_path / "config.json").read_bytes() == before
    assert start(small(steps=30), tmp_path, resume=True).run().steps == 30


def learned_by(directory):
    """All that is learned, of the newest checkpoint of a run, by name."""
    algorithm = read_learner_state(checkpoints(directory)[-1])[0]["algorithm"]
    parts = [algorithm[name] for name in ("policy", "learned", "critic", "critic_target") if name in algorithm]
    return {f"{number} {name}": value for number, part in enumerate(parts) for name, value in part.items()}


def kill(run, step):
    """Save a run each time that it could, and kill it behind a step."""

    def save_or_die():
        if run._step > step:
            raise RuntimeError("killed")
        run._save()

    run._save_if_due = save_or_die
    with pytest.raises(RuntimeError, match="killed"):
        run.run()


def test_imitation_learns_offline_then_from_corrections_and_a_kill_changes_no_weight(small, start, tmp_path):
    chunks = {"algorithm": "bc", "chunk_size": 3, "n_action_steps": 2}
    config = small(steps=20, offline_steps=60, demos="1", patience=1, **chunks)
    whole = start(config, tmp_path / "whole", rates=[0.5])
    whole.run()
    found = [(row["purpose"], row["step"]) for row in rows(tmp_path / "whole", "evaluation")]
    assert found == [("full", 60), ("full", 80)]
    demonstrated = rows(tmp_path / "whole", "episode")[0]["operator_steps"]
    assert len(whole.learner.online_buffer) == 0
    assert len(whole.learner.demo_buffer) == demonstrated + whole._operator_steps > demonstrated
    assert load_policy(tmp_path / "whole").policy.shape.chunk_size == 3

    kill(start(config, tmp_path / "killed", rates=[0.5]), 40)
    start(config, tmp_path / "killed", resume=True, rates=[0.5]).run()
    assert read_learner_state(checkpoints(tmp_path / "killed")[-1])[0]["updates"] == 80
    first, second = learned_by(tmp_path / "whole"), learned_by(tmp_path / "killed")
    assert all(torch.equal(value, second[name]) for name, value in first.items())


ACFQL = {"algorithm": "acfql", "chunk_size": 3, "n_action_steps": 2, "flow_steps": 2, "demos": "1", "patience": 1}


def test_chunks_are_learned_from_offline_then_online_and_a_kill_changes_no_weight(small, start, tmp_path):
    config = small(steps=60, offline_steps=40, online_steps_before_learning=50, force_torque=True, **ACFQL)
    whole = start(config, tmp_path / "whole", rates=[0.5])
    whole.run()
    found = [(row["purpose"], row["step"]) for row in rows(tmp_path / "whole", "evaluation")]
    assert found == [("full", 40), ("full", 100)]
    assert len(whole.learner.online_buffer) == 60
    assert len(whole.learner.demo_buffer) == rows(tmp_path / "whole", "episode")[0]["length"] + whole._operator_steps
    assert whole.learner.loop.learner.updates == 50  # none in the first 50 online steps
    shape = load_policy(tmp_path / "whole").policy.shape
    assert type(shape) is ResidualPolicyShape
    assert dict(shape.layout.state)["force_torque"] == 6

    kill(start(config, tmp_path / "offline", rates=[0.5]), 20)
    start(config, tmp_path / "offline", resume=True, rates=[0.5]).run()
    unbroken, resumed = learned_by(tmp_path / "whole"), learned_by(tmp_path / "offline")
    assert unbroken.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in unbroken.items())

    # Online, the running episode is lost with a kill; the same checkpoint goes on in the same way.
    shutil.copytree(tmp_path / "whole", tmp_path / "copy")
    config = dataclasses.replace(config, steps=80)
    for name in ("whole", "copy"):
        start(config, tmp_path / name, resume=True).run()
    one, other = learned_by(tmp_path / "whole"), learned_by(tmp_path / "copy")
    assert all(torch.equal(value, other[part]) for part, value in one.items())
    assert any((value != unbroken[part]).any() for part, value in one.items())


def test_what_was_learned_offline_goes_on_online_without_more_of_it(small, start, tmp_path):
    start(small(steps=0, offline_steps=60, **ACFQL), tmp_path, rates=[0.5]).run()
    config = small(steps=20, offline_steps=0, **ACFQL)
    assert start(config, tmp_path, resume=True).run().steps == 80
    assert [row["step"] for row in rows(tmp_path, "evaluation")] == [60, 80]
    assert start(config, tmp_path, resume=True).run().steps == 80


@pytest.mark.parametrize("algorithm", ["bc", "acfql"])
def test_a_run_starts_from_an_imitated_policy_of_the_same_chunks(small, start, tmp_path, algorithm):
    chunks = {"chunk_size": 3, "n_action_steps": 2, "demos": "1"}
    start(small(algorithm="bc", steps=0, offline_steps=30, **chunks), tmp_path / "imitated", rates=[0.5]).run()
    imitated = load_policy(tmp_path / "imitated").policy
    chunks |= {"algorithm": algorithm, "init": tmp_path / "imitated"}
    run = start(small(steps=10, **chunks), tmp_path / "run")
    started = run.learner.snapshot().weights
    assert all((started[name] == value.numpy()).all() for name, value in imitated.state_dict().items())
    run.run()
    changed = run.learner.snapshot().weights
    assert any((changed[name] != value).any() for name, value in started.items())

    def refused(message, **changes):
        with pytest.raises(ConfigurationError, match=message):
            start(small(steps=10, **{**chunks, **changes}), tmp_path / "other")
        assert not (tmp_path / "other" / "config.json").exists()

    refused("chunk_size is 4 instead of 3", chunk_size=4)
    refused("environment_state has 15 numbers instead of 3 numbers", task="PandaArrangeBoxes-v1")
    refused("cameras are front, wrist instead of none", obs="pixels", image_size=16)
    refused("force_torque has 6 numbers instead of 0 numbers", force_torque=True)
    if algorithm == "acfql":
        refused("was not imitated", init=tmp_path / "run")


def test_imitation_goes_on_with_the_chunks_that_it_began_with(small, start, tmp_path):
    settings = {"algorithm": "bc", "offline_steps": 50, "steps": 0, "demos": "1"}
    start(small(chunk_size=4, **settings), tmp_path).run()
    with pytest.raises(CheckpointError, match=r"does not fit the settings.*--bc's of chunks"):
        start(small(chunk_size=5, **settings), tmp_path, resume=True)


OWN = """
import numpy as np
from gym_hil.teleop import Device, TeleopCommand

class Operator(Device):
    human = False

    def __init__(self, size):
        self.size = size

    @classmethod
    def for_env(cls, env):
        return cls(env.action_space.shape)

    def observe(self, observation, reward):
        self.sign = np.sign(observation[0])

    def poll(self):
        return TeleopCommand(engaged=True, action=np.full(self.size, self.sign, np.float32))

def upright(observation, info):
    return observation[0] > 0.9
"""


@pytest.mark.parametrize(
    "settings",
    [
        {"task": "Pendulum-v1", "env_kwargs": ("g=9.0",), "action_map": "x=0", "success": "own:upright"},
        {"task": "Pusher-v5", "reward": "dense", "max_episode_steps": 60},
    ],
    ids=lambda settings: settings["task"],
)
def test_any_environment_is_learned_with_an_operator_of_one_s_own(small, start, tmp_path, monkeypatch, settings):
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    config = small(operator="own:Operator", steps=200, **settings)
    training = start(config, tmp_path / "run")
    outcome = training.run()
    assert outcome.steps == 200
    rows = read_metrics(tmp_path / "run")
    episodes = [row for row in rows if row["kind"] == "episode"]
    assert [row["operator_steps"] for row in episodes[:2]] == [row["length"] for row in episodes[:2]]
    assert any(0 < row["operator_steps"] < row["length"] for row in episodes[2:])
    loaded = load_policy(tmp_path / "run")
    env = training.env.env
    observation, _ = env.reset(seed=0)
    assert env.action_space.contains(loaded.act(observation))
    assert loaded.policy.features.offset.any()
    assert loaded.description["provenance"]["env"]["env_kwargs"] == list(config.env.env_kwargs)


@pytest.mark.parametrize(
    ("algorithm", "encoder"), [("bc", "tests.hil_trainer.agents.tiny_encoder:network"), ("acfql", None)]
)
def test_imitation_from_images_is_exported_with_its_encoder(small, start, tmp_path, algorithm, encoder):
    settings = {"obs": "pixels", "image_size": 16, "encoder": encoder, "encoder_size": 16, "encoded_copies": 2}
    config = small(algorithm=algorithm, steps=10, offline_steps=10, demos="1", **settings)
    run = start(config, tmp_path, rates=[0.5])
    run.run()
    observation, _ = run.env.env.reset(seed=0)
    run.env.env.step(load_policy(tmp_path).act(observation))


def test_when_to_ask_for_help_is_known_from_successful_episodes_and_outlasts_a_kill(small, start, tmp_path):
    config = small(steps=60, offline_steps=20, episodes=2, ask=True, algorithm="bc", chunk_size=3, n_action_steps=2)
    run = start(config, tmp_path, rates=[(0.5, 90)])
    run.run()
    assert run.actor.help_after == 90  # those that it succeeded in last longer than the demonstrations
    first = [row["length"] for row in rows(tmp_path, "episode")]
    again = start(dataclasses.replace(config, steps=70), tmp_path, resume=True)
    again.run()
    assert again._demonstrated == first[:2]
    assert again.actor.help_after == 90
