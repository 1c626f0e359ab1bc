"""Evaluations choose the exported policy, also after a kill; the final one has seeds of its own."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hil_trainer.agents.policy import Policy, PolicyShape
from hil_trainer.agents.policy_file import load_policy
from hil_trainer.config import NO_OPERATOR
from hil_trainer.errors import CheckpointError
from hil_trainer.logging.status import TrainingStatus
from hil_trainer.rollout.env import RolloutEnv
from hil_trainer.rollout.run_evaluations import Candidate, RunEvaluations
from tests.hil_trainer.evaluator_here import EvaluatorHere


class Run:
    """As much of a run as is evaluated."""

    def __init__(self, config, directory):
        self.config, self.directory = config, directory
        self.env = RolloutEnv(config, operator=NO_OPERATOR)
        self.policy = Policy(PolicyShape(self.env.layout, self.env.actions, config.agent.width))
        self.evaluator, self.said, self.rows = None, io.StringIO(), []

    def log(self, kind, at, /, **values):
        self.rows.append({"kind": kind, "step": at, **values})
        return 0.5 * at

    def evaluations(self, rates, *, step=0, resume=False):
        """Begin to evaluate; `rates` are what is found."""
        self.evaluator = EvaluatorHere(rates)
        return RunEvaluations(
            self.config,
            self.directory,
            self.env,
            self.policy,
            step=step,
            resume=resume,
            log=self.log,
            progress=TrainingStatus(self.said),
        )

    def candidate(self, step):
        """A policy whose weights are its step."""
        weights = {name: np.full(value.shape, step, np.float32) for name, value in self.policy.state_dict().items()}
        return Candidate(step, step // 2, 4 * step, weights)

    def exported(self):
        """The step of the exported policy, of which its weights are too."""
        loaded = load_policy(self.directory)
        step = loaded.description["provenance"]["step"]
        assert all(bool((value == step).all()) for value in loaded.policy.state_dict().values())
        return step


@pytest.fixture
def run(small, tmp_path, monkeypatch):
    config = small(demos="0", every=20, quick_episodes=10, episodes=100, evaluation_seed=7)
    run = Run(config, tmp_path)
    monkeypatch.setattr("hil_trainer.rollout.run_evaluations.Evaluator", lambda config, shape: run.evaluator)
    yield run
    run.env.close()


def test_few_episodes_come_regularly_and_many_follow_near_the_target(run):
    evaluations = run.evaluations([0.5, 1.0, 0.98, 0.9, 1.0, 0.99], step=100)
    for step in range(100, 201, 10):
        evaluations.advance(run.candidate(step))
    found = [(row["purpose"], row["step"], row["successes"]) for row in run.rows]
    # The many are of the policy that the few were of.
    assert found == [
        ("quick", 120, 5), ("quick", 140, 10), ("full", 140, 98), ("quick", 160, 9), ("quick", 180, 10),
        ("full", 180, 99),
    ]  # fmt: skip
    assert run.evaluator.asked == [(10, 7), (10, 7), (100, 7), (10, 7), (10, 7), (100, 7)]
    reached = evaluations.reached
    assert (reached.step, reached.operator_steps, reached.seconds) == (180, 90, 90.0)
    assert "target reached: 99% after 180 steps" in run.said.getvalue()


def test_a_resume_does_not_put_evaluations_off(run):
    evaluations = run.evaluations([0.5, 0.5, 0.5], step=115, resume=True)
    for step in (115, 120, 133, 139, 140, 141):
        evaluations.advance(run.candidate(step))
    evaluations.finish()
    assert [row["step"] for row in run.rows] == [120, 140]


def test_what_is_under_way_at_the_end_is_waited_for(run):
    evaluations = run.evaluations([1.0, 0.97, 0.4])
    evaluations.advance(run.candidate(20))
    evaluations.finish()
    evaluations.finish()
    evaluations.decide(run.candidate(25))
    found = [(row["purpose"], row["step"], row["successes"]) for row in run.rows]
    assert found == [("quick", 20, 10), ("full", 20, 97), ("full", 25, 40)]
    assert evaluations.reached is None


def test_the_best_policy_is_exported_and_nothing_is_drawn_for_it(run):
    evaluations, drawn = run.evaluations([0.2, 0.7, 0.1, 0.4]), torch.get_rng_state()
    for step in range(20, 121, 20):
        evaluations.advance(run.candidate(step))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert run.exported() == 40
    provenance = load_policy(run.directory).description["provenance"]
    found = provenance["evaluation"]
    assert (found["episodes"], found["successes"], found["seed"]) == (10, 7, 7)
    assert (found["outcomes"], found["lengths"]) == ([True] * 7 + [False] * 3, [20] * 10)
    assert (provenance["operator_steps"], provenance["updates"]) == (20, 160)
    evaluations.decide(run.candidate(130))
    assert run.exported() == 40


def test_a_resumed_run_replaces_what_was_exported_by_something_better_only(run):
    run.evaluations([0.7]).decide(run.candidate(500))
    resumed = run.evaluations([0.6, 0.7, 0.8], step=400, resume=True)
    resumed.decide(run.candidate(420))
    assert run.exported() == 500
    resumed.decide(run.candidate(440))  # as good, but of an earlier step
    assert run.exported() == 500
    resumed.decide(run.candidate(460))
    assert run.exported() == 460


def test_a_target_that_was_reached_in_full_is_exported_whatever_the_first_few_episodes_were(run, monkeypatch):
    run.config = dataclasses.replace(run.config, evaluation=dataclasses.replace(run.config.evaluation, target=0.5))
    evaluations, result = run.evaluations([0.4, 0.5]), run.evaluator.result
    evaluations.advance(run.candidate(20))
    evaluations.advance(run.candidate(30))
    assert run.exported() == 20
    # The first half fails.
    monkeypatch.setattr(
        run.evaluator, "result", lambda found: (done := result(found))._replace(outcomes=done.outcomes[::-1])
    )
    evaluations.decide(run.candidate(40))
    assert evaluations.reached.step == 40
    assert run.exported() == 40


def test_few_episodes_do_not_replace_many_that_went_as_well(run):
    run.evaluations([0.9]).decide(run.candidate(10))
    resumed = run.evaluations([0.9], step=10, resume=True)
    resumed.advance(run.candidate(30))
    resumed.finish()
    assert run.exported() == 10


def test_a_policy_is_exported_for_few_episodes_only_while_none_was_for_many(run):
    evaluations = run.evaluations([0.98, 1.0, 0.97, 0.9])
    evaluations.decide(run.candidate(10))
    for step in (20, 30, 40, 50, 60):
        evaluations.advance(run.candidate(step))
    assert [(row["purpose"], row["successes"]) for row in run.rows] == [
        ("full", 98), ("quick", 10), ("full", 97), ("quick", 9)
    ]  # fmt: skip
    assert run.exported() == 10


def test_doing_better_than_the_exported_policy_in_the_same_episodes_is_looked_at_closely(run):
    evaluations = run.evaluations([0.05, 0.7, 0.4, 0.7, 0.9, 0.95])  # of the first 10 episodes 5, 7, 10, 7, ...
    evaluations.decide(run.candidate(10))
    for step in (20, 25, 30, 40, 50, 60, 70):
        evaluations.advance(run.candidate(step))
    assert [(row["purpose"], row["step"]) for row in run.rows] == [
        ("full", 10), ("quick", 20), ("full", 20), ("quick", 40), ("quick", 60)
    ]  # fmt: skip
    assert run.exported() == 20


def test_of_policies_that_reach_the_target_the_quicker_one_is_exported(run, small):
    run.config = small(demos="0", episodes=100, evaluation_seed=7, target=0.9, target_length=16.0)
    evaluations = run.evaluations([(0.95, 20), (0.91, 18), (0.89, 12), (0.99, 19), (0.92, 15)])
    exported = []
    for step in (10, 20, 30, 40):
        evaluations.decide(run.candidate(step))
        exported.append(run.exported())
    assert exported == [10, 20, 20, 20]
    assert evaluations.reached is None
    evaluations.decide(run.candidate(50))
    assert run.exported() == 50
    assert evaluations.reached.step == 50


def test_a_resumed_run_whose_policy_is_gone_exports_again(run):
    run.evaluations([0.7]).decide(run.candidate(10))
    (run.directory / "policy.safetensors").unlink()
    run.evaluations([0.1], step=10, resume=True).decide(run.candidate(20))
    assert run.exported() == 20


def test_a_new_run_does_not_mind_what_was_exported_before_it(run):
    run.evaluations([0.7]).decide(run.candidate(500))
    run.evaluations([0.1]).decide(run.candidate(20))
    assert run.exported() == 20


def test_a_policy_that_cannot_be_compared_is_not_written_over(run):
    file = run.directory / "policy.safetensors"
    file.write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=r"cannot be read as safetensors: .*\. Move it away to go on"):
        run.evaluations([], resume=True)
    save_file({"weights": torch.zeros(3)}, file, metadata={"policy": '{"format": 1, "provenance": {}}'})
    with pytest.raises(CheckpointError, match=r"has no record of its evaluation. Move it away"):
        run.evaluations([], resume=True)


def test_the_final_evaluation_is_of_the_exported_policy_on_seeds_that_chose_nothing(run, small):
    run.config = small(demos="0", evaluation_seed=7, episodes=2)
    evaluations = run.evaluations([0.5, 0.0])
    evaluations.decide(run.candidate(20))
    evaluations.decide(run.candidate(40))
    final = evaluations.final()
    chosen = {seed + number for episodes, seed in run.evaluator.asked for number in range(episodes)}
    assert not chosen & {final.seed + number for number in range(final.episodes)}
    row = run.rows[-1]
    assert (row["purpose"], row["step"], row["operator_steps"], row["seed"]) == ("final", 20, 10, final.seed)
    assert (row["episodes"], row["successes"]) == (2, final.successes)
    assert (run.directory / "report" / "evaluation.mp4").stat().st_size > 1000


def test_a_run_that_is_stopped_before_its_first_evaluation_has_a_policy(run):
    evaluations = run.evaluations([0.1])
    evaluations.keep(run.candidate(0))
    assert evaluations.final() is None
    evaluations.keep(run.candidate(15))
    assert run.exported() == 15
    evaluations.keep(run.candidate(18))
    assert run.exported() == 15
    assert load_policy(run.directory).description["provenance"]["evaluation"] is None
    resumed = run.evaluations([0.0], step=15, resume=True)
    resumed.decide(run.candidate(20))
    assert run.exported() == 20
